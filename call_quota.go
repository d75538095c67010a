package clerkorg

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"
)

// acquireQuota takes a token of each quota that the call counts against, and settles
// them when the outcome of the call is known.
func (c *Client) acquireQuota(next handler) handler {
	return func(ctx context.Context, call *call) (got *answer, err error) {
		var held [2]Reservation
		reservations := held[:0]
		outcome := RequestNotSent // until the call goes on
		defer func() {
			// The tokens are settled also where the context of the call has ended. A
			// limiter that cannot be reached gives them back by itself in time.
			ctx := context.WithoutCancel(ctx)
			for _, reservation := range reservations {
				c.warnUnsettled(ctx, reservation.Quota, c.limiter.Settle(ctx, reservation, outcome))
			}
		}()

		for _, quota := range [2]Quota{call.quota, c.quotas[QuotaInstance]} {
			if quota.Limit == 0 {
				continue
			}
			start := time.Now()
			reservation, err := c.limiter.Acquire(ctx, ReservationRequest{
				Quota:   quota,
				MaxWait: max(0, c.maxWait-call.waited),
				Reserve: c.reserve[quota.Name],
			})
			call.waited += time.Since(start)
			if err != nil {
				return nil, call.refusal(ctx, quota, err)
			}
			if len(reservations) == 0 {
				call.remaining = reservation.Left
			}
			reservations = append(reservations, reservation)
		}

		outcome = RequestUnanswered // should anything panic
		got, err = next(ctx, call)
		outcome = outcomeOf(err)
		if api, ok := errors.AsType[*APIError](err); ok && api.StatusCode == http.StatusTooManyRequests {
			return nil, c.closeQuota(ctx, reservations[0], api)
		}
		return got, err
	}
}

// refusal turns an error of the limiter into one of this package. An error that is
// neither a spent quota nor the end of the context means that the limiter could not
// answer.
func (c *call) refusal(ctx context.Context, quota Quota, err error) error {
	if _, ok := errors.AsType[*RateLimitError](err); ok {
		return err
	}
	if over := ctx.Err(); over != nil && errors.Is(err, over) {
		return c.fail(false, err)
	}
	return &limiterError{quota: quota, err: err}
}

func outcomeOf(err error) RequestOutcome {
	failed, _ := errors.AsType[*callError](err)
	_, answered := errors.AsType[*APIError](err)
	switch {
	case err == nil || answered:
		return RequestAnswered
	case failed != nil && !failed.sent:
		return RequestNotSent
	default:
		return RequestUnanswered
	}
}

// closeQuota closes the quota of a call that the server refused with 429: that of the
// endpoint where it has one, since the server does not say which limit was exceeded,
// and refuses that endpoint in both cases.
func (c *Client) closeQuota(ctx context.Context, reservation Reservation, api *APIError) error {
	quota := reservation.Quota
	wait := api.RetryAfter
	if wait == 0 {
		wait = quota.Window / 10 // not told: at most ten attempts in a window
	}
	ctx = context.WithoutCancel(ctx)
	c.warnUnsettled(ctx, quota, c.limiter.CloseUntil(ctx, quota, time.Now().Add(wait)))
	return &RateLimitError{Quota: quota, RetryAfter: wait, Err: api, left: reservation.Left}
}

// warnUnsettled logs that a limiter could not be told the outcome of a call. The call
// itself does not fail because of it.
func (c *Client) warnUnsettled(ctx context.Context, quota Quota, err error) {
	if err != nil && c.logger != nil {
		c.logger.LogAttrs(ctx, slog.LevelWarn, "clerk quota not settled", slog.String("quota", quota.Name), slog.Any("error", err))
	}
}
