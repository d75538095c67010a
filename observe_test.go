package clerkorg

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/clerkorg/clerkorg-go/clerktest"
)

type observerKey string

// diary is an observer that keeps what it was told. Its contexts carry its name.
type diary struct {
	name string
	book *entries
}

// entries are shared by diaries, to see their order.
type entries struct {
	mu       sync.Mutex
	lines    []string
	calls    []*CallEvent
	attempts []*AttemptEvent
}

func (d diary) write(line string) {
	d.book.mu.Lock()
	defer d.book.mu.Unlock()
	d.book.lines = append(d.book.lines, d.name+" "+line)
}

func (d diary) CallStarted(ctx context.Context, call *CallEvent) context.Context {
	d.write("call " + call.Operation)
	return context.WithValue(ctx, observerKey(d.name), "call")
}

func (d diary) AttemptStarted(ctx context.Context, _ *AttemptEvent) context.Context {
	value, _ := ctx.Value(observerKey(d.name)).(string)
	d.write("attempt in " + value)
	return context.WithValue(ctx, observerKey(d.name), "attempt")
}

func (d diary) AttemptEnded(ctx context.Context, attempt *AttemptEvent) {
	value, _ := ctx.Value(observerKey(d.name)).(string)
	d.write("end of " + value)
	d.book.mu.Lock()
	defer d.book.mu.Unlock()
	d.book.attempts = append(d.book.attempts, attempt)
}

func (d diary) CallEnded(ctx context.Context, call *CallEvent) {
	value, _ := ctx.Value(observerKey(d.name)).(string)
	d.write("end of " + value)
	d.book.mu.Lock()
	defer d.book.mu.Unlock()
	d.book.calls = append(d.book.calls, call)
}

// TestObserversOfEachCall are told of it, around the request, and of nothing personal.
func TestObserversOfEachCall(t *testing.T) {
	t.Parallel()
	forEachCall(t, func(t *testing.T, call apiCall) {
		var book entries
		seen := ""
		next := newRecorder(reply(200, fixture(t, call.fixture), "Clerk-Trace-Id", "trace_1"))
		client := newTestClient(t, transportFunc(func(req *http.Request) (*http.Response, error) {
			seen, _ = req.Context().Value(observerKey("a")).(string)
			return next.RoundTrip(req)
		}), WithObserver(diary{"a", &book}), WithObserver(diary{"b", &book}))
		_, err := call.do(t.Context(), client.Organizations)
		require.NoError(t, err)
		assert.Equal(t, "attempt", seen)
		require.Len(t, book.attempts, 2)
		operation := book.calls[0].Operation
		assert.Regexp(t, `^(Organizations|Invitations)\.[A-Z][A-Za-z]+$`, operation)
		assert.Equal(t, []string{
			"a call " + operation, "b call " + operation, "a attempt in call", "b attempt in call",
			"b end of attempt", "a end of attempt", "b end of call", "a end of call",
		}, book.lines)

		attempt := book.attempts[0]
		assert.Equal(t, call.method, attempt.Call.Method)
		assert.Equal(t, call.template, attempt.Call.Path)
		assert.Equal(t, DefaultBaseURL, attempt.Call.BaseURL)
		assert.Equal(t, call.quotaKey, attempt.Quota)
		assert.Equal(t, client.quotas[call.quotaKey].Limit-1, attempt.QuotaLeft)
		assert.Equal(t, 1, attempt.Number)
		assert.Nil(t, attempt.Previous)
		want := CallResult{Status: 200, TraceID: "trace_1", Sent: true}
		assert.Equal(t, want, attempt.Result)
		assert.True(t, attempt.Result.OK())
		assert.Equal(t, want, attempt.Call.Result)
		assert.Equal(t, 1, attempt.Call.Attempts)

		told, err := json.Marshal(book.attempts)
		require.NoError(t, err)
		for _, secret := range []string{client.header().Get("Authorization")[7:], "canary", "ada@", "org_1", "inv_1"} {
			assert.NotContains(t, string(told), secret)
		}
	})
}

// TestObservedFailures: every end has its description.
func TestObservedFailures(t *testing.T) {
	t.Parallel()
	refusal := fixture(t, "error_duplicate.json")
	for name, test := range map[string]struct {
		respond responder
		opts    []Option
		want    CallResult
	}{
		"refused":    {reply(422, refusal), nil, CallResult{Status: 422, Codes: []ErrorCode{CodeDuplicateRecord, CodeParamTooLong}, TraceID: "4c1f0e3b8a2d", Sent: true}},
		"halfway":    {reply(502, "<html>", "Content-Type", "text/html"), nil, CallResult{Status: 502, Codes: []ErrorCode{}, ContentType: "text/html", Sent: true, OutcomeUnknown: true}},
		"429":        {reply(429, "", "Retry-After", "60"), nil, CallResult{Status: 429, Codes: []ErrorCode{}, Sent: true, RefusedBy: QuotaBulk, RetryAfter: time.Minute}},
		"lost":       {failing(io.ErrUnexpectedEOF), nil, CallResult{Failure: FailureNoAnswer, Sent: true, OutcomeUnknown: true}},
		"unreadable": {reply(200, "ada@example.com", "CF-Ray", "ray"), nil, CallResult{Status: 200, TraceID: "ray", Failure: FailureUnreadable, Sent: true, OutcomeUnknown: true}},
		"limiter": {nil, []Option{WithRateLimiter(&fakeLimiter{refuse: QuotaBulk, failure: errors.New("ada@example.com")})},
			CallResult{Failure: FailureLimiter}},
		"spent": {nil, []Option{WithRateLimiter(&fakeLimiter{refuse: QuotaBulk, failure: &RateLimitError{Quota: Quota{Name: QuotaBulk}, RetryAfter: time.Hour}})},
			CallResult{Failure: FailureRateLimited, RefusedBy: QuotaBulk, RetryAfter: time.Hour}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var book entries
			respond := test.respond
			if respond == nil {
				respond = failing(errors.New("must not be sent"))
			}
			client := newTestClient(t, newRecorder(respond), append(test.opts, WithObserver(diary{"a", &book}), WithMaxRetries(0), WithMaxRateLimitWait(0))...)
			_, err := client.Organizations.CreateInvitationBulk(t.Context(), "org_1", two())
			require.Error(t, err)
			require.Len(t, book.calls, 1)
			assert.Equal(t, test.want, book.calls[0].Result)
			assert.False(t, book.calls[0].Result.OK())
			told, err := json.Marshal(book.attempts)
			require.NoError(t, err)
			assert.NotContains(t, string(told), "ada@")
			if !test.want.Sent {
				assert.Empty(t, book.attempts[0].Quota)
			}
		})
	}
}

// TestObservedRetries: each attempt knows the one it repeats, and what was waited.
func TestObservedRetries(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var book entries
		client := newTestClient(t, newRecorder(
			reply(503, "", "Retry-After", "3"),
			failing(io.ErrUnexpectedEOF),
			reply(200, fixture(t, "list_empty.json")),
		), WithObserver(diary{"a", &book}))
		_, err := client.Organizations.ListInvitations(t.Context(), "org_1", nil)
		require.NoError(t, err)
		require.Len(t, book.attempts, 3)
		assert.Same(t, book.attempts[0], book.attempts[1].Previous)
		assert.Equal(t, 3*time.Second, book.attempts[1].Backoff)
		assert.Same(t, book.attempts[1], book.attempts[2].Previous)
		assert.Equal(t, FailureNoAnswer, book.attempts[1].Result.Failure)
		call := book.calls[0]
		assert.Equal(t, 3, call.Attempts)
		assert.Equal(t, 3*time.Second, call.Waited, "as the server asked")
		assert.GreaterOrEqual(t, call.Duration, 3*time.Second)
		assert.True(t, call.Result.OK())
	})
}

// TestObservedWaits: for a token, and until the caller has enough of it.
func TestObservedWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var book entries
		server := clerktest.NewServer()
		client := inMemory(t, server, WithObserver(diary{"a", &book}), WithMaxRateLimitWait(2*time.Hour),
			WithQuotas(Quota{Name: QuotaCreate, Limit: 1, Window: time.Hour}))
		create := func(ctx context.Context, address string) error {
			_, err := client.Organizations.CreateInvitation(ctx, server.OrganizationID(), person(address))
			return err
		}
		require.NoError(t, create(t.Context(), "a@example.com"))
		require.NoError(t, create(t.Context(), "b@example.com"))
		assert.Equal(t, time.Hour+5*time.Second, book.attempts[1].Waited)
		assert.GreaterOrEqual(t, book.attempts[1].Duration, book.attempts[1].Waited)

		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Minute, cancel)
		require.ErrorIs(t, create(ctx, "c@example.com"), context.Canceled)
		assert.Equal(t, CallResult{Failure: FailureCanceled}, book.calls[2].Result)
		assert.Equal(t, time.Minute, book.calls[2].Waited)
	})
}

// TestObserversOfARun are told of all its calls.
func TestObserversOfARun(t *testing.T) {
	bubble(t, func(t *testing.T, server *clerktest.Server) {
		var book entries
		client := inMemory(t, server, WithObserver(diary{"a", &book}))
		gather(t, inviteAll(t, client, server, crowd(30, nil), nil), 30)
		assert.Len(t, book.calls, server.CallCount(clerktest.OpAny))
		operations := map[string]bool{}
		for _, call := range book.calls {
			operations[strings.TrimPrefix(call.Operation, "Organizations.")] = true
		}
		assert.Equal(t, map[string]bool{"CreateInvitation": true, "CreateInvitationBulk": true, "ListInvitations": true, "ListInstanceInvitations": true, "ListMemberships": true}, operations)
	})
}
