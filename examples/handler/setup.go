package main

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/clerkorg/clerkorg-go"
	"github.com/clerkorg/clerkorg-go/clerkotel/redisotel"
	"github.com/clerkorg/clerkorg-go/redislimit"
)

// callTimeout is how long one call to Clerk may take: the caller waits.
const callTimeout = 10 * time.Second

// newHandler returns the handler, and done, which releases what it uses. Call done after
// the telemetry has been shut down, whose last metrics ask for the quotas.
func newHandler(b backend, t *telemetry, log *slog.Logger) (handler http.Handler, done func(), err error) {
	client, done, err := newClient(b, t, log)
	if err != nil {
		return nil, nil, err
	}
	return t.incoming(newService(client, log)), done, nil
}

func newClient(b backend, t *telemetry, log *slog.Logger) (client *clerkorg.Client, done func(), err error) {
	observer, err := t.observer()
	if err != nil {
		return nil, nil, err
	}
	opts := []clerkorg.Option{
		clerkorg.WithHTTPClient(&http.Client{Transport: cmp.Or(b.transport, newTransport()), Timeout: callTimeout}),
		clerkorg.WithMaxRetries(0), // InviteAll repeats what is worth repeating
		clerkorg.WithUserAgent("handler"),
		clerkorg.WithLogger(log),
		clerkorg.WithObserver(observer),
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
		given.ContextTimeoutEnabled = true // without it a Redis that hangs holds up requests
		given.DialerRetries = 1            // or the limiter's time is over before the cause is known
		shared := redis.NewClient(given)
		done = func() { _ = shared.Close() }
		limiter, err := redislimit.New(shared, redislimit.WithSecretKey(b.secretKey), redislimit.WithLogger(log))
		if err != nil {
			done()
			return nil, nil, err
		}
		if _, err := redisotel.Watch(limiter, redisotel.WithMeterProvider(t.metrics)); err != nil {
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
	if _, err := observer.WatchQuotas(client, clerkorg.QuotaBulk, clerkorg.QuotaCreate, clerkorg.QuotaInstance); err != nil {
		done()
		return nil, nil, err
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
