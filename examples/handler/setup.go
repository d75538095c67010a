package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/clerkorg/clerkorg-go"
	"github.com/clerkorg/clerkorg-go/redislimit"
)

// callTimeout is how long one call to Clerk may take: somebody waits.
const callTimeout = 10 * time.Second

// newHandler puts everything together.
func newHandler(b backend, t *telemetry, log *slog.Logger) (handler http.Handler, done func(), err error) {
	client, done, err := newClient(b, t, log)
	if err != nil {
		return nil, nil, err
	}
	if err := t.watchQuotas(client); err != nil {
		done()
		return nil, nil, err
	}
	return t.incoming(newService(client, log)), done, nil
}

func newClient(b backend, t *telemetry, log *slog.Logger) (client *clerkorg.Client, done func(), err error) {
	opts := []clerkorg.Option{
		clerkorg.WithHTTPClient(&http.Client{Transport: t.outgoing(newTransport()), Timeout: callTimeout}),
		clerkorg.WithMaxRateLimitWait(0), // the caller is told how long to wait, and need not hold the line
		clerkorg.WithUserAgent("handler"),
		clerkorg.WithLogger(log),
	}
	if b.baseURL != "" {
		opts = append(opts, clerkorg.WithBaseURL(b.baseURL))
	}
	done = func() {}
	if b.redisURL != "" {
		given, err := redis.ParseURL(b.redisURL)
		if err != nil {
			return nil, nil, errors.New("REDIS_URL cannot be read") // it may hold a password
		}
		given.ContextTimeoutEnabled = true // or a Redis that hangs holds what waits for it
		shared := redis.NewClient(given)
		done = func() { _ = shared.Close() }
		limiter, err := redislimit.New(shared, redislimit.WithSecretKey(b.secretKey))
		if err != nil {
			done()
			return nil, nil, err
		}
		done = func() {
			_ = limiter.Close() // tells Redis the last outcomes
			_ = shared.Close()
		}
		opts = append(opts, clerkorg.WithRateLimiter(limiter))
	}
	client, err = clerkorg.NewClient(b.secretKey, opts...)
	if err != nil {
		done()
		return nil, nil, fmt.Errorf("set up the client: %w", err)
	}
	return client, done, nil
}

// newTransport keeps more idle connections to the one host than the two of
// net/http, as the client would if it were not given a transport.
func newTransport() http.RoundTripper {
	standard, ok := http.DefaultTransport.(*http.Transport)
	if !ok {
		return http.DefaultTransport
	}
	own := standard.Clone()
	own.MaxIdleConnsPerHost = 64
	return own
}
