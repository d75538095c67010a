package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"time"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/exporters/stdout/stdoutmetric"
	"go.opentelemetry.io/otel/exporters/stdout/stdouttrace"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/clerkorg/clerkorg-go/clerkotel"
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

// observer tells of the calls to Clerk. otelhttp around the transport would record
// url.full with its query, in which list calls carry addresses, and send trace headers
// (and baggage, which may hold anything) to a third party.
func (t *telemetry) observer() (*clerkotel.Observer, error) {
	return clerkotel.New(clerkotel.WithTracerProvider(t.traces), clerkotel.WithMeterProvider(t.metrics))
}

func (t *telemetry) options() []otelhttp.Option {
	return []otelhttp.Option{otelhttp.WithTracerProvider(t.traces), otelhttp.WithMeterProvider(t.metrics)}
}
