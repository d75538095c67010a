package clerkhook

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// post delivers a body and returns the answer.
func post(tb testing.TB, h http.Handler, header http.Header, body []byte) *httptest.ResponseRecorder {
	tb.Helper()
	r := httptest.NewRequestWithContext(tb.Context(), http.MethodPost, "/webhooks", bytes.NewReader(body))
	r.Header = header
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// reports collects what a handler reports.
type reports struct {
	mu     sync.Mutex
	errs   []error
	events []*Event
}

func (r *reports) option() HandlerOption {
	return WithErrorFunc(func(_ context.Context, event *Event, err error) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.errs, r.events = append(r.errs, err), append(r.events, event)
	})
}

func TestHandlerAnswers(t *testing.T) {
	t.Parallel()
	errCallback := errors.New("ada@example.com is there already")
	body := fixture(t, "invitation_accepted")
	good := signed(t, secretA, body)
	long := bytes.Repeat([]byte(" "), MaxBody+1)
	for name, test := range map[string]struct {
		header   http.Header
		body     []byte
		callback error
		status   int
		answer   string
		reported error
	}{
		"handled":         {good, body, nil, 204, "", nil},
		"unknown type":    {signed(t, secretA, fixture(t, "user_created")), fixture(t, "user_created"), nil, 204, "", nil},
		"failed":          {good, body, errCallback, 500, "the event could not be handled\n", errCallback},
		"not signed":      {http.Header{}, body, nil, 400, "clerkhook: no usable signature: svix-id, svix-timestamp and svix-signature must be there, and not empty\n", ErrNoSignature},
		"badly signed":    {signed(t, secretB, body), body, nil, 400, "clerkhook: no signature fits a secret and the body\n", ErrBadSignature},
		"stale":           {signedAt(t, secretA, "msg_1", noon.Add(-time.Hour), body), body, nil, 400, "clerkhook: the timestamp is outside of the tolerance: it is 1h0m0s behind the clock here, and the tolerance is 5m0s\n", ErrStale},
		"signed, no JSON": {signed(t, secretA, []byte("ada@example.com")), []byte("ada@example.com"), nil, 400, "clerkhook: not a readable event: expected { at offset 0\n", ErrMalformed},
		"too long":        {signed(t, secretA, long), long, nil, 413, "clerkhook: the body is longer than 1 MiB\n", ErrTooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var calls int
			var seen reports
			handler := Handler(newTestVerifier(t), func(_ context.Context, event *Event) error {
				calls++
				assert.Equal(t, "msg_1", event.ID)
				return test.callback
			}, seen.option(), nil)
			w := post(t, handler, test.header, test.body)
			assert.Equal(t, test.status, w.Code)
			assert.Equal(t, test.answer, w.Body.String())
			assertDiscreet(t, w.Body.String())
			assert.Equal(t, test.status == 204 || test.status == 500, calls == 1)
			if test.reported == nil {
				assert.Empty(t, seen.errs)
				return
			}
			require.Len(t, seen.errs, 1)
			assert.ErrorIs(t, seen.errs[0], test.reported)
			assert.Equal(t, test.status == 500, seen.events[0] != nil)
		})
	}
}

func TestHandlerOtherRequests(t *testing.T) {
	t.Parallel()
	handler := Handler(newTestVerifier(t), func(context.Context, *Event) error {
		t.Error("called")
		return nil
	})
	for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPut, http.MethodOptions} {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), method, "/", http.NoBody))
		assert.Equal(t, http.StatusMethodNotAllowed, w.Code)
		assert.Equal(t, "POST", w.Header().Get("Allow"))
	}
	w := httptest.NewRecorder()
	broken := io.MultiReader(strings.NewReader(`{"type"`), iotest.ErrReader(errors.New("ada@example.com")))
	handler.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", broken))
	assert.Equal(t, http.StatusBadRequest, w.Code)
	assert.Equal(t, "clerkhook: the body cannot be read to its end\n", w.Body.String())
}

// A body of any length costs no more memory than one that is accepted.
func TestHandlerStopsReading(t *testing.T) {
	t.Parallel()
	var read atomic.Int64
	endless := readerFunc(func(p []byte) (int, error) {
		read.Add(int64(len(p)))
		return len(p), nil
	})
	w := httptest.NewRecorder()
	Handler(newTestVerifier(t), func(context.Context, *Event) error { return nil }).
		ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", endless))
	assert.Equal(t, http.StatusRequestEntityTooLarge, w.Code)
	assert.LessOrEqual(t, read.Load(), int64(MaxBody+1))
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func TestHandlerOverASocket(t *testing.T) {
	t.Parallel()
	body := fixture(t, "invitation_accepted")
	var got *Event
	server := httptest.NewServer(Handler(newTestVerifier(t), func(_ context.Context, event *Event) error {
		got = event
		return nil
	}))
	defer server.Close()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL, bytes.NewReader(body))
	require.NoError(t, err)
	req.Header = signed(t, secretA, body)
	resp, err := server.Client().Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	assert.Equal(t, http.StatusNoContent, resp.StatusCode)
	require.NotNil(t, got)
	assert.Equal(t, "user_8", got.Data.(*Invitation).UserID)
}

func TestHandlerPanics(t *testing.T) {
	t.Parallel()
	assert.Panics(t, func() { Handler(nil, func(context.Context, *Event) error { return nil }) })
	assert.Panics(t, func() { Handler(newTestVerifier(t), nil) })
}

func TestHandlerDeduplicates(t *testing.T) {
	t.Parallel()
	body := fixture(t, "invitation_accepted")
	var outcome error
	calls := 0
	handler := Handler(newTestVerifier(t), func(context.Context, *Event) error {
		calls++
		if calls == 2 {
			panic("in the callback")
		}
		return outcome
	}, WithDeduplicator(NewMemoryDeduplicator(0)))
	header := signed(t, secretA, body)

	outcome = errors.New("database is down")
	assert.Equal(t, 500, post(t, handler, header, body).Code)
	assert.Panics(t, func() { post(t, handler, header, body) })
	outcome = nil
	assert.Equal(t, 204, post(t, handler, header, body).Code)
	assert.Equal(t, 204, post(t, handler, header, body).Code)
	// The next attempt is signed at another time.
	assert.Equal(t, 204, post(t, handler, signedAt(t, secretA, "msg_1", noon.Add(time.Minute), body), body).Code)
	assert.Equal(t, 3, calls, "once more after an error, once more after a panic")
	assert.Equal(t, 204, post(t, handler, signedAt(t, secretA, "msg_2", noon, body), body).Code)
	assert.Equal(t, 4, calls)
}

// The second of two deliveries at the same time waits for what the first comes to.
func TestHandlerConcurrentDeliveries(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		first error
		calls int32
		codes [2]int
	}{
		"first succeeds": {nil, 1, [2]int{204, 204}},
		"first fails":    {errors.New("no"), 2, [2]int{500, 204}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				body := fixture(t, "invitation_accepted")
				var calls atomic.Int32
				handler := Handler(newTestVerifier(t), func(context.Context, *Event) error {
					n := calls.Add(1)
					time.Sleep(time.Minute)
					if n == 1 {
						return test.first
					}
					return nil
				}, WithDeduplicator(NewMemoryDeduplicator(0)))
				var codes [2]int
				var group sync.WaitGroup
				for i := range codes {
					group.Go(func() {
						time.Sleep(time.Duration(i) * time.Second)
						codes[i] = post(t, handler, signed(t, secretA, body), body).Code
					})
				}
				group.Wait()
				assert.Equal(t, test.codes, codes)
				assert.Equal(t, test.calls, calls.Load())
			})
		})
	}
}

// brokenDeduplicator is one whose store is down for one of its methods.
type brokenDeduplicator struct{ claim, settle error }

func (d brokenDeduplicator) Claim(context.Context, string) (bool, error) { return true, d.claim }
func (d brokenDeduplicator) Settle(ctx context.Context, _ string, _ bool) error {
	return errors.Join(d.settle, ctx.Err())
}

func TestHandlerBrokenDeduplicator(t *testing.T) {
	t.Parallel()
	body := fixture(t, "invitation_accepted")
	down := errors.New("store is down")
	calls := 0
	callback := func(context.Context, *Event) error { calls++; return nil }

	var seen reports
	w := post(t, Handler(newTestVerifier(t), callback, seen.option(), WithDeduplicator(brokenDeduplicator{claim: down})), signed(t, secretA, body), body)
	assert.Equal(t, 500, w.Code, "so that it is delivered again")
	assert.Zero(t, calls)
	require.Len(t, seen.errs, 1)
	assert.ErrorIs(t, seen.errs[0], down)

	w = post(t, Handler(newTestVerifier(t), callback, seen.option(), WithDeduplicator(brokenDeduplicator{settle: down})), signed(t, secretA, body), body)
	assert.Equal(t, 204, w.Code, "it was handled")
	assert.Equal(t, 1, calls)
	require.Len(t, seen.errs, 2)
	assert.ErrorIs(t, seen.errs[1], down)
}

// The outcome is remembered although the sender has gone.
func TestHandlerSettlesAfterTheSenderLeft(t *testing.T) {
	t.Parallel()
	body := fixture(t, "invitation_accepted")
	ctx, leave := context.WithCancel(t.Context())
	var seen reports
	handler := Handler(newTestVerifier(t), func(got context.Context, _ *Event) error {
		leave()
		assert.Error(t, got.Err(), "the callback is told")
		return nil
	}, seen.option(), WithDeduplicator(brokenDeduplicator{}))
	r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/", bytes.NewReader(body))
	r.Header = signed(t, secretA, body)
	handler.ServeHTTP(httptest.NewRecorder(), r)
	assert.Empty(t, seen.errs)
}
