package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/redis/go-redis/v9/logging"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/riverdriver/riversqlite"
	"github.com/riverqueue/river/rivertest"
	"github.com/riverqueue/river/rivertype"
	"github.com/stretchr/testify/require"

	"github.com/clerkorg/clerkorg-go"
	"github.com/clerkorg/clerkorg-go/clerktest"
)

// TestMain also is the worker, for tests that need a process to kill.
func TestMain(m *testing.M) {
	if os.Getenv("WORKER_TEST_PROCESS") != "" {
		production = short
		main()
		return
	}
	logging.Disable() // tests break connections on purpose
	os.Exit(m.Run())
}

// short is a pace at which the jobs of a dead worker go on soon.
var short = pace{
	call:        time.Second,
	jobTimeout:  2 * time.Second,
	rescueAfter: 2500 * time.Millisecond,
	settle:      1500 * time.Millisecond,
	softStop:    1500 * time.Millisecond,
	skew:        production.skew,
	workers:     2,
	hasty:       true,
}

// instant is a pace without waits: the Clerk is in this process.
var instant = func() pace {
	p := production
	p.settle, p.skew, p.hasty = 0, 0, true
	return p
}()

// newClient returns a client of server.
func newClient(t *testing.T, server *clerktest.Server, opts ...clerkorg.Option) *clerkorg.Client {
	t.Helper()
	client, err := clerkorg.NewClient(server.SecretKey(), append(options(production),
		append([]clerkorg.Option{clerkorg.WithHTTPClient(&http.Client{Transport: server.Transport()})}, opts...)...)...)
	require.NoError(t, err)
	return client
}

// someone returns people with addresses that begin with name.
func someone(name string, n int) []Person {
	people := make([]Person, n)
	for i := range people {
		people[i] = Person{EmailAddress: fmt.Sprintf("%s-%02d@example.com", name, i), Role: clerkorg.RoleMember}
	}
	return people
}

var quiet = slog.New(slog.DiscardHandler)

// safeBuffer is a buffer for several goroutines.
type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// bench works one job, run by run, in a database of its own.
type bench struct {
	enqueue func(args InviteBatch) *rivertype.JobRow
	run     func(ctx context.Context, job *rivertype.JobRow) (*rivertest.WorkResult, error)
}

// onEveryDatabase runs a test on SQLite, and on PostgreSQL where there is one.
func onEveryDatabase(t *testing.T, test func(t *testing.T, newBench func(*inviter) bench)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		db, err := openSQLite(filepath.Join(t.TempDir(), "jobs.sqlite"))
		require.NoError(t, err)
		t.Cleanup(func() { _ = db.Close() })
		driver := riversqlite.New(db)
		require.NoError(t, migrate(t.Context(), driver, slog.New(slog.DiscardHandler)))
		tx, err := db.BeginTx(t.Context(), nil)
		require.NoError(t, err)
		t.Cleanup(func() { _ = tx.Rollback() })
		test(t, func(w *inviter) bench { return newBench(t, driver, tx, w) })
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		pool := connect(t, postgres(t))
		driver := riverpgxv5.New(pool)
		require.NoError(t, migrate(t.Context(), driver, slog.New(slog.DiscardHandler)))
		tx, err := pool.Begin(t.Context())
		require.NoError(t, err)
		t.Cleanup(func() { _ = tx.Rollback(context.WithoutCancel(t.Context())) })
		test(t, func(w *inviter) bench { return newBench(t, driver, tx, w) })
	})
}

func newBench[TTx any](t *testing.T, driver riverdriver.Driver[TTx], tx TTx, w *inviter) bench {
	config := w.pace.config(w)
	config.Logger = slog.New(slog.DiscardHandler)
	w.log = cmp.Or(w.log, config.Logger)
	worker := rivertest.NewWorker(t, driver, config, w)
	client, err := river.NewClient(driver, config)
	require.NoError(t, err)
	return bench{
		enqueue: func(args InviteBatch) *rivertype.JobRow {
			inserted, err := client.InsertTx(t.Context(), tx, args, nil)
			require.NoError(t, err)
			return inserted.Job
		},
		run: func(ctx context.Context, job *rivertype.JobRow) (*rivertest.WorkResult, error) {
			return worker.WorkJob(ctx, t, tx, job)
		},
	}
}

// postgres returns the address of a schema of the test's own.
func postgres(t *testing.T) string {
	t.Helper()
	address := os.Getenv("DATABASE_URL")
	if address == "" {
		if os.Getenv("CI") != "" {
			t.Fatal("CI must set DATABASE_URL")
		}
		t.Skip("DATABASE_URL is not set: nothing to test PostgreSQL with")
	}
	schema := "worker_test_" + strings.ToLower(rand.Text()[:10])
	admin := connect(t, address)
	_, err := admin.Exec(t.Context(), "CREATE SCHEMA "+schema)
	require.NoError(t, err)
	t.Cleanup(func() {
		_, err := admin.Exec(context.WithoutCancel(t.Context()), "DROP SCHEMA "+schema+" CASCADE")
		require.NoError(t, err)
	})
	u, err := url.Parse(address)
	require.NoError(t, err)
	query := u.Query()
	query.Set("search_path", schema)
	u.RawQuery = query.Encode()
	return u.String()
}

func connect(t *testing.T, address string) *pgxpool.Pool {
	t.Helper()
	pool, err := pgxpool.New(t.Context(), address)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	return pool
}

func recordOf(t *testing.T, job *rivertype.JobRow) record {
	t.Helper()
	var r record
	require.NoError(t, json.Unmarshal(job.Output(), &r))
	return r
}

// eachOnce checks that the server has invited these people, and each of them once.
func eachOnce(t *testing.T, server *clerktest.Server, people []Person) {
	t.Helper()
	want := map[string]int{}
	for _, p := range people {
		want[fold(p.EmailAddress)] = 1
	}
	require.Equal(t, want, server.InvitedAddresses(server.OrganizationID()))
}

// eventually waits for what happens in other processes.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	require.Eventually(t, condition, 40*time.Second, 50*time.Millisecond, what)
}
