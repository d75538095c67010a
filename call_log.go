package clerkorg

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"syscall"
	"time"
)

// failedAttempt is what the log keeps of an attempt for the line of the next one.
type failedAttempt struct {
	err error
	end time.Time
}

// log writes a line for every attempt: a warning where it repeats another one or where
// the request never left, and debug otherwise. Lines name codes, types and templates
// only: ids, addresses and the server's sentences stay out of them, and so does the text
// of errors that are not ours, which could hold anything.
func (c *Client) log(next handler) handler {
	if c.logger == nil {
		return next
	}
	return func(ctx context.Context, call *call) (*answer, error) {
		if !c.logger.Enabled(ctx, slog.LevelWarn) {
			return next(ctx, call)
		}
		start := time.Now()
		got, err := next(ctx, call)
		end := time.Now()
		level := slog.LevelDebug
		if call.attempt > 1 || neverLeft(err) {
			level = slog.LevelWarn
		}
		if c.logger.Enabled(ctx, level) {
			attrs := []slog.Attr{
				slog.String("method", call.method),
				slog.String("path", call.template),
				slog.Int("attempt", call.attempt),
				slog.Duration("duration", end.Sub(start)),
				slog.Int("quota_left", call.remaining),
			}
			if call.attempt > 1 {
				attrs = append(attrs,
					slog.Duration("wait", start.Sub(call.failed.end)),
					slog.Attr{Key: "after", Value: slog.GroupValue(failureAttrs(call.failed.err)...)})
			}
			c.logger.LogAttrs(ctx, level, "clerk api call", append(attrs, outcomeAttrs(got, err)...)...)
		}
		call.failed = failedAttempt{err, end}
		return got, err
	}
}

// neverLeft reports whether a request was not sent for a reason that deserves a warning:
// not because the caller cancelled it, nor because the client's own ledger shows that
// the quota is spent, as happens every hour of an import.
func neverLeft(err error) bool {
	if errors.Is(err, ErrLimiterUnavailable) {
		return true
	}
	failed, ok := errors.AsType[*callError](err)
	return ok && !failed.sent && !errors.Is(err, context.Canceled)
}

// outcomeAttrs say how an attempt ended.
func outcomeAttrs(got *answer, err error) []slog.Attr {
	if err != nil {
		return failureAttrs(err)
	}
	attrs := []slog.Attr{slog.Int("status", got.status), slog.String("trace_id", traceID(got.header))}
	if kind := foreignType(mediaType(got.header)); kind != "" {
		attrs = append(attrs, slog.String("content_type", kind))
	}
	return attrs
}

func failureAttrs(err error) []slog.Attr {
	var api *APIError
	var limited *RateLimitError
	switch {
	case errors.As(err, &api):
		return api.logAttrs()
	case errors.As(err, &limited):
		return []slog.Attr{slog.String("refused_by", limited.Quota.Name), slog.Duration("retry_after", limited.RetryAfter)}
	}
	attrs := []slog.Attr{slog.String("failure", failureKind(err)), slog.Bool("sent", isSent(err))}
	if cause := networkCause(err); cause != "" {
		attrs = append(attrs, slog.String("cause", cause))
	}
	return attrs
}

// failureKind names the end of a call that got no answer.
func failureKind(err error) string {
	switch {
	case errors.Is(err, ErrLimiterUnavailable):
		return "limiter unavailable"
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

// networkCause names what went wrong with a connection, by the types of the standard
// library; it is empty where they do not tell.
func networkCause(err error) string {
	operation, _ := errors.AsType[*net.OpError](err)
	network, _ := errors.AsType[net.Error](err)
	switch {
	case operation != nil && operation.Op == "proxyconnect":
		return "proxy"
	case isType[*net.DNSError](err):
		return "dns"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "refused"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return "reset"
	case errors.Is(err, syscall.ENETUNREACH), errors.Is(err, syscall.EHOSTUNREACH):
		return "unreachable"
	case isType[*tls.CertificateVerificationError](err), isType[tls.RecordHeaderError](err), isType[tls.AlertError](err),
		errors.Is(err, http.ErrSchemeMismatch):
		return "tls"
	case network != nil && network.Timeout():
		return "timeout"
	case operation != nil && operation.Op == "dial":
		return "dial"
	}
	return ""
}

func isType[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}
