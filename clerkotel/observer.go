package clerkotel

import (
	"context"
	"errors"
	"net/url"
	"strconv"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/clerkorg/clerkorg-go"
)

// scope is the name of the instrumentation.
const scope = "github.com/clerkorg/clerkorg-go/clerkotel"

// Keys of attributes that only calls of Clerk have.
const (
	OperationKey      = attribute.Key("clerk.operation")       // as "Organizations.CreateInvitationBulk"
	AttemptsKey       = attribute.Key("clerk.attempts")        // of a call
	QuotaKey          = attribute.Key("clerk.quota")           // the name of a quota
	QuotaLeftKey      = attribute.Key("clerk.quota.left")      // tokens left after the attempt took one
	QuotaWaitKey      = attribute.Key("clerk.quota.wait")      // seconds for which an attempt or a call waited
	RefusedByKey      = attribute.Key("clerk.refused_by")      // "limiter" or "server"
	ErrorCodesKey     = attribute.Key("clerk.error.codes")     // of a refusal
	TraceIDKey        = attribute.Key("clerk.trace_id")        // by which Clerk finds a request
	OutcomeUnknownKey = attribute.Key("clerk.outcome_unknown") // whether a create may have been carried out
	InviteOutcomeKey  = attribute.Key("clerk.invite.outcome")  // of a person
)

// Option configures [New].
type Option func(*config)

type config struct {
	traces  trace.TracerProvider
	metrics metric.MeterProvider
}

// WithTracerProvider takes another provider than the global one.
func WithTracerProvider(provider trace.TracerProvider) Option {
	return func(c *config) { c.traces = provider }
}

// WithMeterProvider takes another provider than the global one.
func WithMeterProvider(provider metric.MeterProvider) Option {
	return func(c *config) { c.metrics = provider }
}

// Observer is a [clerkorg.Observer] that writes spans and metrics. One serves any number
// of clients.
type Observer struct {
	tracer trace.Tracer
	meter  metric.Meter

	duration  metric.Float64Histogram
	calls     metric.Int64Counter
	waits     metric.Float64Histogram
	refusals  metric.Int64Counter
	people    metric.Int64Gauge
	remaining metric.Int64Gauge
}

var _ clerkorg.Observer = (*Observer)(nil)

// New returns an observer that writes to the global providers, unless the options say
// otherwise. The error is that of an instrument that the meter refuses to make.
func New(opts ...Option) (*Observer, error) {
	c := config{otel.GetTracerProvider(), otel.GetMeterProvider()}
	for _, opt := range opts {
		opt(&c)
	}
	o := &Observer{
		tracer: c.traces.Tracer(scope, trace.WithInstrumentationVersion(clerkorg.Version)),
		meter:  c.metrics.Meter(scope, metric.WithInstrumentationVersion(clerkorg.Version)),
	}
	var faults [6]error
	o.duration, faults[0] = o.meter.Float64Histogram("http.client.request.duration", metric.WithUnit("s"),
		metric.WithDescription("Duration of HTTP client requests."),
		metric.WithExplicitBucketBoundaries(0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10))
	o.calls, faults[1] = o.meter.Int64Counter("clerk.calls", metric.WithUnit("{call}"),
		metric.WithDescription("Calls of Clerk's API that have ended, retries included in the call."))
	o.waits, faults[2] = o.meter.Float64Histogram("clerk.quota.waits", metric.WithUnit("s"),
		metric.WithDescription("How long attempts waited for quota, of those that did."),
		metric.WithExplicitBucketBoundaries(0.1, 1, 10, 60, 600, 3600))
	o.refusals, faults[3] = o.meter.Int64Counter("clerk.quota.refusals", metric.WithUnit("{attempt}"),
		metric.WithDescription("Attempts that found a quota spent: by the limiter, unsent, or by the server's 429."))
	o.people, faults[4] = o.meter.Int64Gauge("clerk.invite_all.people", metric.WithUnit("{person}"),
		metric.WithDescription("People with an outcome in the run of InviteAll."))
	o.remaining, faults[5] = o.meter.Int64Gauge("clerk.invite_all.remaining", metric.WithUnit("{person}"),
		metric.WithDescription("People without an outcome in the run of InviteAll, as far as they are known."))
	return o, errors.Join(faults[:]...)
}

// CallStarted begins a span.
func (o *Observer) CallStarted(ctx context.Context, call *clerkorg.CallEvent) context.Context {
	ctx, _ = o.tracer.Start(ctx, call.Operation, trace.WithAttributes(
		OperationKey.String(call.Operation),
		semconv.HTTPRequestMethodKey.String(call.Method),
		semconv.URLTemplate(call.Path),
	))
	return ctx
}

// AttemptStarted begins a client span in that of the call.
func (o *Observer) AttemptStarted(ctx context.Context, attempt *clerkorg.AttemptEvent) context.Context {
	attrs := requestAttrs(attempt.Call)
	if attempt.Number > 1 {
		attrs = append(attrs, semconv.HTTPRequestResendCount(attempt.Number-1))
	}
	ctx, _ = o.tracer.Start(ctx, attempt.Call.Method+" "+attempt.Call.Path,
		trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(attrs...))
	return ctx
}

// AttemptEnded ends the span of an attempt, and measures it.
func (o *Observer) AttemptEnded(ctx context.Context, attempt *clerkorg.AttemptEvent) {
	result := &attempt.Result
	span := trace.SpanFromContext(ctx)
	if attempt.Quota != "" {
		span.SetAttributes(QuotaKey.String(attempt.Quota), QuotaLeftKey.Int(attempt.QuotaLeft))
	}
	span.SetAttributes(QuotaWaitKey.Float64(attempt.Waited.Seconds()))
	end(span, result)

	outcome := resultAttrs(result)
	if result.Sent {
		o.duration.Record(ctx, (attempt.Duration - attempt.Waited).Seconds(),
			metric.WithAttributes(append(requestAttrs(attempt.Call), outcome...)...))
	}
	quota := attempt.Quota
	if result.RefusedBy != "" {
		quota = result.RefusedBy
		by := "server"
		if result.Status == 0 {
			by = "limiter"
		}
		o.refusals.Add(ctx, 1, metric.WithAttributes(QuotaKey.String(quota), RefusedByKey.String(by)))
	}
	if attempt.Waited > 0 {
		o.waits.Record(ctx, attempt.Waited.Seconds(), metric.WithAttributes(QuotaKey.String(quota)))
	}
}

// CallEnded ends the span of a call, and counts it.
func (o *Observer) CallEnded(ctx context.Context, call *clerkorg.CallEvent) {
	span := trace.SpanFromContext(ctx)
	span.SetAttributes(AttemptsKey.Int(call.Attempts), QuotaWaitKey.Float64(call.Waited.Seconds()))
	end(span, &call.Result)
	attrs := []attribute.KeyValue{OperationKey.String(call.Operation)}
	if kind := errorType(&call.Result); kind != "" {
		attrs = append(attrs, semconv.ErrorTypeKey.String(kind), OutcomeUnknownKey.Bool(call.Result.OutcomeUnknown))
	}
	o.calls.Add(ctx, 1, metric.WithAttributes(attrs...))
}

// end ends a span with the result of what it is about.
func end(span trace.Span, result *clerkorg.CallResult) {
	span.SetAttributes(resultAttrs(result)...)
	if result.TraceID != "" {
		span.SetAttributes(TraceIDKey.String(result.TraceID))
	}
	if kind := errorType(result); kind != "" {
		names := make([]string, len(result.Codes))
		for i, code := range result.Codes {
			names[i] = string(code)
		}
		span.SetAttributes(ErrorCodesKey.StringSlice(names), OutcomeUnknownKey.Bool(result.OutcomeUnknown))
		span.SetStatus(codes.Error, result.Failure)
	}
	span.End()
}

// requestAttrs describe a request before it is sent.
func requestAttrs(call *clerkorg.CallEvent) []attribute.KeyValue {
	attrs := []attribute.KeyValue{semconv.HTTPRequestMethodKey.String(call.Method), semconv.URLTemplate(call.Path)}
	base, err := url.Parse(call.BaseURL)
	if err != nil {
		return attrs // cannot be: the client has parsed it
	}
	port, err := strconv.Atoi(base.Port())
	if err != nil { // none is given
		port = 443
		if base.Scheme == "http" {
			port = 80
		}
	}
	return append(attrs, semconv.ServerAddress(base.Hostname()), semconv.ServerPort(port))
}

// resultAttrs describe how a request has ended.
func resultAttrs(result *clerkorg.CallResult) (attrs []attribute.KeyValue) {
	if result.Status != 0 {
		attrs = append(attrs, semconv.HTTPResponseStatusCode(result.Status))
	}
	if kind := errorType(result); kind != "" {
		attrs = append(attrs, semconv.ErrorTypeKey.String(kind))
	}
	return attrs
}

// errorType is the status of a refusal, and otherwise what went wrong; empty where
// nothing did.
func errorType(result *clerkorg.CallResult) string {
	switch {
	case result.OK():
		return ""
	case result.Cause != "":
		return result.Cause
	case result.Failure != "":
		return result.Failure
	}
	return strconv.Itoa(result.Status)
}
