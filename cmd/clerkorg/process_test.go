package main

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/clerkorg/clerkorg-go/clerktest"
)

var binaryDir string

// binary builds the command, once.
var binary = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "clerkorg-test-*")
	if err != nil {
		return "", err
	}
	binaryDir = dir
	path := filepath.Join(dir, "clerkorg.exe")
	if out, err := exec.Command("go", "build", "-o", path, ".").CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return path, nil
})

func removeBinary() {
	if binaryDir != "" {
		_ = os.RemoveAll(binaryDir)
	}
}

// process is the command as a process of its own, with a server to talk to.
func process(t *testing.T, server *clerktest.Server, args ...string) *exec.Cmd {
	t.Helper()
	path, err := binary()
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), path, args...)
	cmd.Env = append(os.Environ(), "TERM=xterm", "TZ=UTC")
	if server != nil {
		cmd.Env = append(cmd.Env, "CLERK_SECRET_KEY="+server.SecretKey(), "CLERK_ORGANIZATION_ID="+server.OrganizationID(), "CLERK_API_URL="+server.URL())
	}
	return cmd
}

// moments closes a channel when the server has been asked for latencies so many times.
type moments map[int64]chan struct{}

func (m moments) latency() func() time.Duration {
	var asked atomic.Int64
	return func() time.Duration {
		if moment := m[asked.Add(1)]; moment != nil {
			close(moment)
		}
		return 2*time.Millisecond + rand.N(15*time.Millisecond)
	}
}

// TestKilled kills an import twice with calls under way, and runs it to its end.
// The server's own ledger and the results then show each person exactly once.
func TestKilled(t *testing.T) {
	t.Parallel()
	const crowd = 400
	kills := moments{27: make(chan struct{}), 71: make(chan struct{})}
	server := clerktest.NewServer(clerktest.WithLiveKey(), clerktest.WithPartialBulk(true), clerktest.WithLatency(kills.latency()))
	defer server.Close()
	path := filepath.Join(t.TempDir(), "people.csv")
	require.NoError(t, writeCrowd(path, crowd, server))
	there := len(server.Invitations(server.OrganizationID()))
	for _, at := range []int64{27, 71} {
		cmd := process(t, server, "import", path)
		var out bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &out
		require.NoError(t, cmd.Start())
		<-kills[at]
		if at == 71 { // another one is refused as long as this one lives
			second, err := process(t, server, "import", path).CombinedOutput()
			require.Error(t, err)
			assert.Contains(t, string(second), "another import with these results is running")
		}
		require.NoError(t, cmd.Process.Kill())
		require.ErrorContains(t, cmd.Wait(), "signal: killed", out.String())
		t.Logf("killed: %d invited", len(server.InvitedAddresses(server.OrganizationID())))
	}
	cmd := process(t, server, "import", path)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	assert.Contains(t, string(out), "all 400 rows have an outcome")
	for address, times := range server.InvitedAddresses(server.OrganizationID()) {
		assert.Equal(t, 1, times, address)
	}
	// Without a member, one who is invited already, and three who are there twice.
	assert.Len(t, server.InvitedAddresses(server.OrganizationID()), crowd-1-1-3)
	assert.Equal(t, 1, there)
	assertResults(t, path, filepath.Join(filepath.Dir(path), "people.results.csv"))
	assert.Equal(t, []string{"people.csv", "people.results.csv", "people.results.csv.run"}, entries(t, filepath.Dir(path)))
}

// TestInterrupted sends the signal of Ctrl-C while the quota is spent.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	server := clerktest.NewServer(clerktest.WithLiveKey())
	defer server.Close()
	path := writeFile(t, "our people.csv", addresses(800))
	cmd := process(t, server, "import", path)
	stderr, err := cmd.StderrPipe()
	require.NoError(t, err)
	var out bytes.Buffer
	cmd.Stdout = &out
	require.NoError(t, cmd.Start())
	var said bytes.Buffer
	buffer := make([]byte, 4096)
	for !strings.Contains(said.String(), "waiting for the quota until") {
		n, err := stderr.Read(buffer)
		require.NoError(t, err, said.String())
		said.Write(buffer[:n])
	}
	require.NoError(t, cmd.Process.Signal(os.Interrupt))
	_, err = said.ReadFrom(stderr)
	require.NoError(t, err)
	var exit *exec.ExitError
	require.ErrorAs(t, cmd.Wait(), &exit)
	assert.Equal(t, exitEarly, exit.ExitCode())
	assert.Regexp(t, `^Stopped: 7[45]\d of 800 rows have an outcome.\n     7[45]\d invited\n$`, out.String())
	assert.True(t, strings.HasSuffix(said.String(), "\nTo go on:\n  "+cmd.Path+" import '"+path+"'\n"), said.String())
}

// TestNoKey is a cron job that lost its secret.
func TestNoKey(t *testing.T) {
	t.Parallel()
	path := writeFile(t, "people.csv", addresses(1))
	cmd := process(t, nil, "import", path)
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	require.ErrorAs(t, err, &exit)
	assert.Equal(t, exitWrongUse, exit.ExitCode())
	assert.Contains(t, string(out), "there is no secret key")
}
