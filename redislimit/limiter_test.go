package redislimit

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/clerkorg/clerkorg-go"
)

// clock is the time of a Redis in memory.
type clock struct {
	server *miniredis.Miniredis

	mu sync.Mutex // timers of limiters look at it too
	at time.Time
}

func newClock(server *miniredis.Miniredis) *clock {
	c := &clock{server: server, at: time.Unix(1_800_000_000, 0)}
	c.advance(0)
	return c
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
	c.server.SetTime(c.at)
	c.server.FastForward(d) // for what expires
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func TestProcessesShareAQuota(t *testing.T) {
	t.Parallel()
	server, client := newMini(t)
	newClock(server)
	a, b := newTestLimiter(t, client), newTestLimiter(t, newRedisClient(t, server.Addr()))
	other := newTestLimiter(t, client, WithPrefix("other:"))
	for i := range hourly.Limit / 2 {
		assert.Equal(t, hourly.Limit-2*i-1, mustAcquire(t, a, hourly).Left)
		assert.Equal(t, hourly.Limit-2*i-2, mustAcquire(t, b, hourly).Left)
	}
	for _, l := range []*Limiter{a, b} {
		_, err := l.Acquire(t.Context(), clerkorg.ReservationRequest{Quota: hourly, MaxWait: time.Minute})
		refused := refusal(t, err)
		assert.Equal(t, hourly, refused.Quota)
		assert.Equal(t, time.Hour+5*time.Second, refused.RetryAfter)
		assert.NoError(t, refused.Err)
	}
	assert.Equal(t, hourly.Limit-1, mustAcquire(t, other, hourly).Left)
}

func TestTokenOfADeadHolderComesBack(t *testing.T) {
	t.Parallel()
	server, client := newMini(t)
	clock := newClock(server)
	l := newTestLimiter(t, client)
	quota := clerkorg.Quota{Name: "q", Limit: 1, Window: time.Hour}
	mustAcquire(t, l, quota)

	const until = time.Hour + 5*time.Second + clerkorg.LateArrival
	clock.advance(until - time.Microsecond)
	_, err := l.Acquire(t.Context(), clerkorg.ReservationRequest{Quota: quota})
	assert.Equal(t, time.Microsecond, refusal(t, err).RetryAfter)
	clock.advance(time.Microsecond)
	mustAcquire(t, l, quota)
}

func TestSettledAfterItWasGivenUp(t *testing.T) {
	t.Parallel()
	for _, outcome := range []clerkorg.RequestOutcome{clerkorg.RequestNotSent, clerkorg.RequestAnswered} {
		server, client := newMini(t)
		clock := newClock(server)
		l := newTestLimiter(t, client)
		l.now = clock.now
		quota := clerkorg.Quota{Name: "q", Limit: 2, Window: time.Hour}
		token := mustAcquire(t, l, quota)
		clock.advance(10 * time.Minute)
		assert.Equal(t, 1, available(t, l, quota), "it counts as never answered by now")

		require.NoError(t, l.Settle(t.Context(), token, outcome))
		require.NoError(t, l.flush(t.Context()))
		require.NoError(t, l.Settle(t.Context(), token, outcome), "a client may send it twice")
		require.NoError(t, l.flush(t.Context()))
		if outcome == clerkorg.RequestNotSent {
			assert.Equal(t, 2, available(t, l, quota))
			continue
		}
		assert.Equal(t, 1, available(t, l, quota), "it is one request still")
		clock.advance(time.Hour + 5*time.Second - time.Microsecond)
		assert.Equal(t, 1, available(t, l, quota))
		clock.advance(time.Microsecond)
		assert.Equal(t, 2, available(t, l, quota), "a window after its answer")
	}
}

// TestTakeIsSentTwice is what a client does whose connection breaks before the
// answer.
func TestTakeIsSentTwice(t *testing.T) {
	t.Parallel()
	_, client := newMini(t)
	l := newTestLimiter(t, client)
	quota := clerkorg.Quota{Name: "q", Limit: 1, Window: time.Hour}
	w := l.line(quota).newWaiter(t.Context(), clerkorg.ReservationRequest{Quota: quota})
	for range 2 {
		wait, left, err := l.take(t.Context(), w, "it", 0)
		require.NoError(t, err)
		assert.Zero(t, wait)
		assert.Zero(t, left)
	}
	wait, _, err := l.take(t.Context(), w, "another", 0)
	require.NoError(t, err)
	assert.Positive(t, wait)
}

// TestClocksDoNotMatter has two processes whose clocks are ten minutes apart.
func TestClocksDoNotMatter(t *testing.T) {
	t.Parallel()
	server, client := newMini(t)
	clock := newClock(server)
	fast, slow := newTestLimiter(t, client), newTestLimiter(t, client)
	fast.now = func() time.Time { return clock.now().Add(7 * time.Minute) }
	slow.now = func() time.Time { return clock.now().Add(-3 * time.Minute) }

	listed := []time.Time{clock.now().Add(-10 * time.Minute), clock.now().Add(-20 * time.Minute)}
	for _, l := range []*Limiter{fast, slow} {
		require.NoError(t, l.Seed(t.Context(), hourly, listed...))
		assert.Equal(t, hourly.Limit-2, available(t, l, hourly), "the server's times are the same for both")
	}
	require.NoError(t, fast.Settle(t.Context(), mustAcquire(t, fast, hourly), clerkorg.RequestAnswered))

	require.NoError(t, slow.CloseUntil(t.Context(), hourly, slow.now().Add(30*time.Second)))
	for _, l := range []*Limiter{fast, slow} {
		state, err := l.State(t.Context(), hourly)
		require.NoError(t, err)
		assert.Equal(t, 30*time.Second, state.ClosedUntil.Sub(l.now()))
		assert.Equal(t, 0, state.Available)
		_, err = l.Acquire(t.Context(), clerkorg.ReservationRequest{Quota: hourly})
		assert.Equal(t, 30*time.Second, refusal(t, err).RetryAfter)
	}
	clock.advance(30 * time.Second)
	assert.Equal(t, hourly.Limit-4, mustAcquire(t, fast, hourly).Left)
}

func TestSeedIsForWhatRedisHasNotSeen(t *testing.T) {
	t.Parallel()
	server, client := newMini(t)
	clock := newClock(server)
	l := newTestLimiter(t, client)
	clock.advance(time.Hour)
	before := clock.now().Add(-time.Second)
	require.NoError(t, l.Settle(t.Context(), mustAcquire(t, l, hourly), clerkorg.RequestAnswered))
	clock.advance(time.Minute)
	require.NoError(t, l.Seed(t.Context(), hourly, before, clock.now().Add(-30*time.Second), clock.now().Add(time.Hour)))
	assert.Equal(t, hourly.Limit-2, available(t, l, hourly))
	require.NoError(t, l.Seed(t.Context(), hourly))
}

func TestKeysExpireByThemselves(t *testing.T) {
	t.Parallel()
	server, client := newMini(t)
	clock := newClock(server)
	l := newTestLimiter(t, client)
	const life = 2*time.Hour + 5*time.Second + clerkorg.LateArrival + time.Second

	use := func() {
		require.NoError(t, l.Seed(t.Context(), hourly, clock.now().Add(-time.Minute)))
		require.NoError(t, l.Settle(t.Context(), mustAcquire(t, l, hourly), clerkorg.RequestUnanswered))
		mustAcquire(t, l, hourly)
	}
	use()
	keys := server.Keys()
	require.Len(t, keys, 2)
	for _, key := range keys {
		assert.Equal(t, life*5/4, server.TTL(key), key)
	}
	clock.advance(10 * time.Minute) // the one in flight is moved
	available(t, l, hourly)
	assert.Positive(t, server.TTL(l.keys(hourly)[1]))
	clock.advance(life * 5 / 4)
	assert.Empty(t, server.Keys())

	use()
	require.NoError(t, l.CloseUntil(t.Context(), hourly, time.Now().Add(time.Minute)))
	clock.advance(life * 5 / 4)
	assert.Empty(t, server.Keys(), "the guard turns off")

	require.NoError(t, l.CloseUntil(t.Context(), hourly, time.Now().Add(30*24*time.Hour)))
	clock.advance(29 * 24 * time.Hour)
	assert.Zero(t, available(t, l, hourly), "a quota is not opened early")
}

// TestSecretStaysHome looks at all that goes to Redis.
func TestSecretStaysHome(t *testing.T) {
	t.Parallel()
	server, client := newMini(t)
	var sent strings.Builder
	client.AddHook(&spy{before: func(cmd redis.Cmder) error {
		fmt.Fprintln(&sent, cmd.Args()...)
		return nil
	}})
	l := newTestLimiter(t, client)
	printed := fmt.Sprintf("%+v %#v", l, l.options)
	require.NoError(t, l.Settle(t.Context(), mustAcquire(t, l, hourly), clerkorg.RequestAnswered))
	require.NoError(t, l.CloseUntil(t.Context(), hourly, time.Now()))
	require.NoError(t, l.Seed(t.Context(), hourly, time.Now()))
	available(t, l, hourly)
	require.NoError(t, l.Close()) // and with it the timer, which would send more
	assert.NotEmpty(t, sent.String())
	assert.NotContains(t, sent.String(), "the-key-of")
	assert.NotContains(t, server.Dump(), "the-key-of")
	assert.NotContains(t, printed, "the-key-of")
	for _, key := range server.Keys() {
		assert.Regexp(t, `^clerkorg:\{[0-9a-f]{32}\}:(state|requests|line):invitations\.bulk$`, key)
	}
}

func TestKeysOfAnOwnerShareASlot(t *testing.T) {
	t.Parallel()
	_, client := newMini(t)
	l := newTestLimiter(t, client)
	seen := map[string]bool{}
	for _, name := range []string{"invitations.bulk", "instance", "a}b", "{}", "log:a", "a:log", "a"} {
		for _, key := range l.keys(clerkorg.Quota{Name: name}) {
			assert.False(t, seen[key], key)
			seen[key] = true
			_, rest, _ := strings.Cut(key, "{")
			tag, _, ok := strings.Cut(rest, "}")
			assert.True(t, ok)
			assert.Equal(t, l.owner, tag)
		}
	}
}

func TestWrongCalls(t *testing.T) {
	t.Parallel()
	_, client := newMini(t)
	l := newTestLimiter(t, client)
	token := mustAcquire(t, l, hourly)
	assert.ErrorContains(t, l.Settle(t.Context(), token, 0), "outcome 0 is unknown")
	assert.ErrorContains(t, l.Settle(t.Context(), token, clerkorg.RequestUnanswered+1), "unknown")
	assert.ErrorContains(t, l.Settle(t.Context(), clerkorg.Reservation{Quota: hourly}, clerkorg.RequestAnswered), "no limiter in Redis gave")

	for _, quota := range []clerkorg.Quota{{}, {Name: "q", Limit: 1}, {Name: "q", Window: time.Hour}, {Limit: 1, Window: time.Hour}} {
		_, err := l.Acquire(t.Context(), clerkorg.ReservationRequest{Quota: quota})
		assert.ErrorContains(t, err, "needs a name, a limit and a window")
		_, err = l.State(t.Context(), quota)
		assert.Error(t, err)
		assert.Error(t, l.CloseUntil(t.Context(), quota, time.Now()))
		assert.Error(t, l.Seed(t.Context(), quota, time.Now()))
	}
	_, err := l.Acquire(t.Context(), clerkorg.ReservationRequest{Quota: hourly, Reserve: hourly.Limit, MaxWait: never})
	assert.Equal(t, never, refusal(t, err).RetryAfter, "so many are never left")
}
