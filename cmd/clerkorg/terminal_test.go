//go:build !windows

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
	"github.com/hinshun/vt10x"
	"github.com/mattn/go-runewidth"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/clerkorg/clerkorg-go/clerktest"
)

// terminal runs a command in a pseudo terminal, and has the screen of it.
type terminal struct {
	t      *testing.T
	cmd    *exec.Cmd
	pty    *os.File
	screen vt10x.Terminal
	done   chan struct{}
	change chan struct{} // has an element when there is something new on the screen

	mu  sync.Mutex
	raw strings.Builder
}

func startTerminal(t *testing.T, cmd *exec.Cmd, columns int) *terminal {
	t.Helper()
	file, err := pty.StartWithSize(cmd, &pty.Winsize{Rows: 30, Cols: uint16(columns)})
	require.NoError(t, err)
	term := &terminal{t: t, cmd: cmd, pty: file, screen: vt10x.New(vt10x.WithSize(columns, 30)), done: make(chan struct{}), change: make(chan struct{}, 1)}
	go func() {
		defer close(term.done)
		buffer := make([]byte, 4096)
		for {
			n, err := file.Read(buffer)
			term.mu.Lock()
			term.raw.Write(buffer[:n])
			term.mu.Unlock()
			_, _ = term.screen.Write(buffer[:n])
			select {
			case term.change <- struct{}{}:
			default:
			}
			if err != nil { // EIO when the command has ended
				return
			}
		}
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = file.Close()
		<-term.done
	})
	return term
}

// resize makes the terminal another one, of which the command is told.
func (term *terminal) resize(columns int) {
	term.t.Helper()
	term.screen.Resize(columns, 30)
	require.NoError(term.t, pty.Setsize(term.pty, &pty.Winsize{Rows: 30, Cols: uint16(columns)}))
}

// lines are the lines on the screen, without blanks behind them.
func (term *terminal) lines() []string {
	var all []string
	for line := range strings.SplitSeq(term.screen.String(), "\n") {
		all = append(all, strings.TrimRight(line, " "))
	}
	return all
}

// until waits for a screen with texts, which may be across lines, and returns it.
func (term *terminal) until(texts ...string) []string {
	term.t.Helper()
	var lines []string
	term.await(func() bool {
		lines = term.lines()
		all := strings.Join(lines, " ")
		for _, text := range texts {
			if !strings.Contains(all, text) {
				return false
			}
		}
		return true
	})
	return lines
}

// await waits for a condition that only changes when something is written.
func (term *terminal) await(condition func() bool) {
	term.t.Helper()
	timeout := time.After(30 * time.Second)
	for !condition() {
		select {
		case <-term.change:
		case <-timeout:
			require.Fail(term.t, "never shown", strings.Join(term.lines(), "\n"))
		}
	}
}

// frames waits until the block was drawn so many times more.
func (term *terminal) frames(n int) {
	term.t.Helper()
	drawn := func() int {
		term.mu.Lock()
		defer term.mu.Unlock()
		return strings.Count(term.raw.String(), "\x1b[J")
	}
	before := drawn()
	term.await(func() bool { return drawn() >= before+n })
}

// assertBlock checks that the block is there once and fits.
func assertBlock(t *testing.T, lines []string) {
	t.Helper()
	bars := 0
	for i, line := range lines {
		if !strings.HasPrefix(line, "[") {
			continue
		}
		bars++
		for _, line := range lines[i:] {
			assert.LessOrEqual(t, runewidth.StringWidth(line), 39, "a terminal that is made narrower would wrap it: %q", line)
		}
	}
	assert.Equal(t, 1, bars, strings.Join(lines, "\n"))
}

// TestTerminal is an import of which the quota is spent, on terminals of several
// widths and on one whose width changes, that then cannot reach its server.
func TestTerminal(t *testing.T) {
	t.Parallel()
	for _, columns := range []int{100, 80, 40} {
		t.Run(map[int]string{100: "100 columns", 80: "80 columns", 40: "40 columns"}[columns], func(t *testing.T) {
			t.Parallel()
			server := clerktest.NewServer(clerktest.WithLiveKey(), clerktest.WithBlocked(func(email string) bool { return email == "blocked@example.com" }))
			defer server.Close()
			path := filepath.Join(t.TempDir(), "people.csv")
			require.NoError(t, os.WriteFile(path, []byte("blocked@example.com\n"+addresses(799)), 0o600))
			term := startTerminal(t, process(t, server, "import", path), columns)
			waiting := []string{"rejected", "quota left: 0 bulk + 0 single", "ends in", "waiting for the quota until"}
			assertBlock(t, term.until(waiting...))
			for _, width := range []int{40, 100, 60, columns} {
				term.resize(width)
				term.frames(3)
				assertBlock(t, term.until(waiting...))
			}
			require.NoError(t, term.cmd.Process.Signal(syscall.SIGINT))
			lines := term.until("Stopped: 7", "To go on:")
			<-term.done
			for _, line := range lines {
				assert.False(t, strings.HasPrefix(line, "["), "the block is gone at the end: %q", line)
			}
			assert.NotContains(t, term.raw.String(), "\x1b[3", "nothing is wrong that would have a color")
		})
	}
}

// TestTerminalOutage shows why nothing moves, in color unless colors are unwanted.
func TestTerminalOutage(t *testing.T) {
	t.Parallel()
	for _, noColor := range []string{"", "1"} {
		t.Run("NO_COLOR="+noColor, func(t *testing.T) {
			t.Parallel()
			server := clerktest.NewServer(clerktest.WithLiveKey())
			cmd := process(t, server, "import", writeFile(t, "people.csv", addresses(20)))
			server.Close()
			cmd.Env = append(cmd.Env, "NO_COLOR="+noColor)
			term := startTerminal(t, cmd, 40)
			assertBlock(t, term.until("Clerk cannot be reached since", "connection refused"))
			require.NoError(t, cmd.Process.Signal(syscall.SIGINT))
			term.until("To go on:")
			<-term.done
			assert.Equal(t, noColor == "", strings.Contains(term.raw.String(), "\x1b[33mClerk cannot"))
		})
	}
}
