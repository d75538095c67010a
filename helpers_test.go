package clerkorg

import (
	"bytes"
	cryptorand "crypto/rand"
	"errors"
	"io"
	"math"
	"math/rand/v2"
	"net/http"
	"os"
	"reflect"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jarcoal/httpmock"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/clerkorg/clerkorg-go/clerktest"
)

// newKey returns a secret key that no other test has, and with it a quota.
func newKey() string { return "sk_test_" + cryptorand.Text() }

// newTestClient returns a client whose requests go to transport, with a bucket
// of its own.
func newTestClient(t testing.TB, transport http.RoundTripper, opts ...Option) *Client {
	t.Helper()
	client, err := NewClient(newKey(), append([]Option{
		WithHTTPClient(&http.Client{Transport: transport}),
		WithRateLimiter(NewTokenBucket()),
	}, opts...)...)
	require.NoError(t, err)
	return client
}

// inMemory returns a client of server that uses no socket.
func inMemory(t *testing.T, server *clerktest.Server, opts ...Option) *Client {
	t.Helper()
	client, err := NewClient(server.SecretKey(), append([]Option{
		WithHTTPClient(&http.Client{Transport: server.Transport()}),
	}, opts...)...)
	require.NoError(t, err)
	return client
}

// through returns a client of server whose requests pass trip first.
func through(t *testing.T, server *clerktest.Server, trip func(req *http.Request, next http.RoundTripper) (*http.Response, error), opts ...Option) *Client {
	t.Helper()
	next := server.Transport()
	transport := transportFunc(func(req *http.Request) (*http.Response, error) { return trip(req, next) })
	return inMemory(t, server, append([]Option{WithHTTPClient(&http.Client{Transport: transport})}, opts...)...)
}

// bubble is a test in virtual time, with a server of its own.
func bubble(t *testing.T, test func(t *testing.T, server *clerktest.Server), opts ...clerktest.Option) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		test(t, clerktest.NewServer(append([]clerktest.Option{
			clerktest.WithLatency(func() time.Duration { return 50 * time.Millisecond }),
		}, opts...)...))
	})
}

// withQuickRetries is for tests that use sockets, which wait in real time.
func withQuickRetries(c *Client) error {
	c.backoff = time.Millisecond
	return nil
}

// transportFunc is a transport that is a function.
type transportFunc func(*http.Request) (*http.Response, error)

func (f transportFunc) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// responder answers one request.
type responder = httpmock.Responder

// reply is a canned answer, with headers as names and values by turns.
func reply(status int, body string, header ...string) responder {
	return func(req *http.Request) (*http.Response, error) {
		resp := httpmock.NewStringResponse(status, body)
		resp.Request = req
		for i := 0; i < len(header); i += 2 {
			resp.Header.Set(header[i], header[i+1])
		}
		return resp, nil
	}
}

func failing(err error) responder { return httpmock.NewErrorResponder(err) }

// canned is an answer that no server gave.
func canned(req *http.Request, status int, body string) *http.Response {
	resp, _ := reply(status, body, "Content-Type", "application/json")(req)
	return resp
}

// recorder answers with one responder after the other, the last one over and
// over, and keeps what it was asked. It reports nothing to httptrace.
type recorder struct {
	*httpmock.MockTransport
	mu       sync.Mutex
	requests []*http.Request
	bodies   []string
}

func newRecorder(responders ...responder) *recorder {
	r := &recorder{MockTransport: httpmock.NewMockTransport()}
	r.RegisterNoResponder(func(req *http.Request) (*http.Response, error) {
		var body []byte
		if req.Body != nil {
			var err error
			if body, err = io.ReadAll(req.Body); err != nil {
				return nil, err
			}
		}
		r.mu.Lock()
		n := len(r.requests)
		r.requests = append(r.requests, req)
		r.bodies = append(r.bodies, string(body))
		r.mu.Unlock()
		return responders[min(n, len(responders)-1)](req)
	})
	return r
}

func (r *recorder) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.requests)
}

// bodyOf reads the body of a request, and leaves it as it was.
func bodyOf(req *http.Request) string {
	if req.Body == nil {
		return ""
	}
	body, _ := io.ReadAll(req.Body)
	req.Body = io.NopCloser(bytes.NewReader(body))
	return string(body)
}

func fixture(t testing.TB, name string) string {
	t.Helper()
	data, err := os.ReadFile("testdata/" + name)
	require.NoError(t, err)
	return string(data)
}

// assertNoneTwice asks the server's own ledger.
func assertNoneTwice(t *testing.T, server *clerktest.Server, org string) {
	t.Helper()
	for address, times := range server.InvitedAddresses(org) {
		require.Equal(t, 1, times, address)
	}
}

// someone is the smallest bulk call there is.
func someone() []CreateInvitationParams { return []CreateInvitationParams{person("ada@example.com")} }

// two people, as the bulk fixtures answer.
func two() []CreateInvitationParams {
	return append(someone(), CreateInvitationParams{EmailAddress: "grace@example.com", Role: RoleAdmin})
}

func person(address string) CreateInvitationParams {
	return CreateInvitationParams{EmailAddress: address, Role: RoleMember}
}

// boxed takes the type from a result, so that calls fit into a table.
func boxed[T any](v T, err error) (any, error) { return v, err }

func isNil(v any) bool { return v == nil || reflect.ValueOf(v).IsNil() }

func isUnknown(err error) bool { return errors.Is(err, ErrOutcomeUnknown) }

func asAPIError(err error) (*APIError, bool) { return errors.AsType[*APIError](err) }

const forever = time.Duration(math.MaxInt64)

// full reports whether simulations run from all points, with all seeds and at full
// size. It takes minutes of processor time, and is for .ci/run, which sets the
// variable; without it they run from a sample of the points, and make the same
// checks there. It is read in the tests, since the go command caches results by the
// variables that are read after it has begun to watch.
func full() bool { return os.Getenv("CLERKORG_TEST_FULL") != "" }

// stride is the step from one point of a simulation to the next: n, or 1 where all
// of them are wanted.
func stride(n int) int {
	if full() {
		return 1
	}
	return n
}

// sampler returns a function that picks the first of every n points, or all of them
// where all are wanted, and under the race detector a third of those. Choose n
// coprime to the lengths of the inner loops: then the sample has every value of each
// of them.
func sampler(n int) (pick func() bool) {
	if n = stride(n); raceEnabled {
		n *= 3
	}
	next := 0
	return func() bool {
		picked := next%n == 0
		next++
		return picked
	}
}

func TestSampler(t *testing.T) {
	t.Parallel()
	pick := sampler(3)
	picked := 0
	for range 12 {
		if pick() {
			picked++
		}
	}
	switch {
	case full() && !raceEnabled:
		assert.Equal(t, 12, picked)
	case full() || !raceEnabled:
		assert.Equal(t, 4, picked)
	default:
		assert.Equal(t, 2, picked)
	}
}

// phases are points of the clock hour at which a simulation begins; windows are
// ways in which its server counts.
var (
	phases  = []time.Duration{0, 17 * time.Minute, 59*time.Minute + 58*time.Second}
	windows = clerktest.Windows()
)

// weather is a network with 20 to 800 ms one way, and a spike of 5 s now and then.
func weather(seed uint64) func() time.Duration {
	var mu sync.Mutex
	random := rand.New(rand.NewPCG(seed, 3))
	return func() time.Duration {
		mu.Lock()
		defer mu.Unlock()
		if random.IntN(200) == 0 {
			return 5 * time.Second
		}
		return 20*time.Millisecond + time.Duration(random.Int64N(int64(780*time.Millisecond)))
	}
}
