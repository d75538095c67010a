package main

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/clerkorg/clerkorg-go"
)

// problem is the answer to a request that did not end well: application/problem+json
// as in RFC 9457. Its type is about:blank; code tells problems of a status apart.
type problem struct {
	Title  string `json:"title"` // the status in words
	Status int    `json:"status"`
	Detail string `json:"detail"`
	Code   string `json:"code"`

	Fields     []clerkorg.Problem   `json:"fields,omitempty"`      // what is wrong with the request
	ClerkCodes []clerkorg.ErrorCode `json:"clerk_codes,omitempty"` // why Clerk refused
	TraceID    string               `json:"trace_id,omitempty"`    // for Clerk's support

	// Invitations has an outcome for each person, in the order of the request. It is
	// absent where all are certainly not invited.
	Invitations []outcome `json:"invitations,omitempty"`

	retryAfter time.Duration
	err        error // for the log
}

// problemOf makes an answer of the error that ended a run of InviteAll. It repeats
// Clerk's codes and no sentences: those may tell more than the caller may know.
func problemOf(err error) *problem {
	p := describe(err)
	p.err = err
	if api, ok := errors.AsType[*clerkorg.APIError](err); ok {
		p.TraceID = api.TraceID
		if p.Status < http.StatusInternalServerError && p.Status != http.StatusTooManyRequests {
			for _, detail := range api.Errors {
				p.ClerkCodes = append(p.ClerkCodes, detail.Code)
			}
		}
	}
	return p
}

func describe(err error) *problem {
	if errors.Is(err, clerkorg.ErrOutcomeUnknown) {
		return &problem{Status: http.StatusBadGateway, Code: "outcome_unknown",
			Detail: "Clerk did not answer: people whose outcome is unknown may have been invited, or may be within the next minute. To send the same request again after that is safe."}
	}
	if invalid, ok := errors.AsType[*clerkorg.ValidationError](err); ok {
		return &problem{Status: http.StatusUnprocessableEntity, Code: "invalid", Detail: "nothing was sent: see fields", Fields: invalid.Problems}
	}
	if limited, ok := errors.AsType[*clerkorg.RateLimitError](err); ok {
		return &problem{Status: http.StatusTooManyRequests, Code: "rate_limited", Detail: "the quota is spent: send the request again after the time in Retry-After", retryAfter: max(time.Second, limited.RetryAfter)}
	}
	if errors.Is(err, clerkorg.ErrLimiterUnavailable) {
		return &problem{Status: http.StatusServiceUnavailable, Code: "quota_unknown", Detail: "the quota cannot be looked up: send the request again later"}
	}
	api, ok := errors.AsType[*clerkorg.APIError](err)
	switch {
	case !ok && (errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)):
		return &problem{Status: http.StatusGatewayTimeout, Code: "too_slow", Detail: "there was no time left to ask Clerk: send the request again"}
	case !ok:
		return &problem{Status: http.StatusBadGateway, Code: "clerk_unreachable", Detail: "Clerk cannot be reached: send the request again later"}
	case errors.Is(err, clerkorg.ErrNotFound):
		return &problem{Status: http.StatusNotFound, Code: "not_found", Detail: "there is no such organization"}
	case api.HasCode(clerkorg.CodeMembershipQuotaExceeded), api.HasCode(clerkorg.CodeInsufficientSeats):
		return &problem{Status: http.StatusConflict, Code: "organization_full", Detail: "the organization has no room for so many"}
	default: // our key, our plan, Clerk itself: nothing that the caller can change
		return &problem{Status: http.StatusBadGateway, Code: "clerk_failed", Detail: "Clerk refused to do this"}
	}
}

// loggable returns what may be logged of an error: one of the client, below those that
// InviteAll wraps it with, logs itself without addresses and sentences.
func loggable(err error) any {
	if value, ok := errors.AsType[interface {
		error
		slog.LogValuer
	}](err); ok {
		return value
	}
	return err
}

func (s *service) fail(ctx context.Context, w http.ResponseWriter, p *problem) {
	level := slog.LevelInfo
	if p.Status >= http.StatusInternalServerError && !errors.Is(p.err, context.Canceled) { // a caller who has left gets no answer
		level = slog.LevelError
	}
	s.log.Log(ctx, level, "problem", "status", p.Status, "code", p.Code, "err", loggable(p.err))
	if p.retryAfter > 0 {
		// Rounded up: a second early is another 429.
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(p.retryAfter.Seconds()))))
	}
	p.Title = http.StatusText(p.Status)
	s.reply(ctx, w, p.Status, "application/problem+json", p)
}

func (s *service) reply(ctx context.Context, w http.ResponseWriter, status int, contentType string, body any) {
	w.Header().Set("Content-Type", contentType)
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(body); err != nil {
		s.log.InfoContext(ctx, "the answer did not reach the caller", "err", err)
	}
}
