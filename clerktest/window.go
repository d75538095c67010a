package clerktest

import (
	"math"
	"slices"
	"time"
)

// Window is a way to count requests against a limit. Clerk documents its
// limits (50 an hour, say) but not how it counts, so a client has to be safe
// under each of these.
type Window int

// The ways to count, for a limit of n requests in a window of time.
const (
	// FixedWindow admits n requests in each window. Windows are aligned to the
	// clock: an hour starts on the hour.
	FixedWindow Window = iota
	// FixedWindowFromFirst admits n requests in each window. A window starts
	// with the first request after the last window ended.
	FixedWindowFromFirst
	// SlidingLog admits a request if fewer than n were admitted within the
	// window that ends now.
	SlidingLog
	// SlidingLogCountingRefusals is a SlidingLog that remembers refused
	// requests too: a client that repeats them at once is never admitted.
	SlidingLogCountingRefusals
	// TokenBucket starts with n tokens, takes one for a request, and refills
	// evenly at n tokens a window.
	TokenBucket
	// GCRA is the generic cell rate algorithm with a burst of n: a token bucket
	// whose state is the time at which the next request is due.
	GCRA
	// SlidingCounter keeps a count for each clock-aligned window and admits a
	// request while the previous count, weighted by how much of that window the
	// last window's length still covers, plus the current count is below n.
	SlidingCounter
	// SlidingCounterFromFirst is a SlidingCounter whose windows start with the
	// server's first request, not with the clock.
	SlidingCounterFromFirst
	// SlidingCounterCountingRefusals is a SlidingCounter that counts refused
	// requests too.
	SlidingCounterCountingRefusals
	// SlidingCounterCountingFirst is a SlidingCounter that counts a request before
	// it compares: the weighted previous count plus the current one, the request
	// itself included, may be n at most. A refused request is taken out again.
	SlidingCounterCountingFirst
	// SlidingCounterCountingFirstAndRefusals is a SlidingCounterCountingFirst in
	// which a refused request stays counted.
	SlidingCounterCountingFirstAndRefusals
)

var windowNames = [...]string{
	FixedWindow:                            "fixed-window",
	FixedWindowFromFirst:                   "fixed-window-from-first",
	SlidingLog:                             "sliding-log",
	SlidingLogCountingRefusals:             "sliding-log-counting-refusals",
	TokenBucket:                            "token-bucket",
	GCRA:                                   "gcra",
	SlidingCounter:                         "sliding-counter",
	SlidingCounterFromFirst:                "sliding-counter-from-first",
	SlidingCounterCountingRefusals:         "sliding-counter-counting-refusals",
	SlidingCounterCountingFirst:            "sliding-counter-counting-first",
	SlidingCounterCountingFirstAndRefusals: "sliding-counter-counting-first-and-refusals",
}

// Windows returns every [Window] there is, for tests that range over them.
func Windows() []Window {
	all := make([]Window, len(windowNames))
	for i := range all {
		all[i] = Window(i)
	}
	return all
}

// String returns the name of the algorithm, such as "sliding-log". A value that
// is none of the constants is called "unknown".
func (w Window) String() string {
	if !w.valid() {
		return "unknown"
	}
	return windowNames[w]
}

func (w Window) valid() bool { return w >= 0 && int(w) < len(windowNames) }

func (w Window) countsRefusals() bool {
	return w == SlidingLogCountingRefusals || w == SlidingCounterCountingRefusals || w == SlidingCounterCountingFirstAndRefusals
}

// algorithm counts requests. allow records one request at now, which must not
// go backwards, and reports whether it is admitted. If not, retryAfter is how
// long until a request is admitted, with no other in between.
type algorithm interface {
	allow(now time.Time) (ok bool, retryAfter time.Duration)
	clone() algorithm
}

// newAlgorithm needs a positive limit and window.
func (w Window) newAlgorithm(limit int, window time.Duration) algorithm {
	switch w {
	case FixedWindowFromFirst:
		return &fixedWindow{limit: limit, window: window, fromFirst: true}
	case SlidingLog, SlidingLogCountingRefusals:
		return &slidingLog{limit: limit, window: window, countRefusals: w.countsRefusals()}
	case TokenBucket:
		return &tokenBucket{limit: float64(limit), window: window, tokens: float64(limit)}
	case GCRA:
		return &gcra{interval: window / time.Duration(limit), window: window}
	case SlidingCounter, SlidingCounterCountingRefusals:
		return &slidingCounter{limit: limit, window: window, countRefusals: w.countsRefusals(), anchor: time.Unix(0, 0)}
	case SlidingCounterFromFirst:
		return &slidingCounter{limit: limit, window: window}
	case SlidingCounterCountingFirst, SlidingCounterCountingFirstAndRefusals:
		return &slidingCounter{limit: limit, window: window, countFirst: true, countRefusals: w.countsRefusals(), anchor: time.Unix(0, 0)}
	default:
		return &fixedWindow{limit: limit, window: window}
	}
}

// startOf returns the beginning of the window that holds now, where windows
// follow one another from anchor in both directions. Unlike
// [time.Time.Truncate], which counts from the year 1, it aligns windows that do
// not divide a day to the Unix epoch when that is the anchor.
func startOf(now, anchor time.Time, window time.Duration) time.Time {
	into := now.Sub(anchor) % window
	if into < 0 {
		into += window
	}
	return now.Add(-into)
}

type fixedWindow struct {
	limit     int
	window    time.Duration
	fromFirst bool

	start time.Time
	count int
}

func (f *fixedWindow) clone() algorithm {
	own := *f
	return &own
}

func (f *fixedWindow) allow(now time.Time) (bool, time.Duration) {
	if f.start.IsZero() || now.Sub(f.start) >= f.window {
		f.start, f.count = now, 0
		if !f.fromFirst {
			f.start = startOf(now, time.Unix(0, 0), f.window)
		}
	}
	if f.count < f.limit {
		f.count++
		return true, 0
	}
	return false, f.start.Add(f.window).Sub(now)
}

type slidingLog struct {
	limit         int
	window        time.Duration
	countRefusals bool

	log []time.Time // oldest first
}

func (l *slidingLog) clone() algorithm {
	own := *l
	own.log = slices.Clone(l.log)
	return &own
}

func (l *slidingLog) allow(now time.Time) (bool, time.Duration) {
	old := 0
	for old < len(l.log) && now.Sub(l.log[old]) >= l.window {
		old++
	}
	l.log = l.log[old:]

	ok := len(l.log) < l.limit
	if ok || l.countRefusals {
		l.log = append(l.log, now)
	}
	if ok {
		return true, 0
	}
	// The entry whose leaving brings the log below the limit.
	last := l.log[len(l.log)-l.limit]
	return false, last.Add(l.window).Sub(now)
}

type tokenBucket struct {
	limit  float64
	window time.Duration

	tokens float64
	last   time.Time
}

func (b *tokenBucket) clone() algorithm {
	own := *b
	return &own
}

func (b *tokenBucket) allow(now time.Time) (bool, time.Duration) {
	// Adding fractions of a token in many small steps may end a hair below one.
	const hair = 1e-9

	if !b.last.IsZero() {
		refill := float64(now.Sub(b.last)) / float64(b.window) * b.limit
		b.tokens = min(b.limit, b.tokens+max(0, refill))
	}
	b.last = now
	if b.tokens >= 1-hair {
		b.tokens--
		return true, 0
	}
	wait := (1 - b.tokens) / b.limit * float64(b.window)
	return false, time.Duration(math.Ceil(wait))
}

type gcra struct {
	interval time.Duration
	window   time.Duration

	due time.Time // the theoretical arrival time of the next request
}

func (g *gcra) clone() algorithm {
	own := *g
	return &own
}

func (g *gcra) allow(now time.Time) (bool, time.Duration) {
	due := g.due
	if due.Before(now) {
		due = now
	}
	due = due.Add(g.interval)
	if early := due.Sub(now) - g.window; early > 0 {
		return false, early
	}
	g.due = due
	return true, 0
}

type slidingCounter struct {
	limit         int
	window        time.Duration
	countFirst    bool
	countRefusals bool

	anchor            time.Time // where windows are counted from; zero until the first request
	start             time.Time // of the current window
	previous, current int
}

func (c *slidingCounter) clone() algorithm {
	own := *c
	return &own
}

func (c *slidingCounter) allow(now time.Time) (bool, time.Duration) {
	if c.anchor.IsZero() {
		c.anchor = now
	}
	if start := startOf(now, c.anchor, c.window); !start.Equal(c.start) {
		if start.Sub(c.start) == c.window {
			c.previous = c.current
		} else {
			c.previous = 0
		}
		c.start, c.current = start, 0
	}

	left := c.start.Add(c.window).Sub(now)
	ok := left <= c.covered(c.previous, c.current)
	if ok || c.countRefusals {
		c.current++
	}
	if ok {
		return true, 0
	}
	// Within this window, or else in the next, whose previous count is the current
	// one of now.
	if wait := left - c.covered(c.previous, c.current); wait < left {
		return false, wait
	}
	return false, left + c.window - c.covered(c.current, 0)
}

// covered is how much of the window before may be covered at most for a request
// to be admitted: less than nothing where the current count alone refuses it.
func (c *slidingCounter) covered(previous, current int) time.Duration {
	room := c.limit - current
	if c.countFirst {
		room--
	}
	switch {
	case room < 0, room == 0 && !c.countFirst:
		return -1
	case previous == 0:
		return c.window
	}
	whole := float64(room) * float64(c.window)
	covered := time.Duration(min(whole/float64(previous), float64(c.window)))
	if !c.countFirst && float64(covered)*float64(previous) >= whole {
		covered-- // the weighted count has to be below the limit, not at it
	}
	return covered
}
