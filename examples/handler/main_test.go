package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/clerkorg/clerkorg-go"
	"github.com/clerkorg/clerkorg-go/clerktest"
)

func TestDemo(t *testing.T) {
	t.Setenv("CLERK_SECRET_KEY", "sk_live_must_not_be_used")
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), []string{"-demo"}, &out))
	for _, want := range []string{
		"200 OK", "400 Bad Request", "404 Not Found", `unknown field \"emailAddress\"`,
		`"outcome": "invited"`, `"outcome": "already_invited"`, `"outcome": "rejected"`, "clerk.quota.left{invitations.bulk} 47",
	} {
		assert.Contains(t, out.String(), want)
	}
}

// startService starts the program and returns the URL that it prints.
func startService(ctx context.Context, t *testing.T, args ...string) (url string, out *safeBuffer, ended <-chan error) {
	t.Helper()
	out = &safeBuffer{}
	result := make(chan error, 1)
	go func() { result <- run(ctx, append(args, "-addr", "127.0.0.1:0"), out) }()
	require.Eventually(t, func() bool { return strings.Contains(out.String(), `"url":`) }, 10*time.Second, 10*time.Millisecond)
	for line := range strings.Lines(out.String()) {
		var entry struct{ URL string }
		if json.Unmarshal([]byte(line), &entry) == nil && entry.URL != "" {
			url = entry.URL
		}
	}
	return url, out, result
}

// TestStopsGracefully has SIGTERM come during a call that Clerk answers slowly.
func TestStopsGracefully(t *testing.T) {
	clerk := clerktest.NewServer()
	defer clerk.Close()
	t.Setenv("CLERK_SECRET_KEY", clerk.SecretKey())
	t.Setenv("CLERK_API_URL", clerk.URL())
	t.Setenv("REDIS_URL", "redis://"+miniredis.RunT(t).Addr())
	clerk.Inject(clerktest.Fault{Operation: clerktest.OpBulk, Kind: clerktest.FaultDelayAfter, Delay: 300 * time.Millisecond})
	ctx, sigterm := context.WithCancel(t.Context())
	url, out, ended := startService(ctx, t, "-telemetry")

	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+"/organizations/"+clerk.OrganizationID()+"/invitations", strings.NewReader(bodyOf(guests(2)...)))
	require.NoError(t, err)
	req.Header.Set("Content-Type", "application/json")
	answers := make(chan int, 1)
	go func() {
		resp, err := http.DefaultClient.Do(req)
		if !assert.NoError(t, err) {
			answers <- 0
			return
		}
		_ = resp.Body.Close()
		answers <- resp.StatusCode
	}()
	require.Eventually(t, func() bool { return clerk.CallCount(clerktest.OpBulk) == 1 }, 10*time.Second, time.Millisecond)
	sigterm()
	assert.Equal(t, http.StatusOK, <-answers, "the call under way was not cut off")
	require.NoError(t, <-ended)
	assert.Contains(t, out.String(), `"clerk.quota.left"`, "telemetry is sent at the end")
	assert.NotContains(t, out.String(), `"level":"ERROR"`)
	assert.NotContains(t, out.String(), "@example.com")
	assert.NotContains(t, out.String(), clerk.SecretKey())
}

// TestCallerLeaves ends the call to Clerk with the request.
func TestCallerLeaves(t *testing.T) {
	inBubble(t, func(t *testing.T, f *fixture) {
		f.clerk.Inject(clerktest.Fault{Kind: clerktest.FaultDelayAfter, Delay: time.Minute})
		ctx, leave := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, leave)
		start := time.Now()
		got := f.send(t, httptest.NewRequestWithContext(ctx, http.MethodPost, f.path, strings.NewReader(bodyOf(guests(2)...))), "application/json")
		assert.Equal(t, time.Second, time.Since(start))
		assert.Equal(t, []clerkorg.InviteOutcome{unknown, unknown}, got.outcomes())
		assert.Contains(t, f.log.String(), `"level":"INFO","msg":"problem","status":502,"code":"outcome_unknown"`)
	})
}

// TestSlowClerk ends the calls to Clerk before the caller gives up.
func TestSlowClerk(t *testing.T) {
	inBubble(t, func(t *testing.T, f *fixture) {
		f.clerk.Inject(clerktest.Fault{Kind: clerktest.FaultDelayAfter, Delay: time.Hour})
		start := time.Now()
		got := f.post(t, bodyOf(guests(2)...))
		assert.LessOrEqual(t, time.Since(start), requestTimeout)
		assert.Equal(t, "outcome_unknown", got.Code)
		assert.Equal(t, []clerkorg.InviteOutcome{unknown, unknown}, got.outcomes())
	})
}

func TestNoKey(t *testing.T) {
	t.Setenv("CLERK_SECRET_KEY", "")
	ctx, stop := context.WithCancel(t.Context())
	_, out, ended := startService(ctx, t)
	stop()
	require.NoError(t, <-ended)
	assert.Contains(t, out.String(), "this is a Clerk in memory")
}

func TestMistakes(t *testing.T) {
	t.Setenv("REDIS_URL", "")
	t.Setenv("CLERK_SECRET_KEY", "hunter2")
	var out bytes.Buffer
	err := run(t.Context(), nil, &out)
	require.ErrorContains(t, err, "secret key must begin with")
	assert.NotContains(t, err.Error(), "hunter2")
	t.Setenv("REDIS_URL", "http://user:hunter2@127.0.0.1")
	require.EqualError(t, run(t.Context(), nil, &out), "REDIS_URL cannot be read")
}
