package redislimit

import (
	"context"
	"errors"
	"io"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/clerkorg/clerkorg-go"
)

var (
	errDown = errors.New("redis is down")
	instant = clerkorg.Quota{Name: clerkorg.QuotaInstance, Limit: 5, Window: 10 * time.Second}
)

// outage is an error of Redis that comes and goes.
type outage struct{ err atomic.Pointer[error] }

func newOutage(err error) *outage {
	o := &outage{}
	o.set(err)
	return o
}

func (o *outage) set(err error) { o.err.Store(&err) }

func (o *outage) get() error { return *o.err.Load() }

// newBreakable returns a limiter whose Redis fails during an outage.
func newBreakable(t *testing.T, down *outage, opts ...Option) *Limiter {
	_, client := newMini(t)
	client.AddHook(&spy{before: func(redis.Cmder) error { return down.get() }})
	return newTestLimiter(t, client, opts...)
}

// tryAgain makes the limiter try Redis without a pause.
func (l *Limiter) tryAgain() {
	l.health.mu.Lock()
	defer l.health.mu.Unlock()
	l.health.again = time.Time{}
}

func TestLongWindowsFailClosed(t *testing.T) {
	t.Parallel()
	down := newOutage(errDown)
	l := newBreakable(t, down)
	for range 2 { // the second without asking
		_, err := l.Acquire(t.Context(), clerkorg.ReservationRequest{Quota: hourly, MaxWait: time.Hour})
		require.ErrorIs(t, err, errDown)
		require.ErrorIs(t, err, clerkorg.ErrLimiterUnavailable)
		require.NotErrorIs(t, err, clerkorg.ErrRateLimited)
	}
	_, err := l.State(t.Context(), hourly)
	require.ErrorIs(t, err, errDown)
	require.ErrorIs(t, l.Seed(t.Context(), hourly, time.Now()), errDown)

	down.set(nil)
	l.tryAgain()
	assert.Equal(t, hourly.Limit-1, mustAcquire(t, l, hourly).Left)
}

func TestShortWindowsGoOn(t *testing.T) {
	t.Parallel()
	down := newOutage(nil)
	l := newBreakable(t, down)
	first := mustAcquire(t, l, instant)
	second := mustAcquire(t, l, instant)
	require.NoError(t, l.Settle(t.Context(), first, clerkorg.RequestAnswered))

	down.set(errDown)
	third := mustAcquire(t, l, instant)
	assert.Equal(t, instant, third.Quota)
	assert.Equal(t, 2, third.Left, "what it used before counts")
	require.NoError(t, l.Settle(t.Context(), second, clerkorg.RequestNotSent), "Redis is told later")
	require.NoError(t, l.Settle(t.Context(), third, clerkorg.RequestAnswered))
	require.NoError(t, l.Settle(t.Context(), mustAcquire(t, l, instant), clerkorg.RequestNotSent))
	state, err := l.State(t.Context(), instant)
	require.NoError(t, err)
	assert.Equal(t, instant, state.Quota)
	assert.Equal(t, 3, state.Available)
	for range 3 {
		require.NoError(t, l.Settle(t.Context(), mustAcquire(t, l, instant), clerkorg.RequestAnswered))
	}
	_, err = l.Acquire(t.Context(), clerkorg.ReservationRequest{Quota: instant})
	assert.InDelta(t, 15*time.Second, refusal(t, err).RetryAfter, float64(10*time.Second))

	// Redis comes back, and is told of the first, the third and three more.
	down.set(nil)
	l.tryAgain()
	_, err = l.Acquire(t.Context(), clerkorg.ReservationRequest{Quota: instant})
	require.ErrorIs(t, err, clerkorg.ErrRateLimited)
	state, err = l.State(t.Context(), instant)
	require.NoError(t, err)
	assert.Equal(t, 0, state.Available)
	assert.True(t, l.line(instant).next().empty())
}

func TestLocalFallback(t *testing.T) {
	t.Parallel()
	down := newOutage(errDown)
	l := newBreakable(t, down, WithLocalFallback(4))
	var tokens []clerkorg.Reservation
	for i := range hourly.Limit / 4 {
		token := mustAcquire(t, l, hourly)
		assert.Equal(t, hourly.Limit/4-i-1, token.Left)
		tokens = append(tokens, token)
	}
	_, err := l.Acquire(t.Context(), clerkorg.ReservationRequest{Quota: hourly, MaxWait: time.Minute})
	refused := refusal(t, err)
	assert.Equal(t, hourly, refused.Quota)
	assert.Greater(t, refused.RetryAfter, 59*time.Minute)

	fates := []clerkorg.RequestOutcome{clerkorg.RequestNotSent, clerkorg.RequestAnswered, clerkorg.RequestUnanswered}
	for i, token := range tokens {
		require.NoError(t, l.Settle(t.Context(), token, fates[i%3]))
	}
	down.set(nil)
	l.tryAgain()
	assert.Equal(t, hourly.Limit-8-1, mustAcquire(t, l, hourly).Left, "eight of twelve were sent")

	few := clerkorg.Quota{Name: "few", Limit: 3, Window: time.Hour}
	down.set(errDown)
	l.tryAgain()
	token, err := l.Acquire(t.Context(), clerkorg.ReservationRequest{Quota: few, Reserve: 2})
	require.NoError(t, err, "one is for everybody")
	require.NoError(t, l.Settle(t.Context(), token, clerkorg.RequestAnswered))
}

func TestLocalWaitObeysTheContext(t *testing.T) {
	t.Parallel()
	down := newOutage(errDown)
	l := newBreakable(t, down)
	one := clerkorg.Quota{Name: "one", Limit: 1, Window: 10 * time.Second}
	mustAcquire(t, l, one)
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(10*time.Millisecond, cancel)
	_, err := l.Acquire(ctx, clerkorg.ReservationRequest{Quota: one, MaxWait: time.Hour})
	assert.Equal(t, context.Canceled, err)
}

func TestRedisIsToldLater(t *testing.T) {
	t.Parallel()
	down := newOutage(nil)
	l := newBreakable(t, down)
	a, b, c := mustAcquire(t, l, hourly), mustAcquire(t, l, hourly), mustAcquire(t, l, hourly)
	down.set(errDown)
	require.NoError(t, l.Settle(t.Context(), a, clerkorg.RequestNotSent))
	require.NoError(t, l.Settle(t.Context(), b, clerkorg.RequestAnswered))
	require.NoError(t, l.Settle(t.Context(), c, clerkorg.RequestUnanswered))
	require.ErrorIs(t, l.flush(t.Context()), errDown)
	down.set(nil)
	l.tryAgain()
	assert.Equal(t, hourly.Limit-3, mustAcquire(t, l, hourly).Left)

	down.set(errDown)
	require.ErrorIs(t, l.CloseUntil(t.Context(), hourly, time.Now().Add(time.Hour)), errDown)
	down.set(nil)
	l.tryAgain()
	_, err := l.Acquire(t.Context(), clerkorg.ReservationRequest{Quota: hourly})
	assert.InDelta(t, time.Hour, refusal(t, err).RetryAfter, float64(soon))
	assert.True(t, l.line(hourly).next().empty())
}

// TestReplyIsLost breaks the connection after Redis has given the token.
func TestReplyIsLost(t *testing.T) {
	t.Parallel()
	_, client := newMini(t)
	lost := newOutage(nil)
	client.AddHook(&spy{after: func(_ redis.Cmder, err error) error { return errors.Join(err, lost.get()) }})
	l := newTestLimiter(t, client)
	available(t, l, hourly)
	mustAcquire(t, l, hourly) // loads the script
	lost.set(io.ErrUnexpectedEOF)
	_, err := l.Acquire(t.Context(), clerkorg.ReservationRequest{Quota: hourly})
	require.ErrorIs(t, err, clerkorg.ErrLimiterUnavailable)
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	lost.set(nil)
	l.tryAgain()
	assert.Equal(t, hourly.Limit-1, available(t, l, hourly), "the lost one is given back")
	assert.Equal(t, hourly.Limit-2, mustAcquire(t, l, hourly).Left)
}

// TestHangingRedis accepts connections and says nothing.
func TestHangingRedis(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = listener.Close() }()
	client := redis.NewClient(&redis.Options{Addr: listener.Addr().String(), ReadTimeout: -1})
	defer func() { _ = client.Close() }()
	l, err := New(client, WithSecretKey(testKey), WithTimeout(50*time.Millisecond))
	require.NoError(t, err)

	ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
	defer cancel()
	start := time.Now()
	_, err = l.Acquire(ctx, clerkorg.ReservationRequest{Quota: hourly})
	assert.Less(t, time.Since(start), soon)
	require.EqualError(t, err, "redislimit: Redis did not answer within 50ms")
	require.ErrorIs(t, err, clerkorg.ErrLimiterUnavailable)
	assert.NotErrorIs(t, err, context.DeadlineExceeded, "that would be the caller's")

	_, err = l.Acquire(t.Context(), clerkorg.ReservationRequest{Quota: instant})
	require.NoError(t, err)
}

// TestStrangeRedis answers what no script of ours does.
func TestStrangeRedis(t *testing.T) {
	t.Parallel()
	_, client := newMini(t)
	client.AddHook(&spy{after: func(cmd redis.Cmder, err error) error {
		cmd.(*redis.Cmd).SetVal([]any{int64(1)})
		return err
	}})
	l := newTestLimiter(t, client)
	mustNot := func(err error) {
		t.Helper()
		assert.ErrorContains(t, err, "Redis answered with 1 numbers")
		l.tryAgain()
	}
	_, err := l.Acquire(t.Context(), clerkorg.ReservationRequest{Quota: hourly})
	mustNot(err)
	_, err = l.State(t.Context(), hourly)
	mustNot(err)
}
