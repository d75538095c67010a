package redislimit

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/clerkorg/clerkorg-go"
)

// soon is how long a test waits for what must happen; it does hardly ever take it.
const soon = 20 * time.Second

func eventually(t testing.TB, condition func() bool, what string) {
	t.Helper()
	require.Eventually(t, condition, soon, time.Millisecond, what)
}

// outcome is what a call of Acquire came to.
type outcome struct {
	name  string
	token clerkorg.Reservation
	err   error
}

// crowd has goroutines wait for a quota, and joins them one after the other.
type crowd struct {
	t     *testing.T
	l     *Limiter
	quota clerkorg.Quota
	ends  chan outcome
	came  int
}

func newCrowd(t *testing.T, l *Limiter, quota clerkorg.Quota) *crowd {
	return &crowd{t: t, l: l, quota: quota, ends: make(chan outcome, 100)}
}

func (c *crowd) add(ctx context.Context, name string, reserve int) {
	c.t.Helper()
	c.came++
	go func() {
		token, err := c.l.Acquire(ctx, clerkorg.ReservationRequest{Quota: c.quota, Reserve: reserve, MaxWait: 100 * time.Hour})
		c.ends <- outcome{name, token, err}
	}()
	eventually(c.t, func() bool { return c.l.line(c.quota).length() == c.came }, "it waits")
}

func (c *crowd) next() outcome {
	c.t.Helper()
	select {
	case end := <-c.ends:
		c.came--
		return end
	case <-time.After(soon):
		require.Fail(c.t, "no waiter was served")
		return outcome{}
	}
}

func TestWaitersAreServedInOrder(t *testing.T) {
	t.Parallel()
	_, client := newMini(t)
	l := newTestLimiter(t, client)
	quota := clerkorg.Quota{Name: "q", Limit: 3, Window: time.Hour}
	held := []clerkorg.Reservation{mustAcquire(t, l, quota), mustAcquire(t, l, quota), mustAcquire(t, l, quota)}

	c := newCrowd(t, l, quota)
	for _, w := range []struct {
		name    string
		reserve int
	}{{"d", 1}, {"e", 1}, {"a", 0}, {"f", 1}, {"b", 0}, {"c", 0}} {
		c.add(t.Context(), w.name, w.reserve)
	}
	for _, token := range held {
		require.NoError(t, l.Settle(t.Context(), token, clerkorg.RequestNotSent))
	}
	// Those with a reserve are not served before two are free.
	ends := []outcome{c.next(), c.next(), c.next()}
	for len(ends) < 6 {
		require.NoError(t, l.Settle(t.Context(), ends[len(ends)-1].token, clerkorg.RequestNotSent))
		if len(ends) == 3 {
			require.NoError(t, l.Settle(t.Context(), ends[0].token, clerkorg.RequestNotSent))
		}
		ends = append(ends, c.next())
	}
	// Tokens are numbered as they are asked for, and only the first in line asks.
	slices.SortFunc(ends, func(a, b outcome) int { return cmp.Compare(number(t, l, a.token), number(t, l, b.token)) })
	var names []string
	for _, end := range ends {
		require.NoError(t, end.err)
		names = append(names, end.name)
	}
	assert.Equal(t, "abcdef", strings.Join(names, ""))
}

func number(t *testing.T, l *Limiter, token clerkorg.Reservation) uint64 {
	n, err := strconv.ParseUint(strings.TrimPrefix(token.ID, l.name), 36, 64)
	require.NoError(t, err)
	return n
}

func TestOnlyTheFirstInLineAsks(t *testing.T) {
	t.Parallel()
	_, client := newMini(t)
	s := &spy{}
	client.AddHook(s)
	l := newTestLimiter(t, client)
	quota := clerkorg.Quota{Name: "q", Limit: 1, Window: time.Hour}
	held := mustAcquire(t, l, quota)

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	c := newCrowd(t, l, quota)
	for range 20 {
		c.add(ctx, "", 0)
	}
	asked := s.scripts.Load()
	assert.Equal(t, int64(2+20), asked, "each has asked once; the first was sent twice")
	for range 5 {
		require.NoError(t, l.Settle(t.Context(), held, clerkorg.RequestNotSent))
		held = c.next().token
		asked += 2 // the first tells what is settled, and is served; the next learns how long to wait
		eventually(t, func() bool { return s.scripts.Load() == asked }, "no more and no less")
	}
	state, err := l.State(t.Context(), quota)
	require.NoError(t, err)
	assert.Equal(t, 0, state.Available)

	cancel()
	for range 15 {
		assert.ErrorIs(t, c.next().err, context.Canceled)
	}
	assert.Zero(t, l.line(quota).length())
	require.NoError(t, l.Settle(t.Context(), held, clerkorg.RequestNotSent))
	assert.Equal(t, 1, available(t, l, quota), "canceled waiters have taken nothing")
}

func TestHopelessWaitIsRefusedAtOnce(t *testing.T) {
	t.Parallel()
	_, client := newMini(t)
	l := newTestLimiter(t, client)
	quota := clerkorg.Quota{Name: "q", Limit: 1, Window: time.Hour}
	held := mustAcquire(t, l, quota)

	_, err := l.Acquire(t.Context(), clerkorg.ReservationRequest{Quota: quota, MaxWait: time.Hour})
	refused := refusal(t, err)
	assert.NoError(t, refused.Err)
	assert.Equal(t, time.Hour+5*time.Second, refused.RetryAfter)

	ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
	defer cancel()
	_, err = l.Acquire(ctx, clerkorg.ReservationRequest{Quota: quota, MaxWait: 2 * time.Hour})
	assert.Equal(t, context.DeadlineExceeded, refusal(t, err).Err)
	require.ErrorIs(t, err, context.DeadlineExceeded)

	// Somebody waits: a second one would be served a whole window later.
	c := newCrowd(t, l, quota)
	c.add(t.Context(), "", 0)
	_, err = l.Acquire(t.Context(), clerkorg.ReservationRequest{Quota: quota, MaxWait: 2 * time.Hour})
	assert.Equal(t, 2*(time.Hour+5*time.Second), refusal(t, err).RetryAfter)

	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = l.Acquire(canceled, clerkorg.ReservationRequest{Quota: quota})
	assert.Equal(t, context.Canceled, err)

	require.NoError(t, l.Settle(t.Context(), held, clerkorg.RequestNotSent))
	assert.NoError(t, c.next().err)
}

func TestRefusalOfTheServerEndsWaits(t *testing.T) {
	t.Parallel()
	_, client := newMini(t)
	l := newTestLimiter(t, client)
	quota := clerkorg.Quota{Name: "q", Limit: 2, Window: time.Hour}
	mustAcquire(t, l, quota)
	mustAcquire(t, l, quota)
	c := newCrowd(t, l, quota)
	for range 3 {
		c.add(t.Context(), "", 0)
	}
	require.NoError(t, l.CloseUntil(t.Context(), quota, time.Now().Add(200*time.Hour)))
	for range 3 {
		assert.Greater(t, refusal(t, c.next().err).RetryAfter, 199*time.Hour)
	}
}

// TestCancelRacesWithTake ends the context when Redis has given the token already.
func TestCancelRacesWithTake(t *testing.T) {
	t.Parallel()
	_, client := newMini(t)
	ctx, cancel := context.WithCancel(t.Context())
	client.AddHook(&spy{after: func(_ redis.Cmder, err error) error {
		cancel()
		return err
	}})
	l := newTestLimiter(t, client)
	token, err := l.Acquire(ctx, clerkorg.ReservationRequest{Quota: hourly})
	assert.Equal(t, context.Canceled, err)
	assert.Zero(t, token)
	assert.Equal(t, hourly.Limit, available(t, l, hourly))
}

// TestWaitersOfProcesses has two limiters wait in real time, in short windows.
func TestWaitersOfProcesses(t *testing.T) {
	t.Parallel()
	server, client := newMini(t)
	quota := clerkorg.Quota{Name: "q", Limit: 5, Window: 200 * time.Millisecond}
	var mu sync.Mutex
	var counted []time.Time
	var group sync.WaitGroup
	for _, client := range []*redis.Client{client, newRedisClient(t, server.Addr())} {
		l := newTestLimiter(t, client)
		l.slack = 10 * time.Millisecond
		for i := range 10 {
			group.Go(func() {
				token, err := l.Acquire(t.Context(), clerkorg.ReservationRequest{Quota: quota, MaxWait: time.Minute, Reserve: i % 2})
				if !assert.NoError(t, err) {
					return
				}
				mu.Lock()
				counted = append(counted, time.Now())
				mu.Unlock()
				assert.NoError(t, l.Settle(t.Context(), token, clerkorg.RequestAnswered))
			})
		}
	}
	group.Wait()
	require.Len(t, counted, 20)
	noWindowHoldsTooMany(t, counted, quota)
}

func noWindowHoldsTooMany(t *testing.T, counted []time.Time, quota clerkorg.Quota) {
	t.Helper()
	slices.SortFunc(counted, time.Time.Compare)
	for i := quota.Limit; i < len(counted); i++ {
		span := counted[i].Sub(counted[i-quota.Limit])
		require.Greater(t, span, quota.Window, "%d requests in one window", quota.Limit+1)
	}
}
