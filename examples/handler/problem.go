package main

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/clerkorg/clerkorg-go"
)

// problem is the answer to a request that did not end well.
type problem struct {
	Status  int    `json:"-"`
	Code    string `json:"code"`
	Message string `json:"message"`

	Fields     []clerkorg.Problem   `json:"fields,omitempty"`      // what is wrong with the request
	ClerkCodes []clerkorg.ErrorCode `json:"clerk_codes,omitempty"` // why Clerk refused
	TraceID    string               `json:"trace_id,omitempty"`    // for Clerk's support

	retryAfter time.Duration
	err        error // for the log
}

// problemOf makes an error of the client an answer. Clerk's sentences stay here:
// its codes say the same, and no more than a caller may know.
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
	if invalid, ok := errors.AsType[*clerkorg.ValidationError](err); ok {
		return &problem{Status: http.StatusUnprocessableEntity, Code: "invalid", Message: "nothing was sent: see fields", Fields: invalid.Problems}
	}
	if limited, ok := errors.AsType[*clerkorg.RateLimitError](err); ok {
		return &problem{Status: http.StatusTooManyRequests, Code: "rate_limited", Message: "nobody was invited: try again later", retryAfter: max(time.Second, limited.RetryAfter)}
	}
	if errors.Is(err, clerkorg.ErrLimiterUnavailable) {
		return &problem{Status: http.StatusServiceUnavailable, Code: "quota_unknown", Message: "nobody was invited: try again later"}
	}
	if errors.Is(err, clerkorg.ErrOutcomeUnknown) {
		return &problem{Status: http.StatusBadGateway, Code: "outcome_unknown",
			Message: "Clerk did not answer: the people may have been invited, or may be within the next minute. Look at the organization's invitations before you send this again."}
	}
	api, ok := errors.AsType[*clerkorg.APIError](err)
	switch {
	case !ok && (errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)):
		return &problem{Status: http.StatusGatewayTimeout, Code: "too_slow", Message: "there was no time left to ask Clerk: nobody was invited"}
	case !ok:
		return &problem{Status: http.StatusBadGateway, Code: "clerk_unreachable", Message: "Clerk cannot be reached: nobody was invited"}
	case errors.Is(err, clerkorg.ErrNotFound):
		return &problem{Status: http.StatusNotFound, Code: "not_found", Message: "there is no such organization, or no such role"}
	case conflicts(api):
		return &problem{Status: http.StatusConflict, Code: "conflict", Message: "somebody is a member or invited already, or there is no room for so many"}
	case aboutPeople(api):
		return &problem{Status: http.StatusUnprocessableEntity, Code: "refused", Message: "Clerk does not accept somebody"}
	default: // our key, our plan, Clerk itself: nothing that a caller could mend
		return &problem{Status: http.StatusBadGateway, Code: "clerk_failed", Message: "Clerk refused to do this"}
	}
}

// conflicts reports a refusal because of how things stand.
func conflicts(api *clerkorg.APIError) bool {
	return api.StatusCode == http.StatusConflict || slices.ContainsFunc(api.Errors, func(detail clerkorg.ErrorDetail) bool {
		switch detail.Code {
		case clerkorg.CodeDuplicateRecord, clerkorg.CodeInvitationNotUnique, clerkorg.CodeAlreadyMember, clerkorg.CodeMembershipQuotaExceeded:
			return true
		}
		return false
	})
}

// aboutPeople reports whether Clerk has something against those who were to be
// invited, not against us.
func aboutPeople(api *clerkorg.APIError) bool {
	return conflicts(api) || api.HasCode(clerkorg.CodeNotAllowedAccess) ||
		api.StatusCode == http.StatusBadRequest || api.StatusCode == http.StatusUnprocessableEntity
}

// namedBy returns whom a refusal names, and with which code. Not every one does.
func namedBy(api *clerkorg.APIError) map[string]clerkorg.ErrorCode {
	named := map[string]clerkorg.ErrorCode{}
	for _, detail := range api.Errors {
		var meta struct {
			EmailAddresses []string `json:"email_addresses"`
			Identifiers    []string `json:"identifiers"`
		}
		_ = detail.Meta.Decode(&meta) // a meta of another shape names nobody
		for _, address := range append(meta.EmailAddresses, meta.Identifiers...) {
			named[fold(address)] = detail.Code
		}
	}
	return named
}

func codeOf(api *clerkorg.APIError) clerkorg.ErrorCode {
	if len(api.Errors) == 0 {
		return ""
	}
	return api.Errors[0].Code
}

// fold makes addresses that are the same to Clerk the same text.
func fold(address string) string { return clerkorg.AddressKey(strings.TrimSpace(address)) }

func (s *service) fail(ctx context.Context, w http.ResponseWriter, p *problem, outcomes []outcome) {
	level := slog.LevelInfo
	if p.Status >= http.StatusInternalServerError && !errors.Is(p.err, context.Canceled) { // who has left needs no answer
		level = slog.LevelError
	}
	// Errors of the client log themselves without addresses and sentences.
	s.log.Log(ctx, level, "not invited", "status", p.Status, "code", p.Code, "err", p.err)
	if p.retryAfter > 0 {
		// Rounded up: a second early is another 429.
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(p.retryAfter.Seconds()))))
	}
	s.reply(ctx, w, p.Status, answer{Error: p, Invitations: outcomes})
}

// answer is the body of every answer.
type answer struct {
	Error       *problem  `json:"error,omitempty"`
	Invitations []outcome `json:"invitations,omitempty"`
}

func (s *service) reply(ctx context.Context, w http.ResponseWriter, status int, body answer) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(body); err != nil {
		s.log.InfoContext(ctx, "the caller is gone", "err", err)
	}
}
