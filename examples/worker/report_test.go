package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/alicebob/miniredis/v2"
	"github.com/riverqueue/river"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/clerkorg/clerkorg-go/clerktest"
)

// TestDeadLetters has River give up two jobs while Clerk fails. Put back, one is completed,
// and the other is cancelled, since its organization does not exist.
func TestDeadLetters(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"sqlite", "postgres"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			address := "sqlite:" + filepath.Join(t.TempDir(), "jobs.sqlite")
			if kind == "postgres" {
				address = postgres(t)
			}
			server := clerktest.NewServer()
			p := instant
			open := func() (queue, func()) { // a client of River's is started once
				jobs, done, err := openQueue(t.Context(), address, p.config(&inviter{client: newClient(t, server), pace: p, log: quiet}))
				require.NoError(t, err)
				return jobs, done
			}
			told := func(jobs queue) string {
				var out bytes.Buffer
				require.NoError(t, report(t.Context(), jobs, &out, p))
				return out.String()
			}

			jobs, done := open()
			require.NoError(t, jobs.Ping(t.Context()))
			people := someone("ann", 3)
			opts := &river.InsertOpts{MaxAttempts: 1}
			_, err := jobs.InsertMany(t.Context(), []river.InsertManyParams{
				{Args: newBatch(server.OrganizationID(), people), InsertOpts: opts},
				{Args: newBatch("org_nowhere", someone("bob", 2)), InsertOpts: opts},
			})
			require.NoError(t, err)
			heal := server.Inject(clerktest.Fault{Operation: clerktest.OpBulk, Kind: clerktest.FaultStatusAfter, Status: http.StatusInternalServerError})
			require.NoError(t, workUntil(t.Context(), jobs, 2))
			done()
			heal()

			jobs, done = open()
			text := told(jobs)
			assert.Contains(t, text, fmt.Sprintf("dead letter: job 1 of %s, 3 people waiting, discarded after 1 attempts: Clerk answered 500", server.OrganizationID()))
			assert.Contains(t, text, "dead letter: job 2 of org_nowhere, 2 people waiting, discarded after 1 attempts")
			assert.Contains(t, text, "put them back with -retry all")

			var out bytes.Buffer
			require.EqualError(t, retry(t.Context(), jobs, &out, "one"), `-retry takes all, or numbers of jobs with commas, not "one"`)
			require.EqualError(t, retry(t.Context(), jobs, &out, "1,7"), "job 7 is no dead letter")
			assert.Empty(t, out.String())
			require.NoError(t, retry(t.Context(), jobs, &out, "1"))
			assert.Equal(t, "1 jobs are put back\n", out.String())
			require.NoError(t, workUntil(t.Context(), jobs, 1))
			assert.Contains(t, told(jobs), "people: 2 waiting 3 invited\njobs: 1 completed 1 discarded\n")
			eachOnce(t, server, people)
			done()

			jobs, done = open()
			defer done()
			require.NoError(t, retry(t.Context(), jobs, &out, "all"))
			require.NoError(t, workUntil(t.Context(), jobs, 1))
			assert.Regexp(t, `job 2 of org_nowhere, 2 people waiting, cancelled after 2 attempts: .*there is no such organization`, told(jobs))
		})
	}
}

// TestProbes has a worker whose Redis goes.
func TestProbes(t *testing.T) {
	server := clerktest.NewServer()
	defer server.Close()
	mini := miniredis.RunT(t)
	t.Setenv("CLERK_SECRET_KEY", server.SecretKey())
	t.Setenv("CLERK_API_URL", server.URL())
	t.Setenv("REDIS_URL", "redis://"+mini.Addr())
	t.Setenv("DATABASE_URL", "")
	ctx, stop := context.WithCancel(t.Context())
	out := &safeBuffer{}
	ended := make(chan error, 1)
	go func() {
		ended <- run(ctx, []string{"-work", "-addr", "127.0.0.1:0", "-sqlite", filepath.Join(t.TempDir(), "jobs.sqlite")}, out, instant)
	}()
	var url string
	eventually(t, "it tells where its probes are", func() bool {
		found := regexp.MustCompile(`url=(\S+)`).FindStringSubmatch(out.String())
		if found != nil {
			url = found[1]
		}
		return found != nil
	})
	probe := func(path string) (int, string) {
		resp, err := http.Get(url + path)
		require.NoError(t, err)
		defer func() { _ = resp.Body.Close() }()
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		return resp.StatusCode, string(body)
	}
	status, body := probe("/readyz")
	assert.Equal(t, http.StatusOK, status)
	assert.Contains(t, body, `"parts":{"database":"ok","redis":"ok"},"quotas":[{"name":"invitations.bulk","limit":50,"available":50}`)
	mini.Close()
	status, body = probe("/readyz")
	assert.Equal(t, http.StatusServiceUnavailable, status)
	assert.JSONEq(t, `{"status":"unavailable","parts":{"database":"ok","redis":"unreachable"}}`, body)
	status, _ = probe("/healthz")
	assert.Equal(t, http.StatusOK, status)
	stop()
	require.NoError(t, <-ended)
}
