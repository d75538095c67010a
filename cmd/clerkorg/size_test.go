//go:build linux

package main

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
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
	said, err := cmd.CombinedOutput()
	require.NoError(t, err, string(said))
	assert.Contains(t, string(said), "  500000 to be invited\n")
	assert.Contains(t, string(said), "that takes about 27d 19h.")
	usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	require.True(t, ok)
	spent := cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	t.Logf("%d MiB, %s of a processor", usage.Maxrss>>10, spent)
	assert.Less(t, usage.Maxrss, int64(64<<10), "KiB")
	assert.Less(t, spent, 10*time.Second)
}
