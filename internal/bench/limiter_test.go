package bench

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/time/rate"

	"github.com/clerkorg/clerkorg-go"
)

// crowds are the numbers of goroutines that share a limiter.
var crowds = []int{1, 16, 256}

type limiter struct {
	name string
	take func(context.Context) error // and give the outcome back
}

// limiters returns ours first. Its tokens are answered, and come back 5 s later;
// x/time/rate, whose tokens come back by themselves, has no outcomes.
func limiters() []limiter {
	const limit = 1 << 40
	bucket := clerkorg.NewTokenBucket()
	req := clerkorg.ReservationRequest{Quota: clerkorg.Quota{Name: clerkorg.QuotaBulk, Limit: limit, Window: 1}}
	plain := rate.NewLimiter(limit, limit)
	return []limiter{
		{"clerkorg-go, Acquire and Settle", func(ctx context.Context) error {
			reservation, err := bucket.Acquire(ctx, req)
			if err != nil {
				return err
			}
			return bucket.Settle(ctx, reservation, clerkorg.RequestAnswered)
		}},
		{"x/time/rate, Reserve", func(context.Context) error {
			if !plain.Reserve().OK() {
				return errors.New("no token")
			}
			return nil
		}},
	}
}

// inCrowd returns how long each of many calls by so many goroutines takes, by the clock.
func inCrowd(tb testing.TB, goroutines int, take func(context.Context) error) time.Duration {
	tb.Helper()
	const total = 1 << 16
	ctx := tb.Context()
	start := time.Now()
	var group sync.WaitGroup
	for range goroutines {
		group.Go(func() {
			for range total / goroutines {
				if err := take(ctx); err != nil {
					tb.Error(err)
					return
				}
			}
		})
	}
	group.Wait()
	return time.Since(start) / total
}

func BenchmarkLimiter(b *testing.B) {
	for _, l := range limiters() {
		b.Run(l.name, func(b *testing.B) { repeat(b, l.take) })
	}
}

func TestLimitersTake(t *testing.T) {
	t.Parallel()
	for _, l := range limiters() {
		require.NoError(t, l.take(t.Context()), l.name)
	}
}
