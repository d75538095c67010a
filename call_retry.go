package clerkorg

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/cenkalti/backoff/v5"
)

// retry repeats what can be repeated without doing anything twice:
//   - any call that never left, that the server says it did not process (HTTP/2), or
//     that it refused with 429, or with 503 and a Retry-After;
//   - a read, also after a network failure or a 500, 502, 503 or 504.
//
// A wait that the server asked for is kept whole, or handed back at once where it
// is longer than the caller's patience.
func (c *Client) retry(next handler) handler {
	return func(ctx context.Context, call *call) (*answer, error) {
		var schedule *backoff.ExponentialBackOff
		for call.attempt = 1; ; call.attempt++ {
			got, err := next(ctx, call)
			if err == nil || ctx.Err() != nil || call.attempt > c.maxRetries {
				return got, err
			}
			again, wait := repeatable(call, err)
			if !again || wait > 0 && wait > c.maxWait-call.waited {
				return nil, err
			}
			if wait > 0 {
				call.waited += wait
			} else {
				if schedule == nil {
					schedule = newSchedule(c.backoff)
				}
				wait = schedule.NextBackOff()
			}
			if !sleepWithinDeadline(ctx, wait) {
				return nil, backoffInterrupted(ctx, err)
			}
		}
	}
}

// newSchedule is first, doubling up to 10 s, each times a random 0.5 to 1.5.
func newSchedule(first time.Duration) *backoff.ExponentialBackOff {
	schedule := backoff.NewExponentialBackOff()
	schedule.InitialInterval = first
	schedule.Multiplier = 2
	schedule.MaxInterval = 10 * time.Second
	return schedule
}

// repeatable reports whether the call can be sent again, and how long the server
// asked to wait; zero where it said nothing.
func repeatable(call *call, err error) (retry bool, wait time.Duration) {
	if api, ok := errors.AsType[*APIError](err); ok {
		switch api.StatusCode {
		case http.StatusTooManyRequests:
			if limited, ok := errors.AsType[*RateLimitError](err); ok {
				return true, limited.RetryAfter
			}
			return true, api.RetryAfter
		case http.StatusServiceUnavailable:
			return api.RetryAfter > 0 || !call.creates(), api.RetryAfter
		case http.StatusInternalServerError, http.StatusBadGateway, http.StatusGatewayTimeout:
			return !call.creates(), api.RetryAfter
		}
		return false, 0
	}
	failed, ok := errors.AsType[*callError](err)
	return ok && (!failed.sent || !call.creates()), 0
}

// backoffInterrupted is the error of the last attempt, and that of the context where it ended
// the wait for another one.
func backoffInterrupted(ctx context.Context, err error) error {
	if ctx.Err() == nil {
		return err
	}
	return &callError{err: fmt.Errorf("%w: waiting to try again: %w", err, ctx.Err())}
}

// sleepWithinDeadline reports whether it slept: it does not begin where ctx leaves no
// time after it.
func sleepWithinDeadline(ctx context.Context, wait time.Duration) bool {
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) <= wait {
		return false
	}
	return sleep(ctx, wait)
}

// sleep sleeps until ctx ends at most, and reports whether it did not.
func sleep(ctx context.Context, wait time.Duration) bool {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
