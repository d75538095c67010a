package clerkorg

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/clerkorg/clerkorg-go/clerktest"
)

// foreign is an HTTP client of another SDK on our transport.
type foreign struct {
	*http.Client
	key  string
	base string
}

func newForeign(t *testing.T, key string, next http.RoundTripper, opts ...Option) *foreign {
	t.Helper()
	transport, err := NewTransport(key, append([]Option{WithHTTPClient(&http.Client{Transport: next})}, opts...)...)
	require.NoError(t, err)
	return &foreign{&http.Client{Transport: transport}, key, DefaultBaseURL}
}

// call returns the status, or the error that kept the request from having one.
func (f *foreign) call(ctx context.Context, method, path, body string) (int, error) {
	req, err := http.NewRequestWithContext(ctx, method, f.base+path, strings.NewReader(body))
	if err != nil {
		return 0, err
	}
	req.Header.Set("Authorization", "Bearer "+f.key)
	resp, err := f.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode, err
}

// TestTransportSharesTheBucket: the other SDK and ours together send what one may.
func TestTransportSharesTheBucket(t *testing.T) {
	bubble(t, func(t *testing.T, server *clerktest.Server) {
		client := inMemory(t, server, WithMaxRateLimitWait(0))
		other := newForeign(t, server.SecretKey(), server.Transport(), WithMaxRateLimitWait(0))
		path := "/organizations/" + server.OrganizationID() + "/invitations/bulk"
		for i := range 50 {
			if i%2 == 0 {
				_, err := client.Organizations.CreateInvitationBulk(t.Context(), server.OrganizationID(), []CreateInvitationParams{crowd(i+1, nil)[i]})
				require.NoError(t, err)
				continue
			}
			status, err := other.call(t.Context(), "POST", path, `[{"email_address":"`+crowd(i+1, nil)[i].EmailAddress+`","role":"org:member"}]`)
			require.NoError(t, err)
			require.Equal(t, 200, status)
		}
		_, err := other.call(t.Context(), "POST", path, "[]")
		limited, ok := errors.AsType[*RateLimitError](err)
		require.True(t, ok, "%v", err)
		assert.Equal(t, QuotaBulk, limited.Quota.Name)
		assert.Greater(t, limited.RetryAfter, 59*time.Minute)
		assert.Equal(t, 50, server.CallCount(clerktest.OpAny))

		status, err := other.call(t.Context(), "GET", "/organizations/"+server.OrganizationID(), "")
		require.NoError(t, err)
		assert.Equal(t, 200, status)
		state, err := client.Quota(t.Context(), QuotaInstance)
		require.NoError(t, err)
		assert.Equal(t, 49, state.Available, "all calls count")
		assert.Zero(t, server.RateLimited())
	})
}

func TestTransportWaits(t *testing.T) {
	bubble(t, func(t *testing.T, server *clerktest.Server) {
		other := newForeign(t, server.SecretKey(), server.Transport(), WithMaxRateLimitWait(2*time.Hour))
		start := time.Now()
		for range 26 {
			_, err := other.call(t.Context(), "POST", "/invitations/bulk", "[]")
			require.NoError(t, err)
		}
		assert.InDelta(t, time.Hour+5*time.Second, time.Since(start), float64(time.Second))
		assert.Zero(t, server.RateLimited())

		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Minute, cancel)
		for range 25 {
			_, err := other.call(ctx, "POST", "/invitations/bulk", "[]")
			if err != nil {
				require.ErrorIs(t, err, context.Canceled)
				return
			}
		}
		t.Error("nothing waited")
	})
}

func TestTransportLeavesOthersAlone(t *testing.T) {
	t.Parallel()
	recorder := newRecorder(reply(200, "{}"))
	limiter := NewTokenBucket()
	other := newForeign(t, newKey(), recorder, WithRateLimiter(limiter))
	for name, change := range map[string]func(f *foreign){
		"another key":    func(f *foreign) { f.key = newKey() },
		"another host":   func(f *foreign) { f.base = "https://api.example.com/v1" },
		"another scheme": func(f *foreign) { f.base = "http://api.clerk.com/v1" },
		"another port":   func(f *foreign) { f.base = "https://api.clerk.com:8443/v1" },
	} {
		changed := *other
		change(&changed)
		_, err := changed.call(t.Context(), "POST", "/invitations", "{}")
		require.NoError(t, err, name)
	}
	state, err := limiter.State(t.Context(), builtinQuotas(false)[QuotaInstance])
	require.NoError(t, err)
	assert.Equal(t, 100, state.Available)

	for _, base := range []string{"https://API.clerk.com/v1", "https://api.clerk.com:443/v1", "https://api.clerk.com"} {
		same := *other
		same.base = base
		_, err := same.call(t.Context(), "POST", "/invitations/", "{}")
		require.NoError(t, err)
	}
	for name, want := range map[string]int{QuotaInstance: 97, QuotaApplicationCreate: 97} {
		state, err := limiter.State(t.Context(), builtinQuotas(false)[name])
		require.NoError(t, err)
		assert.Equal(t, want, state.Available, name)
	}
	assert.Equal(t, 7, recorder.count())
}

// TestTransportClosesOn429: the answer comes as it is, and what follows is not sent.
func TestTransportClosesOn429(t *testing.T) {
	bubble(t, func(t *testing.T, server *clerktest.Server) {
		server.Inject(clerktest.Fault{Kind: clerktest.FaultStatus, Status: 429, RetryAfter: 30, Calls: []int{1}})
		other := newForeign(t, server.SecretKey(), server.Transport())
		path := "/organizations/" + server.OrganizationID() + "/invitations"
		got, err := other.call(t.Context(), "POST", path, "{}")
		require.NoError(t, err)
		assert.Equal(t, 429, got)
		_, err = other.call(t.Context(), "POST", path, "{}")
		limited, ok := errors.AsType[*RateLimitError](err)
		require.True(t, ok, "%v", err)
		assert.Equal(t, QuotaCreate, limited.Quota.Name)
		assert.Equal(t, 1, server.CallCount(clerktest.OpAny))
		time.Sleep(30 * time.Second)
		got, err = other.call(t.Context(), "POST", path, "{}")
		require.NoError(t, err)
		assert.Equal(t, 422, got)
	})
}

// TestTransportAndRedirects: none leads to another server, whose answer an HTTP client
// would take, and to which it would carry what is in the request.
func TestTransportAndRedirects(t *testing.T) {
	t.Parallel()
	for location, followed := range map[string]bool{
		"https://evil.example/":          false,
		"//evil.example/":                false,
		"http://api.clerk.com/v1/x":      false,
		"https://api.clerk.com:8443/v1/": false,
		"https://api.clerk.com.evil/":    false,
		"https://sub.api.clerk.com/":     false,
		"https://api.clerk.com/v1/other": true,
		"/v1/other":                      true,
		"":                               false,
		"https://%zz/":                   false,
	} {
		recorder := newRecorder(reply(307, "", "Location", location), reply(200, "{}"))
		limiter := NewTokenBucket()
		other := newForeign(t, newKey(), recorder, WithRateLimiter(limiter))
		got, err := other.call(t.Context(), "GET", "/organizations/org_1", "")
		require.NoError(t, err, location)
		left, status, requests := 99, 307, 1
		if followed {
			left, status, requests = 98, 200, 2
		}
		assert.Equal(t, status, got, location)
		assert.Equal(t, requests, recorder.count(), location)
		state, err := limiter.State(t.Context(), builtinQuotas(false)[QuotaInstance])
		require.NoError(t, err)
		assert.Equal(t, left, state.Available, location)
	}
}

// deafLimiter cannot be asked.
type deafLimiter struct{ RateLimiter }

func (deafLimiter) Acquire(context.Context, ReservationRequest) (Reservation, error) {
	return Reservation{}, errors.New("no Redis")
}

type closedBody struct {
	io.Reader
	closed bool
}

func (b *closedBody) Close() error { b.closed = true; return nil }

func TestTransportRefuses(t *testing.T) {
	t.Parallel()
	recorder := newRecorder(reply(200, "{}"))
	other := newForeign(t, newKey(), recorder, WithRateLimiter(deafLimiter{NewTokenBucket()}))
	body := &closedBody{Reader: strings.NewReader("{}")}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, DefaultBaseURL+"/invitations", body)
	require.NoError(t, err)
	req.Header.Set("Authorization", "Bearer "+other.key)
	_, err = other.Do(req) //nolint:bodyclose // there is no answer
	require.ErrorIs(t, err, ErrLimiterUnavailable)
	assert.True(t, body.closed)
	assert.Zero(t, recorder.count())

	_, err = NewTransport("canary", nil)
	require.Error(t, err)
	assert.NotContains(t, err.Error(), "canary")
}

// TestTransportSettles: what never left costs nothing, what may have left does.
func TestTransportSettles(t *testing.T) {
	t.Parallel()
	lost := errors.New("lost")
	for name, test := range map[string]struct {
		next http.RoundTripper
		left int
		is   error
	}{
		"refused":   {&http.Transport{}, 100, nil},
		"lost":      {transportFunc(func(*http.Request) (*http.Response, error) { return nil, lost }), 99, lost},
		"no answer": {transportFunc(func(*http.Request) (*http.Response, error) { return nil, nil }), 99, nil},
	} {
		limiter := NewTokenBucket()
		other := newForeign(t, newKey(), test.next, WithRateLimiter(limiter), WithBaseURL("http://127.0.0.1:1"))
		other.base = "http://127.0.0.1:1/v1"
		_, err := other.call(t.Context(), "POST", "/invitations", "{}")
		require.Error(t, err, name)
		if test.is != nil {
			require.ErrorIs(t, err, test.is)
		}
		state, err := limiter.State(t.Context(), builtinQuotas(false)[QuotaApplicationCreate])
		require.NoError(t, err)
		assert.Equal(t, test.left, state.Available, name)
		other.CloseIdleConnections()
	}
}
