//go:build linux

package main

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestHalfAMillion checks how long a large file takes, and how much memory.
func TestHalfAMillion(t *testing.T) {
	t.Parallel()
	const rows = 500_000
	path := filepath.Join(t.TempDir(), "people.csv")
	file, err := os.Create(path)
	require.NoError(t, err)
	out := bufio.NewWriter(file)
	fmt.Fprintln(out, "Email,First Name,Last Name,Role,Company")
	for i := range rows {
		fmt.Fprintf(out, "person%d@example.com,Ada %d,\"Lovelace, %d\",org:member,Company %d\n", i, i%1000, i%77, i%999)
	}
	require.NoError(t, out.Flush())
	require.NoError(t, file.Close())

	cmd := process(t, nil, "import", path, "--dry-run")
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	require.NoError(t, cmd.Start())
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	// The kernel's final figure also knows the memory of the process that forked.
	most := 0
	for sample := time.NewTicker(10 * time.Millisecond); ; {
		select {
		case <-sample.C:
			most = max(most, peakOf(cmd.Process.Pid))
			continue
		case err = <-ended:
			sample.Stop()
		}
		break
	}
	require.NoError(t, err, said.String())
	assert.Contains(t, said.String(), "  500000 to be invited\n")
	assert.Contains(t, said.String(), "that takes about 27d 19h.")
	spent := cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	t.Logf("%d MiB, %s of a processor", most>>10, spent)
	assert.Positive(t, most)
	assert.Less(t, most, 64<<10, "KiB")
	assert.Less(t, spent, 10*time.Second)
}

// peakOf is how much memory a process has had at most, in KiB; 0 where it is over.
func peakOf(pid int) (peak int) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(status)) {
		if value, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			_, _ = fmt.Sscan(value, &peak)
		}
	}
	return peak
}
