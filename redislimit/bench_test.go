package redislimit

import (
	"testing"
	"time"

	"github.com/go-redis/redis_rate/v10"
	"github.com/stretchr/testify/require"

	"github.com/clerkorg/clerkorg-go"
)

// roomy never refuses, and is as full as a busy quota: some thousand requests in
// its window.
var roomy = clerkorg.Quota{Name: "roomy", Limit: 1_000_000, Window: time.Second}

// BenchmarkBoth is what a bulk call costs: one round trip for the tokens of two quotas,
// which carries the outcomes of the call before.
func BenchmarkBoth(b *testing.B) {
	url, prefix := realRedis(b)
	l := newTestLimiter(b, dial(b, url), WithPrefix(prefix))
	l.slack = 0
	other := roomy
	other.Name = "roomy, too"
	for b.Loop() {
		tokens, err := l.AcquireAll(b.Context(), both(roomy, other))
		require.NoError(b, err)
		for _, token := range tokens {
			require.NoError(b, l.Settle(b.Context(), token, clerkorg.RequestAnswered))
		}
	}
}

// BenchmarkTakeSettle is what a read costs: the same for one quota.
func BenchmarkTakeSettle(b *testing.B) {
	url, prefix := realRedis(b)
	l := newTestLimiter(b, dial(b, url), WithPrefix(prefix))
	l.slack = 0
	for b.Loop() {
		token, err := l.Acquire(b.Context(), clerkorg.ReservationRequest{Quota: roomy})
		require.NoError(b, err)
		require.NoError(b, l.Settle(b.Context(), token, clerkorg.RequestAnswered))
	}
}

// BenchmarkRedisRateAllow is one round trip, of a limiter with nothing to settle.
func BenchmarkRedisRateAllow(b *testing.B) {
	url, prefix := realRedis(b)
	limiter := redis_rate.NewLimiter(dial(b, url))
	limit := redis_rate.PerSecond(1_000_000)
	for b.Loop() {
		result, err := limiter.Allow(b.Context(), prefix, limit)
		require.NoError(b, err)
		require.Equal(b, 1, result.Allowed)
	}
}

// BenchmarkGuarded is a token of a quota of a thousand that is nearly spent, where
// the guard has to look at all requests of two windows.
func BenchmarkGuarded(b *testing.B) {
	url, prefix := realRedis(b)
	l := newTestLimiter(b, dial(b, url), WithPrefix(prefix))
	quota := clerkorg.Quota{Name: "guarded", Limit: 1000, Window: time.Minute}
	times := make([]time.Time, 1900)
	for i := range times {
		times[i] = time.Now().Add(-time.Duration(i+1) * 2 * time.Minute / 1900)
	}
	require.NoError(b, l.Seed(b.Context(), quota, times...))
	require.NoError(b, l.CloseUntil(b.Context(), quota, time.Now()))
	for b.Loop() {
		token, err := l.Acquire(b.Context(), clerkorg.ReservationRequest{Quota: quota})
		if err == nil {
			require.NoError(b, l.Settle(b.Context(), token, clerkorg.RequestNotSent))
		}
	}
}
