package clerkorg

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/clerkorg/clerkorg-go/clerktest"
)

// A transport of the caller's own may have sent what it failed with.
func TestSilentTransportsCountAsLeft(t *testing.T) {
	t.Parallel()
	forEachCall(t, func(t *testing.T, call apiCall) {
		recorder := newRecorder(failing(syscall.ECONNREFUSED))
		client := newTestClient(t, recorder, WithMaxRetries(0))
		_, err := call.do(t.Context(), client.Organizations)
		assert.Equal(t, call.creates(), isUnknown(err), "%v", err)
		assert.ErrorIs(t, err, syscall.ECONNREFUSED)
		assert.NotContains(t, err.Error(), "canary", "the query is not repeated")
	})
}

// TestNoSilentReplay: a request into a kept-alive connection that dies without an
// answer arrives once.
func TestNoSilentReplay(t *testing.T) {
	t.Parallel()
	for _, call := range apiCalls {
		if !call.creates() {
			continue
		}
		t.Run(call.name, func(t *testing.T) {
			t.Parallel()
			var arrived atomic.Int32
			base := serveRaw(t, func(conn net.Conn) {
				in := bufio.NewReader(conn)
				for {
					req, err := http.ReadRequest(in)
					if err != nil {
						return
					}
					if _, err = io.Copy(io.Discard, req.Body); err != nil {
						return
					}
					if arrived.Add(1) > 1 {
						return // without a word
					}
					body := fixture(t, call.fixture)
					fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
				}
			})
			client, err := NewClient(newKey(), WithBaseURL(base))
			require.NoError(t, err)
			_, err = call.do(t.Context(), client.Organizations)
			require.NoError(t, err)
			_, err = call.do(t.Context(), client.Organizations)
			assert.ErrorIs(t, err, ErrOutcomeUnknown)
			assert.EqualValues(t, 2, arrived.Load(), "exactly one more")
		})
	}
}

// serveRaw has handle serve every connection to the address it returns.
func serveRaw(t *testing.T, handle func(net.Conn)) (base string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer conn.Close()
				handle(conn)
			})
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		http.DefaultClient.CloseIdleConnections()
	})
	return "http://" + listener.Addr().String()
}

// Where nothing listens the request never left, with a real connection and at every attempt.
func TestConnectionRefused(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, listener.Close())
	client, err := NewClient(newKey(), WithBaseURL("http://"+listener.Addr().String()), WithMaxRetries(0))
	require.NoError(t, err)
	_, err = client.Organizations.CreateInvitationBulk(t.Context(), "org_1", someone())
	require.ErrorIs(t, err, syscall.ECONNREFUSED)
	assert.NotErrorIs(t, err, ErrOutcomeUnknown)
	state, err := client.Quota(t.Context(), QuotaBulk)
	require.NoError(t, err)
	assert.Equal(t, 50, state.Available)

	synctest.Test(t, func(t *testing.T) {
		dials := 0
		client := newTestClient(t, &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
			dials++
			return nil, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
		}})
		_, err := client.Organizations.CreateInvitationBulk(t.Context(), "org_1", someone())
		assert.ErrorIs(t, err, syscall.ECONNREFUSED)
		assert.NotErrorIs(t, err, ErrOutcomeUnknown)
		assert.Equal(t, 4, dials)
	})
}

// A server with a certificate of an unknown authority gets nothing to read.
func TestBadCertificate(t *testing.T) {
	t.Parallel()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("a request came") }))
	server.Config.ErrorLog = discardLog()
	server.StartTLS()
	defer server.Close()
	client, err := NewClient(newKey(), WithBaseURL(server.URL), WithMaxRetries(0))
	require.NoError(t, err)
	_, err = client.Organizations.CreateInvitationBulk(t.Context(), "org_1", someone())
	require.Error(t, err)
	assert.NotErrorIs(t, err, ErrOutcomeUnknown)
}

// TestConnectionsAreReused: whatever is answered, it is read to its end.
func TestConnectionsAreReused(t *testing.T) {
	t.Parallel()
	var connections, requests atomic.Int32
	bodies := []string{fixture(t, "list.json"), fixture(t, "error_duplicate.json"), strings.Repeat("<html>", 100_000), "", "{"}
	statuses := []int{200, 400, 502, 404, 200}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		n := int(requests.Add(1)) % len(bodies)
		w.WriteHeader(statuses[n])
		_, _ = io.WriteString(w, bodies[n])
	}))
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			connections.Add(1)
		}
	}
	server.Start()
	defer server.Close()
	client, err := NewClient(newKey(), WithBaseURL(server.URL), WithMaxRetries(0), WithRateLimiter(Unlimited()))
	require.NoError(t, err)
	for range 20 {
		_, _ = client.Organizations.ListInvitations(t.Context(), "org_1", nil)
		_, _ = client.Organizations.CreateInvitationBulk(t.Context(), "org_1", someone())
	}
	assert.EqualValues(t, 40, requests.Load())
	assert.EqualValues(t, 1, connections.Load())
}

// endless is a body of blanks that JSON ends.
func endless(blanks int64, end string) io.Reader {
	return io.MultiReader(io.LimitReader(blank{}, blanks), strings.NewReader(end))
}

type blank struct{}

var blanks = bytes.Repeat([]byte{' '}, 64<<10)

func (blank) Read(p []byte) (int, error) { return copy(p, blanks), nil }

func TestAnswersAreBounded(t *testing.T) {
	t.Parallel()
	list := fixture(t, "list_empty.json")
	room := int64(maxAnswer - len(list))
	for name, test := range map[string]struct {
		blanks, length int64
		ok             bool
	}{
		"all that fits":                    {room, -1, true},
		"all that fits, announced":         {room, maxAnswer, true},
		"one byte more":                    {room + 1, -1, false},
		"one byte more, announced":         {room + 1, maxAnswer + 1, false},
		"less than announced":              {0, int64(len(list)) + 1, false},
		"announced to be endless, and not": {0, 1 << 60, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client := newTestClient(t, transportFunc(func(req *http.Request) (*http.Response, error) {
				return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(endless(test.blanks, list)), ContentLength: test.length, Request: req}, nil
			}), WithMaxRetries(0))
			got, err := client.Organizations.ListInvitations(t.Context(), "org_1", nil)
			if test.ok {
				require.NoError(t, err)
				assert.Empty(t, got.Data)
				return
			}
			assert.Nil(t, got)
			require.Error(t, err)
			_, err = client.Organizations.CreateInvitationBulk(t.Context(), "org_1", someone())
			assert.ErrorIs(t, err, ErrOutcomeUnknown)
		})
	}
}

// TestContextErrorsStayVisible: also where the context was cancelled with a cause
// of its own, which is what net/http then reports.
func TestContextErrorsStayVisible(t *testing.T) {
	t.Parallel()
	reason := errors.New("the user went away")
	forEachCall(t, func(t *testing.T, call apiCall) {
		synctest.Test(t, func(t *testing.T) {
			server := clerktest.NewServer(clerktest.WithLatency(func() time.Duration { return time.Minute }))
			client := inMemory(t, server, WithHTTPClient(&http.Client{Transport: server.Transport(), Timeout: time.Hour}))

			ctx, cancel := context.WithCancelCause(t.Context())
			time.AfterFunc(time.Second, func() { cancel(reason) })
			_, err := call.do(ctx, client.Organizations)
			assert.ErrorIs(t, err, context.Canceled)
			assert.ErrorIs(t, err, reason)
			assert.Equal(t, call.creates(), isUnknown(err))

			ctx, stop := context.WithTimeoutCause(t.Context(), time.Second, reason)
			defer stop()
			_, err = call.do(ctx, client.Organizations)
			assert.ErrorIs(t, err, context.DeadlineExceeded)
			assert.Equal(t, call.creates(), isUnknown(err))

			before := server.CallCount(clerktest.OpAny)
			_, err = call.do(ctx, client.Organizations)
			assert.ErrorIs(t, err, context.DeadlineExceeded)
			assert.NotErrorIs(t, err, ErrOutcomeUnknown, "it was over before it began")
			time.Sleep(time.Hour)
			assert.LessOrEqual(t, server.CallCount(clerktest.OpAny), before+2)
		})
	})
}

// A transport may wrap its own errors in URLs; what they say stays, the query goes.
func TestURLsAreNotRepeated(t *testing.T) {
	t.Parallel()
	cause := errors.New("cause")
	nested := &url.Error{Op: "Get", URL: "https://x/?email_address=canary@example.com", Err: &url.Error{Op: "Get", URL: "https://x/?canary", Err: cause}}
	client := newTestClient(t, newRecorder(failing(nested)), WithMaxRetries(0))
	_, err := client.Organizations.ListInvitations(t.Context(), "org_1", &ListInvitationsParams{EmailAddress: "canary@example.com"})
	assert.ErrorIs(t, err, cause)
	assert.NotContains(t, err.Error(), "canary")
}

// TestConcurrentUse has 50 goroutines share a client.
func TestConcurrentUse(t *testing.T) {
	t.Parallel()
	server := clerktest.NewServer(clerktest.WithoutRateLimits())
	client := inMemory(t, server, WithRateLimiter(Unlimited()), WithLogger(debugLogger(io.Discard)))
	org := server.OrganizationID()
	var wg sync.WaitGroup
	for g := range 50 {
		wg.Go(func() {
			params := someone()
			params[0].EmailAddress = fmt.Sprintf("person%d@example.com", g)
			created, err := client.Organizations.CreateInvitationBulk(t.Context(), org, params)
			if !assert.NoError(t, err) {
				return
			}
			for range 5 {
				got, err := client.Organizations.GetInvitation(t.Context(), org, created[0].ID)
				assert.NoError(t, err)
				assert.Equal(t, params[0].EmailAddress, got.EmailAddress)
				_, err = client.Organizations.GetInvitation(t.Context(), org, "orginv_unknown")
				assert.ErrorIs(t, err, ErrNotFound)
			}
			assert.Equal(t, params[0].EmailAddress, created[0].EmailAddress, "buffers are not shared with answers")
		})
	}
	wg.Wait()
}

// The values of headers are shared by all requests: what a transport sets or adds in one
// is not in the next.
func TestHeadersStayApart(t *testing.T) {
	t.Parallel()
	client := newTestClient(t, transportFunc(func(req *http.Request) (*http.Response, error) {
		for name, values := range req.Header {
			require.Len(t, values, 1, name)
			require.NotContains(t, values[0], "changed", name)
		}
		for name := range req.Header {
			req.Header.Add(name, "changed")
			req.Header.Set("X-"+name, "changed")
		}
		return canned(req, 200, `{"data":[{"id":"orginv_1"}]}`), nil
	}))
	for range 3 {
		_, err := client.Organizations.CreateInvitationBulk(t.Context(), "org_1", []CreateInvitationParams{person("ada@example.com")})
		require.NoError(t, err)
	}
}
