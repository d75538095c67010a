package redislimit

import (
	"context"
	"errors"
	"time"

	"github.com/clerkorg/clerkorg-go"
)

var _ clerkorg.MultiRateLimiter = (*Limiter)(nil)

// AcquireAll implements [clerkorg.MultiRateLimiter]. Where nothing is to be waited for,
// two quotas take one round trip to Redis.
func (l *Limiter) AcquireAll(ctx context.Context, reqs []clerkorg.ReservationRequest) ([]clerkorg.Reservation, error) {
	start := time.Now()
	var taken []clerkorg.Reservation
	if len(reqs) == 2 && reqs[0].Quota.Name != reqs[1].Quota.Name {
		taken = l.takeBoth(ctx, reqs)
	}
	if err := ctx.Err(); err != nil {
		l.giveBack(ctx, taken)
		return nil, err
	}
	for _, req := range reqs[len(taken):] {
		req.MaxWait = max(0, req.MaxWait-time.Since(start))
		token, err := l.Acquire(ctx, req)
		if err != nil {
			l.giveBack(ctx, taken)
			return nil, err
		}
		taken = append(taken, token)
	}
	return taken, nil
}

// giveBack settles tokens of which no use was made.
func (l *Limiter) giveBack(ctx context.Context, taken []clerkorg.Reservation) {
	for _, token := range taken {
		_ = l.Settle(context.WithoutCancel(ctx), token, clerkorg.RequestNotSent) // it is told later, if not now
	}
}

// part is what takeBoth asks for one of the quotas.
type part struct {
	*waiter
	id     string
	told   news
	turn   bool
	losses int
}

// takeBoth takes the tokens that are free now, in the order of the requests: both, the
// first one, or none. [Limiter.Acquire] takes the others, or finds out why there are none.
func (l *Limiter) takeBoth(ctx context.Context, reqs []clerkorg.ReservationRequest) (taken []clerkorg.Reservation) {
	if ctx.Err() != nil || l.isClosed() || l.health.failure() != nil {
		return nil
	}
	var parts [2]part
	for i, req := range reqs {
		if check(req.Quota) != nil {
			return nil
		}
		line := l.line(req.Quota)
		if line.length() > 0 || line.behind() {
			return nil // others wait, or there is too much to tell
		}
		parts[i] = part{waiter: line.newWaiter(ctx, req), id: l.newID()}
		parts[i].name = "" // it does not wait
	}
	reply, err := l.tryBoth(ctx, &parts)
	if err != nil {
		return nil
	}
	for i := range parts {
		p := &parts[i]
		granted, left := reply[2*i], reply[2*i+1]
		if granted < 0 {
			l.noteLoss(p.line, p.losses)
		}
		if granted != 1 {
			break
		}
		p.line.took(p.id, true, l.memory(p.quota))
		token := l.mirror(p.quota, p.id)
		token.Left = int(left)
		taken = append(taken, token)
		l.counters.count(nil)
	}
	return taken
}

// tryBoth runs the script. It carries the news of both quotas, unless another script
// does.
func (l *Limiter) tryBoth(ctx context.Context, parts *[2]part) (reply []int64, err error) {
	now := l.now()
	var keys []string
	args := []any{0} // how many arguments the first quota has
	for i := range parts {
		p := &parts[i]
		if p.turn = p.line.try(); p.turn {
			defer p.line.release()
			p.told = p.line.next()
		}
		var witness string
		witness, p.losses = p.line.expected(p.quota.Window + l.slack)
		keys = append(keys, l.keys(p.quota)...)
		args = append(args, l.preamble(p.quota)...)
		args = p.told.append(append(append(args, witness, p.id), p.arguments(0, p.told.closeFor(now))...), now, l.late)
		if i == 0 {
			args[0] = len(args) - 1
		}
	}
	reply, err = l.exec(ctx, 0, scripts.take, keys, 4, args)
	if err != nil {
		if f, ok := errors.AsType[*failure](err); ok && !f.unsent {
			for i := range parts { // the script may have run all the same
				parts[i].line.settle(parts[i].id, clerkorg.RequestNotSent, l.memory(parts[i].quota))
			}
			l.flushSoon(flushAfter)
		}
		return nil, err
	}
	for i := range parts {
		if p := &parts[i]; p.turn && (i == 0 || reply[0] == 1) {
			p.line.confirm(p.told, l.memory(p.quota))
		}
	}
	return reply, nil
}
