package main

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"

	"github.com/clerkorg/clerkorg-go"
	"github.com/clerkorg/clerkorg-go/clerkotel/redisotel"
	"github.com/clerkorg/clerkorg-go/examples/internal/ops"
	"github.com/clerkorg/clerkorg-go/redislimit"
)

// callTimeout is how long one call to Clerk may take: the caller waits.
const callTimeout = 10 * time.Second

// newHandler returns the handler, and done, which releases what it uses. Call done after
// the telemetry has been shut down, whose last metrics ask for the quotas.
func newHandler(b backend, t *ops.Telemetry, log *slog.Logger) (handler http.Handler, done func(), err error) {
	observer, err := t.Observer()
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
	s := &service{log: log, authorize: everyone, answers: &ownAnswers{}}
	if b.token != "" {
		s.authorize = bearer(b.token)
	}
	probes := &ops.Probes{Checks: map[string]func(context.Context) error{}, Log: log}
	done = func() {}
	if b.redisURL != "" {
		shared, err := ops.DialRedis(b.redisURL)
		if err != nil {
			return nil, nil, err
		}
		done = func() { _ = shared.Close() }
		limiter, err := redislimit.New(shared, redislimit.WithSecretKey(b.secretKey), redislimit.WithLogger(log))
		if err != nil {
			done()
			return nil, nil, err
		}
		if _, err := redisotel.Watch(limiter, redisotel.WithMeterProvider(t.Metrics)); err != nil {
			done()
			return nil, nil, err
		}
		done = func() {
			_ = limiter.Close() // tells Redis the last outcomes
			_ = shared.Close()
		}
		opts = append(opts, clerkorg.WithRateLimiter(limiter))
		s.answers = sharedAnswers{shared}
		probes.Checks["redis"] = func(ctx context.Context) error { return shared.Ping(ctx).Err() }
	}
	if s.client, err = clerkorg.NewClient(b.secretKey, opts...); err != nil {
		done()
		return nil, nil, fmt.Errorf("set up the client: %w", err)
	}
	if _, err := observer.WatchQuotas(s.client, clerkorg.QuotaBulk, clerkorg.QuotaCreate, clerkorg.QuotaInstance); err != nil {
		done()
		return nil, nil, err
	}
	probes.Client = s.client
	mux := s.routes()
	probes.Register(mux)
	return otelhttp.NewHandler(mux, "handler", otelhttp.WithTracerProvider(t.Traces), otelhttp.WithMeterProvider(t.Metrics),
		otelhttp.WithFilter(func(r *http.Request) bool { return r.URL.Path != "/healthz" && r.URL.Path != "/readyz" })), done, nil
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
