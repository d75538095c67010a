package clerkorg

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/clerkorg/clerkorg-go/internal/ledger"
)

// lane is one of the two ways to send.
type lane struct {
	quota    Quota
	inFlight int
	until    time.Time // it has no quota before

	// One call at a time is sent until one was admitted, after the start and after
	// every 429; and until cautiousUntil, while the server may count calls of an
	// earlier process that no list shows.
	admitted      bool
	cautiousUntil time.Time
	unseen        int       // such calls of which the limiter was told
	toldAt        time.Time // when it was told of the last ones
}

// beCautious notes that an earlier process may have made calls in the window in which
// the run started.
func (l *lane) beCautious(started time.Time) {
	l.cautiousUntil = started.Add(l.quota.Window + ledger.Slack)
}

// dispatch starts every call that can be made now.
func (r *inviteRun) dispatch() {
	now := time.Now()
	if !r.ready || r.pauseUntil.After(now) {
		return
	}
	r.dispatchReads(now)
	// While the outcome of a call is unresolved, no other is started: should the
	// server be down, that would only spend quota.
	if r.unresolved > 0 {
		return
	}
	// While creating fails, single calls find out when it works again: there are
	// more of them.
	probing := r.sends.repeated() && r.free(&r.single, now) && !r.opts.BulkOnly
	for !probing && r.free(&r.bulk, now) {
		sent := r.backlog.next(r.more())
		if sent == nil {
			break
		}
		r.send(&r.bulk, sent)
	}
	for r.free(&r.single, now) && !r.opts.BulkOnly {
		sent := r.backlog.nextSingle()
		if sent == nil {
			break
		}
		r.send(&r.single, sent)
	}
}

// more reports whether more rows may come into the backlog.
func (r *inviteRun) more() bool { return !r.exhausted || len(r.asked) > 0 || r.checking > 0 }

// free reports whether a lane can take another call. While creating fails, it is
// tried with one call at a time.
func (r *inviteRun) free(l *lane, now time.Time) bool {
	if r.sends.repeated() && r.bulk.inFlight+r.single.inFlight > 0 {
		return false
	}
	most := r.opts.Concurrency
	if !l.admitted || now.Before(l.cautiousUntil) {
		most = 1
	}
	return l.inFlight < most && !l.until.After(now)
}

// attempt is one call with rows in it.
type attempt struct {
	*batch
	lane  *lane
	sent  time.Time
	start time.Time // the same by the server's clock

	refused bool // by the server
	taken   bool // because an address has an invitation; the refusal does not name it
}

// send starts a call for a batch.
func (r *inviteRun) send(l *lane, sent *batch) {
	l.inFlight++
	a := &attempt{batch: sent, lane: l, sent: time.Now(), start: r.clock.now()}
	for _, in := range a.rows {
		if in.tried.IsZero() {
			in.tried = a.start
		}
	}
	r.start(func() func() {
		invitations, err := r.create(a)
		return func() { r.finish(a, invitations, err) }
	})
}

func (r *inviteRun) create(a *attempt) ([]OrganizationInvitation, error) {
	orgs := r.sender.Organizations
	if a.lane == &r.single {
		invitation, err := orgs.create(r.ctx, r.org, &a.rows[0].wire)
		if err != nil {
			return nil, err
		}
		return []OrganizationInvitation{*invitation}, nil
	}
	wire := make([]wireInvitation, len(a.rows))
	for i, in := range a.rows {
		wire[i] = in.wire
	}
	return orgs.createBulk(r.ctx, r.org, wire)
}

// finish acts on the outcome of an attempt.
func (r *inviteRun) finish(a *attempt, invitations []OrganizationInvitation, err error) {
	a.lane.inFlight--
	limited, _ := errors.AsType[*RateLimitError](err)
	api, _ := errors.AsType[*APIError](err)
	if err == nil || api != nil || errors.Is(err, ErrOutcomeUnknown) { // otherwise nothing was sent
		r.progress.Calls++
	}
	switch {
	case err == nil:
		r.succeeded(&r.sends)
		a.lane.admitted = true
		r.invited(a, invitations)
	case r.ctx.Err() != nil:
		// The outcome is for the next run to find out.
	case limited != nil:
		r.backlog.putBack(a.batch)
		wait := max(limited.RetryAfter, 10*time.Millisecond)
		a.lane.until = time.Now().Add(wait)
		switch {
		case api != nil:
			a.lane.admitted = false
			// A 429 that may be about the instance's quota is of an earlier process only
			// where there was one: then the lane is cautious.
			if limited.Quota.Name == a.lane.quota.Name || a.sent.Before(a.lane.cautiousUntil) {
				r.tellUnseen(a, limited.left)
			}
		case limited.RetryAfter <= 0 && limited.Err != nil: // the limiter is out of order
			r.failed(&r.sends, err)
			return
		}
		r.sends.since = r.sends.since.Add(wait) // a spent quota is no outage
	case api == nil && !errors.Is(err, ErrOutcomeUnknown): // it never left
		r.backlog.putBack(a.batch)
		r.failed(&r.sends, err)
	case api != nil && api.StatusCode == http.StatusServiceUnavailable && api.RetryAfter > 0: // it was not carried out
		r.backlog.putBack(a.batch)
		r.failed(&r.sends, err)
		r.pause(api.RetryAfter)
	case api == nil, errors.Is(err, ErrOutcomeUnknown), unexplained(api), momentary(api):
		r.failed(&r.sends, err)
		if api != nil {
			r.pause(max(api.RetryAfter, time.Second))
		}
		r.resolveUnknown(a, err)
	default:
		r.succeeded(&r.sends)
		a.lane.admitted = true
		r.refusedBy(a, api)
	}
}

// invited gives the rows of an attempt the invitations that came back.
func (r *inviteRun) invited(a *attempt, invitations []OrganizationInvitation) {
	for i, invitation := range matchInvitations(a.rows, invitations) {
		r.decide(a.rows[i], InviteResult{Outcome: OutcomeInvited, Invitation: invitation})
	}
	r.created(a)
}

// created notes that all rows of an attempt have their invitation.
func (r *inviteRun) created(a *attempt) {
	for _, in := range a.rows {
		r.culprits.accepted[in.wire.Role] = true
	}
	if bad, refusal := r.backlog.created(a.batch); bad != nil {
		r.decideRefused(bad, refusal, refusal.Code())
	}
}

// matchInvitations finds the invitation of each row, by address: the order of an
// answer proves nothing. Where the server spells an address in another way, the row
// gets the invitation in its place, or else another one that no row has claimed.
func matchInvitations(rows []*row, invitations []OrganizationInvitation) []*OrganizationInvitation {
	unclaimed := make(map[string][]int, len(invitations))
	for i := range invitations {
		key := AddressKey(invitations[i].EmailAddress)
		unclaimed[key] = append(unclaimed[key], i)
	}
	matched := make([]*OrganizationInvitation, len(rows))
	claimed := make([]bool, len(invitations))
	claim := func(i, j int) {
		matched[i], claimed[j] = &invitations[j], true
	}
	for i, in := range rows {
		key := AddressKey(in.wire.EmailAddress)
		if js := unclaimed[key]; len(js) > 0 {
			claim(i, js[0])
			unclaimed[key] = js[1:]
		}
	}
	for i := range rows {
		if matched[i] == nil && !claimed[i] {
			claim(i, i)
		}
	}
	next := 0
	for i := range rows {
		if matched[i] != nil {
			continue
		}
		for claimed[next] {
			next++
		}
		claim(i, next)
	}
	return matched
}

// resolveUnknown finds out what an attempt without an outcome has done, and
// retries what it has not.
func (r *inviteRun) resolveUnknown(a *attempt, err error) {
	delay := settleDelay
	if errors.Is(err, context.DeadlineExceeded) {
		delay = LateArrival
	}
	for _, in := range a.rows {
		in.maybeCreated = true
	}
	r.findCreated(a, delay, func(missing []*row) {
		if len(missing) == 0 {
			r.created(a)
			return
		}
		r.retry(a, missing, err)
	})
}

// retry has another try at rows whose call said nothing about them. A row that
// always ends so must not keep others from being sent: it goes alone, and at last
// it is given up.
func (r *inviteRun) retry(a *attempt, rows []*row, err error) {
	var again []*row
	for _, in := range rows {
		in.failures++
		switch {
		case in.failures >= maxBulkFailures+maxSingleFailures:
			r.decide(in, InviteResult{Outcome: OutcomeRejected, Err: err})
		case in.failures >= maxBulkFailures:
			r.backlog.add(queueSingle, in)
		default:
			again = append(again, in)
		}
	}
	r.backlog.again(a.batch, again, len(again) == len(rows), r.sends.repeated()) // others take their turn at finding out
}

// findCreated lists what was created since an attempt began, gives the rows that
// have an invitation their result, and hands the others to then.
func (r *inviteRun) findCreated(a *attempt, delay time.Duration, then func(missing []*row)) {
	if r.fatal != nil {
		return
	}
	r.unresolved++
	since := a.start.Add(-r.clock.tolerance())
	r.start(func() func() {
		sleep(r.ctx, delay)
		found, err := r.find(r.ctx, since, a.rows, a.taken && r.small)
		return func() {
			r.unresolved--
			if err != nil {
				if r.readFailed(err) {
					r.findCreated(a, max(settleDelay, r.reads.backoff()), then)
				}
				return
			}
			r.succeeded(&r.reads)
			var missing []*row
			r.exclude(a, found)
			for _, in := range a.rows {
				switch invitation := found[in]; {
				case invitation != nil && (in.maybeCreated || invitation.Status == InvitationPending):
					r.decide(in, r.resultOf(in, invitation))
				default:
					missing = append(missing, in)
				}
			}
			then(missing)
		}
	})
}

// exclude finds invitations that a refused call has certainly not created: a server
// that creates some of them does so from the first row on, up to the one for which it
// refuses the call.
func (r *inviteRun) exclude(a *attempt, found map[*row]*OrganizationInvitation) {
	if !a.refused {
		return
	}
	n := slices.IndexFunc(a.rows, func(in *row) bool { return found[in] == nil })
	if n < 0 {
		n = len(a.rows)
	}
	if a.taken && r.small && n > 0 {
		n-- // the last one is the reason of the refusal
	}
	for _, in := range a.rows[n:] {
		if found[in] != nil && in.failures == 0 {
			in.maybeCreated = false
		}
	}
}
