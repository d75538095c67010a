package clerkorg

import (
	linked "container/list"
	"context"
	"math"
	"slices"
	"time"

	"github.com/clerkorg/clerkorg-go/internal/ledger"
)

// waiter is a call of Acquire that waits for a token.
type waiter struct {
	quota   Quota
	reserve int
	until   time.Duration // when it gives up
	cause   error         // why then: nil for MaxWait, or context.DeadlineExceeded

	place       *linked.Element // in the queue; nil after that
	done        chan struct{}   // closed when reservation or err is set
	reservation Reservation
	err         error
}

// refusal is the error of a waiter whose turn comes too late, only after wait.
func (w *waiter) refusal(wait time.Duration) error {
	return &RateLimitError{Quota: w.quota, RetryAfter: wait, Err: w.cause}
}

// queue holds waiters by reserve, then by arrival.
type queue struct {
	lines []*line // by reserve; none is empty
}

// line is the waiters of one reserve, by arrival.
type line struct {
	reserve int
	waiters linked.List
}

func (q *queue) empty() bool { return len(q.lines) == 0 }

// first is the waiter who is served next, or nil.
func (q *queue) first() *waiter {
	if q.empty() {
		return nil
	}
	return q.lines[0].waiters.Front().Value.(*waiter)
}

// before is how many waiters are served before one that arrives now.
func (q *queue) before(reserve int) (n int) {
	for _, line := range q.lines {
		if line.reserve <= reserve {
			n += line.waiters.Len()
		}
	}
	return n
}

// ahead is how many waiters are served before w.
func (q *queue) ahead(w *waiter) int {
	n := q.before(w.reserve - 1)
	for e := w.place.Prev(); e != nil; e = e.Prev() {
		n++
	}
	return n
}

// find returns the place of the line of a reserve, and whether there is one.
func (q *queue) find(reserve int) (int, bool) {
	return slices.BinarySearchFunc(q.lines, reserve, func(l *line, reserve int) int { return l.reserve - reserve })
}

func (q *queue) add(w *waiter) {
	i, found := q.find(w.reserve)
	if !found {
		q.lines = slices.Insert(q.lines, i, &line{reserve: w.reserve})
	}
	w.place = q.lines[i].waiters.PushBack(w)
}

func (q *queue) remove(w *waiter) {
	i, _ := q.find(w.reserve)
	q.lines[i].waiters.Remove(w.place)
	w.place = nil
	if q.lines[i].waiters.Len() == 0 {
		q.lines = slices.Delete(q.lines, i, i+1)
	}
}

// enqueue adds a waiter, or refuses it where its wait cannot end in time. The
// lock is held.
func (l *bucketLedger) enqueue(ctx context.Context, req ReservationRequest) (*waiter, error) {
	now := l.bucket.now()
	w := &waiter{quota: req.Quota, reserve: req.Reserve, until: math.MaxInt64, done: make(chan struct{})}
	if req.MaxWait < math.MaxInt64-now {
		w.until = now + max(0, req.MaxWait)
	}
	if deadline, ok := ctx.Deadline(); ok {
		if end := now + time.Until(deadline); end < w.until {
			w.until, w.cause = end, context.DeadlineExceeded
		}
	}
	before := l.queue.before(req.Reserve)
	if next := l.turn(now, before, req.Reserve); next > w.until {
		return nil, w.refusal(next - now)
	}
	l.queue.add(w)
	if before == 0 {
		l.dispatch(now)
	}
	return w, nil
}

// turn is the earliest moment at which a waiter with so many before it can get a
// token. If there are more waiters before it than tokens, each token serves some of
// them first. The lock is held.
func (l *bucketLedger) turn(now time.Duration, before, reserve int) time.Duration {
	usable := l.memory.Limit - reserve
	if usable <= 0 {
		return math.MaxInt64
	}
	rounds := time.Duration(before / usable)
	return l.memory.Next(now, before%usable+reserve) + rounds*(l.memory.Window+ledger.Slack)
}

// wait waits until w is decided, ctx ends, or w gives up.
func (l *bucketLedger) wait(ctx context.Context, w *waiter) (Reservation, error) {
	var gaveUp <-chan time.Time
	if w.until < math.MaxInt64 && w.cause == nil { // otherwise ctx ends then
		timer := time.NewTimer(w.until - l.bucket.now())
		defer timer.Stop()
		gaveUp = timer.C
	}
	select {
	case <-w.done:
		return w.reservation, w.err
	case <-gaveUp:
		return l.giveUp(w)
	case <-ctx.Done():
		l.abandon(w)
		return Reservation{}, ctx.Err()
	}
}

// giveUp ends a wait whose MaxWait has passed.
func (l *bucketLedger) giveUp(w *waiter) (Reservation, error) {
	l.lock()
	defer l.unlock()
	now := l.bucket.now()
	l.dispatch(now) // its turn may be this very moment
	if w.place != nil {
		l.decide(w, w.refusal(l.turn(now, l.queue.ahead(w), w.reserve)-now))
		l.dispatch(now)
	}
	return w.reservation, w.err
}

// abandon ends a wait whose context has ended.
func (l *bucketLedger) abandon(w *waiter) {
	l.lock()
	defer l.unlock()
	switch {
	case w.place == nil && w.err != nil:
		return
	case w.place == nil:
		l.memory.Return() // served at the same moment
	case w != l.queue.first():
		l.queue.remove(w)
		return // the turn of the first waiter stays the same
	default:
		l.queue.remove(w)
	}
	l.dispatch(l.bucket.now())
}

// dispatch serves the first waiter, or refuses it if its turn comes too late, and
// then the next, until one has to wait: the timer is set for that one. Its work
// does not depend on the number of those behind, which give up on their own. The
// lock is held.
func (l *bucketLedger) dispatch(now time.Duration) {
	for w := l.queue.first(); w != nil; w = l.queue.first() {
		next := l.turn(now, 0, w.reserve)
		switch {
		case next <= now:
			l.memory.Take(now, w.reserve)
			w.reservation = Reservation{Quota: w.quota, Left: l.memory.Left(), ledger: l}
			l.decide(w, nil)
		case next > w.until:
			l.decide(w, w.refusal(next-now))
		default:
			if l.timer == nil {
				l.timer = time.AfterFunc(next-now, l.tick)
			} else {
				l.timer.Reset(next - now)
			}
			return
		}
	}
	if l.timer != nil {
		l.timer.Stop()
		l.timer = nil
	}
}

// review refuses every waiter whose turn comes too late, wherever it is in the
// queue, and dispatches the others. The lock is held.
func (l *bucketLedger) review(now time.Duration) {
	before := 0
	for _, line := range slices.Clone(l.queue.lines) {
		for e := line.waiters.Front(); e != nil; {
			w := e.Value.(*waiter)
			e = e.Next()
			if next := l.turn(now, before, w.reserve); next > w.until {
				l.decide(w, w.refusal(next-now))
			} else {
				before++
			}
		}
	}
	l.dispatch(now)
}

// decide ends the wait of w. The lock is held.
func (l *bucketLedger) decide(w *waiter, err error) {
	l.queue.remove(w)
	w.err = err
	close(w.done)
}

func (l *bucketLedger) tick() {
	l.lock()
	defer l.unlock()
	l.dispatch(l.bucket.now())
}
