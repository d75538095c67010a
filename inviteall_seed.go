package clerkorg

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/clerkorg/clerkorg-go/internal/ledger"
)

// seedQuotas tells a limiter that can be told of the calls that the instance's
// newest invitations came from, and returns whether there are any.
func (r *inviteRun) seedQuotas(ctx context.Context) (seeded bool, err error) {
	seeder, ok := r.sender.limiter.(Seeder)
	if !ok {
		return false, nil
	}
	oldest := r.clock.now().Add(-max(r.bulk.quota.Window, r.single.quota.Window) - r.clock.tolerance() - ledger.Slack)
	var created []OrganizationInvitation
	for invitation, err := range r.reader.Organizations.InstanceInvitations(ctx, nil) {
		if api, ok := errors.AsType[*APIError](err); ok && api.StatusCode < 500 {
			return false, nil // the key may not see it; a 429 will be lived with
		}
		if err != nil {
			return false, err
		}
		if invitation.CreatedAt.Before(oldest) {
			break
		}
		created = append(created, OrganizationInvitation{OrganizationID: invitation.OrganizationID, CreatedAt: invitation.CreatedAt})
	}
	bulk, single := callsOf(created)
	// By one measure of the clocks for all: each answer tells a slightly different one,
	// which would take apart what one call created.
	ahead := r.clock.offset()
	for _, calls := range [][]time.Time{bulk, single} {
		for i := range calls {
			calls[i] = calls[i].Add(-ahead)
		}
	}
	if err := seeder.Seed(ctx, r.bulk.quota, bulk...); err != nil {
		return false, err
	}
	if err := seeder.Seed(ctx, r.single.quota, single...); err != nil {
		return false, err
	}
	return len(bulk)+len(single) > 0, nil
}

// tellUnseen tells the limiter of calls that no list shows, because they were refused
// or created nothing: after a restart the server refuses an attempt although the
// limiter saw room for so many more. They were made before this run began. A small run
// says nothing of a restart: its process may make one for every request it serves.
func (r *inviteRun) tellUnseen(a *attempt, room int) {
	l := a.lane
	seeder, ok := r.sender.limiter.(Seeder)
	if !ok || r.small || a.sent.Before(l.toldAt) || time.Since(r.started) > l.quota.Window+ledger.Slack {
		return
	}
	l.toldAt = time.Now()
	l.beCautious(r.started)
	// Some of those that the limiter knows may be none, or count no more: they have kept
	// others from being noticed.
	unseen := make([]time.Time, room+l.quota.Limit/10)
	for i := range unseen {
		l.unseen++ // a moment of its own: a limiter leaves out what it was told before
		unseen[i] = r.started.Add(-time.Duration(l.unseen))
	}
	ctx := context.WithoutCancel(r.ctx)
	r.start(func() func() {
		r.sender.warnUnsettled(ctx, l.quota, seeder.Seed(ctx, l.quota, unseen...))
		return func() {}
	})
}

// bulkGap is how close in time the invitations of one bulk call are to each
// other. It must be well below what two single calls are apart.
const bulkGap = 3 * time.Millisecond

// callsOf guesses from which calls invitations came: those of one organization
// made together from a bulk call, others from single ones. A few that are
// together, no more than there are single calls at once, may have been either,
// and count as both.
func callsOf(created []OrganizationInvitation) (bulk, single []time.Time) {
	slices.SortFunc(created, func(a, b OrganizationInvitation) int {
		return cmp.Or(cmp.Compare(a.OrganizationID, b.OrganizationID), a.CreatedAt.Compare(b.CreatedAt.Time))
	})
	for len(created) > 0 {
		n := 1
		for n < len(created) && created[n].OrganizationID == created[0].OrganizationID && created[n].CreatedAt.Sub(created[n-1].CreatedAt.Time) <= bulkGap {
			n++
		}
		for i := 0; i < n && n > 1; i += MaxBulkInvitations {
			bulk = append(bulk, created[i].CreatedAt.Time)
		}
		if few := n % MaxBulkInvitations; few <= defaultConcurrency {
			for i := n - few; i < n; i++ {
				single = append(single, created[i].CreatedAt.Time)
			}
		}
		created = created[n:]
	}
	return bulk, single
}
