package clerkorg

import (
	"context"
	"errors"
	"slices"
	"time"
)

// Observer is told of the calls of a [Client] and of their attempts, to trace, measure or
// log them. A call has one attempt, and another one for each retry.
//
// The events hold neither the secret key nor an e-mail address nor an id of a person or an
// organization. They are valid until CallEnded returns, and must not be changed. Methods
// are called by the goroutine of the call: they must return soon, must not panic, and must
// be safe for concurrent use.
type Observer interface {
	// CallStarted returns the context that the call goes on with, which is ctx or
	// derived from it.
	CallStarted(ctx context.Context, call *CallEvent) context.Context

	// AttemptStarted returns the context of the attempt, and so that of its request. It
	// is called before the quota is asked for.
	AttemptStarted(ctx context.Context, attempt *AttemptEvent) context.Context

	// AttemptEnded has the context that AttemptStarted returned.
	AttemptEnded(ctx context.Context, attempt *AttemptEvent)

	// CallEnded has the context that CallStarted returned.
	CallEnded(ctx context.Context, call *CallEvent)
}

// CallEvent is a call, as an [Observer] sees it.
type CallEvent struct {
	Operation string // as "Organizations.CreateInvitationBulk"
	Method    string // of HTTP
	Path      string // a template, as "/organizations/{organization_id}/invitations/bulk"
	BaseURL   string // that of the client

	// What follows is known when the call has ended.

	Attempts int
	Waited   time.Duration // for quota, and for as long as the server asked to wait
	Duration time.Duration
	Result   CallResult // of the call, which is mostly that of its last attempt
}

// AttemptEvent is an attempt of a call, as an [Observer] sees it.
type AttemptEvent struct {
	Call     *CallEvent
	Number   int           // 1 for the first
	Previous *AttemptEvent // the one that this one repeats; nil for the first
	Backoff  time.Duration // since the end of the previous one

	// What follows is known when the attempt has ended.

	Quota     string        // the name of the endpoint's quota, or [QuotaInstance]; empty where no token was taken
	QuotaLeft int           // tokens left in it after one was taken
	Waited    time.Duration // for the token
	Duration  time.Duration // with that wait
	Result    CallResult

	ended time.Time
}

// Failures that a [CallResult] names.
const (
	FailureRateLimited = "rate limited"        // a spent quota: nothing was sent
	FailureLimiter     = "limiter unavailable" // the limiter cannot be asked: nothing was sent
	FailureCanceled    = "canceled"            // by the caller's context
	FailureTimeout     = "timeout"             // of the caller's context or of the client
	FailureNoAnswer    = "no answer"           // the request may have left
	FailureNotSent     = "not sent"            // the request did not leave
	FailureUnreadable  = "unreadable"          // the answer is a success that cannot be read
)

// CallResult is how a call or an attempt has ended.
type CallResult struct {
	Status      int         // of the answer; 0 where there is none
	Codes       []ErrorCode // of a refusal
	TraceID     string      // of the answer
	ContentType string      // of an answer that is no JSON

	// Failure is one of the constants where there is no answer, and empty otherwise.
	// Cause says more, where it is known: proxy, dns, refused, reset, unreachable, tls,
	// timeout or dial.
	Failure, Cause string

	Sent           bool // whether the request may have left
	OutcomeUnknown bool // whether a create may have been carried out, as in [ErrOutcomeUnknown]

	// RefusedBy is the quota that refused, and RetryAfter for how long, where the limiter
	// or the server did so.
	RefusedBy  string
	RetryAfter time.Duration
}

// OK reports whether the call has succeeded.
func (r *CallResult) OK() bool { return r.Failure == "" && isSuccess(r.Status) }

// resultOf describes how a call or an attempt has ended. got may be nil with an error.
func resultOf(got *answer, err error) CallResult {
	switch {
	case err == nil && got == nil:
		return CallResult{}
	case err == nil:
		return CallResult{Status: got.status, TraceID: traceID(got.header), ContentType: foreignType(mediaType(got.header)), Sent: true}
	}
	var result CallResult
	if api, ok := errors.AsType[*APIError](err); ok {
		result = api.result()
	} else {
		result = CallResult{Failure: failureKind(err), Cause: networkCause(err), Sent: isSent(err)}
	}
	if limited, ok := errors.AsType[*RateLimitError](err); ok {
		result.RefusedBy, result.RetryAfter = limited.Quota.Name, limited.RetryAfter
		if result.Status == 0 {
			result.Failure, result.Cause = FailureRateLimited, ""
		}
	}
	result.OutcomeUnknown = errors.Is(err, ErrOutcomeUnknown)
	return result
}

// observed is what the observers of a call share.
type observed struct {
	event   CallEvent
	started time.Time
	last    *AttemptEvent
}

// startCall tells the observers that a call begins.
func (c *Client) startCall(ctx context.Context, call *call) context.Context {
	call.observed = &observed{
		event:   CallEvent{Operation: call.operation, Method: call.method, Path: call.template, BaseURL: c.baseURL},
		started: time.Now(),
	}
	for _, observer := range c.observers {
		ctx = observer.CallStarted(ctx, &call.observed.event)
	}
	return ctx
}

// endCall tells the observers how a call has ended.
func (c *Client) endCall(ctx context.Context, call *call, err error) {
	event := &call.observed.event
	event.Attempts, event.Waited, event.Duration = call.attempt, call.waited, time.Since(call.observed.started)
	event.Result = resultOf(nil, err)
	if last := call.observed.last; last != nil {
		switch {
		case err == nil:
			event.Result = last.Result
		case event.Result.Failure == FailureUnreadable: // which the attempt does not know
			event.Result.Status, event.Result.TraceID, event.Result.ContentType = last.Result.Status, last.Result.TraceID, last.Result.ContentType
		}
	}
	for _, observer := range slices.Backward(c.observers) {
		observer.CallEnded(ctx, event)
	}
}

// observe tells the observers of every attempt.
func (c *Client) observe(next handler) handler {
	if len(c.observers) == 0 {
		return next
	}
	return func(ctx context.Context, call *call) (*answer, error) {
		start, waited := time.Now(), call.waited
		event := &AttemptEvent{Call: &call.observed.event, Number: call.attempt, Previous: call.observed.last}
		if event.Previous != nil {
			event.Backoff = start.Sub(event.Previous.ended)
		}
		call.observed.last = event
		call.took = ""
		for _, observer := range c.observers {
			ctx = observer.AttemptStarted(ctx, event)
		}
		got, err := next(ctx, call)
		event.ended = time.Now()
		event.Quota, event.QuotaLeft = call.took, call.remaining
		event.Waited, event.Duration = call.waited-waited, event.ended.Sub(start)
		event.Result = resultOf(got, err)
		for _, observer := range slices.Backward(c.observers) {
			observer.AttemptEnded(ctx, event)
		}
		return got, err
	}
}
