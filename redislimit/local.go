package redislimit

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/clerkorg/clerkorg-go"
)

// localMark begins the names of tokens that were taken while Redis failed.
const localMark = "local:"

func isLocal(token clerkorg.Reservation) bool { return strings.HasPrefix(token.ID, localMark) }

// share is what this process may use of a quota while Redis fails.
func (l *Limiter) share(q clerkorg.Quota) (clerkorg.Quota, bool) {
	if l.replicas > 0 {
		q.Limit = max(1, q.Limit/l.replicas)
		return q, true
	}
	return q, q.Window < time.Minute
}

// mirror takes a token of the local bucket too, if there is one, so that the bucket
// knows what this process has used when Redis fails.
func (l *Limiter) mirror(q clerkorg.Quota, id string) clerkorg.Reservation {
	var token clerkorg.Reservation
	if share, ok := l.share(q); ok {
		token, _ = l.local.Acquire(context.Background(), clerkorg.ReservationRequest{Quota: share})
	}
	token.Quota, token.ID = q, id
	return token
}

// withoutRedis takes a token in memory, where the quota allows it.
func (l *Limiter) withoutRedis(ctx context.Context, w *waiter, failure error) (clerkorg.Reservation, error) {
	w.line.leave(w) // from here on it waits for its process alone
	share, ok := l.share(w.quota)
	if !ok {
		return clerkorg.Reservation{}, failure
	}
	token, err := l.local.Acquire(ctx, clerkorg.ReservationRequest{
		Quota:   share,
		MaxWait: max(0, w.maxWait-time.Since(w.since)),
		Reserve: w.reserve * share.Limit / w.quota.Limit,
	})
	if refused, ok := errors.AsType[*clerkorg.RateLimitError](err); ok {
		own := *refused
		own.Quota = w.quota
		return clerkorg.Reservation{}, &own
	}
	if err != nil {
		return clerkorg.Reservation{}, err
	}
	token.Quota, token.ID = w.quota, localMark+l.newID()
	w.line.took(token.ID, false, l.memory(w.quota))
	return token, nil
}
