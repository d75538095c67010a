package main

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/riverqueue/river/rivertype"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/clerkorg/clerkorg-go/clerktest"
)

// process is a worker in a process of its own.
type process struct {
	*exec.Cmd
	log bytes.Buffer // to be read when it has ended
}

// startWorker starts a worker and returns when it works.
func startWorker(t *testing.T, server *clerktest.Server, database string) *process {
	t.Helper()
	p := &process{Cmd: exec.CommandContext(t.Context(), os.Args[0], "-work")}
	p.Env = append(os.Environ(), "WORKER_TEST_PROCESS=1",
		"CLERK_SECRET_KEY="+server.SecretKey(), "CLERK_API_URL="+server.URL(), "DATABASE_URL="+database, "REDIS_URL=")
	p.Stderr = &p.log
	out, err := p.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, p.Start())
	working := make(chan struct{})
	go func() {
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if strings.Contains(lines.Text(), "msg=working") {
				close(working)
			}
		}
	}()
	select {
	case <-working:
	case <-time.After(20 * time.Second):
		t.Fatal("a worker does not start")
	}
	return p
}

// TestWorkerKilled kills a worker on PostgreSQL that hangs in two calls: one that Clerk
// has carried out, and one that arrives only after the worker is dead. Another worker
// finishes.
func TestWorkerKilled(t *testing.T) {
	t.Parallel()
	database := postgres(t)
	server := clerktest.NewServer(clerktest.WithLatency(func() time.Duration { return 20 * time.Millisecond }))
	t.Cleanup(server.Close)
	server.Inject(clerktest.Fault{Operation: clerktest.OpBulk, Calls: []int{2}, Kind: clerktest.FaultDelayAfter, Delay: time.Minute})
	server.Inject(clerktest.Fault{Operation: clerktest.OpBulk, Calls: []int{3}, Kind: clerktest.FaultDelay, Delay: short.settle})

	jobs, done, err := openQueue(t.Context(), database, short.config(&inviter{}))
	require.NoError(t, err)
	t.Cleanup(done)
	people := someone("ann", 60)
	made, err := enqueue(t.Context(), jobs, server.OrganizationID(), people)
	require.NoError(t, err)
	require.Equal(t, 6, made.jobs)
	pool := connect(t, database)
	count := func(query string) (n int) {
		require.NoError(t, pool.QueryRow(t.Context(), query).Scan(&n))
		return n
	}

	first := startWorker(t, server, database)
	eventually(t, "the first worker hangs", func() bool { return server.CallCount(clerktest.OpBulk) == 3 })
	require.NoError(t, first.Process.Kill())
	require.Error(t, first.Wait())
	died := time.Now()
	// The two that hung, and perhaps one that was not recorded.
	const orphans = "SELECT count(*) FROM river_job WHERE state = 'running'"
	dead := count(orphans)
	require.GreaterOrEqual(t, dead, 2)

	// River rescues jobs when a worker begins to lead, and then every 30 s: the test has
	// the second one begin when these are due, in place of a dead worker's lease of 15 s.
	eventually(t, "the jobs of the dead worker are due", func() bool {
		return count(orphans+" AND attempted_at < now() - interval '"+short.rescueAfter.String()+"'") == dead
	})
	var told bytes.Buffer
	require.NoError(t, report(t.Context(), jobs, &told, short))
	assert.Regexp(t, fmt.Sprintf(`(?m)^dead worker \S+: %d jobs since \S+ \S+; another worker goes on`, dead), told.String())
	_, err = pool.Exec(t.Context(), "DELETE FROM river_leader")
	require.NoError(t, err)
	second := startWorker(t, server, database)
	eventually(t, "the second worker finishes", func() bool {
		return count("SELECT count(*) FROM river_job WHERE state = '"+string(rivertype.JobStateCompleted)+"'") == 6
	})
	assert.Less(t, time.Since(died), short.rescueAfter+short.jobTimeout+short.settle+scheduleEvery+2*pollEvery)
	eachOnce(t, server, people)
	assert.Equal(t, 6, server.CallCount(clerktest.OpBulk), "the two calls were not made again")
	assert.GreaterOrEqual(t, server.CallCount(clerktest.OpList), dead, "they were looked up")
	assert.Zero(t, server.RateLimited())
	var out bytes.Buffer
	require.NoError(t, report(t.Context(), jobs, &out, short))
	assert.Equal(t, "people: 60 invited\njobs: 6 completed\n", out.String())

	require.NoError(t, second.Process.Signal(syscall.SIGTERM))
	require.NoError(t, second.Wait(), "SIGTERM is no failure")
	assert.Empty(t, second.log.String())
}
