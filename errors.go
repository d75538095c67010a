package clerkorg

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// What went wrong, for errors.Is. Every error of a call matches at most one of
// the first four, and may match [ErrOutcomeUnknown] besides.
var (
	// ErrUnauthorized: the secret key was not accepted (401).
	ErrUnauthorized = errors.New("clerkorg: the secret key was not accepted")

	// ErrForbidden: the key is right, but may not do this (403).
	ErrForbidden = errors.New("clerkorg: not allowed")

	// ErrNotFound: there is no such organization, invitation or role (404).
	ErrNotFound = errors.New("clerkorg: not found")

	// ErrRateLimited: a quota is spent. Either the client's own ledger says so and
	// nothing was sent, or the server answered 429. The error is a
	// [*RateLimitError], which says how long to wait.
	ErrRateLimited = errors.New("clerkorg: rate limited")

	// ErrOutcomeUnknown: the request left, and whether it was carried out is not
	// known: the connection broke, the time ran out, the server failed halfway or
	// its answer could not be read. List the invitations before sending it again.
	ErrOutcomeUnknown = errors.New("clerkorg: outcome unknown")
)

// ErrorCode is Clerk's name for what went wrong. Codes without a constant here
// may come at any time.
type ErrorCode string

// Codes that the calls of this package can meet.
// See https://clerk.com/docs/guides/development/errors/backend-api.
const (
	CodeAlreadyMember             ErrorCode = "already_a_member_in_organization"
	CodeAPIVersionInvalid         ErrorCode = "api_version_invalid"
	CodeAuthenticationInvalid     ErrorCode = "authentication_invalid"
	CodeAuthorizationHeader       ErrorCode = "authorization_header_format_invalid"
	CodeAuthorizationInvalid      ErrorCode = "authorization_invalid"
	CodeBadRequest                ErrorCode = "bad_request"
	CodeBulkSizeExceeded          ErrorCode = "bulk_size_exceeded"
	CodeConflict                  ErrorCode = "conflict"
	CodeDevEmailLimitExceeded     ErrorCode = "dev_monthly_email_limit_exceeded"
	CodeDuplicateRecord           ErrorCode = "duplicate_record"
	CodeFeatureNotEnabled         ErrorCode = "feature_not_enabled"
	CodeGatewayTimeout            ErrorCode = "gateway_timeout"
	CodeInsecureURL               ErrorCode = "insecure_url"
	CodeInsufficientSeats         ErrorCode = "insufficient_seats"
	CodeInternalError             ErrorCode = "internal_clerk_error"
	CodeInvitationAlreadyAccepted ErrorCode = "organization_invitation_already_accepted"
	CodeInvitationNotPending      ErrorCode = "organization_invitation_not_pending"
	CodeInvitationNotUnique       ErrorCode = "organization_invitation_not_unique"
	CodeInvitationRevoked         ErrorCode = "organization_invitation_revoked_code"
	CodeInvitationsNotSupported   ErrorCode = "invitations_not_supported"
	CodeMaintenanceMode           ErrorCode = "maintenance_mode"
	CodeMalformedParameters       ErrorCode = "malformed_request_parameters"
	CodeMembershipQuotaExceeded   ErrorCode = "organization_membership_quota_exceeded"
	CodeMissingPermission         ErrorCode = "missing_organization_permission"
	CodeNotAllowedAccess          ErrorCode = "not_allowed_access"
	CodeNotAMember                ErrorCode = "not_a_member_in_organization"
	CodeOrganizationsNotEnabled   ErrorCode = "organization_not_enabled_in_instance"
	CodeOrganizationNotFound      ErrorCode = "organization_not_found_or_unauthorized"
	CodeParamDuplicate            ErrorCode = "form_param_duplicate"
	CodeParamFormatInvalid        ErrorCode = "form_param_format_invalid"
	CodeParamMissing              ErrorCode = "form_param_missing"
	CodeParamNil                  ErrorCode = "form_param_nil"
	CodeParamTooLarge             ErrorCode = "form_param_exceeds_allowed_size"
	CodeParamTooLong              ErrorCode = "form_param_max_length_exceeded"
	CodeParamTypeInvalid          ErrorCode = "form_param_type_invalid"
	CodeParamUnknown              ErrorCode = "form_param_unknown"
	CodeParamValueInvalid         ErrorCode = "form_param_value_invalid"
	CodeQuotaExceeded             ErrorCode = "quota_exceeded"
	CodeRequestBodyInvalid        ErrorCode = "request_body_invalid"
	CodeRequestBodyTooLarge       ErrorCode = "request_body_too_large"
	CodeResourceLocked            ErrorCode = "resource_locked"
	CodeResourceNotFound          ErrorCode = "resource_not_found"
	CodeSecretKeyInvalid          ErrorCode = "clerk_key_invalid"
	CodeServiceUnavailable        ErrorCode = "service_unavailable"
	CodeTooManyRequests           ErrorCode = "too_many_requests"
	CodeUnsupportedContentType    ErrorCode = "unsupported_content_type"
	CodeUnsupportedPlanFeatures   ErrorCode = "unsupported_subscription_plan_features"
)

// ErrorDetail is one of the errors in an answer. Its sentences are the server's
// and may name an e-mail address; Code never does.
type ErrorDetail struct {
	Code        ErrorCode `json:"code"`
	Message     string    `json:"message"`
	LongMessage string    `json:"long_message"`
	Meta        Metadata  `json:"meta,omitzero"`
}

// APIError is an answer of the server that is no success: any status but 2xx,
// whatever its body.
type APIError struct {
	StatusCode int
	Errors     []ErrorDetail // empty where the body was not Clerk's JSON
	TraceID    string        // of the body, or of Clerk-Trace-Id, or of CF-Ray
	Method     string
	Path       string        // as sent, without the query
	RetryAfter time.Duration // what the server asked for; zero where it did not
	Body       []byte        // the first 512 bytes of the body
}

// Error says on one line what was called and what the server said of it.
func (e *APIError) Error() string {
	if e == nil {
		return "clerkorg: no error"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "clerkorg: %s %s: %d", e.Method, e.Path, e.StatusCode)
	if text := http.StatusText(e.StatusCode); text != "" {
		b.WriteString(" " + text)
	}
	for i, detail := range e.Errors {
		separator := "; "
		if i == 0 {
			separator = ": "
		}
		b.WriteString(separator + oneLine(string(detail.Code)))
		if text := cmp.Or(detail.LongMessage, detail.Message); text != "" {
			b.WriteString(" (" + oneLine(text) + ")")
		}
	}
	if e.TraceID != "" {
		b.WriteString(" [trace " + oneLine(e.TraceID) + "]")
	}
	return b.String()
}

// Is matches the sentinel errors of this package by status.
func (e *APIError) Is(target error) bool {
	if e == nil {
		return false
	}
	switch target {
	case ErrUnauthorized:
		return e.StatusCode == http.StatusUnauthorized
	case ErrForbidden:
		return e.StatusCode == http.StatusForbidden
	case ErrNotFound:
		return e.StatusCode == http.StatusNotFound
	case ErrRateLimited:
		return e.StatusCode == http.StatusTooManyRequests
	}
	return false
}

// HasCode reports whether one of the errors has the code.
func (e *APIError) HasCode(code ErrorCode) bool {
	if e == nil {
		return false
	}
	for _, detail := range e.Errors {
		if detail.Code == code {
			return true
		}
	}
	return false
}

func (e *APIError) codes() string {
	codes := make([]string, len(e.Errors))
	for i, detail := range e.Errors {
		codes[i] = string(detail.Code)
	}
	return strings.Join(codes, ",")
}

// LogValue gives a logger what is safe to keep: codes, and none of the server's
// sentences.
func (e *APIError) LogValue() slog.Value {
	if e == nil {
		return slog.Value{}
	}
	return slog.GroupValue(
		slog.String("method", e.Method),
		slog.Int("status", e.StatusCode),
		slog.String("codes", e.codes()),
		slog.String("trace_id", e.TraceID),
	)
}

// RateLimitError says that a quota is spent, and when to come back. It matches
// [ErrRateLimited].
type RateLimitError struct {
	Quota      Quota         // which one
	RetryAfter time.Duration // how long until a call can be made; 0 where the limiter could not tell

	// Err is the server's [*APIError] where the server refused,
	// [context.DeadlineExceeded] where the deadline of the call lies before the
	// end of the wait, whatever kept a limiter from answering, or nil.
	Err error
}

func (e *RateLimitError) Error() string {
	if e == nil {
		return "clerkorg: no error"
	}
	text := fmt.Sprintf("clerkorg: quota %s is spent, free again in %s", e.Quota, e.RetryAfter.Round(time.Millisecond))
	if e.RetryAfter == 0 && e.Err != nil {
		text = fmt.Sprintf("clerkorg: quota %s cannot be kept now", e.Quota) // nobody knows whether it is spent
	}
	if e.Err != nil {
		text += ": " + unbroken(e.Err.Error())
	}
	return text
}

// Is matches [ErrRateLimited].
func (e *RateLimitError) Is(target error) bool { return e != nil && target == ErrRateLimited }

// Unwrap returns Err.
func (e *RateLimitError) Unwrap() error {
	if e == nil {
		return nil
	}
	return e.Err
}

// LogValue gives a logger the quota and the wait.
func (e *RateLimitError) LogValue() slog.Value {
	if e == nil {
		return slog.Value{}
	}
	return slog.GroupValue(slog.String("quota", e.Quota.Name), slog.Duration("retry_after", e.RetryAfter))
}

// Problem is one thing that is wrong with the arguments of a call.
type Problem struct {
	Index   int    `json:"index"`   // of the invitation, or -1 for the call itself
	Field   string `json:"field"`   // as on the wire: "email_address"
	Message string `json:"message"` // what is wrong; it never repeats the value
}

func (p Problem) String() string {
	if p.Index < 0 {
		return p.Field + ": " + p.Message
	}
	return "[" + strconv.Itoa(p.Index) + "]." + p.Field + ": " + p.Message
}

// ValidationError lists everything that is wrong with the arguments of a call.
// Nothing was sent and no quota was spent.
type ValidationError struct {
	Problems []Problem
}

// maxProblemsShown keeps Error on a line that can be read.
const maxProblemsShown = 10

func (e *ValidationError) Error() string {
	if e == nil {
		return "clerkorg: no error"
	}
	shown := e.Problems[:min(len(e.Problems), maxProblemsShown)]
	texts := make([]string, len(shown), len(shown)+1)
	for i, problem := range shown {
		texts[i] = problem.String()
	}
	if more := len(e.Problems) - len(shown); more > 0 {
		texts = append(texts, fmt.Sprintf("and %d more", more))
	}
	return "clerkorg: invalid call: " + strings.Join(texts, "; ")
}

// callError is a call that ended without an answer that could be used.
type callError struct {
	err    error
	sent   bool // the request may have left
	create bool // and was one that must not be repeated blindly
}

func (e *callError) unknown() bool { return e.sent && e.create }

func (e *callError) Error() string {
	if e == nil || e.err == nil {
		return "clerkorg: no error"
	}
	text := unbroken(strings.TrimPrefix(e.err.Error(), "clerkorg: "))
	if e.unknown() {
		return "clerkorg: outcome unknown, look before sending it again: " + text
	}
	return "clerkorg: " + text
}

func (e *callError) Is(target error) bool { return target == ErrOutcomeUnknown && e.unknown() }

func (e *callError) Unwrap() error { return e.err }

// LogValue keeps the server's sentences out of the log.
func (e *callError) LogValue() slog.Value {
	value := slog.StringValue(e.Error())
	if api, ok := errors.AsType[*APIError](e.err); ok {
		value = api.LogValue()
	}
	return slog.GroupValue(slog.Bool("outcome_unknown", e.unknown()), slog.Attr{Key: "cause", Value: value})
}

// oneLine makes text of somebody else's fit into a line.
func oneLine(text string) string {
	const longest = 500
	if len(text) > longest {
		text = strings.ToValidUTF8(text[:longest], "") + "…"
	}
	return unbroken(text)
}

// unbroken is text with a blank in place of everything that cannot be printed.
func unbroken(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, text)
}
