package clerkorg

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"time"
)

// dispatch starts every call that can be made now.
func (r *inviteRun) dispatch() {
	now := time.Now()
	if !r.ready || r.pauseUntil.After(now) {
		return
	}
	r.dispatchReads()
	// While it is not known what became of a call, no other is started: should the
	// server be down, that would only spend quota.
	if r.unresolved > 0 {
		return
	}
	if r.bulk.full { // what was to be halved fits one by one at most
		for _, half := range r.halves {
			r.queue(&r.apart, half...)
		}
		r.halves = nil
	}
	// While creating fails, single calls find out when it works again: there are
	// more of them.
	probing := r.sends.repeated() && r.free(&r.single, now) && !r.opts.BulkOnly
	for !probing && r.free(&r.bulk, now) {
		if len(r.halves) > 0 {
			r.sendBulk(r.halves[0], true)
			r.halves = r.halves[1:]
		} else if batch := r.batch(); len(batch) > 0 {
			r.sendBulk(batch, false)
		} else {
			break
		}
	}
	for r.free(&r.single, now) && !r.opts.BulkOnly {
		in := r.loner()
		if in == nil {
			break
		}
		r.sendSingle(in)
	}
}

func (r *inviteRun) dispatchReads() {
	for r.lookups < maxLookups && len(r.known) > 0 {
		var in []*row
		in, r.known = take(r.known, 1)
		r.lookUp(in[0])
	}
	for r.lookups < maxLookups && (len(r.unchecked) >= maxMemberQueries || (r.exhausted && len(r.unchecked) > 0)) {
		var rows []*row
		rows, r.unchecked = take(r.unchecked, maxMemberQueries)
		r.checkMembers(rows)
	}
}

// free reports whether a lane can take another call. While creating fails, it is
// tried with one call at a time.
func (r *inviteRun) free(l *lane, now time.Time) bool {
	if r.sends.repeated() && r.bulk.inFlight+r.single.inFlight > 0 {
		return false
	}
	return l.inFlight < r.opts.Concurrency && !l.until.After(now) && !l.full
}

// take cuts the first n rows off, or all if there are fewer.
func take(rows []*row, n int) (taken, rest []*row) {
	n = min(n, len(rows))
	return rows[:n:n], rows[n:]
}

// batch is what the next bulk call carries: ten, unless there will be no more.
// Rows that are likely good stay among themselves, so that fewer batches with a
// bad one are refused.
func (r *inviteRun) batch() (batch []*row) {
	if len(r.survivors) >= MaxBulkInvitations {
		batch, r.survivors = take(r.survivors, MaxBulkInvitations)
		return batch
	}
	more := !r.exhausted || len(r.unchecked) > 0 || r.lookups > 0
	if more && len(r.survivors)+len(r.fresh) < MaxBulkInvitations {
		return nil
	}
	if len(r.fresh) < MaxBulkInvitations {
		batch, r.survivors = take(r.survivors, MaxBulkInvitations)
	}
	var rest []*row
	rest, r.fresh = take(r.fresh, MaxBulkInvitations-len(batch))
	return append(batch, rest...)
}

// loner is what the next single call carries.
func (r *inviteRun) loner() *row {
	for _, queue := range []*[]*row{&r.apart, &r.fresh, &r.survivors} {
		if len(*queue) > 0 {
			var taken []*row
			taken, *queue = take(*queue, 1)
			return taken[0]
		}
	}
	return nil
}

// attempt is one call with rows in it.
type attempt struct {
	lane  *lane
	rows  []*row
	start time.Time
	half  bool // of a refused batch: its rows stay together
}

// begin notes an attempt. What tried it then hands its answer to finish.
func (r *inviteRun) begin(l *lane, rows []*row) *attempt {
	l.inFlight++
	now := time.Now()
	for _, in := range rows {
		if in.tried.IsZero() {
			in.tried = now
		}
	}
	return &attempt{lane: l, rows: rows, start: now}
}

func (r *inviteRun) sendBulk(rows []*row, half bool) {
	a := r.begin(&r.bulk, rows)
	a.half = half
	params := make([]CreateInvitationParams, len(rows))
	for i, in := range rows {
		params[i] = in.params
	}
	r.start(func() func() {
		invitations, err := r.sender.Organizations.CreateInvitationBulk(r.ctx, r.org, params)
		return func() { r.finish(a, invitations, err) }
	})
}

func (r *inviteRun) sendSingle(in *row) {
	a := r.begin(&r.single, []*row{in})
	r.start(func() func() {
		invitation, err := r.sender.Organizations.CreateInvitation(r.ctx, r.org, in.params)
		if err != nil {
			return func() { r.finish(a, nil, err) }
		}
		return func() { r.finish(a, []OrganizationInvitation{*invitation}, nil) }
	})
}

// finish acts on what an attempt came to.
func (r *inviteRun) finish(a *attempt, invitations []OrganizationInvitation, err error) {
	a.lane.inFlight--
	limited, _ := errors.AsType[*RateLimitError](err)
	api, _ := errors.AsType[*APIError](err)
	invalid, _ := errors.AsType[*ValidationError](err)
	if err == nil || api != nil || errors.Is(err, ErrOutcomeUnknown) { // otherwise nothing was sent
		r.progress.Calls++
	}
	switch {
	case err == nil:
		r.sends.ok()
		r.invited(a, invitations)
	case r.ctx.Err() != nil:
		// Whatever it came to is for the next run to find out.
	case limited != nil:
		r.putBack(a)
		wait := max(limited.RetryAfter, 10*time.Millisecond)
		a.lane.until = time.Now().Add(wait)
		if limited.Err != nil && api == nil { // the limiter itself is out of order
			r.failed(&r.sends, err)
		} else {
			r.sends.since = r.sends.since.Add(wait) // a spent quota is no outage
		}
	case invalid != nil:
		r.changed(a, invalid)
	case errors.Is(err, ErrOutcomeUnknown):
		r.failed(&r.sends, err)
		r.resolveUnknown(a, err)
	case api == nil: // it never left
		r.putBack(a)
		r.failed(&r.sends, err)
	case api.StatusCode == http.StatusServiceUnavailable: // with a Retry-After: another would be an unknown outcome
		r.putBack(a)
		r.failed(&r.sends, err)
		r.pause(api.RetryAfter)
	case busy(api):
		r.retry(a.rows, err)
		r.pause(max(api.RetryAfter, time.Second))
	default:
		r.sends.ok()
		r.refused(a, api)
	}
}

// busy reports whether a refusal is about the moment, not about what was refused.
func busy(api *APIError) bool {
	switch api.StatusCode {
	case http.StatusConflict, http.StatusLocked, http.StatusTooEarly:
		return true
	}
	return false
}

// invited gives the rows of an attempt the invitations that came back, by
// address: the order of an answer proves nothing.
func (r *inviteRun) invited(a *attempt, invitations []OrganizationInvitation) {
	byAddress := make(map[string]*OrganizationInvitation, len(invitations))
	for i := range invitations {
		byAddress[AddressKey(invitations[i].EmailAddress)] = &invitations[i]
	}
	for i, in := range a.rows {
		invitation := byAddress[AddressKey(in.params.EmailAddress)]
		if invitation == nil { // the server spells the address in another way
			invitation = &invitations[i]
		}
		r.decide(in, InviteResult{Outcome: OutcomeInvited, Invitation: invitation})
	}
}

// putBack makes the rows of an attempt wait again, as they did before.
func (r *inviteRun) putBack(a *attempt) {
	if a.half {
		r.halves = append([][]*row{a.rows}, r.halves...)
		return
	}
	r.requeue(a.rows...)
}

// changed rejects the rows of an attempt that were valid when they were read and
// are not any more, since their metadata was changed in the meantime.
func (r *inviteRun) changed(a *attempt, invalid *ValidationError) {
	own := make([]problems, len(a.rows))
	for _, problem := range invalid.Problems {
		if i := problem.Index; i >= 0 && i < len(own) {
			problem.Index = a.rows[i].index
			own[i] = append(own[i], problem)
		}
	}
	for i, in := range slices.Backward(a.rows) {
		if err := own[i].err(); err != nil {
			r.decide(in, InviteResult{Outcome: OutcomeRejected, Err: err})
		} else {
			r.requeue(in)
		}
	}
}

// resolveUnknown finds out what an attempt without an outcome has done, and has another
// try at what it has not.
func (r *inviteRun) resolveUnknown(a *attempt, err error) {
	delay := settleDelay
	if errors.Is(err, context.DeadlineExceeded) {
		delay = LateArrival
	}
	r.findCreated(a, delay, func(missing []*row) { r.retry(missing, err) })
}

// retry has another try at rows whose call said nothing about them. One that
// always ends so must not keep others from being sent: it goes alone, and at last
// it is given up.
func (r *inviteRun) retry(rows []*row, err error) {
	for _, in := range slices.Backward(rows) {
		in.failures++
		switch {
		case in.failures >= maxBulkFailures+maxSingleFailures:
			r.decide(in, InviteResult{Outcome: OutcomeRejected, Err: err})
		case in.failures >= maxBulkFailures && !r.opts.BulkOnly:
			r.queue(&r.apart, in)
		case in.failures >= maxBulkFailures:
			r.halves = append(r.halves, []*row{in})
		case r.sends.repeated():
			r.queue(in.home, in) // others take their turn at finding out
		default:
			r.requeue(in)
		}
	}
}

// findCreated lists what was created since an attempt began, gives the rows that have an
// invitation their result, and hands the others to then.
func (r *inviteRun) findCreated(a *attempt, delay time.Duration, then func(missing []*row)) {
	if r.fatal != nil {
		return
	}
	r.unresolved++
	r.start(func() func() {
		sleep(r.ctx, delay)
		found, err := r.createdSince(r.ctx, a)
		return func() {
			r.unresolved--
			if err != nil {
				if r.readFailed(err) {
					r.findCreated(a, max(settleDelay, r.reads.backoff()), then)
				}
				return
			}
			r.reads.ok()
			var missing []*row
			for _, in := range a.rows {
				if invitation := found[in.key]; invitation != nil {
					r.decide(in, r.resultOf(in, invitation))
				} else {
					missing = append(missing, in)
				}
			}
			then(missing)
		}
	})
}

// createdSince finds the invitations of an attempt's rows, in any state, that
// were made since it began.
func (r *inviteRun) createdSince(ctx context.Context, a *attempt) (map[personKey]*OrganizationInvitation, error) {
	wanted := make(map[personKey]bool, len(a.rows))
	for _, in := range a.rows {
		wanted[in.key] = true
	}
	found := make(map[personKey]*OrganizationInvitation, len(a.rows))
	for invitation, err := range r.reader.Organizations.Invitations(ctx, r.org, nil) {
		if err != nil {
			return nil, err
		}
		if invitation.CreatedAt.Before(a.start.Add(-clockSkew)) || len(found) == len(wanted) {
			break
		}
		if key := r.people.key(invitation.EmailAddress); wanted[key] && found[key] == nil {
			found[key] = &invitation
		}
	}
	return found, nil
}
