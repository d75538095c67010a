package clerktest

import (
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// QuotaInstance names, for [WithQuota], the quota that all calls of the
// instance share. [OpAny] names the same one.
const QuotaInstance Operation = "instance"

// quotaRule is a documented or overridden limit.
type quotaRule struct {
	limit  int
	window time.Duration
}

// defaultQuotas are the limits Clerk documents for one secret key.
func defaultQuotas(live bool) map[Operation]quotaRule {
	rules := map[Operation]quotaRule{
		OpAny:    {100, 10 * time.Second},
		OpBulk:   {50, time.Hour},
		OpCreate: {250, time.Hour},

		OpApplicationBulk:   {25, time.Hour},
		OpApplicationCreate: {100, time.Hour},
	}
	if live {
		rules[OpAny] = quotaRule{1000, 10 * time.Second}
	}
	return rules
}

// quota is the state of one limit: an algorithm, and the block that follows a
// refusal, since Clerk keeps an endpoint closed until Retry-After has passed.
type quota struct {
	algorithm      algorithm
	countsRefusals bool
	blockedUntil   time.Time
}

func newQuota(w Window, r quotaRule) *quota {
	return &quota{algorithm: w.newAlgorithm(r.limit, r.window), countsRefusals: w.countsRefusals()}
}

// admit counts one request and returns 0, or the whole seconds until which the
// quota is closed.
func (q *quota) admit(now time.Time) (retryAfter int) {
	if now.Before(q.blockedUntil) {
		if q.countsRefusals {
			_, wait := q.algorithm.allow(now)
			q.block(now, wait)
		}
		return wholeSeconds(q.blockedUntil.Sub(now))
	}
	ok, wait := q.algorithm.allow(now)
	if ok {
		return 0
	}
	q.block(now, wait)
	return wholeSeconds(q.blockedUntil.Sub(now))
}

func (q *quota) block(now time.Time, wait time.Duration) {
	until := now.Add(time.Duration(wholeSeconds(wait)) * time.Second)
	if until.After(q.blockedUntil) {
		q.blockedUntil = until
	}
}

// wholeSeconds rounds up, and never down to "now".
func wholeSeconds(d time.Duration) int {
	return max(1, int((d+time.Second-1)/time.Second))
}

// admit asks the instance's quota and then the operation's own. A request that
// the second refuses still counts against the first. The caller holds s.mu.
func (s *Server) admit(op Operation, now time.Time) *apiError {
	for _, name := range [...]Operation{OpAny, op} {
		q := s.quotas[name]
		if q == nil {
			continue
		}
		if seconds := q.admit(now); seconds > 0 {
			return s.tooManyRequests(seconds)
		}
		if op == OpAny {
			break
		}
	}
	return nil
}

func (s *Server) tooManyRequests(seconds int) *apiError {
	e := newError(http.StatusTooManyRequests, "too_many_requests", "too many requests",
		fmt.Sprintf("The rate limit is used up for %d more seconds.", seconds))
	if s.retryAfter {
		e.header = http.Header{"Retry-After": {strconv.Itoa(seconds)}}
	}
	return e
}
