package clerkorg

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Names of the quotas that Clerk documents. A [Client] asks its [RateLimiter] for tokens
// by these names; [WithQuotas] replaces their numbers.
const (
	QuotaBulk     = "invitations.bulk"   // POST /organizations/{id}/invitations/bulk: 50 an hour
	QuotaCreate   = "invitations.create" // POST /organizations/{id}/invitations: 250 an hour
	QuotaInstance = "instance"           // all calls: 1000 in 10 s for sk_live_ keys, 100 for sk_test_

	QuotaApplicationBulk   = "application_invitations.bulk"   // POST /invitations/bulk: 25 an hour
	QuotaApplicationCreate = "application_invitations.create" // POST /invitations: 100 an hour
)

// Quota is a limit that the server sets on a kind of call: at most Limit
// requests in any Window, for one secret key.
//
// See https://clerk.com/docs/guides/how-clerk-works/system-limits.
type Quota struct {
	Name   string
	Limit  int
	Window time.Duration
}

// String says the quota in words: "invitations.bulk (50 in 1h0m0s)".
func (q Quota) String() string {
	return fmt.Sprintf("%s (%d in %s)", q.Name, q.Limit, q.Window)
}

func (q Quota) check() error {
	switch {
	case q.Name == "":
		return errors.New("a quota needs a name")
	case q.Limit < 1:
		return fmt.Errorf("quota %s: limit %d is not positive", q.Name, q.Limit)
	case q.Window <= 0:
		return fmt.Errorf("quota %s: window %s is not positive", q.Name, q.Window)
	}
	return nil
}

// RateLimiter keeps quotas. [NewTokenBucket] returns one in memory, the module
// redislimit has one that many processes share, and [Unlimited] never refuses.
//
// A request takes a token before it is sent, and settles it when its outcome is known.
// Implementations are safe for concurrent use.
type RateLimiter interface {
	// Acquire takes a token, waiting for one if req allows it. Where it cannot be
	// had in time, it returns a *RateLimitError at once; when ctx ends during the
	// wait, it returns the error of ctx. Any other error says that the limiter could
	// not answer, and becomes one that matches [ErrLimiterUnavailable] and wraps it.
	// Nothing is taken where an error is returned.
	Acquire(ctx context.Context, req ReservationRequest) (Reservation, error)

	// Settle must be called once per reservation, with its request's outcome. Its
	// context carries values only and does not end: settling must not be cancelled.
	Settle(ctx context.Context, reservation Reservation, outcome RequestOutcome) error

	// CloseUntil tells the limiter that the server refused a request although it had
	// a token. No token of that quota is granted before until.
	CloseUntil(ctx context.Context, quota Quota, until time.Time) error

	// State returns what is left of a quota, without taking any of it.
	State(ctx context.Context, quota Quota) (QuotaState, error)
}

// MultiRateLimiter is a [RateLimiter] that can take tokens of several quotas at once, as
// in one round trip to a server. A [Client] prefers that: most of its calls count against
// two quotas.
type MultiRateLimiter interface {
	RateLimiter

	// AcquireAll takes a token for each request, or none. It waits as Acquire does, one
	// request after the other; MaxWait is for all together. The errors are those of
	// Acquire.
	AcquireAll(ctx context.Context, reqs []ReservationRequest) ([]Reservation, error)
}

// Seeder is a [RateLimiter] that can count requests made before it was created, by
// another process with the same key. [TokenBucket] is one.
type Seeder interface {
	// Seed counts a request at each of the times. Times that it has counted before are
	// not counted twice.
	Seed(ctx context.Context, quota Quota, times ...time.Time) error
}

// ReservationRequest asks a [RateLimiter] for a token.
type ReservationRequest struct {
	Quota Quota

	// MaxWait is the longest wait for the token; with zero Acquire does not wait.
	MaxWait time.Duration

	// Reserve is how many tokens must be left for others once this one is taken.
	// Requests with a smaller reserve are served first.
	Reserve int
}

// Reservation is the right to send one request, granted by a [RateLimiter].
type Reservation struct {
	Quota Quota
	ID    string // the limiter's name for the token; may be empty
	Left  int    // tokens left after this one was taken

	ledger *bucketLedger // saves the in-memory bucket a look-up
}

// RequestOutcome is the outcome of a request that had a [Reservation].
type RequestOutcome int

const (
	// RequestNotSent: the request was certainly not sent. Its token is free at once.
	RequestNotSent RequestOutcome = iota + 1

	// RequestAnswered: an answer came just now. The token comes back one window + 5 s
	// later, so that no window, however the server cuts it, counts one too many.
	RequestAnswered

	// RequestUnanswered: the request may have been sent, and no answer came. It may
	// arrive late: the token comes back one window + 5 s + 60 s later.
	RequestUnanswered
)

// LateArrival is how much longer the token of a [RequestUnanswered] request is kept:
// the time in which the request may still reach the server.
const LateArrival = 60 * time.Second

// QuotaState is the state of a quota at a moment.
type QuotaState struct {
	Quota     Quota
	Available int // tokens that are free now; 0 while the quota is closed

	// NextAt is when the next token comes back, or a closed quota opens; zero
	// where all tokens are free.
	NextAt time.Time

	// ClosedUntil is when a quota that the server closed opens; zero where it is open.
	ClosedUntil time.Time
}

// Unlimited returns a [RateLimiter] that never refuses and remembers nothing, for
// programs that limit their calls elsewhere. A request that the server refuses with 429
// still obeys its Retry-After.
func Unlimited() RateLimiter { return unlimited{} }

type unlimited struct{}

func (unlimited) Acquire(ctx context.Context, req ReservationRequest) (Reservation, error) {
	return Reservation{Quota: req.Quota, Left: req.Quota.Limit}, ctx.Err()
}

func (unlimited) Settle(context.Context, Reservation, RequestOutcome) error { return nil }

func (unlimited) CloseUntil(context.Context, Quota, time.Time) error { return nil }

func (unlimited) State(_ context.Context, quota Quota) (QuotaState, error) {
	return QuotaState{Quota: quota, Available: quota.Limit}, nil
}
