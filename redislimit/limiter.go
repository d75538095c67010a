package redislimit

import (
	"context"
	crand "crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/clerkorg/clerkorg-go"
	"github.com/clerkorg/clerkorg-go/internal/ledger"
)

// ErrClosed is returned by [Limiter.Acquire] after [Limiter.Close].
var ErrClosed = errors.New("redislimit: the limiter is closed")

// Limiter is a [clerkorg.RateLimiter] and a [clerkorg.Seeder] that keeps its quotas
// in Redis. It is safe for concurrent use.
type Limiter struct {
	options
	redis    redis.UniversalClient
	heeds    bool // whether redis ends round trips when their context does
	health   health
	counters counters
	local    *clerkorg.TokenBucket // the quotas while Redis fails

	// What tests change.
	now         func() time.Time
	slack, late time.Duration
	jitter      time.Duration // keeps processes that wait for one token from asking at once
	lookAgain   time.Duration

	name   string // begins the names of all tokens that this limiter takes
	tokens atomic.Uint64

	mu        sync.Mutex
	lines     map[string]*line
	closed    bool
	timer     *time.Timer   // of the next flush, once there has been one
	flushing  bool          // whether it is set
	flushWait time.Duration // what it waits after failures
}

var (
	_ clerkorg.RateLimiter = (*Limiter)(nil)
	_ clerkorg.Seeder      = (*Limiter)(nil)
)

// New returns a limiter that keeps its quotas in Redis. It needs [WithSecretKey]
// or [WithNamespace]. All options are checked; the error tells everything that is
// wrong, and never repeats the key. Redis is not asked for anything yet.
//
// Close the limiter when no call is under way any more, and then the client, which
// stays the caller's.
func New(client redis.UniversalClient, opts ...Option) (*Limiter, error) {
	o, err := newOptions(client, opts)
	if err != nil {
		return nil, err
	}
	var name [8]byte
	_, _ = crand.Read(name[:]) // never fails
	return &Limiter{
		options:   o,
		redis:     client,
		heeds:     heedsContexts(client),
		local:     clerkorg.NewTokenBucket(),
		now:       time.Now,
		slack:     ledger.Slack,
		late:      clerkorg.LateArrival,
		jitter:    5 * time.Millisecond,
		lookAgain: lookAgain,
		name:      hex.EncodeToString(name[:]) + "-",
		lines:     map[string]*line{},
	}, nil
}

func check(q clerkorg.Quota) error {
	if q.Name == "" || q.Limit < 1 || q.Window < time.Millisecond {
		return fmt.Errorf("redislimit: quota %s: needs a name, a limit and a window", q)
	}
	return nil
}

// line returns the line of a quota.
func (l *Limiter) line(q clerkorg.Quota) *line {
	l.mu.Lock()
	defer l.mu.Unlock()
	found := l.lines[q.Name]
	if found == nil {
		found = &line{journal: newJournal(func() time.Time { return l.now() }), process: l.name}
		l.lines[q.Name] = found
	}
	found.name(q)
	return found
}

func (l *Limiter) newID() string {
	return l.name + strconv.FormatUint(l.tokens.Add(1), 36)
}

// Acquire implements [clerkorg.RateLimiter]. A wait that cannot end within
// req.MaxWait, or before the deadline of ctx, is refused at once with a
// [*clerkorg.RateLimitError]; in the second case it is also a
// [context.DeadlineExceeded]. Where Redis cannot be asked, and the quota is not one
// that goes on in memory, the error matches [clerkorg.ErrLimiterUnavailable] and
// tells the cause. After Close it is [ErrClosed].
func (l *Limiter) Acquire(ctx context.Context, req clerkorg.ReservationRequest) (clerkorg.Reservation, error) {
	token, err := l.acquire(ctx, req)
	l.counters.count(err)
	return token, err
}

func (l *Limiter) acquire(ctx context.Context, req clerkorg.ReservationRequest) (clerkorg.Reservation, error) {
	if err := ctx.Err(); err != nil {
		return clerkorg.Reservation{}, err
	}
	if err := check(req.Quota); err != nil {
		return clerkorg.Reservation{}, err
	}
	if l.isClosed() {
		return clerkorg.Reservation{}, ErrClosed
	}
	w := l.line(req.Quota).newWaiter(ctx, req)
	ahead := w.line.ahead(w)
	token, wait, err := l.ask(ctx, w, ahead)
	if err != nil || wait == 0 {
		return token, err
	}
	if ahead > 0 {
		wait = 0 // it was for that place in the line
	}
	return l.wait(ctx, w, wait)
}

// ask asks Redis for a token that leaves some to the waiters ahead. Where none is
// free, but one can be in time, it returns how long to wait.
func (l *Limiter) ask(ctx context.Context, w *waiter, ahead int) (clerkorg.Reservation, time.Duration, error) {
	id := l.newID()
	wait, left, err := l.take(ctx, w, id, ahead)
	switch {
	case err != nil:
		if _, failed := errors.AsType[*failure](err); !failed {
			return clerkorg.Reservation{}, 0, err // the context ended
		}
		token, err := l.withoutRedis(ctx, w, err)
		return token, 0, err
	case wait > w.patience():
		return clerkorg.Reservation{}, 0, w.refuse(wait)
	case wait > 0:
		return clerkorg.Reservation{}, wait, nil
	}
	token := l.mirror(w.quota, id)
	token.Left = left
	if err := ctx.Err(); err != nil {
		// The wait ended a moment too early to be served.
		_ = l.Settle(context.WithoutCancel(ctx), token, clerkorg.RequestNotSent)
		return clerkorg.Reservation{}, 0, err
	}
	if ahead > 0 {
		w.line.wake() // there is enough for all: the waiters ahead were told otherwise
	}
	return token, 0, nil
}

// lookAgain is how long the first waiter of all trusts what Redis told it. Waiters of other
// processes and a Redis that has lost its memory are noticed then.
const lookAgain = 10 * time.Second

// wait stands in the line until it is served, or cannot be in time. Only the first
// in the line asks Redis: after wait, or at once where that is zero.
func (l *Limiter) wait(ctx context.Context, w *waiter, wait time.Duration) (clerkorg.Reservation, error) {
	l.counters.waits.Add(1)
	defer func() { l.counters.waited.Add(int64(time.Since(w.since))) }()
	w.line.join(w)
	defer w.line.leave(w)
	timer := time.NewTimer(never)
	defer timer.Stop()
	for {
		ahead, patience := w.line.ahead(w), w.patience()
		if ahead == 0 && wait == 0 || patience == 0 {
			w.rest()
			var token clerkorg.Reservation
			var err error
			token, wait, err = l.ask(ctx, w, ahead)
			if err != nil || wait == 0 {
				return token, err
			}
			continue
		}
		if ahead == 0 {
			patience = min(patience, w.trust(l.lookAgain), wait+rand.N(l.jitter)) //nolint:gosec // It has to differ, not to be secret.
		}
		timer.Reset(patience)
		select {
		case <-timer.C:
		case <-w.woken:
		case <-ctx.Done():
			return clerkorg.Reservation{}, ctx.Err()
		}
		wait = 0
	}
}

// Settle implements [clerkorg.RateLimiter]. It does not wait for Redis: the next script
// of the quota carries the outcome, or one of its own after 200 ms. Redis holds the
// token of an outcome that never reaches it, as of a process that dies, as if the
// request had not been answered.
func (l *Limiter) Settle(ctx context.Context, token clerkorg.Reservation, outcome clerkorg.RequestOutcome) error {
	switch {
	case outcome < clerkorg.RequestNotSent || outcome > clerkorg.RequestUnanswered:
		return fmt.Errorf("redislimit: outcome %d is unknown", outcome)
	case token.ID == "" || check(token.Quota) != nil:
		return fmt.Errorf("redislimit: a token of %s that no limiter in Redis gave", token.Quota.Name)
	}
	line := l.line(token.Quota)
	// The bucket in memory may have no place for it, where the limit there is lower.
	err := l.local.Settle(ctx, token, outcome)
	if isLocal(token) && (err != nil || outcome == clerkorg.RequestNotSent) {
		line.forget(token.ID)
		return err
	}
	line.settle(token.ID, outcome, l.memory(token.Quota))
	if l.isClosed() {
		return l.flush(ctx)
	}
	l.flushSoon(flushAfter)
	if outcome == clerkorg.RequestNotSent {
		line.wake()
	}
	return nil
}

// CloseUntil implements [clerkorg.RateLimiter]. It closes the quota for every
// process, turns on the guard against servers that weigh their previous window,
// and refuses at once the waiters of this process that cannot be served in time any
// more. Where Redis cannot be told, it returns why, and Redis is told later.
func (l *Limiter) CloseUntil(ctx context.Context, quota clerkorg.Quota, until time.Time) error {
	if err := check(quota); err != nil {
		return err
	}
	wait := until.Sub(l.now())
	if share, ok := l.share(quota); ok {
		_ = l.local.CloseUntil(ctx, share, time.Now().Add(wait)) // never fails
	}
	line := l.line(quota)
	_, err := l.run(ctx, l.timeout, scripts.close, quota, 0, "", micros(wait))
	l.noteClose(line, quota, until, err == nil)
	if err != nil {
		l.flushSoon(flushAfter)
	}
	line.wake()
	return err
}

// State implements [clerkorg.RateLimiter]. It writes nothing to Redis. While Redis
// fails it tells of the quota in the memory of this process, if there is one, or why
// Redis cannot be asked.
func (l *Limiter) State(ctx context.Context, quota clerkorg.Quota) (clerkorg.QuotaState, error) {
	if err := check(quota); err != nil {
		return clerkorg.QuotaState{}, err
	}
	reply, err := l.look(ctx, quota)
	if err != nil {
		if share, ok := l.share(quota); ok {
			state, err := l.local.State(ctx, share)
			state.Quota = quota
			return state, err
		}
		return clerkorg.QuotaState{}, err
	}
	now := l.now()
	state := clerkorg.QuotaState{Quota: quota, Available: int(reply[0])}
	if reply[1] > 0 {
		state.NextAt = now.Add(duration(reply[1]))
	}
	if reply[2] > 0 {
		state.ClosedUntil = now.Add(duration(reply[2]))
	}
	return state, nil
}

// look runs the script that tells the state of a quota. A Redis that has lost its
// memory is told everything again first.
func (l *Limiter) look(ctx context.Context, quota clerkorg.Quota) ([]int64, error) {
	line := l.line(quota)
	witness, losses := line.expected(quota.Window + l.slack)
	reply, err := l.run(ctx, l.timeout, scripts.state, quota, 3, witness, line.length(), line.returned())
	if err != nil || reply[0] >= 0 {
		return reply, err
	}
	l.noteLoss(line, losses)
	if err := l.catchUp(ctx, line, l.timeout); err != nil {
		return nil, err
	}
	return l.run(ctx, l.timeout, scripts.state, quota, 3, "", line.length(), line.returned())
}

// Seed implements [clerkorg.Seeder]. The times are the server's, as in the
// invitations that it lists. Each holds a token until a window + 5 s later. Left
// out are times after the first token of the quota that Redis remembers (it has
// seen those requests itself), and times that any process told it of before.
func (l *Limiter) Seed(ctx context.Context, quota clerkorg.Quota, times ...time.Time) error {
	if err := check(quota); err != nil {
		return err
	}
	if share, ok := l.share(quota); ok {
		_ = l.local.Seed(ctx, share, times...) // never fails
	}
	moments := make([]int64, len(times))
	for i, t := range times {
		moments[i] = t.UnixMicro()
	}
	slices.Sort(moments)
	seeds := make([]seed, len(moments))
	for i, at := range moments {
		seeds[i] = seed{at, 1}
		if i > 0 && moments[i-1] == at {
			seeds[i].nth = seeds[i-1].nth + 1
		}
	}
	return l.tellSeeds(ctx, l.line(quota), quota, seeds)
}

// Close tells Redis the outcomes that it has not been told, and returns why where that
// fails. It leaves the Redis client open. Tokens can still be settled, which is slower
// from then on.
func (l *Limiter) Close() error {
	l.mu.Lock()
	l.closed = true
	if l.timer != nil {
		l.timer.Stop()
	}
	l.mu.Unlock()
	return l.flush(context.Background())
}

func (l *Limiter) isClosed() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.closed
}
