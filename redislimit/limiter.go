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
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/clerkorg/clerkorg-go"
	"github.com/clerkorg/clerkorg-go/internal/ledger"
)

// New returns a limiter that keeps its quotas in Redis. It needs [WithSecretKey]
// or [WithNamespace]. All options are checked; the error tells everything that is
// wrong, and never repeats the key. Redis is not asked for anything yet.
//
// The limiter is a [clerkorg.Seeder] too. The client stays the caller's to close.
func New(client redis.UniversalClient, opts ...Option) (clerkorg.RateLimiter, error) {
	l, err := newLimiter(client, opts...)
	if err != nil {
		return nil, err
	}
	return l, nil
}

var (
	_ clerkorg.RateLimiter = (*limiter)(nil)
	_ clerkorg.Seeder      = (*limiter)(nil)
)

type limiter struct {
	options
	redis  redis.UniversalClient
	heeds  bool // whether redis ends round trips when their context does
	health health
	local  *clerkorg.TokenBucket // the quotas while Redis fails

	// What tests change.
	now         func() time.Time
	slack, late time.Duration
	jitter      time.Duration // keeps processes that wait for one token from asking at once

	name   string // begins the names of all tokens that this limiter takes
	tokens atomic.Uint64

	mu    sync.Mutex
	lines map[string]*line
}

func newLimiter(client redis.UniversalClient, opts ...Option) (*limiter, error) {
	o, err := newOptions(client, opts)
	if err != nil {
		return nil, err
	}
	var name [8]byte
	_, _ = crand.Read(name[:]) // never fails
	return &limiter{
		options: o,
		redis:   client,
		heeds:   heedsContexts(client),
		local:   clerkorg.NewTokenBucket(),
		now:     time.Now,
		slack:   ledger.Slack,
		late:    clerkorg.LateArrival,
		jitter:  20 * time.Millisecond,
		name:    hex.EncodeToString(name[:]) + "-",
		lines:   map[string]*line{},
	}, nil
}

func check(q clerkorg.Quota) error {
	if q.Name == "" || q.Limit < 1 || q.Window < time.Millisecond {
		return fmt.Errorf("redislimit: quota %s: needs a name, a limit and a window", q)
	}
	return nil
}

// line returns those of this process who wait for a quota.
func (l *limiter) line(q clerkorg.Quota) *line {
	l.mu.Lock()
	defer l.mu.Unlock()
	found := l.lines[q.Name]
	if found == nil {
		found = &line{}
		l.lines[q.Name] = found
	}
	return found
}

func (l *limiter) newID() string {
	return l.name + strconv.FormatUint(l.tokens.Add(1), 36)
}

// Acquire implements [clerkorg.RateLimiter]. A wait that cannot end within
// req.MaxWait, or before the deadline of ctx, is refused at once with a
// [*clerkorg.RateLimitError]; in the second case it is also a
// [context.DeadlineExceeded]. Where Redis cannot be asked, and the quota is not one
// that goes on in memory, it is a [clerkorg.ErrLimiterUnavailable].
func (l *limiter) Acquire(ctx context.Context, req clerkorg.ReservationRequest) (clerkorg.Reservation, error) {
	if err := ctx.Err(); err != nil {
		return clerkorg.Reservation{}, err
	}
	if err := check(req.Quota); err != nil {
		return clerkorg.Reservation{}, err
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

// ask asks Redis for a token that leaves some to those who are ahead. Where none is
// free, but one can be in time, it returns how long to wait.
func (l *limiter) ask(ctx context.Context, w *waiter, ahead int) (clerkorg.Reservation, time.Duration, error) {
	id := l.newID()
	wait, left, err := l.take(ctx, w, id, ahead)
	switch {
	case err != nil:
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
		w.line.wake() // there is enough for all: those ahead were told otherwise
	}
	return token, 0, nil
}

// wait stands in the line until it is served, or cannot be in time. Only the first
// in the line asks Redis: after wait, or at once where that is zero.
func (l *limiter) wait(ctx context.Context, w *waiter, wait time.Duration) (clerkorg.Reservation, error) {
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
			patience = min(patience, wait+rand.N(l.jitter)) //nolint:gosec // It has to differ, not to be secret.
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

// Settle implements [clerkorg.RateLimiter]. Where Redis cannot be told, it returns
// why, and Redis is told before the next token is taken.
func (l *limiter) Settle(ctx context.Context, token clerkorg.Reservation, outcome clerkorg.RequestOutcome) error {
	at := time.Now()
	switch {
	case outcome < clerkorg.RequestNotSent || outcome > clerkorg.RequestUnanswered:
		return fmt.Errorf("redislimit: outcome %d is unknown", outcome)
	case token.ID == "" || check(token.Quota) != nil:
		return fmt.Errorf("redislimit: a token of %s that no limiter in Redis gave", token.Quota.Name)
	}
	line := l.line(token.Quota)
	news := debt{token: token.ID, outcome: outcome, at: at}
	// It may have no place in memory, where the limit there is lower.
	err := l.local.Settle(ctx, token, outcome)
	if isLocal(token) {
		if err == nil && outcome != clerkorg.RequestNotSent {
			line.owe(news, l.memory(token.Quota))
		}
		return err
	}
	if _, err := l.run(ctx, scripts.settle, token.Quota, 0, l.tell(at, nil, news)...); err != nil {
		line.owe(news, l.memory(token.Quota))
		return err
	}
	if outcome == clerkorg.RequestNotSent {
		line.wake()
	}
	return nil
}

// CloseUntil implements [clerkorg.RateLimiter]. It closes the quota for every
// process, turns on the guard against servers that weigh their previous window,
// and refuses at once those of this process whose wait has become hopeless.
func (l *limiter) CloseUntil(ctx context.Context, quota clerkorg.Quota, until time.Time) error {
	if err := check(quota); err != nil {
		return err
	}
	wait := until.Sub(l.now())
	opens := time.Now().Add(wait)
	if share, ok := l.share(quota); ok {
		_ = l.local.CloseUntil(ctx, share, opens) // never fails
	}
	line := l.line(quota)
	_, err := l.run(ctx, scripts.close, quota, 0, micros(wait))
	if err != nil {
		line.oweClose(opens)
	}
	line.wake()
	return err
}

// State implements [clerkorg.RateLimiter].
func (l *limiter) State(ctx context.Context, quota clerkorg.Quota) (clerkorg.QuotaState, error) {
	if err := check(quota); err != nil {
		return clerkorg.QuotaState{}, err
	}
	reply, err := l.run(ctx, scripts.state, quota, 3, l.line(quota).length())
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

// Seed implements [clerkorg.Seeder]. The times are the server's, as in the
// invitations that it lists. Each holds a token until a window + 5 s later. Left
// out are times after the first token of the quota that Redis remembers (it has
// seen those requests itself), and times that anybody told it of before.
func (l *limiter) Seed(ctx context.Context, quota clerkorg.Quota, times ...time.Time) error {
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
	args := make([]any, len(moments))
	for i, moment := range moments {
		args[i] = moment
	}
	_, err := l.run(ctx, scripts.seed, quota, 0, args...)
	return err
}

// localMark begins the names of tokens that were taken while Redis failed.
const localMark = "local:"

func isLocal(token clerkorg.Reservation) bool { return strings.HasPrefix(token.ID, localMark) }

// share is what this process may use of a quota while Redis fails.
func (l *limiter) share(q clerkorg.Quota) (clerkorg.Quota, bool) {
	if l.replicas > 0 {
		q.Limit = max(1, q.Limit/l.replicas)
		return q, true
	}
	return q, q.Window < time.Minute
}

// mirror makes a token of Redis one of the local bucket too, if there is room, so
// that the bucket knows what this process has used when Redis fails.
func (l *limiter) mirror(q clerkorg.Quota, id string) clerkorg.Reservation {
	var token clerkorg.Reservation
	if share, ok := l.share(q); ok {
		token, _ = l.local.Acquire(context.Background(), clerkorg.ReservationRequest{Quota: share})
	}
	token.Quota, token.ID = q, id
	return token
}

// withoutRedis takes a token in memory, where the quota allows it.
func (l *limiter) withoutRedis(ctx context.Context, w *waiter, failure error) (clerkorg.Reservation, error) {
	w.line.leave(w) // from here on it waits for its process alone
	share, ok := l.share(w.quota)
	if !ok {
		return clerkorg.Reservation{}, fmt.Errorf("%w: %w", clerkorg.ErrLimiterUnavailable, failure)
	}
	token, err := l.local.Acquire(ctx, clerkorg.ReservationRequest{
		Quota:   share,
		MaxWait: max(0, w.maxWait-time.Since(w.since)),
		Reserve: w.reserve * share.Limit / w.quota.Limit,
	})
	if refused, ok := errors.AsType[*clerkorg.RateLimitError](err); ok {
		own := *refused
		own.Quota = w.quota
		return clerkorg.Reservation{}, &own
	}
	if err != nil {
		return clerkorg.Reservation{}, err
	}
	token.Quota, token.ID = w.quota, localMark+l.newID()
	return token, nil
}
