package clerkorg

import (
	"context"
	"errors"
	"log/slog"
	"time"
)

// log writes a debug line for every attempt. It names codes and templates only:
// ids, addresses and the server's sentences stay out of it.
func (c *Client) log(next handler) handler {
	if c.logger == nil {
		return next
	}
	return func(ctx context.Context, call *call) (*answer, error) {
		if !c.logger.Enabled(ctx, slog.LevelDebug) {
			return next(ctx, call)
		}
		start := time.Now()
		got, err := next(ctx, call)
		attrs := []slog.Attr{
			slog.String("method", call.method),
			slog.String("path", call.template),
			slog.Int("attempt", call.attempt),
			slog.Duration("duration", time.Since(start)),
			slog.Int("quota_left", call.remaining),
		}
		var api *APIError
		var limited *RateLimitError
		switch {
		case err == nil:
			attrs = append(attrs, slog.Int("status", got.status), slog.String("trace_id", traceID(got.header)))
		case errors.As(err, &api):
			attrs = append(attrs, slog.Int("status", api.StatusCode), slog.String("trace_id", api.TraceID), slog.String("codes", api.codes()))
		case errors.As(err, &limited):
			attrs = append(attrs, slog.String("refused_by", limited.Quota.Name), slog.Duration("retry_after", limited.RetryAfter))
		default:
			attrs = append(attrs, slog.String("failure", failureKind(err)))
		}
		c.logger.LogAttrs(ctx, slog.LevelDebug, "clerk api call", attrs...)
		return got, err
	}
}

// failureKind names a failure by its type: the text of an error that is not ours
// could hold anything.
func failureKind(err error) string {
	switch {
	case errors.Is(err, context.Canceled):
		return "canceled"
	case errors.Is(err, context.DeadlineExceeded):
		return "timeout"
	case isSent(err):
		return "no answer"
	default:
		return "not sent"
	}
}
