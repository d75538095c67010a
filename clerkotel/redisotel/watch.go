// Package redisotel measures a limiter of package redislimit with OpenTelemetry.
//
//	registration, err := redisotel.Watch(limiter)
//	if err != nil {
//		return err
//	}
//	defer registration.Unregister() // before the limiter is closed
//
// Whenever metrics are collected:
//
//	clerk.limiter.up             1 where Redis can be asked, 0 where it cannot
//	clerk.limiter.tokens         {token}    taken
//	clerk.limiter.waits          {wait}     tokens that could not be had at once
//	clerk.limiter.refusals       {refusal}  tokens that could not be had in time
//	clerk.limiter.errors         {error}    scripts that Redis failed to answer
//	clerk.limiter.memory_losses  {loss}     times that Redis had lost its memory
//	clerk.limiter.waiting        {wait}     by quota: calls that wait now
//	clerk.limiter.in_flight      {token}    by quota: requests without an outcome
//	clerk.limiter.owed           {outcome}  by quota: outcomes that Redis has not been told
//	clerk.limiter.closed         s          by quota: until it opens; 0 where it is open
//	clerk.limiter.guarded        s          by quota: for how long the guard stays on; 0 where it is off
//
// Counts are of this process alone. Nothing is asked of Redis or Clerk.
package redisotel

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"

	"github.com/clerkorg/clerkorg-go"
	"github.com/clerkorg/clerkorg-go/clerkotel"
	"github.com/clerkorg/clerkorg-go/redislimit"
)

// Option configures [Watch].
type Option func(*config)

type config struct{ metrics metric.MeterProvider }

// WithMeterProvider takes another provider than the global one.
func WithMeterProvider(provider metric.MeterProvider) Option {
	return func(c *config) { c.metrics = provider }
}

// Watch measures a limiter until the registration is unregistered. The error is that of
// an instrument that the meter refuses to make.
func Watch(limiter *redislimit.Limiter, opts ...Option) (metric.Registration, error) {
	c := config{otel.GetMeterProvider()}
	for _, opt := range opts {
		opt(&c)
	}
	i, err := newInstruments(c.metrics.Meter("github.com/clerkorg/clerkorg-go/clerkotel/redisotel", metric.WithInstrumentationVersion(clerkorg.Version)))
	if err != nil {
		return nil, err
	}
	return i.meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		i.observe(o, limiter.Stats())
		return nil
	}, i.all...)
}

type instruments struct {
	meter metric.Meter
	all   []metric.Observable
	err   error

	up, waiting, inFlight, owed               metric.Int64ObservableGauge
	tokens, waits, refusals, failures, losses metric.Int64ObservableCounter
	closed, guarded                           metric.Float64ObservableGauge
}

func newInstruments(meter metric.Meter) (*instruments, error) {
	i := &instruments{meter: meter}
	i.up = i.gauge("clerk.limiter.up", "1", "Whether Redis can be asked.")
	i.tokens = i.counter("clerk.limiter.tokens", "{token}", "Tokens taken.")
	i.waits = i.counter("clerk.limiter.waits", "{wait}", "Tokens that could not be had at once.")
	i.refusals = i.counter("clerk.limiter.refusals", "{refusal}", "Tokens that could not be had in time.")
	i.failures = i.counter("clerk.limiter.errors", "{error}", "Scripts that Redis failed to answer.")
	i.losses = i.counter("clerk.limiter.memory_losses", "{loss}", "Times that Redis had lost its memory.")
	i.waiting = i.gauge("clerk.limiter.waiting", "{wait}", "Calls that wait for a token.")
	i.inFlight = i.gauge("clerk.limiter.in_flight", "{token}", "Tokens whose requests have no outcome yet.")
	i.owed = i.gauge("clerk.limiter.owed", "{outcome}", "Outcomes that Redis has not been told.")
	i.closed = i.seconds("clerk.limiter.closed", "Until a quota opens that the server has closed.")
	i.guarded = i.seconds("clerk.limiter.guarded", "For how long the guard of a quota stays on.")
	return i, i.err
}

func (i *instruments) made(instrument metric.Observable, err error) {
	i.all, i.err = append(i.all, instrument), errors.Join(i.err, err)
}

func (i *instruments) gauge(name, unit, description string) metric.Int64ObservableGauge {
	gauge, err := i.meter.Int64ObservableGauge(name, metric.WithUnit(unit), metric.WithDescription(description))
	i.made(gauge, err)
	return gauge
}

func (i *instruments) counter(name, unit, description string) metric.Int64ObservableCounter {
	counter, err := i.meter.Int64ObservableCounter(name, metric.WithUnit(unit), metric.WithDescription(description))
	i.made(counter, err)
	return counter
}

func (i *instruments) seconds(name, description string) metric.Float64ObservableGauge {
	gauge, err := i.meter.Float64ObservableGauge(name, metric.WithUnit("s"), metric.WithDescription(description))
	i.made(gauge, err)
	return gauge
}

func (i *instruments) observe(o metric.Observer, stats redislimit.Stats) {
	up := int64(1)
	if stats.Err != nil {
		up = 0
	}
	o.ObserveInt64(i.up, up)
	for counter, n := range map[metric.Int64ObservableCounter]uint64{
		i.tokens: stats.Taken, i.waits: stats.Waits, i.refusals: stats.Refusals,
		i.failures: stats.RedisErrors, i.losses: stats.MemoryLosses,
	} {
		o.ObserveInt64(counter, int64(n)) //nolint:gosec // no process counts so far
	}
	for _, quota := range stats.Quotas {
		name := metric.WithAttributes(clerkotel.QuotaKey.String(quota.Quota.Name))
		o.ObserveInt64(i.waiting, int64(quota.Waiting), name)
		o.ObserveInt64(i.inFlight, int64(quota.InFlight), name)
		o.ObserveInt64(i.owed, int64(quota.Owed), name)
		o.ObserveFloat64(i.closed, left(quota.ClosedUntil), name)
		o.ObserveFloat64(i.guarded, left(quota.GuardedUntil), name)
	}
}

// left is how many seconds there are until a moment; 0 where it is past, or none.
func left(until time.Time) float64 { return max(0, time.Until(until).Seconds()) }
