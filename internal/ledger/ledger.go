// Package ledger records when the server may have counted the requests of one
// quota, and computes when the next one is safe to send.
//
// It has no clock and no lock: every method takes the time, as a duration since
// an origin of the caller's choice, and the caller serializes the calls.
package ledger

import (
	"math"
	"slices"
	"sort"
	"time"
)

// Slack is how much longer than its window a request holds its token: the
// server's clock differs from ours, and its hour may begin a little late.
const Slack = 5 * time.Second

// Ledger is the record of one quota: at most Limit requests in any Window.
// The zero Ledger with Limit and Window set is ready for use.
type Ledger struct {
	Limit  int
	Window time.Duration

	// log holds, in ascending order, the latest moment at which each request may
	// have been counted, where that has passed. The tokens of log[:back] are free
	// again; these moments are kept for the guard, which considers two windows.
	// log[:old] are no longer needed.
	log       []time.Duration
	old, back int
	late      []time.Duration // the moments still in the future, in ascending order

	inFlight int
	closed   time.Duration // until when; 0 where open

	guarded bool
	refused time.Duration // when the server last refused a request
	guard   guard
}

// Left is how many tokens were free at the time of the last call.
func (l *Ledger) Left() int { return max(0, l.Limit-l.used()) }

// Available is how many tokens could be taken at now, one after the other.
func (l *Ledger) Available(now time.Duration) int {
	l.expire(now)
	return sort.Search(l.Left(), func(ahead int) bool { return l.Next(now, ahead) > now })
}

// Empty reports whether the record is empty, as of the last call.
func (l *Ledger) Empty() bool { return len(l.log)+len(l.late) == 0 }

// ClosedUntil is when the ledger opens; a moment in the past if it is open.
func (l *Ledger) ClosedUntil() time.Duration { return l.closed }

// used is how many tokens were taken and not free again at the last call. It is an
// upper bound now, since time only frees tokens.
func (l *Ledger) used() int { return l.inFlight + l.spent() }

// spent is how many of the used tokens belong to requests in the record.
func (l *Ledger) spent() int { return len(l.log) - l.back + len(l.late) }

// Lend takes all tokens that were free at the last call, if their number alone
// limits the requests: the ledger is open and unguarded. Otherwise it takes none.
func (l *Ledger) Lend() int {
	if l.guarded || l.closed != 0 {
		return 0
	}
	n := l.Left()
	l.inFlight += n
	return n
}

// Reclaim frees n tokens that Lend took.
func (l *Ledger) Reclaim(n int) { l.inFlight = max(0, l.inFlight-n) }

// Take takes a token at now, if more than reserve are free.
func (l *Ledger) Take(now time.Duration, reserve int) bool {
	if l.Next(now, reserve) > now {
		return false
	}
	l.inFlight++
	return true
}

// Return frees a token whose request was not sent.
func (l *Ledger) Return() { l.Reclaim(1) }

// Spend records a request in flight as counted by the server at the moment at,
// which may be before now or after it.
func (l *Ledger) Spend(now, at time.Duration) {
	l.Return()
	l.mature(now)
	if at > now {
		l.late = insert(l.late, at)
	} else {
		l.record(at)
	}
}

// Seed records requests that others made at the given moments, except those that
// are in the record already.
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
			l.record(at)
		}
	}
	l.expire(now)
}

// Close records that the server refused a request at now although the ledger had
// room. No token is free before until; a later call does not shorten that.
//
// Such a refusal is the sign of a server that weighs its previous window, or of
// requests that the ledger does not know. It turns the guard on, until two windows
// pass in which no request is refused and fewer than Limit are made.
func (l *Ledger) Close(now, until time.Duration) {
	l.closed = max(l.closed, until)
	l.refused = now
	l.guarded = true
}

// Idle reports whether at now the record is empty, nothing is in flight, and the
// ledger is open.
func (l *Ledger) Idle(now time.Duration) bool {
	l.expire(now)
	return l.Empty() && l.inFlight == 0 && l.closed == 0
}

// Next is the earliest moment, not before now, at which more than ahead tokens
// can be free. It is a lower bound if it depends on requests in flight.
func (l *Ledger) Next(now time.Duration, ahead int) time.Duration {
	l.expire(now)
	if ahead >= l.Limit {
		return math.MaxInt64
	}
	at := max(now, l.closed)
	// Some of the used tokens must become free first.
	if missing := l.used() + ahead + 1 - l.Limit; missing > l.spent() {
		at = max(at, now+l.Window+Slack)
	} else if missing > 0 {
		at = max(at, l.returns(missing-1))
	}
	if l.guarded {
		at = l.guard.next(at, l.Limit-ahead, l.inFlight+len(l.late))
	}
	return at
}

// NextReturn is when the next used token becomes free; now or earlier if all are
// free.
func (l *Ledger) NextReturn(now time.Duration) time.Duration {
	l.expire(now)
	if l.spent() > 0 {
		return max(l.closed, l.returns(0))
	}
	if l.inFlight > 0 {
		return max(l.closed, now+l.Window+Slack)
	}
	return l.closed
}

// returns is when the i-th of the spent tokens becomes free.
func (l *Ledger) returns(i int) time.Duration {
	i += l.back
	if i < len(l.log) {
		return l.log[i] + l.Window + Slack
	}
	return l.late[i-len(l.log)] + l.Window + Slack
}

// record adds a request counted at the moment at, which is not in the future.
func (l *Ledger) record(at time.Duration) {
	l.log = insert(l.log, at) // the next expire adjusts old and back
	if l.guard.window > 0 {
		l.guard.add(at)
	}
}

// insert adds a moment to an ascending list. Moments come nearly in order, so
// its place is at the end or not far from it.
func insert(moments []time.Duration, at time.Duration) []time.Duration {
	moments = append(moments, at)
	for i := len(moments) - 1; i > 0 && moments[i-1] > at; i-- {
		moments[i], moments[i-1] = moments[i-1], at
	}
	return moments
}

// mature moves the late requests whose moment has come to the log.
func (l *Ledger) mature(now time.Duration) {
	for len(l.late) > 0 && l.late[0] <= now {
		l.record(l.late[0])
		l.late = l.late[1:]
	}
}

// expire drops what is out of date at now.
func (l *Ledger) expire(now time.Duration) {
	l.mature(now)
	for l.back < len(l.log) && l.returns(0) <= now {
		l.back++
	}
	for l.old < l.back && l.log[l.old]+2*l.Window+Slack <= now {
		l.old++
	}
	// Deleting copies the rest, so it happens only when at least half goes.
	if 2*l.old >= len(l.log) {
		l.log = slices.Delete(l.log, 0, l.old)
		l.back -= l.old
		l.old = 0
	}
	if l.closed <= now {
		l.closed = 0
	}
	if l.guarded {
		l.keepGuard(now)
	}
}

// keepGuard fits the guard to the quota, or turns it off.
func (l *Ledger) keepGuard(now time.Duration) {
	quiet := l.refused+2*l.Window+Slack <= now && len(l.log)-l.old+len(l.late)+l.inFlight < l.Limit
	if quiet || l.Window < shortestGuarded {
		l.guarded, l.guard = false, guard{}
		return
	}
	if cut := cutFor(l.Limit, l.Window); l.guard.cut != cut {
		l.guard = guard{cut: cut}
		for _, at := range l.log[l.old:] {
			l.guard.add(at)
		}
	}
	l.guard.expire(now)
}
