package clerkorg

import (
	"maps"
	"time"

	"github.com/clerkorg/clerkorg-go/internal/ledger"
)

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
	p.BulkLeft, next = r.callsLeft(&r.bulk, r.opts.ReserveBulk, next)
	if !r.opts.BulkOnly {
		p.SingleLeft, next = r.callsLeft(&r.single, r.opts.ReserveSingle, next)
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

// callsLeft is how many calls of a lane can be made now, and the earlier one of next
// and the moment when it can make another.
func (r *inviteRun) callsLeft(l *lane, reserve int, next time.Time) (int, time.Time) {
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
