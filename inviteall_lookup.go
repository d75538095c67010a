package clerkorg

import (
	"context"
	"net/url"
	"slices"
	"time"
)

// Numbers that shape what is asked.
const (
	// maxLookups is how many reads of addresses are under way at once.
	maxLookups = 4

	// maxQuestion is how many bytes of query a read may have: proxies refuse URLs that
	// are longer than 4 to 8 KiB.
	maxQuestion = 3 << 10

	// lagPatience is for how long an invitation is looked for that the server says is
	// there, and that its lists do not show yet.
	lagPatience = 2 * time.Minute
)

// readServer has a first look at the server: who has an invitation, and which
// calls of the last hour a limiter that has just come to life must count.
func (r *inviteRun) readServer() {
	wait := r.reads.backoff()
	r.start(func() func() {
		sleep(r.ctx, wait)
		err := r.readPeople(r.ctx)
		seeded := false
		if err == nil {
			seeded, err = r.seedQuotas(r.ctx)
		}
		return func() {
			if err == nil {
				r.ready = true
				if seeded || r.people.pending.len() > 0 {
					r.bulk.beCautious(r.started)
					r.single.beCautious(r.started)
				}
				r.succeeded(&r.reads)
			} else if r.readFailed(err) {
				r.readServer()
			}
		}
	})
}

func (r *inviteRun) readPeople(ctx context.Context) error {
	orgs := r.reader.Organizations
	pending := &ListInvitationsParams{Status: []InvitationStatus{InvitationPending}}
	for invitation, err := range orgs.Invitations(ctx, r.org, pending) {
		if err != nil {
			return err
		}
		r.people.remember(&invitation)
	}
	if r.opts.Since.IsZero() {
		return nil
	}
	since := r.opts.Since.Add(r.clock.offset()).Truncate(time.Millisecond) // the wire has no finer ones
	for invitation, err := range orgs.Invitations(ctx, r.org, nil) {
		if err != nil {
			return err
		}
		if invitation.CreatedAt.Before(since) {
			break
		}
		r.people.remember(&invitation)
	}
	return nil
}

// dispatchReads starts the reads that can be made now.
func (r *inviteRun) dispatchReads(now time.Time) {
	for i := 0; i < len(r.taken) && r.lookups < maxLookups; {
		in := r.taken[i]
		if in.lookFrom.After(now) {
			i++
			continue
		}
		r.taken = slices.Delete(r.taken, i, i+1)
		r.lookUp(in)
	}
	for r.lookups < maxLookups && len(r.asked) > 0 && (len(r.asked) >= maxMemberQueries || r.exhausted || r.quiet()) {
		n := question(r.asked)
		rows := r.asked[:n:n]
		r.asked = r.asked[n:]
		r.checkMembers(rows)
	}
}

// question is how many of the rows one question can be about.
func question(rows []*row) int {
	length := 0
	for i, in := range rows {
		length += len("&email_address=") + len(url.QueryEscape(in.wire.EmailAddress))
		if i == maxMemberQueries || (i > 0 && length > maxQuestion) {
			return i
		}
	}
	return len(rows)
}

// lookUp finds the invitation of a row that has one, and decides the row. Lists may
// lag behind: what they do not show is looked for again.
func (r *inviteRun) lookUp(in *row) {
	r.lookups++
	wait := r.reads.backoff()
	r.start(func() func() {
		sleep(r.ctx, wait)
		found, err := r.find(r.ctx, time.Time{}, []*row{in}, true)
		return func() {
			r.lookups--
			switch now := time.Now(); {
			case aboutAddresses(err):
				r.decide(in, InviteResult{Outcome: OutcomeAlreadyInvited})
			case err != nil:
				if r.readFailed(err) {
					r.taken = append(r.taken, in)
				}
			case found[in] == nil && now.Before(in.lookEnd):
				r.succeeded(&r.reads)
				// After 2 s, and then after twice as long each time.
				in.lookFrom = now.Add(max(settleDelay, now.Sub(in.lookEnd.Add(-lagPatience))))
				r.taken = append(r.taken, in)
			default:
				r.succeeded(&r.reads)
				r.decide(in, r.resultOf(in, found[in]))
			}
		}
	})
}

// resultOf is the result of a row whose address has an invitation: by this run, if
// a call may have created it and it was made since the row was first sent.
func (r *inviteRun) resultOf(in *row, invitation *OrganizationInvitation) InviteResult {
	result := InviteResult{Outcome: OutcomeAlreadyInvited, Invitation: invitation}
	if invitation != nil && in.maybeCreated && !invitation.CreatedAt.Before(in.tried.Add(-r.clock.tolerance())) {
		result.Outcome = OutcomeInvited
	}
	return result
}

// find returns the invitations of rows that were made at or after since, in any
// state, and, where older is true, those that were made before and are pending. A zero
// since leaves none out.
func (r *inviteRun) find(ctx context.Context, since time.Time, rows []*row, older bool) (map[*row]*OrganizationInvitation, error) {
	addresses := make([]string, len(rows))
	for i, in := range rows {
		addresses[i] = in.wire.EmailAddress
	}
	from := since
	if older {
		from = time.Time{}
	}
	found, err := r.reader.Organizations.FindInvitations(ctx, r.org, from, addresses)
	if aboutAddresses(err) && !since.IsZero() {
		found, err = r.listSince(ctx, since, addresses)
	}
	if err != nil {
		return nil, err
	}
	byRow := make(map[*row]*OrganizationInvitation, len(found))
	for _, in := range rows {
		invitation, ok := found[in.wire.EmailAddress]
		if ok && (invitation.Status == InvitationPending || !invitation.CreatedAt.Before(since)) {
			byRow[in] = &invitation
		}
	}
	return byRow, nil
}

// listSince finds invitations without a question about their addresses.
func (r *inviteRun) listSince(ctx context.Context, since time.Time, addresses []string) (map[string]OrganizationInvitation, error) {
	wanted := make(map[string]string, len(addresses))
	for _, address := range addresses {
		wanted[AddressKey(address)] = address
	}
	found := make(map[string]OrganizationInvitation, len(addresses))
	for invitation, err := range r.reader.Organizations.Invitations(ctx, r.org, nil) {
		if err != nil {
			return nil, err
		}
		if invitation.CreatedAt.Before(since) {
			break
		}
		address, ok := wanted[AddressKey(invitation.EmailAddress)]
		if _, known := found[address]; ok && !known {
			found[address] = invitation
		}
	}
	return found, nil
}
