package main

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/clerkorg/clerkorg-go"
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

// newClerk returns a client for CLERK_SECRET_KEY. With REDIS_URL set it shares the
// quota with every other process that has the same key.
func newClerk(p pace) (client *clerkorg.Client, done func(), err error) {
	opts, done := options(p), func() {}
	if url := os.Getenv("REDIS_URL"); url != "" {
		given, err := redis.ParseURL(url)
		if err != nil {
			return nil, nil, errors.New("REDIS_URL cannot be read") // it may hold a password
		}
		given.ContextTimeoutEnabled = true // without it a Redis that hangs holds up jobs
		given.DialerRetries = 1            // or the limiter's time is over before the cause is known
		shared := redis.NewClient(given)
		limiter, err := redislimit.New(shared, redislimit.WithSecretKey(os.Getenv("CLERK_SECRET_KEY")))
		if err != nil {
			_ = shared.Close()
			return nil, nil, fmt.Errorf("a worker needs a key: %w", err)
		}
		opts, done = append(opts, clerkorg.WithRateLimiter(limiter)), func() {
			_ = limiter.Close() // tells Redis the last outcomes
			_ = shared.Close()
		}
	}
	client, err = clerkorg.NewClientFromEnv(opts...)
	if err != nil {
		done()
		return nil, nil, fmt.Errorf("a worker needs a key: %w", err)
	}
	return client, done, nil
}
