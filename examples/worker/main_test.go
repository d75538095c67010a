package main

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/alicebob/miniredis/v2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/clerkorg/clerkorg-go"
	"github.com/clerkorg/clerkorg-go/clerktest"
	"github.com/clerkorg/clerkorg-go/examples/internal/ops"
)

func TestNothingSet(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), []string{"-demo"}, &out, production))
	for _, want := range []string{
		"58 people (2 lines repeat one) make 6 jobs; 0 batches were enqueued before",
		"make 0 jobs; 6 batches were enqueued before",
		"outcome unknown",
		"batch snoozed",
		"guest-13@example.com     already_member   already_a_member_in_organization",
		"people: 1 already_invited 1 already_member 54 invited 2 rejected",
		"jobs: 6 completed",
		"refused 0 with 429, and invited 54 people, 0 of them twice",
	} {
		assert.Contains(t, out.String(), want)
	}
	logs, _, _ := strings.Cut(out.String(), "Not invited:")
	assert.NotContains(t, logs, "@")
}

func TestReadPeople(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		csv  string
		want []Person
	}{
		"no lines":   {"", nil},
		"heading":    {"email,role\nann@example.com,org:admin\n", []Person{{"ann@example.com", "org:admin"}}},
		"no heading": {"ann@example.com\n bob@example.com , \n", []Person{{"ann@example.com", "org:member"}, {"bob@example.com", "org:member"}}},
		"bad line":   {"ann@example.com\nbob\n", []Person{{"ann@example.com", "org:member"}, {"bob", "org:member"}}},
		"byte order": {"\ufeffann@example.com\n", []Person{{"ann@example.com", "org:member"}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			people, err := readPeople(strings.NewReader(test.csv))
			require.NoError(t, err)
			assert.Equal(t, test.want, people)
		})
	}
	_, err := readPeople(strings.NewReader(`"ann@example.com`))
	require.ErrorContains(t, err, "read people")
}

func TestKey(t *testing.T) {
	t.Parallel()
	key := newBatch("org_1", []Person{{"ann@example.com", "org:member"}, {"bob@example.com", "org:member"}}).Key
	assert.Equal(t, key, newBatch("org_1", []Person{{" Bob@Example.com", "org:admin"}, {"ANN@example.com", "org:member"}}).Key)
	assert.NotEqual(t, key, newBatch("org_2", []Person{{"ann@example.com", "org:member"}, {"bob@example.com", "org:member"}}).Key)
	assert.NotEqual(t, key, newBatch("org_1", []Person{{"ann@example.com", "org:member"}}).Key)
}

// TestEnqueueNeedsNoKey does it twice, with the lines in another order and case.
func TestEnqueueNeedsNoKey(t *testing.T) {
	t.Setenv("REDIS_URL", "")
	t.Setenv("CLERK_SECRET_KEY", "")
	t.Setenv("DATABASE_URL", "")
	dir := t.TempDir()
	list, jobs := filepath.Join(dir, "people.csv"), filepath.Join(dir, "jobs.sqlite")
	for _, test := range []struct{ csv, want string }{
		{"ann@example.com\nbob@example.com\nann@example.com\n", "2 people (1 lines repeat one) make 1 jobs; 0 batches were enqueued before\n"},
		{"Bob@example.com\nANN@example.com\n", "2 people (0 lines repeat one) make 0 jobs; 1 batches were enqueued before\n"},
	} {
		require.NoError(t, os.WriteFile(list, []byte(test.csv), 0o600))
		var out bytes.Buffer
		require.NoError(t, run(t.Context(), []string{"-enqueue", list, "-org", "org_1", "-sqlite", jobs}, &out, production))
		assert.Equal(t, test.want, out.String())
	}
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), []string{"-report", "-sqlite", jobs}, &out, production))
	assert.Equal(t, "people: 2 waiting\njobs: 1 available\n", out.String())
	require.ErrorContains(t, run(t.Context(), []string{"-work", "-sqlite", jobs}, &out, production), "a worker needs a key")
}

// TestSharedQuota has two workers that share a Redis, and with it a quota.
func TestSharedQuota(t *testing.T) {
	server := clerktest.NewServer()
	defer server.Close()
	t.Setenv("CLERK_SECRET_KEY", server.SecretKey())
	t.Setenv("CLERK_API_URL", server.URL())
	t.Setenv("REDIS_URL", "redis://"+miniredis.RunT(t).Addr())
	for left := range 2 {
		probes := &ops.Probes{Checks: map[string]func(context.Context) error{}}
		done, err := newClerk(production, ops.NewTelemetry(nil, nil), slog.New(slog.DiscardHandler), probes)
		require.NoError(t, err)
		client := probes.Client
		state, err := client.Quota(t.Context(), clerkorg.QuotaBulk)
		require.NoError(t, err)
		assert.Equal(t, 50-left, state.Available)
		_, err = client.Organizations.CreateInvitationBulk(t.Context(), server.OrganizationID(), paramsOfAll(someone(fmt.Sprint("ann", left), 1)))
		require.NoError(t, err)
		done()
	}
}

func TestMistakes(t *testing.T) {
	t.Setenv("CLERK_ORGANIZATION_ID", "")
	t.Setenv("CLERK_SECRET_KEY", "sk_test_1")
	t.Setenv("DATABASE_URL", "")
	var out bytes.Buffer
	require.ErrorContains(t, run(t.Context(), []string{"-enqueue", "people.csv"}, &out, production), "which organization?")
	require.ErrorContains(t, run(t.Context(), []string{"people.csv"}, &out, production), "unexpected argument")
	t.Setenv("REDIS_URL", "http://user:hunter2@127.0.0.1")
	err := run(t.Context(), []string{"-work", "-sqlite", filepath.Join(t.TempDir(), "jobs")}, &out, production)
	require.EqualError(t, err, "REDIS_URL cannot be read")
	t.Setenv("REDIS_URL", "")
	t.Setenv("DATABASE_URL", "postgres://user:hunter2@127.0.0.1:nowhere/test")
	require.EqualError(t, run(t.Context(), []string{"-report"}, &out, production), "DATABASE_URL cannot be read")
}
