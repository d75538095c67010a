package clerkorg

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/clerkorg/clerkorg-go/internal/ledger"
)

// Numbers that shape a run.
const (
	// maxUndecided is how many inputs are held at once: enough to keep both lanes
	// busy in the burst of an hour.
	maxUndecided = 2000

	// settleDelay is what the server gets to show in its lists what it has done. A
	// request that went unanswered may arrive late, and gets LateArrival.
	settleDelay = 2 * time.Second

	// clockSkew is how far the server's clock may be off ours.
	clockSkew = 5 * time.Minute

	// An input whose calls keep saying nothing about it goes alone after so many,
	// and is rejected after so many alone.
	maxBulkFailures, maxSingleFailures = 3, 10
)

// row is one input on its way.
type row struct {
	index    int
	params   CreateInvitationParams
	key      personKey
	tried    time.Time // when it was first sent
	failures int       // calls that said nothing about it
	home     *[]*row   // the queue it waits in, or came from
}

// inviteRun is one run of InviteAll. All of it belongs to the goroutine that
// ranges: calls run in goroutines of their own, and hand back a function that
// the loop carries out.
type inviteRun struct {
	ctx    context.Context
	sender *Client // for creating: never waits, never sends twice
	reader *Client // for reading: waits for quota for as long as an outage may last
	org    string
	opts   InviteAllOptions

	next      func() (CreateInvitationParams, bool)
	exhausted bool
	inputs    int // read so far
	undecided int // of those

	people    people
	ready     bool   // the first look at the server is over
	unchecked []*row // may be members
	known     []*row // have an invitation, which is to be looked up
	fresh     []*row // may be sent by any lane
	survivors []*row // of batches in which others were named: likely good
	apart     []*row // of batches in which nobody was named: one by one
	halves    [][]*row

	bulk, single lane
	lookups      int // reads under way for known and unchecked

	inFlight int
	applied  chan func()
	out      []InviteResult
	fatal    error

	unresolved   int    // looks under way after which calls may be repeated
	reads, sends streak // of failures: lists may work while nothing can be created
	pauseUntil   time.Time

	progress Progress
}

// lane is one of the two ways to send.
type lane struct {
	quota    Quota
	inFlight int
	until    time.Time // it has no quota before
	full     bool      // the organization has no room for a batch: the lane is closed
}

func newInviteRun(ctx context.Context, client *Client, org string, next func() (CreateInvitationParams, bool), opts InviteAllOptions) *inviteRun {
	reserve := map[string]int{QuotaBulk: opts.ReserveBulk, QuotaCreate: opts.ReserveSingle}
	return &inviteRun{
		ctx:      ctx,
		sender:   client.with(0, 0, reserve),
		reader:   client.with(max(opts.MaxOutage, time.Minute), client.maxRetries, nil),
		org:      org,
		opts:     opts,
		next:     next,
		people:   newPeople(),
		bulk:     lane{quota: client.quotas[QuotaBulk]},
		single:   lane{quota: client.quotas[QuotaCreate]},
		applied:  make(chan func()),
		progress: Progress{Outcomes: map[InviteOutcome]int{}},
	}
}

// loop is the life of a run.
func (r *inviteRun) loop(yield func(InviteResult, error) bool) {
	r.readServer()
	for {
		for len(r.out) > 0 {
			result := r.out[0]
			r.out = r.out[1:]
			if !yield(result, nil) {
				return
			}
		}
		r.out = nil
		if r.fatal == nil && r.ctx.Err() != nil {
			r.fatal = r.ctx.Err()
		}
		if r.fatal == nil {
			r.fill()
			r.dispatch()
		}
		switch {
		case len(r.out) > 0:
		case r.inFlight > 0 || (r.fatal == nil && !r.finished()):
			r.wait()
		default:
			r.report()
			if r.fatal != nil {
				yield(InviteResult{}, r.fatal)
			}
			return
		}
	}
}

func (r *inviteRun) finished() bool { return r.ready && r.exhausted && r.undecided == 0 }

// start runs job in a goroutine, and what it returns in the loop.
func (r *inviteRun) start(job func() (apply func())) {
	r.inFlight++
	go func() { r.applied <- job() }()
}

// drain waits for the goroutines that are left.
func (r *inviteRun) drain() {
	for ; r.inFlight > 0; r.inFlight-- {
		<-r.applied
	}
}

// wait sleeps until something is to be done.
func (r *inviteRun) wait() {
	r.report()
	var wake <-chan time.Time
	if at := r.wakeAt(); !at.IsZero() && r.fatal == nil {
		timer := time.NewTimer(time.Until(at))
		defer timer.Stop()
		wake = timer.C
	}
	ended := r.ctx.Done()
	if r.fatal != nil {
		ended = nil // known by now; what is under way is waited for
	}
	select {
	case apply := <-r.applied:
		r.inFlight--
		apply()
	case <-wake:
	case <-ended:
	}
}

// wakeAt is when a lane that has nothing to do but wait can go on.
func (r *inviteRun) wakeAt() time.Time {
	now := time.Now()
	if r.pauseUntil.After(now) {
		return r.pauseUntil
	}
	var at time.Time
	for _, l := range []*lane{&r.bulk, &r.single} {
		if l.until.After(now) && (at.IsZero() || l.until.Before(at)) {
			at = l.until
		}
	}
	return at
}

// fill reads inputs while there is room.
func (r *inviteRun) fill() {
	for r.ready && !r.exhausted && r.undecided < maxUndecided && len(r.out) < maxUndecided {
		params, ok := r.next()
		if !ok {
			r.exhausted = true
			return
		}
		r.admit(&row{index: r.inputs, params: params})
	}
}

// admit decides what can be decided of an input without asking.
func (r *inviteRun) admit(in *row) {
	r.inputs++
	r.undecided++
	var p problems
	p.invitation(in.index, &in.params, nil)
	if err := p.err(); err != nil {
		r.decide(in, InviteResult{Outcome: OutcomeRejected, Err: err})
		return
	}
	in.key = r.people.key(in.params.EmailAddress)
	switch first, known := r.people.claim(in.key, in.index); {
	case !known:
		r.unchecked = append(r.unchecked, in)
	case first >= 0:
		r.decide(in, InviteResult{Outcome: OutcomeDuplicate, DuplicateOf: first})
	default:
		r.people.own(in.key, in.index)
		if invitation := r.people.recall(in.key); invitation != nil {
			r.decide(in, InviteResult{Outcome: OutcomeAlreadyInvited, Invitation: invitation})
			return
		}
		r.known = append(r.known, in)
	}
}

// decide gives a row its result.
func (r *inviteRun) decide(in *row, result InviteResult) {
	result.Index, result.Params = in.index, in.params
	r.undecided--
	r.progress.Done++
	r.progress.Outcomes[result.Outcome]++
	r.out = append(r.out, result)
}

// queue puts rows at the end of a queue.
func (r *inviteRun) queue(home *[]*row, rows ...*row) {
	for _, in := range rows {
		in.home = home
	}
	*home = append(*home, rows...)
}

// requeue puts rows back to the front of the queue they came from.
func (r *inviteRun) requeue(rows ...*row) {
	for _, in := range slices.Backward(rows) {
		*in.home = slices.Insert(*in.home, 0, in)
	}
}

// streak counts failures in a row, of one kind of call.
type streak struct {
	failures int
	since    time.Time
}

// ok notes that such calls work.
func (s *streak) ok() { s.failures = 0 }

// backoff is how long to pause: not at all at first, then twice as long each
// time, up to a minute.
func (s *streak) backoff() time.Duration {
	if !s.repeated() {
		return 0
	}
	return min(time.Minute, time.Second<<min(s.failures-2, 10))
}

// repeated reports whether there has been more than one failure.
func (s *streak) repeated() bool { return s.failures > 1 }

// failed notes that a call has failed, and pauses. It gives up after MaxOutage.
func (r *inviteRun) failed(s *streak, err error) {
	now := time.Now()
	if s.failures == 0 {
		s.since = now
	}
	s.failures++
	if down := now.Sub(s.since); down > r.opts.MaxOutage {
		r.stop(fmt.Errorf("clerkorg: no call has succeeded for %s: %w", down.Round(time.Second), err))
		return
	}
	r.pause(s.backoff())
}

func (r *inviteRun) pause(d time.Duration) {
	if until := time.Now().Add(d); until.After(r.pauseUntil) {
		r.pauseUntil = until
	}
}

// stop ends the run: nothing more is started.
func (r *inviteRun) stop(err error) {
	if r.fatal == nil {
		r.fatal = err
	}
}

// readFailed handles a read that failed, and reports whether to try it again.
func (r *inviteRun) readFailed(err error) (retry bool) {
	var invalid *ValidationError
	api, _ := errors.AsType[*APIError](err)
	switch {
	case r.ctx.Err() != nil:
		return false
	case errors.As(err, &invalid), api != nil && api.StatusCode < 500 && !errors.Is(err, ErrRateLimited):
		r.stop(err)
		return false
	}
	r.failed(&r.reads, err)
	return r.fatal == nil
}

// report tells how things stand.
func (r *inviteRun) report() {
	if r.opts.OnProgress == nil {
		return
	}
	p := r.progress
	p.Outcomes = maps.Clone(r.progress.Outcomes)
	p.Remaining = max(r.undecided, r.opts.Total-p.Done)
	now := time.Now()
	var next time.Time
	p.BulkLeft, next = r.left(&r.bulk, r.opts.ReserveBulk, next)
	if !r.opts.BulkOnly {
		p.SingleLeft, next = r.left(&r.single, r.opts.ReserveSingle, next)
	}
	if p.BulkLeft+p.SingleLeft == 0 {
		p.NextSlotAt = next
	}
	if r.pauseUntil.After(now) {
		p.NextSlotAt = r.pauseUntil
	}
	if r.ready {
		p.EstimatedEnd = r.estimate(p, now, next)
	}
	r.opts.OnProgress(p)
}

// left is how many calls of a lane can be made now, and the earlier one of next
// and the moment when it can make another.
func (r *inviteRun) left(l *lane, reserve int, next time.Time) (int, time.Time) {
	state, err := r.sender.limiter.State(r.ctx, l.quota)
	if err != nil {
		return 0, next
	}
	if !state.NextAt.IsZero() && (next.IsZero() || state.NextAt.Before(next)) {
		next = state.NextAt
	}
	return max(0, state.Available-reserve), next
}

// estimate is when what remains will have been sent: now if the tokens at hand
// are enough, and otherwise so many windows later.
func (r *inviteRun) estimate(p Progress, now, next time.Time) time.Time {
	hourly := MaxBulkInvitations * (r.bulk.quota.Limit - r.opts.ReserveBulk)
	if !r.opts.BulkOnly {
		hourly += r.single.quota.Limit - r.opts.ReserveSingle
	}
	beyond := p.Remaining - MaxBulkInvitations*p.BulkLeft - p.SingleLeft
	if beyond <= 0 {
		return now
	}
	if next.IsZero() {
		next = now.Add(r.bulk.quota.Window)
	}
	windows := (beyond - 1) / hourly
	return next.Add(time.Duration(windows) * (r.bulk.quota.Window + ledger.Slack))
}
