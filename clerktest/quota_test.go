package clerktest_test

import (
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/clerkorg/clerkorg-go/clerktest"
)

func retryAfter(t *testing.T, a answer) time.Duration {
	t.Helper()
	requireError(t, a, 429, "too_many_requests")
	seconds, err := strconv.Atoi(a.header.Get("Retry-After"))
	require.NoError(t, err)
	return time.Duration(seconds) * time.Second
}

// TestDocumentedQuotas starts on a whole hour, as bubbles do.
func TestDocumentedQuotas(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := inMemory(t)
		next := 0
		bulk := func() answer {
			next++
			return a.bulk(addresses(1, next)...)
		}
		for range 50 {
			require.Equal(t, 200, bulk().status)
		}
		time.Sleep(10*time.Minute + time.Millisecond)
		require.Equal(t, 50*time.Minute, retryAfter(t, bulk()))
		calls := a.Calls()
		require.True(t, calls[50].Refused)
		require.Equal(t, 429, calls[50].Status)

		for range 250 {
			time.Sleep(100 * time.Millisecond)
			next++
			require.Equal(t, 200, a.create(addresses(1, next)[0]).status, "the other endpoint has a quota of its own")
		}
		retryAfter(t, a.create("late@example.com"))
		require.Equal(t, 2, a.RateLimited())
		require.Equal(t, 51, a.CallCount(clerktest.OpBulk))

		time.Sleep(time.Hour)
		require.Equal(t, 200, bulk().status)
	})
}

func TestInstanceQuota(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		limit int
		opts  []clerktest.Option
	}{
		{100, nil},
		{1000, []clerktest.Option{clerktest.WithLiveKey()}},
		{1000, []clerktest.Option{clerktest.WithSecretKey("sk_live_x")}},
		{3, []clerktest.Option{clerktest.WithQuota("instance", 3, 10*time.Second)}},
		{3, []clerktest.Option{clerktest.WithQuota(clerktest.OpAny, 3, 10*time.Second)}},
	} {
		synctest.Test(t, func(t *testing.T) {
			a := inMemory(t, tt.opts...)
			for range tt.limit {
				require.Equal(t, 200, a.do("GET", a.org(""), "").status)
			}
			require.Equal(t, 10*time.Second, retryAfter(t, a.do("GET", a.org(""), "")))
			retryAfter(t, a.bulk("x@example.com"))
			retryAfter(t, a.do("GET", "/nowhere", ""))
			time.Sleep(10 * time.Second)
			require.Equal(t, 200, a.bulk("x@example.com").status)
		})
	}
}

func TestQuotaOptions(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := inMemory(t, clerktest.WithQuota(clerktest.OpList, 1, time.Second), clerktest.WithRetryAfter(false),
			clerktest.WithQuota(clerktest.OpBulk, 0, time.Hour))
		for i := range 60 {
			require.Equal(t, 200, a.bulk(addresses(1, i)...).status)
		}
		require.Equal(t, 200, a.do("GET", a.org("/invitations"), "").status)
		got := a.do("GET", a.org("/invitations"), "")
		requireError(t, got, 429, "too_many_requests")
		require.Empty(t, got.header.Get("Retry-After"))

		free := inMemory(t, clerktest.WithQuota(clerktest.OpList, 1, time.Second), clerktest.WithoutRateLimits())
		for range 300 {
			require.Equal(t, 200, free.do("GET", free.org("/invitations"), "").status)
		}
	})
}

// TestObeyingRetryAfter: under every window, waiting as told is enough.
func TestObeyingRetryAfter(t *testing.T) {
	t.Parallel()
	for _, w := range clerktest.Windows() {
		t.Run(w.String(), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				a := inMemory(t, clerktest.WithRateLimits(w))
				time.Sleep(11*time.Minute + 300*time.Millisecond)
				for i := range 120 {
					time.Sleep(5 * time.Second)
					got := a.bulk(addresses(1, i)...)
					if got.status == 429 {
						time.Sleep(retryAfter(t, got))
						got = a.bulk(addresses(1, i)...)
					}
					require.Equal(t, 200, got.status, "call %d", i)
				}
				require.Positive(t, a.RateLimited())
			})
		})
	}
}

// TestArrivalCounts: a call is counted when it arrives, not when it leaves.
func TestArrivalCounts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := inMemory(t, clerktest.WithQuota(clerktest.OpBulk, 1, time.Hour), clerktest.WithLatency(constant(2*time.Second)))
		time.Sleep(time.Hour - time.Second)
		sent := time.Now()
		require.Equal(t, 200, a.bulk("x@example.com").status)
		require.Equal(t, 4*time.Second, time.Since(sent))
		require.Equal(t, sent.Add(2*time.Second), a.Calls()[0].Time)
		// It arrived in the new hour, all of which it has used up.
		require.Equal(t, 59*time.Minute+55*time.Second, retryAfter(t, a.bulk("y@example.com")))
	})
}

func TestWithClock(t *testing.T) {
	t.Parallel()
	now := time.Date(2031, 5, 6, 7, 0, 0, 0, time.UTC)
	a := inMemory(t, clerktest.WithClock(func() time.Time { return now }), clerktest.WithClock(nil))
	inv := decode[invitation](t, a.create("x@example.com"))
	require.Equal(t, now.UnixMilli(), inv.CreatedAt)
	now = now.Add(31 * 24 * time.Hour)
	require.Equal(t, "expired", a.Invitations(a.OrganizationID())[0].Status)
}
