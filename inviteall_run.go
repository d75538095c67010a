package clerkorg

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Numbers that shape a run.
const (
	// maxUndecided is how many inputs are held at once: enough to keep both lanes
	// busy in the burst of an hour.
	maxUndecided = 2000

	// settleDelay is what the server gets to show in its lists what it has done. A
	// request that went unanswered may arrive late, and gets LateArrival.
	settleDelay = 2 * time.Second

	// An input whose calls keep saying nothing about it goes alone after so many,
	// and is rejected after so many alone.
	maxBulkFailures, maxSingleFailures = 3, 10
)

// row is one input on its way.
type row struct {
	index    int
	wire     wireInvitation // as it is sent; nothing in it belongs to the caller
	key      personKey
	tried    time.Time // when it was first sent, by the server's clock
	failures int       // calls that said nothing about it
	home     rowQueue  // the queue of the backlog in which it waits, or from which it came
	checked  bool      // it is known to be no member

	// maybeCreated is set where a call with the row may have created its invitation
	// without saying so.
	maybeCreated bool

	lookFrom time.Time // when to look its invitation up
	lookEnd  time.Time // when to stop looking
}

// inviteRun is one run of InviteAll. All of it belongs to the goroutine that
// ranges: calls run in goroutines of their own, and hand back a function that
// the loop carries out.
type inviteRun struct {
	ctx     context.Context
	sender  *Client // for creating: never waits, never sends twice
	reader  *Client // for reading: waits for quota for as long as an outage may last
	clock   *serverClock
	org     string
	opts    InviteAllOptions
	started time.Time

	feed      *feed
	exhausted bool
	undecided int

	people   people
	reading  bool   // the first look at the server has begun
	ready    bool   // it is over, or there is none
	small    bool   // there is none: all inputs fit into one call
	asked    []*row // not yet asked about: they may be members
	taken    []*row // have an invitation, which is to be looked up
	backlog  *backlog
	culprits culprits

	bulk, single lane
	lookups      int // reads under way for taken and asked
	checking     int // of them for asked

	inFlight int
	applied  chan func()
	out      []InviteResult
	fatal    error

	unresolved   int    // looks under way after which calls may be repeated
	reads, sends streak // of failures: lists may work while nothing can be created
	pauseUntil   time.Time

	progress Progress
}

func newInviteRun(ctx context.Context, client *Client, org string, input *feed, opts InviteAllOptions) *inviteRun {
	reserve := map[string]int{QuotaBulk: opts.ReserveBulk, QuotaCreate: opts.ReserveSingle}
	r := &inviteRun{
		ctx:      ctx,
		sender:   client.with(0, 0, reserve),
		reader:   client.with(max(opts.MaxOutage, time.Minute), client.maxRetries, nil),
		clock:    &serverClock{},
		org:      org,
		opts:     opts,
		started:  time.Now(),
		feed:     input,
		people:   newPeople(),
		culprits: newCulprits(),
		bulk:     lane{quota: client.quotas[QuotaBulk]},
		single:   lane{quota: client.quotas[QuotaCreate]},
		applied:  make(chan func()),
		progress: Progress{Outcomes: map[InviteOutcome]int{}},
	}
	r.sender.clock, r.reader.clock = r.clock, r.clock
	// So many rows of refused batches may wait for the single lane: what it takes an
	// hour for.
	r.backlog = newBacklog(opts.BulkOnly, r.single.quota.Limit-opts.ReserveSingle)
	return r
}

// loop is the life of a run.
func (r *inviteRun) loop(yield func(InviteResult, error) bool) {
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
			r.fatal = r.interrupted()
		}
		if r.fatal == nil {
			r.begin()
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

// interrupted is the error of the context, and what has been failing when it ended.
func (r *inviteRun) interrupted() error {
	if r.progress.Err == nil {
		return r.ctx.Err()
	}
	return &runError{text: r.ctx.Err().Error(), is: r.ctx.Err(), err: r.progress.Err}
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

// errStalled ends a run that has neither work under way nor a moment to wait for,
// which would otherwise wait for ever.
var errStalled = errors.New("clerkorg: InviteAll has nothing to wait for; this is a bug of the package")

// wait sleeps until something is to be done.
func (r *inviteRun) wait() {
	r.report()
	var wake <-chan time.Time
	at := r.wakeAt()
	if err := r.tooLate(at); err != nil && r.fatal == nil {
		r.stop(err)
		return
	}
	if !at.IsZero() && r.fatal == nil {
		timer := time.NewTimer(time.Until(at))
		defer timer.Stop()
		wake = timer.C
	}
	var pulled <-chan struct{}
	if !r.exhausted && (!r.ready || r.undecided < maxUndecided) && r.fatal == nil {
		pulled = r.feed.wake
	}
	if wake == nil && pulled == nil && r.inFlight == 0 {
		r.stop(errStalled)
		return
	}
	ended := r.ctx.Done()
	if r.fatal != nil {
		ended = nil // known by now; what is under way is waited for
	}
	select {
	case apply := <-r.applied:
		r.inFlight--
		apply()
	case <-pulled:
	case <-wake:
	case <-ended:
	}
}

// tooLate is the error of a small run that has nothing to do but to wait for quota
// until at, which is after the deadline of its context. Its caller need not be kept
// waiting to learn that.
func (r *inviteRun) tooLate(at time.Time) error {
	deadline, ok := r.ctx.Deadline()
	if !ok || !at.After(deadline) || !r.small || !r.exhausted || r.inFlight > 0 {
		return nil
	}
	for _, l := range []*lane{&r.bulk, &r.single} {
		if l.until.Equal(at) {
			return &RateLimitError{Quota: l.quota, RetryAfter: time.Until(at), Err: context.DeadlineExceeded}
		}
	}
	return nil
}

// wakeAt is the next moment at which something can be done that nothing under way
// leads to.
func (r *inviteRun) wakeAt() time.Time {
	now := time.Now()
	if r.pauseUntil.After(now) {
		return r.pauseUntil
	}
	var at time.Time
	sooner := func(t time.Time) {
		if t.After(now) && (at.IsZero() || t.Before(at)) {
			at = t
		}
	}
	sooner(r.bulk.until)
	sooner(r.single.until)
	for _, in := range r.taken {
		sooner(in.lookFrom)
	}
	if !r.exhausted {
		sooner(r.feed.quietAt())
	}
	return at
}

// quiet reports whether the sequence has yielded nothing for a while.
func (r *inviteRun) quiet() bool {
	at := r.feed.quietAt()
	return !at.IsZero() && !at.After(time.Now())
}

// begin begins with a look at the server, as soon as it is known that the inputs do
// not fit into one call. Where they do, nothing is read: a refusal tells what is to
// be looked up.
func (r *inviteRun) begin() {
	if r.reading || r.ready {
		return
	}
	n, ended := r.feed.waiting()
	switch {
	case !r.opts.Since.IsZero(), n > MaxBulkInvitations, r.quiet():
		r.reading = true
		r.readServer()
	case ended:
		r.ready, r.small = true, true
	}
}

// fill takes inputs while there is room.
func (r *inviteRun) fill() {
	for r.ready && !r.exhausted && r.fatal == nil && r.undecided < maxUndecided && len(r.out) < maxUndecided {
		inputs, ended := r.feed.take(maxUndecided - r.undecided)
		r.exhausted = ended
		for _, in := range inputs {
			if r.fatal == nil {
				r.admit(in.row, in.err)
			}
		}
		if len(inputs) == 0 {
			return
		}
	}
}

// admit decides what can be decided of an input without asking.
func (r *inviteRun) admit(in *row, invalid error) {
	r.undecided++
	if invalid != nil {
		r.decide(in, InviteResult{Outcome: OutcomeRejected, Err: invalid})
		return
	}
	if err := r.culprits.reason(in); err != nil {
		r.decide(in, InviteResult{Outcome: OutcomeRejected, Err: err})
		return
	}
	in.key = r.people.key(in.wire.EmailAddress)
	switch first, pending := r.people.claim(in.key, in.index); {
	case first != in.index:
		r.decide(in, InviteResult{Outcome: OutcomeDuplicate, DuplicateOf: first})
	case pending != nil:
		pending.EmailAddress = in.wire.EmailAddress
		r.decide(in, InviteResult{Outcome: OutcomeAlreadyInvited, Invitation: pending})
	case r.small:
		r.backlog.add(queueFresh, in)
	default:
		r.asked = append(r.asked, in)
	}
}

// decide gives a row its result.
func (r *inviteRun) decide(in *row, result InviteResult) {
	result.Index, result.Params = in.index, in.wire.params()
	r.undecided--
	r.progress.Done++
	r.progress.Outcomes[result.Outcome]++
	r.out = append(r.out, result)
	if most := r.opts.StopAfterRejected; most > 0 && r.progress.Outcomes[OutcomeRejected] >= most {
		r.stop(&runError{
			text: fmt.Sprintf("%s: %d, the last one for this reason", ErrTooManyRejected, most),
			is:   ErrTooManyRejected, err: result.Err,
		})
	}
}

// stop ends the run: nothing more is started.
func (r *inviteRun) stop(err error) {
	if r.fatal == nil {
		r.fatal = err
	}
}
