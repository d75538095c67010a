// Command csvinvite invites the people of a CSV file into a Clerk organization,
// thousands of them over hours, each exactly once.
//
//	csvinvite [flags] -org org_… people.csv    invite them; needs CLERK_SECRET_KEY
//	csvinvite -dry-run people.csv              check the file and say what would be sent
//	csvinvite                                  watch it at work on an in-memory Clerk
//
// # The file
//
// The first row names the columns, in any order and in upper or lower case:
//
//	email            required; email_address is the same
//	role             empty is what -role says
//	inviter_user_id  a user with admin rights in the organization
//	redirect_url     where the invitee lands
//	expires_in_days  1 to 365
//	notify           true or false: whether an e-mail is sent
//	public.NAME      public metadata, private.NAME private metadata
//
// Metadata is text, also where it looks like a number; a column public.NAME:json
// holds JSON (12, true, ["a"]). Empty cells are left out. A byte order mark, CRLF
// and blank lines do no harm. A column with any other name is an error. A row that
// is not right (wrong number of columns, a bad number, no e-mail address) is told
// with its line number and rejected; the others go on.
//
// The file is streamed, twice: to check it, and to invite. It must not change
// before the run, or the last of several, is over.
//
// # The results
//
// Every row gets one row in the -results file, by default people.results.csv
// beside people.csv: line, email, outcome, invitation_id, code, message. They come
// in the order in which they are decided, each written at once. Outcomes are
// invited, already_invited, already_member, duplicate and rejected.
//
// A run that was stopped, killed or cut off goes on with the same command: lines
// that have a result are left alone, and of the others InviteAll finds out at the
// server who has been invited. The start of the first run, which it needs for that
// (-since), and the organization are kept in a second file, people.results.csv.run.
// A result is final: to try rejected rows again, correct them in people.csv and
// give another -results; all others are then found to be invited already.
//
// # Without a key
//
// With neither key nor organization, or with -demo, no person is invited: the program
// starts a Clerk in memory, makes up people.csv if none is given, and runs itself
// as a second process that it kills in the middle and starts again. Hours pass in
// seconds.
//
// # Exit codes
//
//	0    every row has a result (rejected is one), or the dry run is over
//	1    cut short by an error: the same command goes on
//	2    wrong flags, or a file that cannot be used: nothing was sent
//	130  interrupted: the same command goes on
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/clerkorg/clerkorg-go"
)

// Exit codes.
const (
	exitDone        = 0
	exitCutShort    = 1
	exitWrongUse    = 2
	exitInterrupted = 130
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run is the program, but for its process. It returns the exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o, err := parse(args, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return exitDone
	case err == nil && o.demo > 0:
		err = runDemo(ctx, o, stdout, stderr)
	case err == nil && o.dryRun:
		err = dryRun(ctx, o, stdout)
	case err == nil:
		err = runJob(ctx, o, stdout)
	}
	var exit exitError
	switch {
	case err == nil:
		return exitDone
	case !errors.As(err, &exit):
		exit = exitError{exitCutShort, err}
	}
	if exit.err != nil {
		fmt.Fprintln(stderr, "csvinvite:", exit.err)
	}
	return exit.code
}

// exitError is an error with an exit code. Where err is nil, all has been said.
type exitError struct {
	code int
	err  error
}

func (e exitError) Error() string { return fmt.Sprintf("exit %d: %v", e.code, e.err) }

func wrongUse(format string, args ...any) error {
	return exitError{exitWrongUse, fmt.Errorf(format, args...)}
}

// options are what the command line says.
type options struct {
	organization string
	role         string
	people       string
	results      string
	since        time.Time
	dryRun       bool
	bulkOnly     bool
	window       time.Duration
	demo         int // so many people to make up; 0 is no demo
	haveKey      bool
	http         *http.Client // for tests; nil is the SDK's own
}

func parse(args []string, stderr io.Writer) (options, error) {
	var o options
	demo := demoFlag(0)
	flags := flag.NewFlagSet("csvinvite", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&o.organization, "org", os.Getenv("CLERK_ORGANIZATION_ID"), "`id` of the organization; default $CLERK_ORGANIZATION_ID")
	flags.StringVar(&o.role, "role", string(clerkorg.RoleMember), "`role` of those whose row names none")
	flags.StringVar(&o.results, "results", "", "`file` for the results; default people.results.csv beside people.csv")
	flags.BoolVar(&o.dryRun, "dry-run", false, "check the file and say what would be sent; with a key, also look who is there already")
	flags.Func("since", "`time` (RFC 3339): who was invited then or later is not invited again, whatever became of it; default: the start of the first run with these results", func(text string) (err error) {
		o.since, err = time.Parse(time.RFC3339, text)
		return err
	})
	flags.BoolVar(&o.bulkOnly, "bulk-only", false, "use the bulk call alone, and leave the single one to others")
	flags.DurationVar(&o.window, "quota-window", time.Hour, "`window` of the two invitation quotas; for a Clerk of your own whose hour is shorter")
	flags.Var(&demo, "demo", "run on an in-memory Clerk; -demo=`n` makes up n people (default 3000) if no file is given")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return o, err
		}
		return o, exitError{code: exitWrongUse} // flag has said why
	}
	o.demo = int(demo)
	if flags.NArg() > 1 {
		return o, wrongUse("one file, please: %q is too many (flags go before it)", flags.Arg(1))
	}
	o.people = flags.Arg(0)
	if n, err := strconv.Atoi(o.people); err == nil && demo > 0 { // -demo 500
		o.demo, o.people = n, ""
	}
	o.haveKey = os.Getenv("CLERK_SECRET_KEY") != ""
	return o, o.complete()
}

// complete checks the options against each other, and fills in the defaults.
func (o *options) complete() error {
	if !o.haveKey && o.organization == "" && !o.dryRun && o.demo == 0 {
		o.demo = defaultCrowd
	}
	if o.demo < 0 {
		return wrongUse("-demo wants a number of people")
	}
	if o.demo > 0 {
		if o.dryRun || !o.since.IsZero() {
			return wrongUse("the demo takes neither -dry-run nor -since")
		}
		return nil
	}
	switch {
	case o.people == "":
		return wrongUse("which file? csvinvite [flags] -org org_… people.csv")
	case !o.haveKey && !o.dryRun:
		return wrongUse("CLERK_SECRET_KEY is not set (without it and without -org, csvinvite runs on an in-memory Clerk)")
	case o.organization == "" && !o.dryRun:
		return wrongUse("which organization? Give -org org_… or set CLERK_ORGANIZATION_ID")
	case o.window <= 0:
		return wrongUse("-quota-window must be positive")
	case o.window != time.Hour && os.Getenv("CLERK_API_URL") == "":
		return wrongUse("-quota-window is for a Clerk of your own, at CLERK_API_URL: the real one's is an hour")
	}
	if o.results == "" {
		o.results = strings.TrimSuffix(o.people, filepath.Ext(o.people)) + ".results.csv"
	}
	return nil
}

// client is a client for the Clerk that the environment names.
func (o *options) client() (*clerkorg.Client, error) {
	opts := []clerkorg.Option{clerkorg.WithUserAgent("csvinvite"), clerkorg.WithMaxRateLimitWait(time.Minute)}
	if o.window != time.Hour {
		opts = append(opts, clerkorg.WithQuotas(
			clerkorg.Quota{Name: clerkorg.QuotaBulk, Limit: bulkLimit, Window: o.window},
			clerkorg.Quota{Name: clerkorg.QuotaCreate, Limit: singleLimit, Window: o.window},
		))
	}
	if o.http != nil {
		opts = append(opts, clerkorg.WithHTTPClient(o.http))
	}
	client, err := clerkorg.NewClientFromEnv(opts...)
	if err != nil {
		return nil, exitError{exitWrongUse, err}
	}
	return client, nil
}

// again is the command line that goes on where this one stops.
func (o *options) again(since time.Time) string {
	args := []string{program(), "-org", o.organization}
	if o.role != string(clerkorg.RoleMember) {
		args = append(args, "-role", o.role)
	}
	args = append(args, "-results", o.results, "-since", since.Format(time.RFC3339))
	if o.bulkOnly {
		args = append(args, "-bulk-only")
	}
	if o.window != time.Hour {
		args = append(args, "-quota-window", o.window.String())
	}
	args = append(args, o.people)
	for i, arg := range args {
		if i > 0 && strings.ContainsFunc(arg, needsQuotes) {
			args[i] = "'" + strings.ReplaceAll(arg, "'", `'\''`) + "'"
		}
	}
	return strings.Join(args, " ")
}

// program is how to start this program again.
func program() string {
	name := os.Args[0]
	if strings.Contains(filepath.ToSlash(name), "/go-build") { // go run's, gone when it ends
		return "go run ./examples/csvinvite"
	}
	return name
}

func needsQuotes(r rune) bool {
	return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+=:,./@%", r)
}
