package clerkorg

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func is(err, target error) bool { return errors.Is(err, target) }

var sentinels = []error{ErrUnauthorized, ErrForbidden, ErrNotFound, ErrRateLimited, ErrOutcomeUnknown, ErrLimiterUnavailable, ErrAlreadyInvited, ErrAlreadyMember}

// matches are the sentinels that err is.
func matches(err error) []error {
	var found []error
	for _, sentinel := range sentinels {
		if is(err, sentinel) {
			found = append(found, sentinel)
		}
	}
	return found
}

func TestErrorsAreSafe(t *testing.T) {
	t.Parallel()
	for _, err := range []error{
		(*APIError)(nil), (*RateLimitError)(nil), (*ValidationError)(nil),
		(*ResendError)(nil), &ResendError{}, &ResendError{Err: (*APIError)(nil)},
		&APIError{}, &RateLimitError{}, &ValidationError{}, &callError{}, &limiterError{},
		&RateLimitError{Err: (*APIError)(nil)}, &callError{err: (*APIError)(nil)},
		&APIError{Errors: []ErrorDetail{{}}}, &ValidationError{Problems: []Problem{{}}},
	} {
		t.Run(fmt.Sprintf("%T", err), func(t *testing.T) {
			t.Parallel()
			assert.NotPanics(t, func() {
				text := err.Error()
				assert.NotEmpty(t, text)
				assert.NotContains(t, text, "\n")
				_ = fmt.Sprintf("%v %+v %s %q", err, err, err, err)
				matches(err)
				_ = errors.Unwrap(err)
				_, _ = asAPIError(err)
				_ = errors.Is(err, context.Canceled)
				var b bytes.Buffer
				slog.New(slog.NewJSONHandler(&b, nil)).Info("message", "error", err)
				slog.New(slog.NewTextHandler(&b, nil)).Info("message", "error", err)
				assert.NotContains(t, b.String(), "panic")
				if values, ok := err.(slog.LogValuer); ok {
					values.LogValue()
				}
			})
		})
	}
	var none *APIError
	assert.False(t, none.HasCode(CodeConflict))
	assert.Empty(t, none.EmailAddresses())
	assert.Empty(t, (*ErrorDetail)(nil).EmailAddresses())
}

func TestAPIErrorText(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		err  APIError
		want string
	}{
		{
			APIError{StatusCode: 404, Method: "GET", Path: "/organizations/o/invitations/i"},
			"clerkorg: GET /organizations/o/invitations/i: 404 Not Found",
		},
		{
			APIError{StatusCode: 599, Method: "POST", Path: "/x", TraceID: "t1"},
			"clerkorg: POST /x: 599 [trace t1]",
		},
		{
			APIError{StatusCode: 422, Method: "POST", Path: "/x", TraceID: "t1", Errors: []ErrorDetail{
				{Code: CodeParamMissing, Message: "short", LongMessage: "long\nmessage"},
				{Code: CodeConflict, Message: "only\u2028short\x1b[31m"},
				{Code: CodeNotAMember},
			}, Body: []byte("body")},
			"clerkorg: POST /x: 422 Unprocessable Entity: form_param_missing (long message); conflict (only short [31m); not_a_member_in_organization [trace t1]",
		},
	} {
		assert.Equal(t, test.want, test.err.Error())
	}
	long := &APIError{StatusCode: 400, Errors: []ErrorDetail{{Code: "c", LongMessage: strings.Repeat("é", 10_000)}}}
	assert.Less(t, len(long.Error()), 700)
	assert.True(t, utf8.ValidString(long.Error()))
	assert.Contains(t, long.Error(), "…")
}

func withCodes(status int, codes ...ErrorCode) *APIError {
	api := &APIError{StatusCode: status}
	for _, code := range codes {
		api.Errors = append(api.Errors, ErrorDetail{Code: code})
	}
	return api
}

func TestAPIErrorCode(t *testing.T) {
	t.Parallel()
	assert.Equal(t, CodeConflict, withCodes(409, CodeConflict, CodeNotAMember).Code())
	assert.Empty(t, withCodes(502).Code())
	assert.Empty(t, (*APIError)(nil).Code())
}

func TestErrorMatches(t *testing.T) {
	t.Parallel()
	cause := errors.New("cause")
	for name, test := range map[string]struct {
		err  error
		want []error
	}{
		"200":                   {&APIError{StatusCode: 200}, nil},
		"401":                   {&APIError{StatusCode: 401}, []error{ErrUnauthorized}},
		"402":                   {&APIError{StatusCode: 402}, nil},
		"403":                   {&APIError{StatusCode: 403}, []error{ErrForbidden}},
		"404":                   {&APIError{StatusCode: 404}, []error{ErrNotFound}},
		"429":                   {&APIError{StatusCode: 429}, []error{ErrRateLimited}},
		"500":                   {&APIError{StatusCode: 500}, nil},
		"invited":               {withCodes(400, CodeInvitationNotUnique), []error{ErrAlreadyInvited}},
		"duplicate":             {withCodes(422, CodeConflict, CodeDuplicateRecord), []error{ErrAlreadyInvited}},
		"member":                {withCodes(403, CodeAlreadyMember), []error{ErrForbidden, ErrAlreadyMember}},
		"both":                  {withCodes(400, CodeAlreadyMember, CodeDuplicateRecord), []error{ErrAlreadyInvited, ErrAlreadyMember}},
		"another code":          {withCodes(400, CodeNotAMember, "duplicate"), nil},
		"refused by the ledger": {&RateLimitError{}, []error{ErrRateLimited}},
		"refused by the server": {&RateLimitError{Err: &APIError{StatusCode: 429}}, []error{ErrRateLimited}},
		"limiter is gone":       {&limiterError{err: cause}, []error{ErrLimiterUnavailable}},
		"validation":            {&ValidationError{}, nil},
		"read unanswered":       {&callError{err: cause, sent: true}, nil},
		"create not sent":       {&callError{err: cause, create: true}, nil},
		"create unanswered":     {&callError{err: cause, sent: true, create: true}, []error{ErrOutcomeUnknown}},
		"create failed":         {&callError{err: &APIError{StatusCode: 500}, sent: true, create: true}, []error{ErrOutcomeUnknown}},
	} {
		assert.Equal(t, test.want, matches(test.err), name)
		assert.Equal(t, test.want, matches(fmt.Errorf("inviting: %w", test.err)), name)
		assert.Equal(t, test.want, matches(errors.Join(io.EOF, test.err)), name)
	}
	for _, sentinel := range sentinels {
		assert.True(t, strings.HasPrefix(sentinel.Error(), "clerkorg: "))
		assert.Equal(t, []error{sentinel}, matches(sentinel))
	}
}

func TestErrorsAsType(t *testing.T) {
	t.Parallel()
	api := &APIError{StatusCode: 429}
	limited := &RateLimitError{Quota: hourly, RetryAfter: time.Minute, Err: api}
	wrapped := fmt.Errorf("row 7: %w", limited)
	gotLimited, ok := errors.AsType[*RateLimitError](wrapped)
	require.True(t, ok)
	assert.Same(t, limited, gotLimited)
	gotAPI, ok := asAPIError(wrapped)
	require.True(t, ok)
	assert.Same(t, api, gotAPI)
	gotAPI, ok = asAPIError(&callError{err: fmt.Errorf("POST /x: %w", api)})
	require.True(t, ok)
	assert.Same(t, api, gotAPI)
	assert.ErrorIs(t, &RateLimitError{Err: context.DeadlineExceeded}, context.DeadlineExceeded)
	assert.ErrorIs(t, &callError{err: context.Canceled}, context.Canceled)
	assert.NotErrorIs(t, &RateLimitError{}, context.DeadlineExceeded)
}

func TestErrorTexts(t *testing.T) {
	t.Parallel()
	for want, err := range map[string]error{
		"clerkorg: quota test.hourly (3 in 1h0m0s) is spent, free again in 1m30s":                         &RateLimitError{Quota: hourly, RetryAfter: 90*time.Second + 300},
		"clerkorg: quota test.hourly (3 in 1h0m0s) is spent, free again in 1s: context deadline exceeded": &RateLimitError{Quota: hourly, RetryAfter: time.Second, Err: context.DeadlineExceeded},
		"clerkorg: the rate limiter cannot be asked for quota test.hourly (3 in 1h0m0s): dial: EOF":       &limiterError{hourly, fmt.Errorf("%w: dial: %w", ErrLimiterUnavailable, io.EOF)},
		"clerkorg: POST /x: EOF": &callError{err: fmt.Errorf("POST /x: %w", io.EOF)},
		"clerkorg: outcome unknown, list the invitations before sending it again: POST /x: EOF":             &callError{err: fmt.Errorf("POST /x: %w", io.EOF), sent: true, create: true},
		"clerkorg: outcome unknown, list the invitations before sending it again: POST /x: 502 Bad Gateway": &callError{err: &APIError{StatusCode: 502, Method: "POST", Path: "/x"}, sent: true, create: true},
		"clerkorg: invalid call: organization_id: must not be empty; [3].role: must not be empty": &ValidationError{[]Problem{
			{-1, "organization_id", "must not be empty"}, {3, "role", "must not be empty"},
		}},
	} {
		assert.Equal(t, want, err.Error())
	}
	// What others put into lines does not break ours.
	for _, err := range []error{
		&callError{err: fmt.Errorf("POST /x: %w", errors.Join(io.EOF, io.ErrClosedPipe))},
		&RateLimitError{Quota: hourly, Err: errors.Join(io.EOF, io.ErrClosedPipe)},
		&limiterError{hourly, errors.Join(io.EOF, io.ErrClosedPipe)},
	} {
		assert.NotContains(t, err.Error(), "\n")
		assert.Contains(t, err.Error(), io.EOF.Error())
		assert.Contains(t, err.Error(), io.ErrClosedPipe.Error())
	}
}

func TestValidationErrorIsShort(t *testing.T) {
	t.Parallel()
	err := &ValidationError{}
	for i := range 25 {
		err.Problems = append(err.Problems, Problem{i, "role", "must not be empty"})
	}
	assert.Contains(t, err.Error(), "[9].role")
	assert.NotContains(t, err.Error(), "[10].role")
	assert.True(t, strings.HasSuffix(err.Error(), "; and 15 more"))
}

// TestErrorLogValues: loggers get codes, not sentences.
func TestErrorLogValues(t *testing.T) {
	t.Parallel()
	api := &APIError{StatusCode: 422, Method: "POST", Path: "/org_canary", template: "/{org}", TraceID: "t1", Body: []byte("canary"), Errors: []ErrorDetail{
		{Code: CodeDuplicateRecord, Message: "canary", LongMessage: "canary", Meta: Metadata(`"canary"`)}, {Code: CodeConflict},
	}}
	inAPI := `"method":"POST","path":"/{org}","status":422,"codes":"duplicate_record,conflict","trace_id":"t1"`
	for want, err := range map[string]error{
		`{` + inAPI + `}`: api,
		`{"method":"GET","path":"/{org}","status":403,"codes":"","trace_id":"","content_type":"text/html"}`: &APIError{
			StatusCode: 403, Method: "GET", template: "/{org}", ContentType: "text/html", foreign: "not Clerk's JSON: canary",
		},
		`{"outcome_unknown":true,"cause":{` + inAPI + `}}`:                    &callError{err: fmt.Errorf("x: %w", api), sent: true, create: true},
		`{"outcome_unknown":false,"cause":"clerkorg: GET /x: EOF"}`:           &callError{err: errors.New("GET /x: EOF")},
		`{"quota":"test.hourly","retry_after":60000000000}`:                   &RateLimitError{Quota: hourly, RetryAfter: time.Minute, Err: api},
		`{"state":"revoked","cause":{` + inAPI + `}}`:                         &ResendError{State: ResendRevoked, Err: api},
		`{"quota":"test.hourly","limiter_error":"dial: EOF"}`:                 &limiterError{hourly, fmt.Errorf("dial: %w", io.EOF)},
		`"clerkorg: invalid call: [0].email_address: must be a bare address"`: &ValidationError{[]Problem{{0, "email_address", "must be a bare address"}}},
	} {
		var b bytes.Buffer
		handler := slog.NewJSONHandler(&b, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			switch a.Key {
			case slog.TimeKey, slog.LevelKey, slog.MessageKey:
				return slog.Attr{}
			}
			return a
		}})
		slog.New(handler).Info("message", "error", err)
		assert.JSONEq(t, `{"error":`+want+`}`, b.String())
		assert.NotContains(t, b.String(), "canary")
	}
}
