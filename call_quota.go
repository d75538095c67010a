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

		reservations, err = c.acquire(ctx, call, reservations)
		if err != nil {
			return nil, err
		}
		call.took, call.remaining = "", 0
		if len(reservations) > 0 {
			call.took, call.remaining = reservations[0].Quota.Name, reservations[0].Left
		}

		outcome = RequestUnanswered // should anything panic
		got, err = next(ctx, call)
		outcome = outcomeOf(err)
		if api, ok := errors.AsType[*APIError](err); ok && api.StatusCode == http.StatusTooManyRequests {
			return nil, c.closeQuota(ctx, reservations, api)
		}
		return got, err
	}
}

// acquire adds a token of each quota that the call counts against. Those that are taken
// before an error are returned with it.
func (c *Client) acquire(ctx context.Context, call *call, taken []Reservation) ([]Reservation, error) {
	start := time.Now()
	before := call.waited
	defer func() { call.waited = before + time.Since(start) }()
	if multi, ok := c.limiter.(MultiRateLimiter); ok && call.quota.Limit > 0 {
		taken, err := multi.AcquireAll(ctx, []ReservationRequest{c.request(call, call.quota), c.request(call, c.quotas[QuotaInstance])})
		if err != nil {
			return nil, call.refusal(ctx, call.quota, err)
		}
		return taken, nil
	}
	for _, quota := range [2]Quota{call.quota, c.quotas[QuotaInstance]} {
		if quota.Limit == 0 {
			continue
		}
		call.waited = before + time.Since(start)
		reservation, err := c.limiter.Acquire(ctx, c.request(call, quota))
		if err != nil {
			return taken, call.refusal(ctx, quota, err)
		}
		taken = append(taken, reservation)
	}
	return taken, nil
}

func (c *Client) request(call *call, quota Quota) ReservationRequest {
	return ReservationRequest{Quota: quota, MaxWait: max(0, c.maxWait-call.waited), Reserve: c.reserve[quota.Name]}
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

// closeQuota closes what the call has exceeded, as the server's 429 says. The answer does
// not name the quota. A wait no longer than the window of the instance's quota, while more
// than half of that one is used, may be about either: both close then, and the error names
// the instance's, since the endpoint's may have all its tokens.
func (c *Client) closeQuota(ctx context.Context, reservations []Reservation, api *APIError) error {
	ctx = context.WithoutCancel(ctx)
	exceeded, instance := reservations[0], reservations[len(reservations)-1]
	wait := api.RetryAfter
	if wait == 0 {
		wait = exceeded.Quota.Window / 10 // not told: at most ten attempts in a window
	}
	c.warnUnsettled(ctx, exceeded.Quota, c.limiter.CloseUntil(ctx, exceeded.Quota, time.Now().Add(wait)))
	if len(reservations) > 1 && wait <= instance.Quota.Window && instance.Left < instance.Quota.Limit/2 {
		exceeded = instance
		c.warnUnsettled(ctx, exceeded.Quota, c.limiter.CloseUntil(ctx, exceeded.Quota, time.Now().Add(wait)))
	}
	return &RateLimitError{Quota: exceeded.Quota, RetryAfter: wait, Err: api, left: reservations[0].Left}
}

// warnUnsettled logs that a limiter could not be told the outcome of a call. The call
// itself does not fail because of it.
func (c *Client) warnUnsettled(ctx context.Context, quota Quota, err error) {
	if err != nil && c.logger != nil {
		c.logger.LogAttrs(ctx, slog.LevelWarn, "clerk quota not settled", slog.String("quota", quota.Name), slog.Any("error", err))
	}
}
