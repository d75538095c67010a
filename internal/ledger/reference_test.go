package ledger

import (
	"math"
	"slices"
	"time"
)

// reference is a ledger as it is defined: it looks at every request, for every
// question.
type reference struct {
	limit  int
	window time.Duration

	requests []time.Duration // when each was counted, or will be; those of the last two windows
	inFlight int
	closed   time.Duration
	guarded  bool
	refused  time.Duration
}

// look forgets what lies far enough in the past.
func (r *reference) look(now time.Duration) {
	r.requests = slices.DeleteFunc(r.requests, func(at time.Duration) bool { return at+2*r.window+Slack <= now })
	if r.closed <= now {
		r.closed = 0
	}
	quiet := r.refused+2*r.window+Slack <= now && len(r.requests)+r.inFlight < r.limit
	if quiet || r.window < shortestGuarded {
		r.guarded = false
	}
}

// out is when the tokens of requests come back, in order.
func (r *reference) out(now time.Duration) (returns []time.Duration) {
	for _, at := range r.requests {
		if back := at + r.window + Slack; back > now {
			returns = append(returns, back)
		}
	}
	slices.Sort(returns)
	return returns
}

func (r *reference) left(now time.Duration) int {
	r.look(now)
	return max(0, r.limit-r.inFlight-len(r.out(now)))
}

func (r *reference) next(now time.Duration, ahead int) time.Duration {
	r.look(now)
	if ahead >= r.limit {
		return math.MaxInt64
	}
	at, out := max(now, r.closed), r.out(now)
	missing := r.inFlight + len(out) + ahead + 1 - r.limit
	switch {
	case missing <= 0:
	case missing <= len(out):
		at = max(at, out[missing-1])
	default:
		at = max(at, now+r.window+Slack)
	}
	if r.guarded {
		at = r.guard(now, at, r.limit-ahead)
	}
	return at
}

func (r *reference) nextReturn(now time.Duration) time.Duration {
	r.look(now)
	out := r.out(now)
	switch {
	case len(out) > 0:
		return max(r.closed, out[0])
	case r.inFlight > 0:
		return max(r.closed, now+r.window+Slack)
	default:
		return r.closed
	}
}

func (r *reference) available(now time.Duration) (n int) {
	for n < r.left(now) && r.next(now, n) <= now {
		n++
	}
	return n
}

func (r *reference) seed(now time.Duration, moments []time.Duration) {
	r.look(now)
	for i, at := range moments {
		count := func(moments []time.Duration) (n int) {
			for _, other := range moments {
				if other == at {
					n++
				}
			}
			return n
		}
		if count(r.requests) < count(moments[:i+1]) && at+2*r.window+Slack > now {
			r.requests = append(r.requests, at)
		}
	}
}

// guard is the first moment at which none of the windows that may have begun is
// too full, with the requests of a piece as late as the latest of them.
func (r *reference) guard(now, at time.Duration, room int) time.Duration {
	width := cutFor(r.limit, r.window).piece
	number := func(at time.Duration) float64 { return math.Floor(float64(at) / float64(width)) }
	var moments []time.Duration
	pending := r.inFlight
	for _, t := range r.requests {
		if t > now {
			pending++
			continue
		}
		latest := t
		for _, other := range r.requests {
			if other <= now && number(other) == number(t) {
				latest = max(latest, other)
			}
		}
		moments = append(moments, latest)
	}
	for {
		later := at
		for _, t := range moments {
			for _, s := range [2]time.Duration{t, t + r.window} {
				if s > at || s <= at-r.window {
					continue
				}
				previous, current := 0, pending
				for _, t := range moments {
					switch {
					case t >= s:
						current++
					case t >= s-r.window:
						previous++
					}
				}
				if previous+current+1 <= room {
					continue
				}
				safe := s + r.window
				if left := room - current - 1; left > 0 {
					over := float64(previous-left) / float64(previous)
					safe = min(safe, s+time.Duration(over*float64(r.window))+guardSlack)
				}
				later = max(later, safe)
			}
		}
		if later == at {
			return at
		}
		at = later
	}
}

// counts is the most that a server which weighs its previous window may count at
// the moment at, wherever its windows begin, with one more request. Requests count
// later than they are by shift, and the clock is behind by behind.
func (r *reference) counts(at, shift, behind time.Duration) (most float64) {
	begins := []time.Duration{at}
	for _, t := range r.requests {
		begins = append(begins, t+shift, t+shift+r.window)
	}
	for _, s := range begins {
		if s > at || s <= at-r.window {
			continue
		}
		covered := min(1, 1-float64(at-behind-s)/float64(r.window))
		count := float64(r.inFlight) + 1
		for _, t := range r.requests {
			switch {
			case t+shift >= s:
				count++
			case t+shift >= s-r.window:
				count += covered
			}
		}
		most = max(most, count)
	}
	return most
}
