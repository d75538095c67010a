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

// Ledger is the memory of one quota: of at most Limit requests in any Window.
// The zero Ledger with Limit and Window set is ready for use.
type Ledger struct {
	Limit  int
	Window time.Duration

	// log holds, in ascending order, the latest moment at which each request may
	// have been counted, where that has passed. log[:back] have given their token
	// back and are kept for the guard, which looks two windows into the past;
	// log[:old] are of no more use.
	log       []time.Duration
	old, back int
	late      []time.Duration // in ascending order, those moments that are still to come

	inFlight int
	closed   time.Duration // until when; 0 where open

	guarded bool
	refused time.Duration // when the server last refused a request
	guard   guard
}

// Left is how many tokens were free when the ledger last looked at the time.
func (l *Ledger) Left() int { return max(0, l.Limit-l.used()) }

// Available is how many tokens could be taken at now, one after the other.
func (l *Ledger) Available(now time.Duration) int {
	l.expire(now)
	return sort.Search(l.Left(), func(ahead int) bool { return l.Next(now, ahead) > now })
}

// Empty reports whether no request is remembered, as of the last look at the time.
func (l *Ledger) Empty() bool { return len(l.log)+len(l.late) == 0 }

// ClosedUntil is when the ledger opens; a moment that has passed where it is open.
func (l *Ledger) ClosedUntil() time.Duration { return l.closed }

// used is how many tokens are out as of the last look at the time: at most that
// many, since time only gives tokens back.
func (l *Ledger) used() int { return l.inFlight + l.spent() }

// spent is how many of them are those of requests that may have been counted.
func (l *Ledger) spent() int { return len(l.log) - l.back + len(l.late) }

// Lend takes all tokens that were free at the last look at the time, if nothing
// but their number decides who may have one: the ledger is open and unguarded.
func (l *Ledger) Lend() int {
	if l.guarded || l.closed != 0 {
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

// Spend turns a token in flight into a request that the server counts at the
// moment at, which may be after now, or before it.
func (l *Ledger) Spend(now, at time.Duration) {
	l.Return()
	l.mature(now)
	if at > now {
		l.late = insert(l.late, at)
	} else {
		l.record(at)
	}
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
			l.record(at)
		}
	}
	l.expire(now)
}

// Close tells that the server refused a request at now although the ledger had
// room, and admits nothing before until. A quota is never opened early.
//
// Such a refusal is the sign of a server that weighs its previous window, or of
// requests that the ledger does not know. So from then on it keeps what such a
// server would refuse as well, until for two windows no request was refused and
// fewer than Limit were made.
func (l *Ledger) Close(now, until time.Duration) {
	l.closed = max(l.closed, until)
	l.refused = now
	l.guarded = true
}

// Idle reports whether there is nothing to remember at now.
func (l *Ledger) Idle(now time.Duration) bool {
	l.expire(now)
	return l.Empty() && l.inFlight == 0 && l.closed == 0
}

// Next is the earliest moment, from now on, at which more than ahead tokens can
// be free: now itself where they are. It is a lower bound where the answer
// depends on requests still in flight.
func (l *Ledger) Next(now time.Duration, ahead int) time.Duration {
	l.expire(now)
	if ahead >= l.Limit {
		return math.MaxInt64
	}
	at := max(now, l.closed)
	// So many of the tokens that are out must come back first.
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

// NextReturn is when the next token that is out comes back; now or earlier where
// none is.
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

// returns is when the i-th of the tokens that are spent comes back.
func (l *Ledger) returns(i int) time.Duration {
	i += l.back
	if i < len(l.log) {
		return l.log[i] + l.Window + Slack
	}
	return l.late[i-len(l.log)] + l.Window + Slack
}

// record adds a request counted at the moment at, which has passed.
func (l *Ledger) record(at time.Duration) {
	l.log = insert(l.log, at) // expire moves old and back on, should they have to
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

// mature records the late requests whose moment has come.
func (l *Ledger) mature(now time.Duration) {
	for len(l.late) > 0 && l.late[0] <= now {
		l.record(l.late[0])
		l.late = l.late[1:]
	}
}

// expire lets go of what now lies far enough in the past.
func (l *Ledger) expire(now time.Duration) {
	l.mature(now)
	for l.back < len(l.log) && l.returns(0) <= now {
		l.back++
	}
	for l.old < l.back && l.log[l.old]+2*l.Window+Slack <= now {
		l.old++
	}
	// Moving the rest down costs a copy, so it waits until half can go.
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

// keepGuard has the guard know what the ledger knows, or turns it off.
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
