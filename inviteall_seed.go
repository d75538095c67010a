package clerkorg

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"
)

// seedQuotas tells a limiter that can be told of the calls that the instance's
// newest invitations came from.
func (r *inviteRun) seedQuotas(ctx context.Context) error {
	seeder, ok := r.sender.limiter.(Seeder)
	if !ok {
		return nil
	}
	oldest := time.Now().Add(-max(r.bulk.quota.Window, r.single.quota.Window) - clockSkew)
	var created []OrganizationInvitation
	for invitation, err := range r.reader.Organizations.InstanceInvitations(ctx, nil) {
		if api, ok := errors.AsType[*APIError](err); ok && api.StatusCode < 500 {
			return nil // the key may not see it; a 429 will be lived with
		}
		if err != nil {
			return err
		}
		if invitation.CreatedAt.Before(oldest) {
			break
		}
		created = append(created, OrganizationInvitation{OrganizationID: invitation.OrganizationID, CreatedAt: invitation.CreatedAt})
	}
	bulk, single := callsOf(created)
	if err := seeder.Seed(ctx, r.bulk.quota, bulk...); err != nil {
		return err
	}
	return seeder.Seed(ctx, r.single.quota, single...)
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
