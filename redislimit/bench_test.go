package redislimit

import (
	"cmp"
	"slices"
	"testing"
	"time"

	"github.com/go-redis/redis_rate/v10"
	"github.com/stretchr/testify/require"

	"github.com/clerkorg/clerkorg-go"
)

// roomy never refuses, and is as full as a busy quota: some thousand requests in
// its window.
var roomy = clerkorg.Quota{Name: "roomy", Limit: 1_000_000, Window: time.Second}

// BenchmarkCost is what the quotas add to a call, and how many times that is of what one
// Allow of redis_rate takes, a limiter with nothing to settle. The three take turns, so
// that all see the same machine, and the medians are compared.
func BenchmarkCost(b *testing.B) {
	url, prefix := realRedis(b)
	client := dial(b, url)
	l := newTestLimiter(b, client, WithPrefix(prefix))
	l.slack = 0
	other := roomy
	other.Name = "roomy, too"
	limiter := redis_rate.NewLimiter(client)
	limit := redis_rate.PerSecond(1_000_000)
	contenders := []struct {
		name string
		once func() error
		took []time.Duration
	}{
		{name: "redis_rate", once: func() error {
			_, err := limiter.Allow(b.Context(), prefix, limit)
			return err
		}},
		{name: "read", once: func() error { // one round trip, which carries the outcome of the read before
			token, err := l.Acquire(b.Context(), clerkorg.ReservationRequest{Quota: roomy})
			return cmp.Or(err, l.Settle(b.Context(), token, clerkorg.RequestAnswered))
		}},
		{name: "bulk", once: func() error { // likewise, for the tokens of two quotas
			tokens, err := l.AcquireAll(b.Context(), both(roomy, other))
			for _, token := range tokens {
				err = cmp.Or(err, l.Settle(b.Context(), token, clerkorg.RequestAnswered))
			}
			return err
		}},
	}
	for b.Loop() {
		for i := range contenders {
			c := &contenders[i]
			start := time.Now()
			for range 50 {
				if err := c.once(); err != nil {
					b.Fatal(err)
				}
			}
			c.took = append(c.took, time.Since(start)/50)
		}
	}
	median := func(took []time.Duration) float64 { return float64(slices.Sorted(slices.Values(took))[len(took)/2]) }
	floor := median(contenders[0].took)
	for _, c := range contenders {
		b.ReportMetric(median(c.took)/1e3, "µs/"+c.name)
		b.ReportMetric(median(c.took)/floor, "x-"+c.name)
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
