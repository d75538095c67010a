package clerkotel

import (
	"context"
	"errors"

	"go.opentelemetry.io/otel/metric"

	"github.com/clerkorg/clerkorg-go"
)

// quotas are those that [Observer.WatchQuotas] watches where it is given no names.
var quotas = []string{
	clerkorg.QuotaBulk, clerkorg.QuotaCreate,
	clerkorg.QuotaApplicationBulk, clerkorg.QuotaApplicationCreate,
	clerkorg.QuotaInstance,
}

// WatchQuotas measures clerk.quota.left of a client whenever metrics are collected, for
// the quotas of these names, or for all. It sends nothing to Clerk; a limiter in Redis is
// asked once for each. Where it cannot be asked, the collection reports the error.
// Unregister the registration before the limiter is closed.
func (o *Observer) WatchQuotas(client *clerkorg.Client, names ...string) (metric.Registration, error) {
	if len(names) == 0 {
		names = quotas
	}
	left, err := o.meter.Int64ObservableGauge("clerk.quota.left", metric.WithUnit("{call}"),
		metric.WithDescription("Calls of Clerk's API that can be made right now."))
	if err != nil {
		return nil, err
	}
	return o.meter.RegisterCallback(func(ctx context.Context, observer metric.Observer) error {
		var failed error
		for _, name := range names {
			state, err := client.Quota(ctx, name)
			if err != nil {
				failed = errors.Join(failed, err)
				continue
			}
			observer.ObserveInt64(left, int64(state.Available), metric.WithAttributes(QuotaKey.String(name)))
		}
		return failed
	}, left)
}

// outcomes are all that a person can have.
var outcomes = []clerkorg.InviteOutcome{
	clerkorg.OutcomeInvited, clerkorg.OutcomeAlreadyInvited, clerkorg.OutcomeAlreadyMember,
	clerkorg.OutcomeDuplicate, clerkorg.OutcomeRejected,
}

// Progress returns a function for InviteAllOptions.OnProgress that measures the run and
// then calls next, which may be nil.
func (o *Observer) Progress(ctx context.Context, next func(clerkorg.Progress)) func(clerkorg.Progress) {
	return func(progress clerkorg.Progress) {
		for _, outcome := range outcomes {
			o.people.Record(ctx, int64(progress.Outcomes[outcome]), metric.WithAttributes(InviteOutcomeKey.String(string(outcome))))
		}
		o.remaining.Record(ctx, int64(progress.Remaining))
		if next != nil {
			next(progress)
		}
	}
}
