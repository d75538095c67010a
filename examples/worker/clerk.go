package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"time"

	"github.com/clerkorg/clerkorg-go"
	"github.com/clerkorg/clerkorg-go/clerkotel/redisotel"
	"github.com/clerkorg/clerkorg-go/examples/internal/ops"
	"github.com/clerkorg/clerkorg-go/redislimit"
)

// options are those of a client that works jobs. A call that waits for quota
// holds one of the few slots of its worker, a snoozed job holds none: so the
// wait is short.
func options(p pace) []clerkorg.Option {
	return []clerkorg.Option{
		clerkorg.WithHTTPClient(&http.Client{Timeout: p.call}),
		clerkorg.WithMaxRateLimitWait(time.Second),
		clerkorg.WithUserAgent("worker"),
	}
}

// newClerk gives probes a client for CLERK_SECRET_KEY. With REDIS_URL set it shares the
// quota with every other process that has the same key. Call done after the telemetry has
// been shut down, whose last metrics ask for the quotas.
func newClerk(p pace, t *ops.Telemetry, log *slog.Logger, probes *ops.Probes) (done func(), err error) {
	observer, err := t.Observer()
	if err != nil {
		return nil, err
	}
	opts, done := append(options(p), clerkorg.WithObserver(observer)), func() {}
	if url := os.Getenv("REDIS_URL"); url != "" {
		shared, err := ops.DialRedis(url)
		if err != nil {
			return nil, err
		}
		limiter, err := redislimit.New(shared, redislimit.WithSecretKey(os.Getenv("CLERK_SECRET_KEY")), redislimit.WithLogger(log))
		if err != nil {
			_ = shared.Close()
			return nil, fmt.Errorf("a worker needs a key: %w", err)
		}
		opts, done = append(opts, clerkorg.WithRateLimiter(limiter)), func() {
			_ = limiter.Close() // tells Redis the last outcomes
			_ = shared.Close()
		}
		if _, err := redisotel.Watch(limiter, redisotel.WithMeterProvider(t.Metrics)); err != nil {
			done()
			return nil, err
		}
		probes.Checks["redis"] = func(ctx context.Context) error { return shared.Ping(ctx).Err() }
	}
	if probes.Client, err = clerkorg.NewClientFromEnv(opts...); err != nil {
		done()
		return nil, fmt.Errorf("a worker needs a key: %w", err)
	}
	if _, err := observer.WatchQuotas(probes.Client, clerkorg.QuotaBulk, clerkorg.QuotaCreate, clerkorg.QuotaInstance); err != nil {
		done()
		return nil, err
	}
	return done, nil
}
