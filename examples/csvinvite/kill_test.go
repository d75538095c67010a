package main

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/clerkorg/clerkorg-go/clerktest"
)

// crowd is more than the quotas of one window let in.
const crowd = 1300

// TestKilledTwice builds the program, runs it against a Clerk in this process,
// kills it twice with calls under way, and lets it come to its end. The Clerk's own
// ledger and the results then show everybody exactly once.
func TestKilledTwice(t *testing.T) {
	if testing.Short() {
		t.Skip("takes ten seconds of real time")
	}
	t.Parallel()
	dir := t.TempDir()
	binary, people, results := filepath.Join(dir, "csvinvite.exe"), filepath.Join(dir, "people.csv"), filepath.Join(dir, "results.csv")
	built, err := exec.CommandContext(t.Context(), "go", "build", "-o", binary, ".").CombinedOutput()
	require.NoError(t, err, string(built))

	var answers atomic.Int64 // requests that arrived, and answers to them
	moments := map[int64]chan struct{}{251: make(chan struct{}), 403: make(chan struct{})}
	server := newDemoServer(clerktest.WithPartialBulk(true), clerktest.WithLatency(func() time.Duration {
		if moment := moments[answers.Add(1)]; moment != nil {
			close(moment)
		}
		return 2*time.Millisecond + rand.N(15*time.Millisecond)
	}))
	defer server.Close()
	require.NoError(t, writeCrowd(people, crowd, server))
	want := goodAddresses(t, people, server)

	runUntil := func(kill <-chan struct{}) (said string, err error) {
		var out bytes.Buffer
		command := exec.CommandContext(t.Context(), binary,
			"-org", server.OrganizationID(), "-results", results, "-quota-window", demoWindow.String(), people)
		command.Env = append(os.Environ(), "CLERK_SECRET_KEY="+server.SecretKey(), "CLERK_API_URL="+server.URL())
		command.Stdout, command.Stderr = &out, &out
		require.NoError(t, command.Start())
		ended := make(chan error, 1)
		go func() { ended <- command.Wait() }()
		select {
		case err = <-ended:
		case <-kill:
			require.NoError(t, command.Process.Kill())
			err = <-ended
		}
		return out.String(), err
	}
	for _, answer := range []int64{251, 403} {
		out, err := runUntil(moments[answer])
		require.ErrorContains(t, err, "signal: killed", out)
		t.Logf("killed: %d invited, %d results", len(server.InvitedAddresses(server.OrganizationID())), lines(t, results)-1)
		require.Less(t, len(server.InvitedAddresses(server.OrganizationID())), len(want))
	}
	out, err := runUntil(nil)
	require.NoError(t, err, out)
	assert.Contains(t, out, fmt.Sprintf("all %d rows have a result", crowd))
	t.Logf("%d calls, %d refused with 429", len(server.Calls()), server.RateLimited())

	invited := server.InvitedAddresses(server.OrganizationID())
	assert.Len(t, invited, len(want))
	for address := range want {
		require.Equal(t, 1, invited[address], address)
	}
	assertOneResultEach(t, people, results)
}

// goodAddresses are those that are to be invited, in lower case.
func goodAddresses(t *testing.T, people string, server *clerktest.Server) map[string]bool {
	t.Helper()
	good := map[string]bool{}
	for in, err := range readFile(people, "org:member") {
		require.NoError(t, err)
		address := strings.ToLower(in.params.EmailAddress)
		if in.err == nil && !strings.Contains(address, " ") && !strings.HasSuffix(address, "@blocked.example") {
			good[address] = true
		}
	}
	for _, invitation := range server.Invitations(server.OrganizationID()) {
		delete(good, invitation.EmailAddress)
	}
	for i := range crowd { // the members, as writeCrowd picks them
		if i%1000 == 100 || i%1000 == 400 || i%1000 == 700 {
			delete(good, fmt.Sprintf("person%d@example.com", i))
		}
	}
	return good
}

// assertOneResultEach compares the results with the file, line by line, by other
// means than the program's.
func assertOneResultEach(t *testing.T, people, results string) {
	t.Helper()
	file, err := os.Open(results)
	require.NoError(t, err)
	defer file.Close()
	rows, err := csv.NewReader(file).ReadAll()
	require.NoError(t, err)
	byLine := map[int][]string{}
	for _, cells := range rows[1:] {
		line, err := strconv.Atoi(cells[0])
		require.NoError(t, err)
		require.NotContains(t, byLine, line)
		byLine[line] = cells
	}
	for i, text := range strings.Split(readAll(t, people), "\r\n") {
		if i == 0 || text == "" {
			continue
		}
		cells := byLine[i+1]
		require.NotNil(t, cells, "line %d has no result", i+1)
		assert.True(t, strings.HasPrefix(text, cells[1]), "line %d", i+1)
		switch cells[2] {
		case "invited", "already_invited":
			assert.NotEmpty(t, cells[3], "line %d", i+1)
		case "rejected":
			assert.NotEmpty(t, cells[4], "line %d", i+1)
			assert.NotEmpty(t, cells[5], "line %d", i+1)
		}
		delete(byLine, i+1)
	}
	assert.Empty(t, byLine, "results without a line")
}

func lines(t *testing.T, path string) int {
	t.Helper()
	return strings.Count(readAll(t, path), "\n")
}
