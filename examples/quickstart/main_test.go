package main

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/clerkorg/clerkorg-go/clerktest"
)

// bare is an environment with nothing of Clerk's in it.
func bare(t *testing.T) {
	t.Helper()
	for _, name := range []string{"CLERK_SECRET_KEY", "CLERK_ORGANIZATION_ID", "CLERK_API_URL"} {
		t.Setenv(name, "")
	}
}

func TestNothingSet(t *testing.T) {
	bare(t)
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), nil, &out))
	for _, want := range []string{
		"One call invited 3",
		"ada@example.com      org:member  pending",
		"invitation 0, email_address: must be a bare e-mail address",
		"invitation 1, role: must not be empty",
		"invitation 1, expires_in_days: must be 1 to 365",
		"status 400, code organization_invitation_not_unique",
		"invitations.bulk: 49 of 50 left, the next comes back at",
		"invitations.create: 249 of 250 left",
		"49 calls later: clerkorg: quota invitations.bulk (50 in 1h0m0s) is spent, free again in",
		"refuse with 429: 0",
		"The first 5 of 52 pending invitations",
	} {
		assert.Contains(t, out.String(), want)
	}
}

// TestRealInstance has a Clerk that the program takes for the real one.
func TestRealInstance(t *testing.T) {
	bare(t)
	server := clerktest.NewServer()
	defer server.Close()
	t.Setenv("CLERK_SECRET_KEY", server.SecretKey())
	t.Setenv("CLERK_API_URL", server.URL())

	var out bytes.Buffer
	require.NoError(t, run(t.Context(), []string{"-org", server.OrganizationID(), "-role", "org:admin", "real@example.com"}, &out))
	assert.Contains(t, out.String(), "One call invited 1")
	assert.Contains(t, out.String(), "The first 1 of 1 pending invitations")
	assert.Equal(t, map[string]int{"real@example.com": 1}, server.InvitedAddresses(server.OrganizationID()))

	t.Setenv("CLERK_ORGANIZATION_ID", server.OrganizationID())
	require.NoError(t, run(t.Context(), []string{"other@example.com"}, io.Discard))
	assert.Len(t, server.InvitedAddresses(server.OrganizationID()), 2)

	require.ErrorContains(t, run(t.Context(), nil, io.Discard), "which people?")
	assert.Len(t, server.InvitedAddresses(server.OrganizationID()), 2, "and no made-up people")
}

func TestHalfSet(t *testing.T) {
	bare(t)
	require.ErrorContains(t, run(t.Context(), []string{"-org", "org_1", "ada@example.com"}, io.Discard), "set CLERK_SECRET_KEY")
	require.ErrorContains(t, run(t.Context(), []string{"ada@example.com"}, io.Discard), "set CLERK_SECRET_KEY")
	t.Setenv("CLERK_SECRET_KEY", "sk_test_1")
	require.ErrorContains(t, run(t.Context(), []string{"ada@example.com"}, io.Discard), "which organization?")
	require.ErrorContains(t, run(t.Context(), []string{"-org", "org_1"}, io.Discard), "which people?")
}

// TestPage stays until it is interrupted, with the page up.
func TestPage(t *testing.T) {
	bare(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	reader, writer := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		err := run(ctx, []string{"-page"}, writer)
		_ = writer.Close()
		ended <- err
	}()
	lines := bufio.NewScanner(reader)
	for lines.Scan() {
		_, rest, found := strings.Cut(lines.Text(), "The invitations are at ")
		if !found {
			continue
		}
		home, _, _ := strings.Cut(rest, " ")
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, home, nil)
		require.NoError(t, err)
		resp, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		page, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		assert.Contains(t, string(page), "ada@example.com")
		cancel()
	}
	require.NoError(t, <-ended)
	require.Error(t, ctx.Err(), "the address was not printed")
	require.ErrorContains(t, run(t.Context(), []string{"-page", "ada@example.com"}, io.Discard), "in-memory Clerk")
}
