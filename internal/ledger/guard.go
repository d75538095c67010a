package ledger

import (
	"slices"
	"sort"
	"time"
)

const (
	// shortestGuarded is the shortest window with a guard. On shorter ones a refusal
	// costs only seconds.
	shortestGuarded = time.Minute

	// guardSlack is how long the guard waits after the weighted count has come down to
	// the limit: servers may count whole seconds.
	guardSlack = time.Second
)

// cut is a window and the width of the pieces into which the guard divides it.
// Requests of one piece share one moment, which bounds the guard's work.
type cut struct{ window, piece time.Duration }

// cutFor divides the window of a small limit so finely that its requests, at their
// average distance, are in different pieces.
func cutFor(limit int, window time.Duration) cut {
	if limit > 512 {
		return cut{window, window / 128}
	}
	return cut{window, window / 512}
}

// guard holds back the requests that a server with two counters refuses: one for
// the current window, and one for the previous window, weighted by the share of it
// that lies less than a window in the past.
//
// If the current window of such a server began at s, the request at the moment at
// is admitted if
//
//	previous(s) * (1 - (at-s)/window) + current(s) + 1 <= limit
//
// The guard requires this for every s, since it does not know where the server's
// windows begin. Moving a request to a later moment never decreases the count. So
// the guard takes all requests of a piece to be as late as the latest of them: it
// is never too early, and late by less than a piece.
type guard struct {
	cut
	groups []group // in ascending order
	total  int     // requests added, including those of groups that were dropped

	// The last result of next, valid until a request is added: with this budget, the
	// first safe moment not before from is to.
	budget   int
	from, to time.Duration
}

// group is the requests of one piece of the window.
type group struct {
	at     time.Duration // the latest of them
	before int           // the total of all earlier groups
}

// number returns the number of the piece that contains at.
func (g *guard) number(at time.Duration) time.Duration {
	n := at / g.piece
	if at%g.piece < 0 {
		n--
	}
	return n
}

// add counts a request at the moment at.
func (g *guard) add(at time.Duration) {
	// Requests come nearly in order, so the place is at the end or close to it.
	number, i := g.number(at), len(g.groups)
	for i > 0 && g.number(g.groups[i-1].at) > number {
		i--
	}
	if i > 0 && g.number(g.groups[i-1].at) == number {
		g.groups[i-1].at = max(g.groups[i-1].at, at)
	} else {
		g.groups = slices.Insert(g.groups, i, group{at, g.before(i)})
		i++
	}
	for ; i < len(g.groups); i++ {
		g.groups[i].before++
	}
	g.total++
	g.to = g.from - 1
}

// before is the total of the groups before the i-th.
func (g *guard) before(i int) int {
	if i == len(g.groups) {
		return g.total
	}
	return g.groups[i].before
}

// after is the index of the first group later than at.
func (g *guard) after(at time.Duration) int {
	return sort.Search(len(g.groups), func(i int) bool { return g.groups[i].at > at })
}

// expire drops the groups that are older than two windows, many at a time.
func (g *guard) expire(now time.Duration) {
	if len(g.groups) > int(4*g.window/g.piece) {
		g.groups = slices.Delete(g.groups, 0, g.after(now-2*g.window))
	}
}

// next is the first moment, not before at, at which one more request is safe
// under the limit room. Requests in flight belong to the current window.
//
// At a fixed moment, the count increases with s, except where s passes a request,
// which then belongs to the previous window, or where s passes a request by a whole
// window, which then is not counted. So only these s are considered. They are
// considered once, in ascending order: waiting for a later window never increases
// the count of an earlier one.
func (g *guard) next(at time.Duration, room, inFlight int) time.Duration {
	budget := room - 1 - inFlight - g.total
	if budget == g.budget && g.from <= at && at <= g.to {
		return g.to
	}
	g.budget, g.from = budget, at
	current, previous := g.after(at-g.window), g.after(at-2*g.window)
	for previous < len(g.groups) {
		s := g.groups[previous].at + g.window
		if current < len(g.groups) {
			s = min(s, g.groups[current].at)
		}
		if s > at {
			break
		}
		weighed := g.before(current) - g.before(previous)
		left := budget + g.before(current) // what the current window leaves to it
		if weighed <= left {
			break // even in full; later windows have no more requests
		}
		at = max(at, s+g.wait(weighed, left))
		if current < len(g.groups) && g.groups[current].at == s {
			current++
		}
		if g.groups[previous].at+g.window == s {
			previous++
		}
	}
	g.to = at
	return at
}

// wait is how long after its beginning a window is safe if the requests of the
// previous window, weighed in number, may count for at most left.
func (g *guard) wait(weighed, left int) time.Duration {
	if left <= 0 {
		return g.window
	}
	over := float64(weighed-left) / float64(weighed)
	return min(g.window, time.Duration(over*float64(g.window))+guardSlack)
}
