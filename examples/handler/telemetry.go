package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"time"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/stdout/stdoutmetric"
	"go.opentelemetry.io/otel/exporters/stdout/stdouttrace"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/propagation"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/clerkorg/clerkorg-go"
)

// telemetry is where traces and metrics go. In production make the providers with
// an OTLP exporter; nothing else changes.
type telemetry struct {
	traces  *sdktrace.TracerProvider
	metrics *sdkmetric.MeterProvider
}

// newTelemetry keeps nothing, unless the options say where to.
func newTelemetry(traces []sdktrace.TracerProviderOption, metrics []sdkmetric.Option) *telemetry {
	return &telemetry{sdktrace.NewTracerProvider(traces...), sdkmetric.NewMeterProvider(metrics...)}
}

func printedTelemetry(out io.Writer) (*telemetry, error) {
	spans, err := stdouttrace.New(stdouttrace.WithWriter(out))
	if err != nil {
		return nil, err
	}
	numbers, err := stdoutmetric.New(stdoutmetric.WithWriter(out))
	if err != nil {
		return nil, err
	}
	return newTelemetry(
		[]sdktrace.TracerProviderOption{sdktrace.WithBatcher(spans)},
		[]sdkmetric.Option{sdkmetric.WithReader(sdkmetric.NewPeriodicReader(numbers, sdkmetric.WithInterval(time.Minute)))},
	), nil
}

// shutdown sends what has not been sent.
func (t *telemetry) shutdown(log *slog.Logger) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := errors.Join(t.traces.Shutdown(ctx), t.metrics.Shutdown(ctx)); err != nil {
		log.Error("telemetry is lost", "err", err)
	}
}

// incoming wraps the service's own handler.
func (t *telemetry) incoming(next http.Handler) http.Handler {
	return otelhttp.NewHandler(next, "handler", t.options()...)
}

// outgoing wraps the transport to Clerk. otelhttp records url.full with its query,
// in which list calls carry addresses, and would send trace headers (and baggage,
// which may hold anything) to a third party.
func (t *telemetry) outgoing(transport http.RoundTripper) http.RoundTripper {
	nothing := propagation.NewCompositeTextMapPropagator()
	return hideQuery{otelhttp.NewTransport(restoreQuery{transport}, append(t.options(), otelhttp.WithPropagators(nothing))...)}
}

func (t *telemetry) options() []otelhttp.Option {
	return []otelhttp.Option{otelhttp.WithTracerProvider(t.traces), otelhttp.WithMeterProvider(t.metrics)}
}

type queryKey struct{}

// hideQuery takes the query out of a request before it is recorded, and
// restoreQuery puts it back before it is sent.
type (
	hideQuery    struct{ next http.RoundTripper }
	restoreQuery struct{ next http.RoundTripper }
)

// RoundTrip implements [http.RoundTripper].
func (h hideQuery) RoundTrip(req *http.Request) (*http.Response, error) {
	hidden := req.Clone(context.WithValue(req.Context(), queryKey{}, req.URL.RawQuery))
	hidden.URL.RawQuery = ""
	return h.next.RoundTrip(hidden)
}

// RoundTrip implements [http.RoundTripper].
func (r restoreQuery) RoundTrip(req *http.Request) (*http.Response, error) {
	restored := req.Clone(req.Context())
	restored.URL.RawQuery, _ = req.Context().Value(queryKey{}).(string)
	return r.next.RoundTrip(restored)
}

// watchQuotas reports what is left of each quota whenever metrics are collected.
// It sends nothing to Clerk; a limiter in Redis is asked once for each.
func (t *telemetry) watchQuotas(client *clerkorg.Client) error {
	_, err := t.metrics.Meter("github.com/clerkorg/clerkorg-go/examples/handler").Int64ObservableGauge("clerk.quota.available",
		metric.WithUnit("{call}"),
		metric.WithDescription("Calls to Clerk that can be made right now."),
		metric.WithInt64Callback(func(ctx context.Context, o metric.Int64Observer) error {
			var failed error
			for _, name := range []string{clerkorg.QuotaBulk, clerkorg.QuotaCreate, clerkorg.QuotaInstance} {
				state, err := client.Quota(ctx, name)
				if err != nil {
					failed = errors.Join(failed, err)
					continue
				}
				o.Observe(int64(state.Available), metric.WithAttributes(attribute.String("clerk.quota", name)))
			}
			return failed
		}))
	return err
}
