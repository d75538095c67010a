package clerkorg

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"syscall"
)

// logObserver writes a line for every attempt: a warning where it repeats another one or
// where the request never left, and debug otherwise. Lines name codes, types and templates
// only: ids, addresses and the server's sentences stay out of them, and so does the text
// of errors that are not ours, which could hold anything.
type logObserver struct{ logger *slog.Logger }

func (logObserver) CallStarted(ctx context.Context, _ *CallEvent) context.Context { return ctx }

func (logObserver) CallEnded(context.Context, *CallEvent) {}

func (logObserver) AttemptStarted(ctx context.Context, _ *AttemptEvent) context.Context { return ctx }

func (o logObserver) AttemptEnded(ctx context.Context, attempt *AttemptEvent) {
	level := slog.LevelDebug
	if attempt.Number > 1 || attempt.Result.neverLeft() {
		level = slog.LevelWarn
	}
	if !o.logger.Enabled(ctx, level) {
		return
	}
	attrs := []slog.Attr{
		slog.String("method", attempt.Call.Method),
		slog.String("path", attempt.Call.Path),
		slog.Int("attempt", attempt.Number),
		slog.Duration("duration", attempt.Duration),
		slog.Int("quota_left", attempt.QuotaLeft),
	}
	if attempt.Previous != nil {
		attrs = append(attrs,
			slog.Duration("wait", attempt.Backoff),
			slog.Attr{Key: "after", Value: slog.GroupValue(attempt.Previous.Result.logAttrs()...)})
	}
	o.logger.LogAttrs(ctx, level, "clerk api call", append(attrs, attempt.Result.logAttrs()...)...)
}

// neverLeft reports whether a request was not sent for a reason that deserves a warning:
// not because the caller cancelled it, nor because the client's own ledger shows that
// the quota is spent, as happens every hour of an import.
func (r *CallResult) neverLeft() bool {
	return !r.Sent && r.Failure != "" && r.Failure != FailureCanceled && r.Failure != FailureRateLimited
}

// logAttrs say how an attempt has ended.
func (r *CallResult) logAttrs() []slog.Attr {
	switch {
	case r.Failure == FailureRateLimited:
		return []slog.Attr{slog.String("refused_by", r.RefusedBy), slog.Duration("retry_after", r.RetryAfter)}
	case r.Failure != "":
		attrs := []slog.Attr{slog.String("failure", r.Failure), slog.Bool("sent", r.Sent)}
		if r.Cause != "" {
			attrs = append(attrs, slog.String("cause", r.Cause))
		}
		return attrs
	}
	attrs := []slog.Attr{slog.Int("status", r.Status)}
	if !isSuccess(r.Status) {
		attrs = append(attrs, slog.String("codes", joinCodes(r.Codes)))
	}
	attrs = append(attrs, slog.String("trace_id", r.TraceID))
	if r.ContentType != "" {
		attrs = append(attrs, slog.String("content_type", r.ContentType))
	}
	return attrs
}

// failureKind names the end of a call that got no answer.
func failureKind(err error) string {
	switch {
	case errors.Is(err, ErrLimiterUnavailable):
		return FailureLimiter
	case errors.Is(err, context.Canceled):
		return FailureCanceled
	case errors.Is(err, context.DeadlineExceeded):
		return FailureTimeout
	case errors.Is(err, errUnreadable):
		return FailureUnreadable
	case isSent(err):
		return FailureNoAnswer
	default:
		return FailureNotSent
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
