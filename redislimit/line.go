package redislimit

import (
	"context"
	"math"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/clerkorg/clerkorg-go"
)

// line is one quota within this process: its waiters, and its journal.
type line struct {
	*journal
	process string // begins the names of its waiters

	mu      sync.Mutex
	quota   clerkorg.Quota // as the last caller named it
	came    uint64
	waiters []*waiter // by reserve, then by arrival
}

// waiter is a call of Acquire.
type waiter struct {
	line    *line
	quota   clerkorg.Quota
	reserve int
	came    uint64 // its place among those with the same reserve

	since   time.Time
	maxWait time.Duration
	until   time.Duration // when it gives up, counted from since
	cause   error         // what makes it give up then: nil, or context.DeadlineExceeded

	woken chan struct{} // holds a value when the waiter is to ask again

	name  string // in the line of all processes
	place int64  // how many were ahead there
	front int64  // whom it has let go first there, since a token was free, or zero
}

func (n *line) newWaiter(ctx context.Context, req clerkorg.ReservationRequest) *waiter {
	w := &waiter{
		line:    n,
		quota:   req.Quota,
		reserve: max(0, req.Reserve),
		since:   time.Now(),
		maxWait: max(0, req.MaxWait),
		woken:   make(chan struct{}, 1),
	}
	w.until = w.maxWait
	if deadline, ok := ctx.Deadline(); ok {
		if left := time.Until(deadline); left < w.until {
			w.until, w.cause = left, context.DeadlineExceeded
		}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.came++
	w.came = n.came
	w.name = n.process + "w" + strconv.FormatUint(w.came, 36)
	return w
}

// arguments are those of a script that takes a token, from the reserve to the news.
func (w *waiter) arguments(ahead int, closeFor any) []any {
	front := ""
	if w.front != 0 {
		front = strconv.FormatInt(w.front, 10)
	}
	return []any{w.reserve, ahead, closeFor, w.name, micros(time.Since(w.since)), micros(w.patience()), front}
}

// trust is how long it trusts what Redis told it: the longer, the more are ahead of it in
// other processes, so that a thousand do not ask Redis all the time.
func (w *waiter) trust(first time.Duration) time.Duration {
	return first * time.Duration(1+w.place/16)
}

// patience is how much longer it waits.
func (w *waiter) patience() time.Duration { return max(0, w.until-time.Since(w.since)) }

func (w *waiter) refuse(wait time.Duration) error {
	return &clerkorg.RateLimitError{Quota: w.quota, RetryAfter: wait, Err: w.cause}
}

// place is how many waiters are ahead of w. The lock is held.
func (n *line) place(w *waiter) int {
	place, _ := slices.BinarySearchFunc(n.waiters, w, func(other, w *waiter) int {
		if other.reserve < w.reserve || other.reserve == w.reserve && other.came < w.came {
			return -1
		}
		return 1
	})
	return place
}

// ahead is how many tokens w has to leave to the waiters ahead of it.
func (n *line) ahead(w *waiter) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.place(w)
}

func (n *line) join(w *waiter) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.waiters = slices.Insert(n.waiters, n.place(w), w)
}

// leave takes w out of the line, if it is in it. The next waiter asks for itself.
func (n *line) leave(w *waiter) {
	n.mu.Lock()
	defer n.mu.Unlock()
	i := slices.Index(n.waiters, w)
	if i < 0 {
		return
	}
	n.waiters = slices.Delete(n.waiters, i, i+1)
	if i == 0 {
		n.wakeFirst()
	}
}

// name notes how a caller names the quota.
func (n *line) name(q clerkorg.Quota) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.quota = q
}

// named returns the quota as the last caller named it.
func (n *line) named() clerkorg.Quota {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.quota
}

func (n *line) length() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.waiters)
}

// wake makes the first waiter ask again: its wait may have changed.
func (n *line) wake() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.wakeFirst()
}

func (n *line) wakeFirst() {
	if len(n.waiters) == 0 {
		return
	}
	select {
	case n.waiters[0].woken <- struct{}{}:
	default: // it has been woken already
	}
}

// rest forgets that w was woken: it is about to ask.
func (w *waiter) rest() {
	select {
	case <-w.woken:
	default:
	}
}

// never is a wait for more tokens than there are.
const never = time.Duration(math.MaxInt64)
