package clerkorg

import (
	"context"
	"errors"
	"net/http"
	"time"
)

// limit takes a token of each quota that the call counts against, and settles
// them when it is known what became of the call.
func (c *Client) limit(next handler) handler {
	return func(ctx context.Context, call *call) (got *answer, err error) {
		var held [2]Token
		tokens := held[:0]
		fate := NotSent // until the call goes on
		defer func() {
			// The call itself may be over; its tokens are to be settled all the same. A
			// limiter that cannot be reached gives them back by itself in time.
			ctx := context.WithoutCancel(ctx)
			for _, token := range tokens {
				c.note(ctx, token.Quota, c.limiter.Settle(ctx, token, fate))
			}
		}()

		for _, quota := range [2]Quota{call.quota, c.quotas[QuotaInstance]} {
			if quota.Limit == 0 {
				continue
			}
			start := time.Now()
			token, err := c.limiter.Acquire(ctx, TokenRequest{
				Quota:   quota,
				MaxWait: max(0, c.maxWait-call.waited),
				Reserve: c.reserve[quota.Name],
			})
			call.waited += time.Since(start)
			if err != nil {
				return nil, call.refusal(quota, err)
			}
			if len(tokens) == 0 {
				call.left = token.Left
			}
			tokens = append(tokens, token)
		}

		fate = Unanswered // should anything panic
		got, err = next(ctx, call)
		fate = fateOf(err)
		if api, ok := errors.AsType[*APIError](err); ok && api.StatusCode == http.StatusTooManyRequests {
			return nil, c.closeQuota(ctx, tokens[0].Quota, api)
		}
		return got, err
	}
}

// refusal makes an error of the limiter one of ours.
func (c *call) refusal(quota Quota, err error) error {
	if _, ok := errors.AsType[*RateLimitError](err); ok {
		return err
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return c.fail(false, err)
	}
	return &RateLimitError{Quota: quota, Err: err}
}

func fateOf(err error) Fate {
	failed, _ := errors.AsType[*callError](err)
	_, answered := errors.AsType[*APIError](err)
	switch {
	case err == nil || answered:
		return Answered
	case failed != nil && !failed.sent:
		return NotSent
	default:
		return Unanswered
	}
}

// closeQuota closes the quota of a call that the server refused. The quota of the
// endpoint takes the blame where it has one, since the server does not say which
// limit it was, and refuses that endpoint either way.
func (c *Client) closeQuota(ctx context.Context, quota Quota, api *APIError) error {
	wait := api.RetryAfter
	if wait == 0 {
		wait = quota.Window / 10 // nobody said; ten looks in a window at most
	}
	ctx = context.WithoutCancel(ctx)
	c.note(ctx, quota, c.limiter.CloseUntil(ctx, quota, time.Now().Add(wait)))
	return &RateLimitError{Quota: quota, RetryAfter: wait, Err: api}
}
