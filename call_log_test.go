package clerkorg

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/clerkorg/clerkorg-go/clerktest"
)

func discardLog() *log.Logger { return log.New(io.Discard, "", 0) }

func debugLogger(w io.Writer) *slog.Logger {
	return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// logBook is what was logged.
type logBook struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBook) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// lines are the fields of every line.
func (l *logBook) lines(t *testing.T) []map[string]any {
	t.Helper()
	var lines []map[string]any
	for line := range strings.Lines(l.String()) {
		var fields map[string]any
		require.NoError(t, json.Unmarshal([]byte(line), &fields))
		lines = append(lines, fields)
	}
	return lines
}

func TestLogFields(t *testing.T) {
	t.Parallel()
	forEachCall(t, func(t *testing.T, call apiCall) {
		var book logBook
		client := newTestClient(t, newRecorder(reply(200, fixture(t, call.fixture), "Clerk-Trace-Id", "trace_1")), WithLogger(debugLogger(&book)))
		_, err := call.do(t.Context(), client.Organizations)
		require.NoError(t, err)
		lines := book.lines(t)
		require.Len(t, lines, 1)
		line := lines[0]
		assert.Equal(t, "DEBUG", line["level"])
		assert.Equal(t, call.method, line["method"])
		assert.Equal(t, call.template, line["path"], "the template: ids stay out")
		assert.EqualValues(t, 200, line["status"])
		assert.EqualValues(t, 1, line["attempt"])
		assert.Equal(t, "trace_1", line["trace_id"])
		assert.Contains(t, line, "duration")
		left := map[string]float64{QuotaBulk: 49, QuotaCreate: 249, QuotaApplicationBulk: 24, QuotaApplicationCreate: 99, QuotaInstance: 99}
		assert.EqualValues(t, left[call.quotaKey], line["quota_left"])
	})
}

// TestLogsHoldNothingPersonal: neither the key, nor an address in the request, in
// the query, in the server's sentences or in a transport's error.
func TestLogsHoldNothingPersonal(t *testing.T) {
	t.Parallel()
	secrets := []string{"canary", "ada@example.com", "grace@example.com", "Lovelace"}
	for name, respond := range map[string]responder{
		"success":      nil,
		"refused":      reply(422, fixture(t, "error_duplicate.json")),
		"failed":       reply(500, fixture(t, "error_duplicate.json")),
		"rate limited": reply(429, fixture(t, "error_duplicate.json"), "Retry-After", "100"),
		"html":         reply(502, "<html>canary@example.com</html>"),
		"unreadable":   reply(200, "canary@example.com"),
		"broken":       failing(io.ErrUnexpectedEOF),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			forEachCall(t, func(t *testing.T, call apiCall) {
				respond := respond
				if respond == nil {
					respond = reply(200, fixture(t, call.fixture))
				}
				var book logBook
				key := newKey()
				client, err := NewClient(key, WithHTTPClient(&http.Client{Transport: newRecorder(respond)}),
					WithMaxRetries(0), WithLogger(debugLogger(&book)))
				require.NoError(t, err)
				_, err = call.do(t.Context(), client.Organizations)
				require.Len(t, book.lines(t), 1)
				assert.NotContains(t, book.String(), "org_1")
				assert.NotContains(t, book.String(), "orginv_")
				if err != nil {
					// What a program logs of our errors is safe too.
					slog.New(slog.NewTextHandler(&book, nil)).Error("failed", "error", err)
				}
				for _, secret := range append(secrets, key, key[8:]) {
					assert.NotContains(t, book.String(), secret)
				}
			})
		})
	}
}

func TestLogFailures(t *testing.T) {
	t.Parallel()
	list := func(ctx context.Context, s *OrganizationsService) error {
		_, err := s.ListInvitations(ctx, "org_1", nil)
		return err
	}
	for name, test := range map[string]struct {
		respond responder
		opts    []Option
		timeout time.Duration
		want    map[string]any
	}{
		"api error": {reply(422, fixture(t, "error_duplicate.json")), nil, 0,
			map[string]any{"status": 422.0, "trace_id": "4c1f0e3b8a2d", "codes": "duplicate_record,form_param_max_length_exceeded"}},
		"refused by the server": {reply(429, "", "CF-Ray", "ray_1", "Retry-After", "60"), nil, 0,
			map[string]any{"status": 429.0, "trace_id": "ray_1", "codes": ""}},
		"refused by the ledger": {nil, []Option{WithQuotas(Quota{QuotaInstance, 1, time.Hour})}, 0,
			map[string]any{"level": "DEBUG", "refused_by": QuotaInstance, "retry_after": float64(time.Hour + 5*time.Second)}},
		"timeout":   {reply(200, "{}"), nil, -1, map[string]any{"level": "WARN", "failure": "timeout", "sent": false}},
		"no answer": {failing(io.ErrUnexpectedEOF), nil, 0, map[string]any{"level": "DEBUG", "failure": "no answer", "sent": true, "cause": nil}},
		"reset":     {failing(&net.OpError{Op: "read", Err: syscall.ECONNRESET}), nil, 0, map[string]any{"failure": "no answer", "cause": "reset"}},
		"html": {reply(403, "<html>", "Content-Type", "text/html; charset=utf-8"), nil, 0,
			map[string]any{"level": "DEBUG", "status": 403.0, "content_type": "text/html"}},
		"html of a success": {reply(200, "<html>", "Content-Type", "text/html"), nil, 0,
			map[string]any{"status": 200.0, "content_type": "text/html"}},
		"clerk's": {reply(404, fixture(t, "error_duplicate.json"), "Content-Type", "application/json; charset=utf-8"), nil, 0,
			map[string]any{"status": 404.0, "content_type": nil}},
		"limiter": {reply(200, ""), []Option{WithRateLimiter(&fakeLimiter{refuse: QuotaInstance, failure: &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}})}, 0,
			map[string]any{"level": "WARN", "failure": "limiter unavailable", "cause": "refused", "sent": false}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var book logBook
				respond := test.respond
				opts := append([]Option{WithMaxRetries(0), WithMaxRateLimitWait(0), WithLogger(debugLogger(&book))}, test.opts...)
				ctx := t.Context()
				if test.timeout != 0 {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, test.timeout)
					defer cancel()
				}
				if respond == nil { // the first call spends all there is
					respond = reply(200, fixture(t, "list_empty.json"))
				}
				client := newTestClient(t, newRecorder(respond), opts...)
				err := list(ctx, client.Organizations)
				if test.respond == nil {
					require.NoError(t, err)
					err = list(ctx, client.Organizations)
				}
				require.Error(t, err)
				lines := book.lines(t)
				last := lines[len(lines)-1]
				for field, value := range test.want {
					assert.Equal(t, value, last[field], field)
				}
			})
		})
	}
}

func TestLogNamesCancelledAndUnsent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var book logBook
		server := clerktest.NewServer(clerktest.WithLatency(func() time.Duration { return time.Minute }))
		client := inMemory(t, server, WithLogger(debugLogger(&book)), WithMaxRetries(0))
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel(syscall.EPIPE) })
		_, err := client.Organizations.ListInstanceInvitations(ctx, nil)
		require.Error(t, err)
		server.Inject(clerktest.Fault{Kind: clerktest.FaultRefuse})
		_, err = client.Organizations.ListInstanceInvitations(t.Context(), nil)
		require.Error(t, err)
		lines := book.lines(t)
		require.Len(t, lines, 2)
		assert.Equal(t, "canceled", lines[0]["failure"])
		assert.EqualValues(t, time.Second, lines[0]["duration"])
		assert.Equal(t, "DEBUG", lines[0]["level"], "the caller knows")
		assert.Equal(t, "not sent", lines[1]["failure"])
		assert.Equal(t, "refused", lines[1]["cause"])
		assert.Equal(t, "WARN", lines[1]["level"])
		time.Sleep(time.Hour)
	})
}

// Every attempt has a line of its own.
func TestLogAttempts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var book logBook
		client := newTestClient(t, newRecorder(reply(500, ""), reply(503, ""), reply(200, fixture(t, "list_empty.json"))), WithLogger(debugLogger(&book)))
		_, err := client.Organizations.ListInvitations(t.Context(), "org_1", nil)
		require.NoError(t, err)
		var attempts, statuses, left []any
		for _, line := range book.lines(t) {
			attempts = append(attempts, line["attempt"])
			statuses = append(statuses, line["status"])
			left = append(left, line["quota_left"])
		}
		assert.Equal(t, []any{1.0, 2.0, 3.0}, attempts)
		assert.Equal(t, []any{500.0, 503.0, 200.0}, statuses)
		assert.Equal(t, []any{99.0, 98.0, 97.0}, left, "a token for every attempt")
	})
}

// A logger of warnings alone hears of attempts that repeat another one, and why.
func TestLogRetries(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var book logBook
		logger := slog.New(slog.NewJSONHandler(&book, &slog.HandlerOptions{Level: slog.LevelWarn}))
		client := newTestClient(t, newRecorder(
			reply(503, fixture(t, "error_duplicate.json"), "Retry-After", "3"),
			failing(&net.OpError{Op: "read", Err: syscall.ECONNRESET}),
			reply(200, fixture(t, "list_empty.json")),
		), WithLogger(logger))
		for range 2 { // the second needs one attempt
			_, err := client.Organizations.ListInvitations(t.Context(), "org_1", &ListInvitationsParams{EmailAddress: "canary@example.com"})
			require.NoError(t, err)
		}
		lines := book.lines(t)
		require.Len(t, lines, 2)
		for _, line := range lines {
			assert.Equal(t, "WARN", line["level"])
			assert.Equal(t, "/organizations/{organization_id}/invitations", line["path"])
		}
		assert.EqualValues(t, 2, lines[0]["attempt"])
		assert.EqualValues(t, 3*time.Second, lines[0]["wait"])
		assert.Equal(t, map[string]any{"status": 503.0, "codes": "duplicate_record,form_param_max_length_exceeded", "trace_id": "4c1f0e3b8a2d"}, lines[0]["after"])
		assert.Equal(t, "no answer", lines[0]["failure"])
		assert.EqualValues(t, 3, lines[1]["attempt"])
		assert.Equal(t, map[string]any{"failure": "no answer", "sent": true, "cause": "reset"}, lines[1]["after"])
		assert.EqualValues(t, 200, lines[1]["status"])
		assert.NotContains(t, book.String(), "canary")
	})
}

func TestNetworkCause(t *testing.T) {
	t.Parallel()
	dial := func(err error) error { return &net.OpError{Op: "dial", Net: "tcp", Err: err} }
	for want, errs := range map[string][]error{
		"dns":         {dial(&net.DNSError{Err: "no such host", Name: "canary", IsNotFound: true}), dial(&net.DNSError{IsTimeout: true})},
		"refused":     {dial(os.NewSyscallError("connect", syscall.ECONNREFUSED))},
		"unreachable": {dial(os.NewSyscallError("connect", syscall.EHOSTUNREACH)), dial(syscall.ENETUNREACH)},
		"reset":       {&net.OpError{Op: "write", Err: syscall.EPIPE}},
		"timeout":     {dial(os.ErrDeadlineExceeded), context.DeadlineExceeded},
		"proxy":       {&net.OpError{Op: "proxyconnect", Err: dial(syscall.ECONNREFUSED)}},
		"dial":        {dial(errors.New("canary"))},
		"tls": {
			&tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}}, tls.RecordHeaderError{Msg: "canary"},
			&net.OpError{Op: "remote error", Err: tls.AlertError(40)}, http.ErrSchemeMismatch,
		},
		"": {errors.New("dial tcp: connection refused"), io.EOF, context.Canceled},
	} {
		for _, err := range errs {
			assert.Equal(t, want, networkCause(&callError{err: fmt.Errorf("GET /x: %w", err)}), "%v", err)
		}
	}
}
