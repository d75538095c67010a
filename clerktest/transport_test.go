package clerktest_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/clerkorg/clerkorg-go/clerktest"
)

// traced records the names of the hooks called.
func traced(req *http.Request) (*http.Request, *[]string) {
	var names []string
	add := func(name string) { names = append(names, name) }
	return req.WithContext(httptrace.WithClientTrace(req.Context(), &httptrace.ClientTrace{
		GetConn:      func(hostPort string) { add("GetConn " + hostPort) },
		ConnectStart: func(string, string) { add("ConnectStart") },
		ConnectDone:  func(_, _ string, err error) { add(fmt.Sprint("ConnectDone ", err == nil)) },
		GotConn: func(info httptrace.GotConnInfo) {
			add(fmt.Sprint("GotConn ", info.Reused, info.Conn.RemoteAddr() != nil))
		},
		WroteHeaders:         func() { add("WroteHeaders") },
		WroteRequest:         func(info httptrace.WroteRequestInfo) { add(fmt.Sprint("WroteRequest ", info.Err)) },
		GotFirstResponseByte: func() { add("GotFirstResponseByte") },
	})), &names
}

func TestTrace(t *testing.T) {
	t.Parallel()
	connected := []string{"GetConn api.example.com:443", "ConnectStart", "ConnectDone true", "GotConn false true", "WroteHeaders", "WroteRequest <nil>"}
	for _, tt := range []struct {
		kind clerktest.FaultKind
		want []string
		err  error
	}{
		{clerktest.FaultDelay, append(connected[:6:6], "GotFirstResponseByte"), nil},
		{clerktest.FaultStatusAfter, append(connected[:6:6], "GotFirstResponseByte"), nil},
		{clerktest.FaultTruncate, append(connected[:6:6], "GotFirstResponseByte"), io.ErrUnexpectedEOF},
		{clerktest.FaultResetBefore, connected, syscall.ECONNRESET},
		{clerktest.FaultResetAfter, connected, syscall.ECONNRESET},
		{clerktest.FaultRefuse, []string{connected[0], "ConnectStart", "ConnectDone false"}, syscall.ECONNREFUSED},
	} {
		t.Run(tt.kind.String(), func(t *testing.T) {
			t.Parallel()
			a := inMemory(t)
			a.Inject(clerktest.Fault{Kind: tt.kind})
			req, names := traced(a.request("POST", a.org("/invitations"), person("x@example.com")))
			_, err := a.send(req)
			require.ErrorIs(t, err, tt.err)
			require.Equal(t, tt.want, *names)
			if errno := syscall.Errno(0); errors.As(tt.err, &errno) {
				var op *net.OpError
				require.ErrorAs(t, err, &op)
			}
		})
	}
}

func TestTraceOfPlainHTTP(t *testing.T) {
	t.Parallel()
	a := inMemory(t)
	a.base = "http://localhost:8080"
	req, names := traced(a.request("GET", a.org(""), ""))
	_, err := a.send(req)
	require.NoError(t, err)
	require.Equal(t, "GetConn localhost:8080", (*names)[0])
}

type body struct {
	io.Reader
	closed bool
}

func (b *body) Close() error { b.closed = true; return nil }

func TestTransportTreatsBodies(t *testing.T) {
	t.Parallel()
	a := inMemory(t)
	transport := a.client.Transport
	sent := &body{Reader: strings.NewReader(person("x@example.com"))}
	req := a.request("POST", a.org("/invitations"), "")
	req.Body = sent
	resp, err := transport.RoundTrip(req)
	require.NoError(t, err)
	require.True(t, sent.closed)
	require.Same(t, req, resp.Request)
	require.Equal(t, "200 OK", resp.Status)
	got, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.EqualValues(t, len(got), resp.ContentLength)
	require.NoError(t, resp.Body.Close())
	_, err = resp.Body.Read(make([]byte, 1))
	require.ErrorIs(t, err, http.ErrBodyReadAfterClose)

	broken := errors.New("broken")
	sent = &body{Reader: io.MultiReader(strings.NewReader("{"), iotestErr{broken})}
	req = a.request("POST", a.org("/invitations"), "")
	req.Body = sent
	_, err = transport.RoundTrip(req) //nolint:bodyclose // There is no response.
	require.ErrorIs(t, err, broken)
	require.True(t, sent.closed)
	require.Len(t, a.Calls(), 1, "half a request does not arrive")

	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(broken)
	sent = &body{Reader: strings.NewReader("{}")}
	req = a.request("POST", a.org("/invitations"), "").WithContext(ctx)
	req.Body = sent
	_, err = transport.RoundTrip(req) //nolint:bodyclose // There is no response.
	require.ErrorIs(t, err, broken)
	require.True(t, sent.closed)
	require.Len(t, a.Calls(), 1)

	_, err = transport.RoundTrip(&http.Request{}) //nolint:bodyclose // There is no response.
	require.Error(t, err)
}

type iotestErr struct{ err error }

func (e iotestErr) Read([]byte) (int, error) { return 0, e.err }

func TestLatency(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ways := []time.Duration{time.Second, 3 * time.Second}
		next := 0
		a := inMemory(t, clerktest.WithLatency(func() time.Duration { next++; return ways[(next-1)%2] }))
		a.Inject(clerktest.Fault{Calls: []int{2}, Kind: clerktest.FaultDelay, Delay: time.Minute})
		a.Inject(clerktest.Fault{Calls: []int{3}, Kind: clerktest.FaultDelayAfter, Delay: time.Minute})
		for i, want := range []struct{ total, created time.Duration }{
			{4 * time.Second, time.Second},
			{64 * time.Second, 61 * time.Second},
			{64 * time.Second, time.Second},
		} {
			start := time.Now()
			require.Equal(t, 200, a.create(addresses(1, i)[0]).status)
			require.Equal(t, want.total, time.Since(start))
			require.Equal(t, start.Add(want.created), a.Invitations(a.OrganizationID())[i].CreatedAt)
			require.Equal(t, start.Add(time.Second), a.Calls()[i].Time)
		}
	})
}

// TestCancelledRequestsArrive: giving up does not call a request back.
func TestCancelledRequestsArrive(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := inMemory(t, clerktest.WithLatency(constant(10*time.Second)))
		a.Inject(clerktest.Fault{Operation: clerktest.OpBulk, Kind: clerktest.FaultDelay, Delay: time.Minute})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		_, err := a.send(a.request("POST", a.org("/invitations/bulk"), people("x@example.com")).WithContext(ctx))
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, time.Second, time.Since(start))
		require.Empty(t, a.Calls())

		time.Sleep(9 * time.Second)
		synctest.Wait()
		require.Len(t, a.Calls(), 1)
		require.Zero(t, a.Calls()[0].Status)
		require.Zero(t, a.TimesInvited(a.OrganizationID(), "x@example.com"))
		time.Sleep(time.Minute)
		synctest.Wait()
		require.Equal(t, 200, a.Calls()[0].Status)
		require.Equal(t, 1, a.TimesInvited(a.OrganizationID(), "x@example.com"))
	})
}

// TestAbandonedAtTheEnd: a bubble may end while a request is under way.
func TestAbandonedAtTheEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := inMemory(t, clerktest.WithLatency(constant(time.Hour)))
		a.client.Timeout = time.Second
		_, err := a.send(a.request("GET", a.org(""), ""))
		require.Error(t, err)
	})
}

// TestServerFromOutside: a server made outside of a bubble works inside.
func TestServerFromOutside(t *testing.T) {
	t.Parallel()
	a := inMemory(t, clerktest.WithLatency(constant(time.Second)))
	synctest.Test(t, func(t *testing.T) {
		a.t = t // its context belongs to the bubble
		require.Equal(t, 200, a.create("x@example.com").status)
	})
}

func TestConcurrency(t *testing.T) {
	t.Parallel()
	for name, open := range transports {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := open(t, clerktest.WithoutRateLimits(), clerktest.WithLatency(constant(time.Millisecond)),
				clerktest.WithNamedRefusals(clerktest.NameInMeta))
			var wg sync.WaitGroup
			for i := range 100 {
				wg.Go(func() {
					// Two goroutines want each address; one of them gets it.
					email := fmt.Sprintf("p%d@example.com", i/2)
					remove := a.Inject(clerktest.Fault{Operation: clerktest.OpRevoke, Probability: 0.5})
					defer remove()
					for _, req := range []*http.Request{
						a.request("POST", a.org("/invitations/bulk"), people(email)),
						a.request("GET", a.org("/invitations?status=pending&limit=500"), ""),
						a.request("GET", a.org("/memberships?email_address="+email), ""),
						a.request("POST", a.org("/invitations/"+fmt.Sprint(i)+"/revoke"), ""),
					} {
						_, err := a.send(req)
						if err != nil {
							t.Error(err)
						}
					}
					a.AddMember(a.OrganizationID(), fmt.Sprintf("m%d@example.com", i), "org:member")
					_ = a.Calls()
					_ = a.Invitations(a.OrganizationID())
				})
			}
			wg.Wait()
			invited := a.InvitedAddresses(a.OrganizationID())
			require.Len(t, invited, 50)
			for email, times := range invited {
				require.Equal(t, 1, times, email)
			}
			require.Equal(t, 400, a.CallCount(clerktest.OpAny))
		})
	}
}

func TestLoopback(t *testing.T) {
	t.Parallel()
	s := clerktest.NewServer()
	require.NoError(t, s.Start("127.0.0.1:0"))
	require.Error(t, s.Start("127.0.0.1:0"), "once is enough")
	url := s.URL()
	require.Regexp(t, `^http://127\.0\.0\.1:\d+$`, url)
	s.Close()
	s.Close()
	require.Equal(t, url, s.URL())
	_, err := http.Get(url) //nolint:gosec,bodyclose,noctx // Our own address, and no response.
	require.Error(t, err)
	require.Error(t, s.Start("127.0.0.1:0"))

	require.Error(t, clerktest.NewServer().Start("not an address"))
	closed := clerktest.NewServer()
	closed.Close()
	require.Empty(t, closed.URL())
}

// TestCloseDuringDelay: Close does not wait for slow answers, and they are not
// taken for good ones.
func TestCloseDuringDelay(t *testing.T) {
	t.Parallel()
	a := overLoopback(t)
	arrived := make(chan struct{})
	a.Inject(clerktest.Fault{Kind: clerktest.FaultDelay, Delay: time.Hour, While: func(time.Time) bool { close(arrived); return true }})
	failed := make(chan error)
	go func() {
		_, err := a.send(a.request("POST", a.org("/invitations"), person("x@example.com")))
		failed <- err
	}()
	<-arrived
	a.Close()
	require.Error(t, <-failed)
	require.Empty(t, a.Invitations(a.OrganizationID()))
}

func TestServeHTTP(t *testing.T) {
	t.Parallel()
	s := clerktest.NewServer(clerktest.WithLatency(constant(time.Millisecond)))
	request := func() *http.Request {
		req := httptest.NewRequestWithContext(t.Context(), "GET", "/v1/organizations/"+s.OrganizationID(), nil)
		req.Header.Set("Authorization", "Bearer "+s.SecretKey())
		return req
	}
	recorder := httptest.NewRecorder()
	s.ServeHTTP(recorder, request())
	require.Equal(t, 200, recorder.Code)
	require.Equal(t, "application/json", recorder.Header().Get("Content-Type"))

	s.Inject(clerktest.Fault{Kind: clerktest.FaultResetAfter})
	require.PanicsWithValue(t, http.ErrAbortHandler, func() { s.ServeHTTP(httptest.NewRecorder(), request()) })
}
