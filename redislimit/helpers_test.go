package redislimit

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/clerkorg/clerkorg-go"
)

const testKey = "sk_test_the-key-of-the-tests"

var hourly = clerkorg.Quota{Name: clerkorg.QuotaBulk, Limit: 50, Window: time.Hour}

// newMini returns a Redis in memory and a client of it.
func newMini(t testing.TB) (*miniredis.Miniredis, *redis.Client) {
	t.Helper()
	server := miniredis.RunT(t)
	return server, newRedisClient(t, server.Addr())
}

func newRedisClient(t testing.TB, addr string) *redis.Client {
	t.Helper()
	client := redis.NewClient(&redis.Options{Addr: addr, PoolSize: 100, MaxRetries: -1})
	t.Cleanup(func() { _ = client.Close() })
	return client
}

func newTestLimiter(t testing.TB, client redis.UniversalClient, opts ...Option) *Limiter {
	t.Helper()
	l, err := New(client, append([]Option{WithSecretKey(testKey), WithTimeout(10 * time.Second)}, opts...)...)
	require.NoError(t, err)
	l.jitter = time.Millisecond
	return l
}

func mustAcquire(t testing.TB, l *Limiter, q clerkorg.Quota) clerkorg.Reservation {
	t.Helper()
	token, err := l.Acquire(t.Context(), clerkorg.ReservationRequest{Quota: q})
	require.NoError(t, err)
	return token
}

// refusal is the error of a call that must be refused.
func refusal(t testing.TB, err error) *clerkorg.RateLimitError {
	t.Helper()
	var refused *clerkorg.RateLimitError
	require.ErrorAs(t, err, &refused)
	require.ErrorIs(t, err, clerkorg.ErrRateLimited)
	return refused
}

func available(t testing.TB, l *Limiter, q clerkorg.Quota) int {
	t.Helper()
	state, err := l.State(t.Context(), q)
	require.NoError(t, err)
	return state.Available
}

// spy is a hook that sees every script on its way to Redis, and its reply. It has
// to be added before the limiter is made.
type spy struct {
	scripts atomic.Int64 // that Redis has answered
	before  func(cmd redis.Cmder) error
	after   func(cmd redis.Cmder, err error) error
}

func (s *spy) DialHook(next redis.DialHook) redis.DialHook { return next }

func (s *spy) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func (s *spy) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if name := cmd.Name(); name != "evalsha" && name != "eval" {
			return next(ctx, cmd)
		}
		if s.before != nil {
			if err := s.before(cmd); err != nil {
				cmd.SetErr(err)
				return err
			}
		}
		err := next(ctx, cmd)
		s.scripts.Add(1)
		if s.after != nil {
			err = s.after(cmd, err)
			cmd.SetErr(err)
		}
		return err
	}
}
