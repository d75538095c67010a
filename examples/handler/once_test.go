package main

import (
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/clerkorg/clerkorg-go"
	"github.com/clerkorg/clerkorg-go/clerktest"
)

// postOnce sends a body with an Idempotency-Key.
func (f *fixture) postOnce(t *testing.T, key, body string) received {
	t.Helper()
	req := httptest.NewRequestWithContext(t.Context(), http.MethodPost, f.path, strings.NewReader(body))
	req.Header.Set("Idempotency-Key", key)
	return f.send(t, req, "application/json")
}

// onEveryStore runs a test with answers in the process and in Redis.
func onEveryStore(t *testing.T, test func(t *testing.T, f *fixture)) {
	t.Helper()
	t.Run("own", func(t *testing.T) {
		t.Parallel()
		test(t, newFixture(t))
	})
	t.Run("shared", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t)
		f.serve(t, "redis://"+miniredis.RunT(t).Addr())
		test(t, f)
	})
}

func TestSameKeySameAnswer(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, f *fixture) {
		body := bodyOf("ada@example.com", "not an address")
		first := f.postOnce(t, "k1", body)
		require.Equal(t, http.StatusOK, first.status, first.raw)
		assert.Equal(t, []clerkorg.InviteOutcome{clerkorg.OutcomeInvited, clerkorg.OutcomeRejected}, first.outcomes())
		assert.Empty(t, first.header.Get("Idempotent-Replayed"))
		again := f.postOnce(t, "k1", body)
		assert.Equal(t, first.raw, again.raw, "not already_invited")
		assert.Equal(t, first.status, again.status)
		assert.Equal(t, "true", again.header.Get("Idempotent-Replayed"))
		assert.Equal(t, 1, f.clerk.CallCount(clerktest.OpBulk)+f.clerk.CallCount(clerktest.OpCreate))

		assert.Equal(t, "idempotency_key_reused", f.postOnce(t, "k1", bodyOf("bob@example.com")).Code)
		assert.Equal(t, clerkorg.OutcomeAlreadyInvited, f.postOnce(t, "k2", body).outcomes()[0], "another key is another request")
		assert.Equal(t, clerkorg.OutcomeAlreadyInvited, f.post(t, body).outcomes()[0])

		invalid := f.postOnce(t, "k3", bodyOf())
		assert.Equal(t, http.StatusUnprocessableEntity, invalid.status)
		assert.Equal(t, invalid.raw, f.postOnce(t, "k3", bodyOf()).raw)
		for _, key := range []string{"a b", "é", strings.Repeat("k", maxKey+1)} {
			assert.Equal(t, "idempotency_key_invalid", f.postOnce(t, key, body).Code)
		}
		assert.Equal(t, "body_too_large", f.postOnce(t, "k4", strings.Repeat(" ", maxBody+2)).Code)
	})
}

// TestFailuresAreNotKept has the same request go on after a failure.
func TestFailuresAreNotKept(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, f *fixture) {
		heal := f.clerk.Inject(clerktest.Fault{Kind: clerktest.FaultStatus, Status: http.StatusServiceUnavailable})
		body := bodyOf("ada@example.com")
		assert.GreaterOrEqual(t, f.postOnce(t, "k1", body).status, 500)
		heal()
		got := f.postOnce(t, "k1", body)
		require.Equal(t, http.StatusOK, got.status, got.raw)
		assert.Equal(t, []clerkorg.InviteOutcome{clerkorg.OutcomeInvited}, got.outcomes())
	})
}

func TestSameKeyAtOnce(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, f *fixture) {
		f.clerk.Inject(clerktest.Fault{Operation: clerktest.OpBulk, Kind: clerktest.FaultDelay, Delay: 100 * time.Millisecond})
		statuses := map[int]int{}
		var mu sync.Mutex
		var group sync.WaitGroup
		for range 8 {
			group.Go(func() {
				got := f.postOnce(t, "k1", bodyOf("ada@example.com", "bob@example.com"))
				mu.Lock()
				defer mu.Unlock()
				statuses[got.status]++
				if got.status == http.StatusConflict {
					assert.Equal(t, "in_progress", got.Code)
					assert.Equal(t, "1", got.header.Get("Retry-After"))
				}
			})
		}
		group.Wait()
		assert.Positive(t, statuses[http.StatusOK])
		assert.Equal(t, 8, statuses[http.StatusOK]+statuses[http.StatusConflict], statuses)
		assert.Equal(t, 1, f.clerk.CallCount(clerktest.OpBulk))
	})
}

// TestAnswersExpire has the claim of a request whose process has died end by itself.
func TestAnswersExpire(t *testing.T) {
	t.Parallel()
	mini := miniredis.RunT(t)
	f := newFixture(t)
	f.serve(t, "redis://"+mini.Addr())
	require.Equal(t, http.StatusOK, f.postOnce(t, "k1", bodyOf("ada@example.com")).status)
	for _, key := range mini.Keys() {
		if strings.HasPrefix(key, "handler:") {
			assert.Equal(t, keepAnswers, mini.TTL(key))
			assert.NotContains(t, key, "k1")
			require.NoError(t, mini.Set(key, `{"digest":"`+hash(bodyOf("ada@example.com"))+`"}`))
			mini.SetTTL(key, claimAnswers)
		}
	}
	assert.Equal(t, "in_progress", f.postOnce(t, "k1", bodyOf("ada@example.com")).Code)
	mini.FastForward(claimAnswers)
	assert.Equal(t, http.StatusOK, f.postOnce(t, "k1", bodyOf("ada@example.com")).status)

	mini.SetError("LOADING")
	got := f.postOnce(t, "k5", bodyOf("bob@example.com"))
	assert.Equal(t, "idempotency_unknown", got.Code)
	assert.Equal(t, http.StatusServiceUnavailable, got.status)
}

func TestAuthorize(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.token = "let me in"
	f.serve(t, "")
	ask := func(authorization string) received {
		req := httptest.NewRequestWithContext(t.Context(), http.MethodPost, f.path, strings.NewReader(bodyOf("ada@example.com")))
		if authorization != "" {
			req.Header.Set("Authorization", authorization)
		}
		return f.send(t, req, "application/json")
	}
	for _, wrong := range []string{"", "Bearer", "Bearer let me", "Basic let me in", "let me in"} {
		got := ask(wrong)
		assert.Equal(t, http.StatusUnauthorized, got.status, wrong)
		assert.Equal(t, `Bearer realm="invitations"`, got.header.Get("WWW-Authenticate"))
	}
	assert.Empty(t, f.clerk.Calls())
	assert.Equal(t, http.StatusOK, ask("bearer let me in").status)

	// A hook of one's own.
	s := &service{log: slog.New(slog.DiscardHandler), answers: &ownAnswers{}, authorize: func(_ *http.Request, organization string) error {
		return errors.New("not an administrator of " + organization)
	}}
	f.handler = s.routes()
	got := ask("")
	assert.Equal(t, http.StatusForbidden, got.status)
	assert.Equal(t, "not_allowed", got.Code)
	assert.NotContains(t, got.raw, "administrator", "the reason is for the log")
}

// TestProbes loses Redis, and has the server close the quota.
func TestProbes(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	mini := miniredis.RunT(t)
	f.serve(t, "redis://"+mini.Addr())
	probe := func(path string) (int, string) {
		recorder := httptest.NewRecorder()
		f.handler.ServeHTTP(recorder, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, http.NoBody))
		return recorder.Code, recorder.Body.String()
	}
	status, body := probe("/readyz")
	assert.Equal(t, http.StatusOK, status)
	assert.Contains(t, body, `{"status":"ready","parts":{"redis":"ok"},"quotas":[{"name":"invitations.bulk","limit":50,"available":50}`)

	f.clerk.Inject(clerktest.Fault{Operation: clerktest.OpBulk, Kind: clerktest.FaultStatus, Status: http.StatusTooManyRequests, Calls: []int{1}, RetryAfter: 600})
	assert.Equal(t, http.StatusOK, f.post(t, bodyOf(guests(2)...)).status, "they go one by one")
	status, body = probe("/readyz")
	assert.Equal(t, http.StatusOK, status, "it still answers, with when to come again")
	assert.Contains(t, body, `"available":0,"closed_until":"`)

	mini.Close()
	status, body = probe("/readyz")
	assert.Equal(t, http.StatusServiceUnavailable, status)
	assert.JSONEq(t, `{"status":"unavailable","parts":{"redis":"unreachable"}}`, body)
	status, body = probe("/healthz")
	assert.Equal(t, http.StatusOK, status)
	assert.JSONEq(t, `{"status":"ok"}`, body)
	assert.Contains(t, f.log.String(), `"msg":"not ready","part":"redis","err":"dial tcp`)
	for _, span := range f.spans.GetSpans() {
		assert.NotContains(t, span.Name, "readyz")
	}
}
