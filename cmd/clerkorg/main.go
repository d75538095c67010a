// Command clerkorg invites people into an organization of Clerk: those of a file,
// each exactly once, or a few given as arguments. It also lists invitations, sends
// them again, revokes them, and tells what is left of the quota.
//
//	clerkorg import people.csv --org org_… --dry-run
//	clerkorg import people.csv --org org_…
//
// The help of each command says what it takes; README.md explains the files.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/clerkorg/clerkorg-go"
)

// Exit codes.
const (
	exitDone     = 0
	exitEarly    = 1
	exitWrongUse = 2
	exitRejected = 3
)

const exitCodes = `Exit codes:
  0  all done
  1  ended early, by a signal or by an error
  2  wrong use: an argument, a missing key, a file that cannot be read
  3  done, but some were rejected`

func main() {
	debug.SetGCPercent(25) // a file of half a million people stays small
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	a := &app{args: os.Args, in: os.Stdin, out: os.Stdout, errOut: os.Stderr}
	os.Exit(a.run(ctx))
}

// run runs a command line. It returns the exit code.
func (a *app) run(ctx context.Context) int {
	root := a.rootCommand()
	root.SetArgs(a.args[1:])
	root.SetIn(a.in)
	root.SetOut(a.out)
	root.SetErr(a.errOut)
	err := root.ExecuteContext(ctx)
	exit, coded := errors.AsType[exitError](err)
	switch {
	case err == nil:
		return exitDone
	case !coded && a.started:
		exit = exitError{exitEarly, err}
	case !coded: // cobra found the command line wrong
		exit = exitError{exitWrongUse, err}
	}
	if exit.err != nil {
		fmt.Fprintln(a.errOut, "clerkorg:", plainly(exit.err))
	}
	return exit.code
}

// exitError is an error with an exit code. Where err is nil, all has been said.
type exitError struct {
	code int
	err  error
}

func (e exitError) Error() string { return fmt.Sprintf("exit %d: %v", e.code, e.err) }

func (e exitError) Unwrap() error { return e.err }

func wrongUse(format string, args ...any) error {
	return exitError{exitWrongUse, fmt.Errorf(format, args...)}
}

// app is one run of the command.
type app struct {
	args        []string // with the name of the program
	in          io.Reader
	out, errOut io.Writer
	started     bool // the command line is right, as far as cobra knows

	organization, role, apiURL, keyFile string
	demo, verbose, quiet                bool

	options []clerkorg.Option // for tests
}

// tell writes a line for people to standard error, unless they want to be left alone.
func (a *app) tell(format string, args ...any) {
	if !a.quiet {
		fmt.Fprintf(a.errOut, format+"\n", args...)
	}
}

// count says how many there are.
func count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}
