// Package ops is what the example services have in common for those who run them:
// telemetry, and probes of life and readiness.
package ops

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"go.opentelemetry.io/contrib/exporters/autoexport"
	"go.opentelemetry.io/otel/exporters/stdout/stdoutmetric"
	"go.opentelemetry.io/otel/exporters/stdout/stdouttrace"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/clerkorg/clerkorg-go/clerkotel"
)

// Telemetry is where traces and metrics go.
type Telemetry struct {
	Traces  *sdktrace.TracerProvider
	Metrics *sdkmetric.MeterProvider
}

// NewTelemetry keeps nothing, unless the options say where to.
func NewTelemetry(traces []sdktrace.TracerProviderOption, metrics []sdkmetric.Option) *Telemetry {
	return &Telemetry{sdktrace.NewTracerProvider(traces...), sdkmetric.NewMeterProvider(metrics...)}
}

// Printed prints traces and metrics.
func Printed(out io.Writer) (*Telemetry, error) {
	spans, err := stdouttrace.New(stdouttrace.WithWriter(out))
	if err != nil {
		return nil, err
	}
	numbers, err := stdoutmetric.New(stdoutmetric.WithWriter(out))
	if err != nil {
		return nil, err
	}
	return NewTelemetry(
		[]sdktrace.TracerProviderOption{sdktrace.WithBatcher(spans)},
		[]sdkmetric.Option{sdkmetric.WithReader(sdkmetric.NewPeriodicReader(numbers, sdkmetric.WithInterval(time.Minute)))},
	), nil
}

// FromEnvironment sends traces and metrics to where OpenTelemetry's own environment
// variables say, and keeps none of a kind for which none is set:
//
//	OTEL_EXPORTER_OTLP_ENDPOINT=http://collector:4318   # both, by OTLP
//	OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=…                # or one of them
//	OTEL_TRACES_EXPORTER=console                        # or otlp, none
//	OTEL_METRICS_EXPORTER=prometheus                    # or otlp, console, none; several with commas
//	OTEL_EXPORTER_PROMETHEUS_HOST, OTEL_EXPORTER_PROMETHEUS_PORT  # of /metrics, localhost:9464 where not set
//	OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES         # and the others of the specification
func FromEnvironment(ctx context.Context) (*Telemetry, error) {
	var traces []sdktrace.TracerProviderOption
	var metrics []sdkmetric.Option
	if wanted("TRACES") {
		exporter, err := autoexport.NewSpanExporter(ctx)
		if err != nil {
			return nil, setUpError("TRACES", err)
		}
		traces = append(traces, sdktrace.WithBatcher(exporter))
	}
	if wanted("METRICS") {
		reader, err := autoexport.NewMetricReader(ctx)
		if err != nil {
			return nil, setUpError("METRICS", err)
		}
		metrics = append(metrics, sdkmetric.WithReader(reader))
	}
	return NewTelemetry(traces, metrics), nil
}

// wanted reports whether the environment tells of an exporter of the kind. Without any
// variable autoexport would send to a collector on this machine.
func wanted(kind string) bool {
	for _, name := range []string{"OTEL_" + kind + "_EXPORTER", "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_" + kind + "_ENDPOINT"} {
		if os.Getenv(name) != "" {
			return true
		}
	}
	return false
}

func setUpError(kind string, err error) error {
	name := "OTEL_" + kind + "_EXPORTER"
	return fmt.Errorf("set up telemetry with %s=%q: %w", name, os.Getenv(name), err)
}

// Observer tells of the calls to Clerk. otelhttp around the transport would record
// url.full with its query, in which list calls carry addresses, and send trace headers
// (and baggage, which may hold anything) to a third party.
func (t *Telemetry) Observer() (*clerkotel.Observer, error) {
	return clerkotel.New(clerkotel.WithTracerProvider(t.Traces), clerkotel.WithMeterProvider(t.Metrics))
}

// Shutdown sends what has not been sent.
func (t *Telemetry) Shutdown(log *slog.Logger) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := errors.Join(t.Traces.Shutdown(ctx), t.Metrics.Shutdown(ctx)); err != nil {
		log.Error("telemetry is lost", "err", err)
	}
}
