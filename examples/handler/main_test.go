package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/clerkorg/clerkorg-go/clerktest"
)

func TestDemo(t *testing.T) {
	t.Setenv("CLERK_SECRET_KEY", "sk_live_must_not_be_used")
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), []string{"-demo"}, &out))
	for _, want := range []string{
		"201 Created", "409 Conflict", "422 Unprocessable Entity", "400 Bad Request", "404 Not Found",
		`"outcome": "invited"`, `"outcome": "pending"`, "clerk.quota.available{invitations.bulk} 48",
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

// TestStopsGracefully has SIGTERM come while Clerk is slow to answer.
func TestStopsGracefully(t *testing.T) {
	clerk := clerktest.NewServer()
	defer clerk.Close()
	t.Setenv("CLERK_SECRET_KEY", clerk.SecretKey())
	t.Setenv("CLERK_API_URL", clerk.URL())
	t.Setenv("REDIS_URL", "")
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
	assert.Equal(t, http.StatusCreated, <-answers, "the call under way was not torn apart")
	require.NoError(t, <-ended)
	assert.Contains(t, out.String(), `"clerk.quota.available"`, "telemetry is sent at the end")
	assert.NotContains(t, out.String(), "@example.com")
	assert.NotContains(t, out.String(), clerk.SecretKey())
}

// TestCallerLeaves ends the call to Clerk with the request.
func TestCallerLeaves(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.clerk.Inject(clerktest.Fault{Kind: clerktest.FaultDelayAfter, Delay: time.Minute})
	ctx, leave := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, f.url, strings.NewReader(bodyOf(guests(2)...)))
	require.NoError(t, err)
	req.Header.Set("Content-Type", "application/json")
	go func() {
		assert.Eventually(t, func() bool { return f.clerk.CallCount(clerktest.OpBulk) == 1 }, 10*time.Second, time.Millisecond)
		leave()
	}()
	resp, err := http.DefaultClient.Do(req)
	if err == nil {
		_ = resp.Body.Close()
	}
	require.ErrorIs(t, err, context.Canceled)
	require.Eventually(t, func() bool { return strings.Contains(f.log.String(), "not invited") }, 5*time.Second, 10*time.Millisecond)
	assert.Contains(t, f.log.String(), `"outcome_unknown":true`)
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
