package ledger

import (
	"slices"
	"sort"
	"time"
)

const (
	// shortestGuarded is the shortest window that is guarded. On a shorter one a
	// refusal costs seconds, and the guard would cost more than it saves.
	shortestGuarded = time.Minute

	// guardSlack is how much the guard waits beyond the moment at which the weighted
	// count meets the limit: servers may count whole seconds.
	guardSlack = time.Second
)

// cut is a window and the width of the pieces into which the guard cuts it.
// Requests of one piece count as one moment, which bounds the work of a look.
type cut struct{ window, piece time.Duration }

// cutFor cuts a window so finely that, where requests are few, hardly any share a
// piece.
func cutFor(limit int, window time.Duration) cut {
	if limit > 512 {
		return cut{window, window / 128}
	}
	return cut{window, window / 512}
}

// guard keeps what a server with two counters would refuse: the previous
// window's count, weighted by how much of that window the last Window still
// covers, and the current one's, the request itself included, are at most the
// limit, wherever that server's windows begin.
//
// Such a server, whose current window began at s, counts
//
//	previous(s) * (1 - (at-s)/window) + current(s) + 1
//
// Moving a request to a later moment never makes this smaller. So all requests in
// a piece of the window are taken to be as late as the latest of them, and the
// guard errs by less than a piece, on the safe side.
type guard struct {
	cut
	groups []group // ascending; those two windows old are dropped, with some delay
	total  int     // requests ever added

	// The last answer of next, which holds until a request is added: with this
	// budget, to is the first safe moment from from on.
	budget   int
	from, to time.Duration
}

// group is the requests of one piece of the window.
type group struct {
	at     time.Duration // the latest of them
	before int           // requests ever added to earlier groups
}

// number is that of the piece that holds at.
func (g *guard) number(at time.Duration) time.Duration {
	n := at / g.piece
	if at%g.piece < 0 {
		n--
	}
	return n
}

// add counts a request at the moment at.
func (g *guard) add(at time.Duration) {
	// Requests come nearly in order, so the place is at the end or not far from it.
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

// before is how many requests are in groups before the i-th.
func (g *guard) before(i int) int {
	if i == len(g.groups) {
		return g.total
	}
	return g.groups[i].before
}

// after is the first group later than at.
func (g *guard) after(at time.Duration) int {
	return sort.Search(len(g.groups), func(i int) bool { return g.groups[i].at > at })
}

// expire drops groups that no window can count any more.
func (g *guard) expire(now time.Duration) {
	if len(g.groups) > int(4*g.window/g.piece) {
		g.groups = slices.Delete(g.groups, 0, g.after(now-2*g.window))
	}
}

// next is the first moment, at or after at, at which a request is safe, where so
// many requests may be counted with it and so many are still in flight.
//
// For a fixed moment, the count grows with s, except where s passes a request
// (which then belongs to the previous window) or passes it by a whole window
// (where it drops out), so only those places need a look. In ascending order one
// look is enough: waiting makes no earlier window fuller.
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
		left := budget + g.before(current) // by the requests since s
		if weighed <= left {
			break // both windows together are safe, and later ones hold no more
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

// wait is how long after its beginning a window is safe in which so many requests
// of the window before may count for no more than left.
func (g *guard) wait(weighed, left int) time.Duration {
	if left <= 0 {
		return g.window
	}
	over := float64(weighed-left) / float64(weighed)
	return min(g.window, time.Duration(over*float64(g.window))+guardSlack)
}
