package clerkorg

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// silent carries a request out without a word to httptrace, and then fails.
func silent(arrived *atomic.Int32, readsBody bool) transportFunc {
	return func(req *http.Request) (*http.Response, error) {
		if readsBody {
			if _, err := io.Copy(io.Discard, req.Body); err != nil {
				return nil, err
			}
		}
		arrived.Add(1)
		return nil, io.ErrUnexpectedEOF
	}
}

// refuses is a transport whose connections are refused.
func refuses() *http.Transport {
	return &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
	}}
}

// TestAuxiliaryRequests: a transport of the caller's own may make requests of its own
// with the context of ours, and our hooks hear of them.
func TestAuxiliaryRequests(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		host      string
		readsBody bool
	}{
		"a token from another host":          {"https://tokens.example.com/", true},
		"before the body is read":            {"https://tokens.example.com/", false},
		"from the same host":                 {"https://api.clerk.com/token", true},
		"from the same host, at no own port": {"https://api.clerk.com:8443/token", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var arrived atomic.Int32
				server, tokens := silent(&arrived, test.readsBody), refuses()
				client := newTestClient(t, transportFunc(func(req *http.Request) (*http.Response, error) {
					if _, err := server(req); !errors.Is(err, io.ErrUnexpectedEOF) {
						return nil, err
					}
					aux, err := http.NewRequestWithContext(req.Context(), http.MethodGet, test.host, nil)
					if err != nil {
						return nil, err
					}
					return tokens.RoundTrip(aux)
				}))
				_, err := client.Organizations.CreateInvitationBulk(t.Context(), "org_1", someone())
				assert.ErrorIs(t, err, ErrOutcomeUnknown)
				assert.ErrorIs(t, err, syscall.ECONNREFUSED)
				assert.EqualValues(t, 1, arrived.Load())
			})
		})
	}
}

// TestWrappedTransports: a transport around that of net/http takes nothing away from
// what is known about a connection that was refused.
func TestWrappedTransports(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for _, base := range []string{"https://clerk.example.com", "https://clerk.example.com:8443", "http://127.0.0.1:1", "http://[::1]:1"} {
			var tries atomic.Int32
			inner := refuses()
			client := newTestClient(t, transportFunc(func(req *http.Request) (*http.Response, error) {
				tries.Add(1)
				return inner.RoundTrip(req.Clone(req.Context()))
			}), WithBaseURL(base))
			_, err := client.Organizations.CreateInvitationBulk(t.Context(), "org_1", someone())
			assert.ErrorIs(t, err, syscall.ECONNREFUSED)
			assert.NotErrorIs(t, err, ErrOutcomeUnknown, base)
			assert.EqualValues(t, 4, tries.Load())
		}
	})
}

// brokenWrites is a connection that takes nothing once broken is set.
type brokenWrites struct {
	net.Conn
	broken *atomic.Bool
}

func (c brokenWrites) Write(p []byte) (int, error) {
	if c.broken.CompareAndSwap(true, false) {
		return 0, syscall.EPIPE
	}
	return c.Conn.Write(p)
}

// TestKeptConnectionThatTakesNothing: a request of which not one byte left is sent
// again, on another connection, with a token that the first gave back.
func TestKeptConnectionThatTakesNothing(t *testing.T) {
	t.Parallel()
	for _, call := range apiCalls {
		if !call.creates() {
			continue
		}
		t.Run(call.name, func(t *testing.T) {
			t.Parallel()
			server := newCountingServer(t, fixture(t, call.fixture))
			var broken atomic.Bool
			dialer := new(net.Dialer)
			client, err := NewClient(newKey(), WithBaseURL(server.URL), WithHTTPClient(&http.Client{Transport: &http.Transport{
				DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
					conn, err := dialer.DialContext(ctx, network, address)
					return brokenWrites{conn, &broken}, err
				},
			}}), withQuickRetries)
			require.NoError(t, err)
			_, err = call.do(t.Context(), client.Organizations)
			require.NoError(t, err)
			broken.Store(true)
			_, err = call.do(t.Context(), client.Organizations)
			require.NoError(t, err)
			assert.False(t, broken.Load())
			assert.EqualValues(t, 2, server.arrived.Load())
			if call.quotaKey == QuotaBulk {
				state, err := client.Quota(t.Context(), QuotaBulk)
				require.NoError(t, err)
				assert.Equal(t, 48, state.Available)
			}
		})
	}
}

// TestOtherAnswersToReplay: net/http asks for the body again for a redirect as well,
// which is an answer.
func TestOtherAnswersToReplay(t *testing.T) {
	t.Parallel()
	for _, status := range []int{301, 302, 303, 307, 308} {
		server := newCountingServer(t, fixture(t, "bulk.json"))
		client, err := NewClient(newKey(), WithBaseURL(server.URL))
		require.NoError(t, err)
		_, err = client.Organizations.CreateInvitationBulk(t.Context(), "org_1", two())
		require.NoError(t, err)
		server.status.Store(int32(status))
		_, err = client.Organizations.CreateInvitationBulk(t.Context(), "org_1", two())
		api, ok := asAPIError(err)
		require.True(t, ok, "%v", err)
		assert.Equal(t, status, api.StatusCode)
		assert.Equal(t, status == http.StatusSeeOther, isUnknown(err))
		assert.EqualValues(t, 2, server.arrived.Load())
	}
}

func TestWhetherARequestLeft(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	const ours = "api.clerk.com:443"
	for name, test := range map[string]struct {
		report func(*httptrace.ClientTrace)
		left   bool
	}{
		"nothing reported": {func(*httptrace.ClientTrace) {}, true},
		"no connection":    {func(h *httptrace.ClientTrace) { h.GetConn(ours) }, false},
		"none to our host": {func(h *httptrace.ClientTrace) { h.GetConn("x:443") }, true},
		"headers written":  {func(h *httptrace.ClientTrace) { h.GetConn(ours); h.WroteHeaders() }, true},
		"only the headers": {func(h *httptrace.ClientTrace) {
			h.GetConn(ours)
			h.WroteHeaders()
			h.WroteRequest(httptrace.WroteRequestInfo{Err: broken})
		}, true},
		"not even headers": {func(h *httptrace.ClientTrace) {
			h.GetConn(ours)
			h.WroteRequest(httptrace.WroteRequestInfo{Err: broken})
		}, false},
		"request written": {func(h *httptrace.ClientTrace) { h.GetConn(ours); h.WroteRequest(httptrace.WroteRequestInfo{}) }, true},
		"answered":        {func(h *httptrace.ClientTrace) { h.GetConn(ours); h.GotFirstResponseByte() }, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client := newTestClient(t, transportFunc(func(req *http.Request) (*http.Response, error) {
				test.report(httptrace.ContextClientTrace(req.Context()))
				return nil, broken
			}), WithMaxRetries(0))
			_, err := client.Organizations.CreateInvitationBulk(t.Context(), "org_1", someone())
			assert.ErrorIs(t, err, broken)
			assert.Equal(t, test.left, isUnknown(err))
		})
	}
}

// TestGivenUpOnAConnection: HTTP/2 may still write a request that was given up when it
// had its connection.
func TestGivenUpOnAConnection(t *testing.T) {
	t.Parallel()
	for _, connected := range []bool{false, true} {
		ctx, cancel := context.WithCancel(t.Context())
		client := newTestClient(t, transportFunc(func(req *http.Request) (*http.Response, error) {
			hooks := httptrace.ContextClientTrace(req.Context())
			hooks.GetConn("api.clerk.com:443")
			if connected {
				hooks.GotConn(httptrace.GotConnInfo{})
			}
			cancel()
			return nil, req.Context().Err()
		}))
		_, err := client.Organizations.CreateInvitationBulk(ctx, "org_1", someone())
		assert.ErrorIs(t, err, context.Canceled)
		assert.Equal(t, connected, isUnknown(err))
	}
}
