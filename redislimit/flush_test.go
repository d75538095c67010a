package redislimit

import (
	"errors"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/clerkorg/clerkorg-go"
)

// TestSettleDoesNotWait has a Redis that hangs once the token is taken.
func TestSettleDoesNotWait(t *testing.T) {
	t.Parallel()
	server, client := newMini(t)
	hang := make(chan struct{})
	close(hang)
	client.AddHook(&spy{before: func(redis.Cmder) error {
		<-hang
		return nil
	}})
	l, other := newTestLimiter(t, client), newTestLimiter(t, newRedisClient(t, server.Addr()))
	token := mustAcquire(t, l, hourly)

	hang = make(chan struct{})
	settled := make(chan error, 1)
	go func() { settled <- l.Settle(t.Context(), token, clerkorg.RequestNotSent) }()
	select {
	case err := <-settled:
		require.NoError(t, err)
	case <-time.After(soon):
		require.Fail(t, "settling waits for Redis")
	}
	assert.Equal(t, hourly.Limit-1, available(t, other, hourly), "Redis has not been told")
	close(hang)
	eventually(t, func() bool { return available(t, other, hourly) == hourly.Limit }, "it is, without another call")
}

func TestSettlementsRideOnTheNextTake(t *testing.T) {
	t.Parallel()
	_, client := newMini(t)
	s := &spy{}
	client.AddHook(s)
	l := newTestLimiter(t, client)
	token := mustAcquire(t, l, hourly)
	asked := s.scripts.Load()
	for range 5 {
		require.NoError(t, l.Settle(t.Context(), token, clerkorg.RequestNotSent))
		token = mustAcquire(t, l, hourly)
		asked++
		assert.Equal(t, hourly.Limit-1, token.Left)
	}
	assert.Equal(t, asked, s.scripts.Load(), "a call is one round trip")
}

func TestCloseTellsRedis(t *testing.T) {
	t.Parallel()
	down := newOutage(nil)
	server, client := newMini(t)
	client.AddHook(&spy{before: func(redis.Cmder) error { return down.get() }})
	l, other := newTestLimiter(t, client), newTestLimiter(t, newRedisClient(t, server.Addr()))
	token, late := mustAcquire(t, l, hourly), mustAcquire(t, l, hourly)
	require.NoError(t, l.Settle(t.Context(), token, clerkorg.RequestNotSent))

	down.set(errDown)
	require.ErrorIs(t, l.Close(), errDown)
	require.ErrorIs(t, l.Close(), clerkorg.ErrLimiterUnavailable)
	down.set(nil)
	l.tryAgain()
	require.NoError(t, l.Close())
	assert.Equal(t, hourly.Limit-1, available(t, other, hourly))
	_, err := l.Acquire(t.Context(), clerkorg.ReservationRequest{Quota: hourly})
	require.ErrorIs(t, err, ErrClosed)
	require.NoError(t, l.Settle(t.Context(), late, clerkorg.RequestNotSent))
	assert.Equal(t, hourly.Limit, available(t, other, hourly), "a late one is told at once")
}

// TestTellingGoesOn has Redis fail for a while in which no call is made.
func TestTellingGoesOn(t *testing.T) {
	t.Parallel()
	server, client := newMini(t)
	failures := make(chan error, 2)
	client.AddHook(&spy{before: func(redis.Cmder) error {
		select {
		case err := <-failures:
			return err
		default:
			return nil
		}
	}})
	l, other := newTestLimiter(t, client), newTestLimiter(t, newRedisClient(t, server.Addr()))
	token := mustAcquire(t, l, hourly)
	failures <- errors.New("moved away")
	require.NoError(t, l.Settle(t.Context(), token, clerkorg.RequestNotSent))
	eventually(t, func() bool { return available(t, other, hourly) == hourly.Limit }, "it tries again by itself")
}

// TestOutageIsToldFirst has a process use local tokens while Redis fails, more than one
// script tells of.
func TestOutageIsToldFirst(t *testing.T) {
	t.Parallel()
	down := newOutage(errDown)
	l := newBreakable(t, down, WithLocalFallback(1))
	for range 3 * batchSize / 2 {
		require.NoError(t, l.Settle(t.Context(), mustAcquire(t, l, hourly), clerkorg.RequestAnswered))
	}
	down.set(nil)
	l.tryAgain()
	assert.Equal(t, hourly.Limit-3*batchSize/2-1, mustAcquire(t, l, hourly).Left)
}

// TestRecoveryIsToldAtOnce has the next flush lie far off when Redis comes back.
func TestRecoveryIsToldAtOnce(t *testing.T) {
	t.Parallel()
	down := newOutage(errDown)
	server, client := newMini(t)
	client.AddHook(&spy{before: func(redis.Cmder) error { return down.get() }})
	l, other := newTestLimiter(t, client, WithLocalFallback(1)), newTestLimiter(t, newRedisClient(t, server.Addr()))
	require.NoError(t, l.Settle(t.Context(), mustAcquire(t, l, hourly), clerkorg.RequestAnswered))
	l.mu.Lock()
	l.timer.Stop()
	l.flushWait = flushPause
	l.mu.Unlock()
	l.flushByTimer()

	down.set(nil)
	l.tryAgain()
	available(t, l, hourly)
	eventually(t, func() bool { return available(t, other, hourly) == hourly.Limit-1 }, "it does not wait for the timer")
}

// TestClosedClientIsLeftAlone closes the client under a limiter that has news.
func TestClosedClientIsLeftAlone(t *testing.T) {
	t.Parallel()
	_, client := newMini(t)
	l := newTestLimiter(t, client)
	token := mustAcquire(t, l, hourly)
	require.NoError(t, client.Close())
	require.NoError(t, l.Settle(t.Context(), token, clerkorg.RequestAnswered))
	l.flushByTimer()
	l.mu.Lock()
	defer l.mu.Unlock()
	assert.False(t, l.flushing)
}
