// Package ledger remembers when the requests of one quota may have been
// counted by the server, and tells when another one is safe to send.
//
// It holds no clock and no lock: every method is told the time, as a duration
// since a moment of the caller's choosing, and the caller serializes them.
package ledger

import (
	"math"
	"slices"
	"sort"
	"time"
)

// Slack is how much longer than its window a request is remembered: the
// server's clock is not ours, and its idea of an hour may begin a little late.
const Slack = 5 * time.Second

// guardSlack is how much the guard waits beyond the moment at which the weighted
// count equals the limit: it must be less, and servers may count whole seconds.
const guardSlack = time.Second

// Ledger is the memory of one quota: of at most Limit requests in any Window.
// The zero Ledger with Limit and Window set is ready for use.
type Ledger struct {
	Limit  int
	Window time.Duration

	// Guarded makes Next also keep what a server with two counters (the
	// previous window's, weighted by its overlap, and the current one's) would
	// refuse, wherever that server's windows begin.
	Guarded bool

	// log holds, in ascending order, the latest moment at which each request may
	// have been counted. log[:back] have given their token back and are kept for
	// the guard alone, which looks two windows into the past; log[:old] are of no
	// use to anybody.
	log       []time.Duration
	old, back int

	inFlight int
	closed   time.Duration
}

// Left is how many tokens were free when the ledger last looked at the time.
func (l *Ledger) Left() int { return max(0, l.Limit-l.used()) }

// Available is how many tokens could be taken at now, one after the other.
func (l *Ledger) Available(now time.Duration) int {
	l.expire(now)
	return sort.Search(l.Left(), func(ahead int) bool { return l.Next(now, ahead) > now })
}

// Empty reports whether no request is remembered, as of the last look at the time.
func (l *Ledger) Empty() bool { return len(l.log) == 0 }

// ClosedUntil is when the ledger opens; a moment that has passed where it is open.
func (l *Ledger) ClosedUntil() time.Duration { return l.closed }

// used is how many tokens are out as of the last look at the time: at most that
// many, since time only gives tokens back.
func (l *Ledger) used() int { return l.inFlight + len(l.log) - l.back }

// Lend takes all tokens that were free at the last look at the time, if nothing
// but their number decides who may have one: the ledger is open and unguarded.
func (l *Ledger) Lend() int {
	if l.Guarded || l.closed != 0 {
		return 0
	}
	n := l.Left()
	l.inFlight += n
	return n
}

// Reclaim gives back what is left of the tokens that were lent.
func (l *Ledger) Reclaim(n int) { l.inFlight = max(0, l.inFlight-n) }

// Take takes a token at now, if more than reserve are free.
func (l *Ledger) Take(now time.Duration, reserve int) bool {
	if l.Next(now, reserve) > now {
		return false
	}
	l.inFlight++
	return true
}

// Return gives back a token whose request never left.
func (l *Ledger) Return() { l.Reclaim(1) }

// Spend turns a token in flight into a request that the server counted at the
// moment at, or before it.
func (l *Ledger) Spend(at time.Duration) {
	l.Return()
	l.insert(at)
}

// Seed remembers requests made at the given moments by somebody else, leaving
// out those it was told of before.
func (l *Ledger) Seed(now time.Duration, moments []time.Duration) {
	l.expire(now)
	moments = slices.Sorted(slices.Values(moments))
	for i, at := range moments {
		nth := 1 // how many of these moments are this very one, so far
		for j := i; j > 0 && moments[j-1] == at; j-- {
			nth++
		}
		first, _ := slices.BinarySearch(l.log, at)
		known := 0
		for first+known < len(l.log) && l.log[first+known] == at {
			known++
		}
		if known < nth && at+2*l.Window+Slack > now {
			l.insert(at)
		}
	}
	l.expire(now)
}

// Close admits nothing before until. A quota is never opened early.
func (l *Ledger) Close(until time.Duration) { l.closed = max(l.closed, until) }

// Idle reports whether there is nothing to remember at now.
func (l *Ledger) Idle(now time.Duration) bool {
	l.expire(now)
	return len(l.log) == 0 && l.inFlight == 0 && l.closed == 0
}

// Next is the earliest moment, from now on, at which more than ahead tokens can
// be free: now itself where they are. It is a lower bound where the answer
// depends on requests still in flight.
func (l *Ledger) Next(now time.Duration, ahead int) time.Duration {
	l.expire(now)
	at := max(now, l.closed)
	// So many of the tokens that are out must come back first.
	switch missing := l.used() + ahead + 1 - l.Limit; {
	case ahead >= l.Limit:
		return math.MaxInt64
	case missing <= 0:
	case missing <= len(l.log)-l.back:
		at = max(at, l.returns(l.back+missing-1))
	default:
		at = max(at, now+l.Window+Slack)
	}
	if l.Guarded {
		at = l.guard(at, ahead)
	}
	return at
}

// NextReturn is when the next token that is out comes back; now or earlier where
// none is.
func (l *Ledger) NextReturn(now time.Duration) time.Duration {
	l.expire(now)
	switch {
	case l.back < len(l.log):
		return max(l.closed, l.returns(l.back))
	case l.inFlight > 0:
		return max(l.closed, now+l.Window+Slack)
	default:
		return l.closed
	}
}

func (l *Ledger) returns(i int) time.Duration { return l.log[i] + l.Window + Slack }

func (l *Ledger) insert(at time.Duration) {
	// Answers come nearly in order, so the place is at the end or not far from it.
	i := len(l.log)
	l.log = append(l.log, at)
	for ; i > 0 && l.log[i-1] > at; i-- {
		l.log[i], l.log[i-1] = l.log[i-1], at
	}
	if i < l.back {
		l.back++
	}
	if i < l.old {
		l.old++
	}
}

// expire lets go of what now lies far enough in the past.
func (l *Ledger) expire(now time.Duration) {
	for l.back < len(l.log) && l.returns(l.back) <= now {
		l.back++
	}
	for l.old < l.back && l.log[l.old]+2*l.Window+Slack <= now {
		l.old++
	}
	// Moving the rest down costs a copy, so it waits until half can go.
	if l.old > 0 && 2*l.old >= len(l.log) {
		l.log = slices.Delete(l.log, 0, l.old)
		l.back -= l.old
		l.old = 0
	}
	if l.closed <= now {
		l.closed = 0
	}
}

// guard moves at to the first moment at which a server that weighs its previous
// window would count fewer than the limit, wherever its windows begin.
//
// Such a server, whose current window began at s, counts
//
//	previous(s) * (1 - (at-s)/window) + current(s)
//
// For a fixed moment this grows with s, except where s passes a request (which
// then belongs to the previous window) or passes it by a whole window (where it
// drops out), so only those places need a look.
func (l *Ledger) guard(at time.Duration, ahead int) time.Duration {
	room := l.Limit - ahead
	for {
		later := at
		for _, t := range l.log[l.old:] {
			for _, s := range [2]time.Duration{t, t + l.Window} {
				if s <= at && s > at-l.Window {
					later = max(later, l.safe(s, room))
				}
			}
		}
		if later == at {
			return at
		}
		at = later
	}
}

// safe is the first moment at which a window that began at s leaves room.
func (l *Ledger) safe(s time.Duration, room int) time.Duration {
	from, _ := slices.BinarySearch(l.log, s-l.Window)
	split, _ := slices.BinarySearch(l.log, s)
	previous, current := split-from, len(l.log)-split+l.inFlight
	switch {
	case previous+current < room:
		return s
	case current >= room:
		return s + l.Window
	default:
		share := float64(room-current) / float64(previous)
		return min(s+l.Window, s+time.Duration((1-share)*float64(l.Window))+guardSlack)
	}
}
