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
// the first four, and may match some of the others too.
var (
	// ErrUnauthorized: the secret key was not accepted (401).
	ErrUnauthorized = errors.New("clerkorg: the secret key was not accepted")

	// ErrForbidden: the key was accepted, but does not permit the call (403).
	ErrForbidden = errors.New("clerkorg: not allowed")

	// ErrNotFound: there is no such organization, invitation or role (404).
	ErrNotFound = errors.New("clerkorg: not found")

	// ErrRateLimited: a quota is spent. Either the limiter says so and nothing was sent,
	// or the server answered 429. The error is a [*RateLimitError], which says how long
	// to wait.
	ErrRateLimited = errors.New("clerkorg: rate limited")

	// ErrOutcomeUnknown: the request left, and it is not known whether it was carried
	// out: the connection broke, the time ran out, the server failed halfway or its
	// answer could not be read. Call [OrganizationsService.FindInvitations] before
	// sending it again.
	ErrOutcomeUnknown = errors.New("clerkorg: outcome unknown")

	// ErrLimiterUnavailable: the [RateLimiter] could not say whether a quota is spent,
	// as when its Redis is down. Nothing was sent. The error wraps the cause; it does
	// not match [ErrRateLimited], and nothing tells when to try again.
	ErrLimiterUnavailable = errors.New("clerkorg: the rate limiter is unavailable")

	// ErrAlreadyInvited: the server refused the call because an address has a
	// pending invitation ([CodeInvitationNotUnique], [CodeDuplicateRecord]).
	// [APIError.EmailAddresses] returns the addresses that the refusal names, if any.
	ErrAlreadyInvited = errors.New("clerkorg: already invited")

	// ErrAlreadyMember: the server refused the call because an address belongs to a
	// member ([CodeAlreadyMember]).
	ErrAlreadyMember = errors.New("clerkorg: already a member")
)

// ErrorDetail is one of the errors in an answer. Its sentences are the server's
// and may name an e-mail address; Code never does.
type ErrorDetail struct {
	Code        ErrorCode `json:"code"`
	Message     string    `json:"message"`
	LongMessage string    `json:"long_message"`
	Meta        Metadata  `json:"meta,omitzero"`
}

// sentence is what the server says of the error.
func (d *ErrorDetail) sentence() string { return cmp.Or(d.LongMessage, d.Message) }

// APIError is an answer of the server that is no success: any status but 2xx,
// whatever its body.
type APIError struct {
	StatusCode  int
	Errors      []ErrorDetail // empty where the body was not Clerk's JSON
	TraceID     string        // of the body, or of Clerk-Trace-Id, or of CF-Ray
	Method      string
	Path        string        // as sent, without the query
	RetryAfter  time.Duration // what the server asked for, within reason: a day, or ten windows of the quota; zero where it did not
	ContentType string        // media type of the body, as in "text/html"; empty where none was told
	Body        []byte        // the first 512 bytes of the body

	template string // Path with names in place of the ids
	foreign  string // what the answer is where it is not Clerk's
}

// Error says on one line what was called and what the server said of it: its errors, or
// where the answer was not Clerk's JSON, its media type and the beginning of its text,
// or where it redirects to. The server's words may name an e-mail address.
func (e *APIError) Error() string {
	if e == nil {
		return "clerkorg: no error"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "clerkorg: %s %s: %d", e.Method, e.Path, e.StatusCode)
	if text := http.StatusText(e.StatusCode); text != "" {
		b.WriteString(" " + text)
	}
	if e.foreign != "" {
		b.WriteString(", " + e.foreign)
	}
	for i, detail := range e.Errors {
		separator := "; "
		if i == 0 {
			separator = ": "
		}
		b.WriteString(separator + oneLine(string(detail.Code)))
		if text := detail.sentence(); text != "" {
			b.WriteString(" (" + oneLine(text) + ")")
		}
	}
	if e.TraceID != "" {
		b.WriteString(" [trace " + oneLine(e.TraceID) + "]")
	}
	return b.String()
}

// Is matches the sentinel errors of this package: [ErrAlreadyInvited] and
// [ErrAlreadyMember] by the codes of all errors in the answer, the others by status.
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
	case ErrAlreadyInvited:
		return e.HasCode(CodeInvitationNotUnique) || e.HasCode(CodeDuplicateRecord)
	case ErrAlreadyMember:
		return e.HasCode(CodeAlreadyMember)
	}
	return false
}

// Code returns the code of the first error in the answer, "" where there is none.
func (e *APIError) Code() ErrorCode {
	if e == nil || len(e.Errors) == 0 {
		return ""
	}
	return e.Errors[0].Code
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

func (e *APIError) codes() []ErrorCode {
	codes := make([]ErrorCode, len(e.Errors))
	for i, detail := range e.Errors {
		codes[i] = detail.Code
	}
	return codes
}

func joinCodes(codes []ErrorCode) string {
	texts := make([]string, len(codes))
	for i, code := range codes {
		texts[i] = string(code)
	}
	return strings.Join(texts, ",")
}

// LogValue gives a logger the method, the template of the path, the status, the codes
// and the trace id, and none of the server's sentences, which may name an e-mail
// address.
func (e *APIError) LogValue() slog.Value {
	if e == nil {
		return slog.Value{}
	}
	result := e.result()
	return slog.GroupValue(append([]slog.Attr{slog.String("method", e.Method), slog.String("path", e.template)}, result.logAttrs()...)...)
}

// result is the error as observers see it.
func (e *APIError) result() CallResult {
	return CallResult{
		Status:      e.StatusCode,
		Codes:       e.codes(),
		TraceID:     e.TraceID,
		ContentType: foreignType(e.ContentType),
		Sent:        true,
		RetryAfter:  e.RetryAfter,
	}
}

// RateLimitError says that a quota is spent, and for how long. It matches
// [ErrRateLimited].
type RateLimitError struct {
	Quota      Quota         // the one that is spent
	RetryAfter time.Duration // how long until a call can be made

	// Err is the server's [*APIError] where the server refused,
	// [context.DeadlineExceeded] where the deadline of the call lies before the
	// end of the wait, or nil.
	Err error

	left int // tokens of the endpoint's quota that the limiter saw beside that of the request, where the server refused it
}

func (e *RateLimitError) Error() string {
	if e == nil {
		return "clerkorg: no error"
	}
	text := fmt.Sprintf("clerkorg: quota %s is spent, free again in %s", e.Quota, e.RetryAfter.Round(time.Millisecond))
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

// limiterError says that a limiter could not be asked, and why.
type limiterError struct {
	quota Quota
	err   error
}

func (e *limiterError) Error() string {
	return fmt.Sprintf("clerkorg: the rate limiter cannot be asked for quota %s: %s", e.quota, e.cause())
}

// cause is the text of the error, without that of the sentinel which a limiter may
// have wrapped it with.
func (e *limiterError) cause() string {
	if e.err == nil {
		return "no reason given"
	}
	return unbroken(strings.TrimPrefix(e.err.Error(), ErrLimiterUnavailable.Error()+": "))
}

func (e *limiterError) Is(target error) bool { return target == ErrLimiterUnavailable }

func (e *limiterError) Unwrap() error { return e.err }

// LogValue gives a logger the quota and the cause.
func (e *limiterError) LogValue() slog.Value {
	return slog.GroupValue(slog.String("quota", e.quota.Name), slog.String("limiter_error", e.cause()))
}

// Problem is one thing that is wrong with the arguments of a call.
type Problem struct {
	Index   int    `json:"index"`   // of the invitation, or -1 for the call itself
	Field   string `json:"field"`   // as on the wire: "email_address"
	Message string `json:"message"` // says what is wrong and never repeats the value
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

// callError is a call that ended without a usable answer.
type callError struct {
	err    error
	sent   bool // the request may have left
	create bool // and repeating it could do something twice
}

func (e *callError) unknown() bool { return e.sent && e.create }

func (e *callError) Error() string {
	if e == nil || e.err == nil {
		return "clerkorg: no error"
	}
	text := unbroken(strings.TrimPrefix(e.err.Error(), "clerkorg: "))
	if e.unknown() {
		return "clerkorg: outcome unknown, list the invitations before sending it again: " + text
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

// oneLine shortens foreign text and puts it on one line.
func oneLine(text string) string {
	const longest = 500
	if len(text) > longest {
		text = strings.ToValidUTF8(text[:longest], "") + "…"
	}
	return unbroken(text)
}

// unbroken returns text with a blank in place of every character that is not printable.
func unbroken(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, text)
}
