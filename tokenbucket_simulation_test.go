package clerkorg

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/clerkorg/clerkorg-go/clerktest"
)

// TestBulkQuota sends 1,000 bulk calls to every kind of server, from several
// points of the clock hour, and counts refusals and hours.
func TestBulkQuota(t *testing.T) {
	const calls = 1000
	pick := sampler(2)
	for _, window := range windows {
		for _, phase := range phases {
			if !pick() {
				continue
			}
			t.Run(fmt.Sprintf("%s/phase=%s", window, phase), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					time.Sleep(phase)
					server := clerktest.NewServer(clerktest.WithRateLimits(window), clerktest.WithLatency(weather(uint64(phase))))
					client := inMemory(t, server, WithMaxRateLimitWait(forever))
					start := time.Now()
					sendBulkCalls(t, client, server.OrganizationID(), calls, 4)
					hours := time.Since(start).Hours()

					mostRefused, mostHours := 0, 19.06
					if isSlidingCounter(window) {
						mostRefused, mostHours = 4, 20.5
					}
					t.Logf("%d refused, %.3f h", server.RateLimited(), hours)
					assert.LessOrEqual(t, server.RateLimited(), mostRefused)
					assert.LessOrEqual(t, hours, mostHours)
					assert.Len(t, server.InvitedAddresses(server.OrganizationID()), calls)
					assertNoWindowHolds(t, server.Calls(), 50+mostRefused, time.Hour)
				})
			})
		}
	}
}

// sendBulkCalls sends calls with one invitation each, so many at a time.
func sendBulkCalls(t *testing.T, client *Client, org string, calls, concurrency int) {
	t.Helper()
	next := make(chan int)
	var wg sync.WaitGroup
	for range concurrency {
		wg.Go(func() {
			for i := range next {
				_, err := client.Organizations.CreateInvitationBulk(t.Context(), org, []CreateInvitationParams{
					{EmailAddress: fmt.Sprintf("person%d@example.com", i), Role: RoleMember},
				})
				assert.NoError(t, err)
			}
		})
	}
	for i := range calls {
		next <- i
	}
	close(next)
	wg.Wait()
}

// assertNoWindowHolds counts the arrivals in every window that begins with one.
func assertNoWindowHolds(t *testing.T, calls []clerktest.Call, most int, window time.Duration) {
	t.Helper()
	times := make([]time.Time, len(calls))
	for i, call := range calls {
		times[i] = call.Time
	}
	slices.SortFunc(times, time.Time.Compare)
	for i := range times {
		if i >= most {
			require.GreaterOrEqual(t, times[i].Sub(times[i-most]), window, "more than %d in %s", most, window)
		}
	}
}

// TestBulkQuotaUnderContention has 100 goroutines share the quota.
func TestBulkQuotaUnderContention(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := clerktest.NewServer(clerktest.WithRateLimits(clerktest.SlidingLogCountingRefusals), clerktest.WithLatency(weather(1)))
		client := inMemory(t, server, WithMaxRateLimitWait(forever))
		sendBulkCalls(t, client, server.OrganizationID(), 300, 100)
		assert.Zero(t, server.RateLimited())
		assertNoWindowHolds(t, server.Calls(), 50, time.Hour)
	})
}
