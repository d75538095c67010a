package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/clerkorg/clerkorg-go"
	"github.com/clerkorg/clerkorg-go/clerktest"
)

const (
	defaultCrowd = 3000
	demoWindow   = time.Second        // of the quotas, as the client keeps them
	serverWindow = demoWindow + slack // and as the server does
)

// demoFlag is -demo or -demo=n.
type demoFlag int

func (f *demoFlag) String() string { return strconv.Itoa(int(*f)) }

func (f *demoFlag) IsBoolFlag() bool { return true }

func (f *demoFlag) Set(text string) error {
	if text == "true" {
		text = strconv.Itoa(defaultCrowd)
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > 1_000_000 {
		return errors.New("want a number of people")
	}
	*f = demoFlag(n)
	return nil
}

// demo runs csvinvite as a second process against a Clerk in this one, kills it in
// the middle, and runs it again.
type demo struct {
	options
	out, errOut io.Writer
	server      *clerktest.Server

	killAt int           // after so many calls; 0 is never
	middle chan struct{} // closed then
	calls  int           // so far, and their answers
}

func runDemo(ctx context.Context, o options, out, errOut io.Writer) error {
	dir, err := os.MkdirTemp("", "csvinvite")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	d := &demo{options: o, out: out, errOut: errOut, middle: make(chan struct{})}
	d.server = newDemoServer(clerktest.WithLatency(d.latency)) // listens once it is asked for its URL
	defer d.server.Close()
	fmt.Fprintln(out, "This is an in-memory Clerk: nobody is invited, no e-mail is sent. With CLERK_SECRET_KEY, -org and a file it would be the real one.")
	if d.people == "" {
		d.people = filepath.Join(dir, "people.csv")
		if err := writeCrowd(d.people, d.demo, d.server); err != nil {
			return err
		}
		fmt.Fprintf(out, "%s made up; some people are members already, some rows are bad.\n", count(d.demo, "row"))
	}
	if d.results == "" {
		d.results = filepath.Join(dir, "people.results.csv")
	}
	rows, err := d.survey()
	if err != nil {
		return exitError{exitWrongUse, err}
	}
	if rows >= 100 { // fewer are over too soon
		d.killAt = rows / 8
	}
	if err := d.run(ctx); err != nil {
		return err
	}
	return d.check()
}

// survey counts the rows, and makes the server know the roles in them.
func (d *demo) survey() (rows int, err error) {
	for in, err := range readFile(d.people, clerkorg.Role(d.role)) {
		if err != nil {
			return 0, err
		}
		d.server.AddRole(string(in.params.Role), string(in.params.Role))
		rows++
	}
	return rows, nil
}

// newDemoServer is a Clerk whose hour is serverWindow.
func newDemoServer(opts ...clerktest.Option) *clerktest.Server {
	return clerktest.NewServer(append([]clerktest.Option{
		clerktest.WithLiveKey(),
		clerktest.WithRateLimits(clerktest.SlidingLog),
		clerktest.WithQuota(clerktest.OpBulk, bulkLimit, serverWindow),
		clerktest.WithQuota(clerktest.OpCreate, singleLimit, serverWindow),
		clerktest.WithBlocked(func(email string) bool { return strings.HasSuffix(email, "@blocked.example") }),
	}, opts...)...)
}

// latency is that of the wire, and knows when it is time for the kill.
func (d *demo) latency() time.Duration {
	if d.calls++; d.calls == 2*d.killAt { // there and back
		close(d.middle)
	}
	return 3*time.Millisecond + rand.N(20*time.Millisecond) //nolint:gosec // no secret
}

// run runs the second process, kills it, and runs it to the end.
func (d *demo) run(ctx context.Context) error {
	killed, err := d.process(ctx, d.middle)
	if killed {
		fmt.Fprintf(d.out, "\n--- killed (kill -9) with calls under way; the same command again:\n\n")
		_, err = d.process(ctx, nil)
	}
	exit, _ := errors.AsType[*exec.ExitError](err)
	switch {
	case ctx.Err() != nil, exit != nil && exit.ExitCode() == exitInterrupted:
		fmt.Fprintln(d.out, "That command needs a Clerk that is still there. This one was in memory; README.md shows how to start one that stays.")
		return exitError{code: exitInterrupted}
	case exit == nil:
		return err
	default:
		return exitError{code: max(exitCutShort, exit.ExitCode())} // it has said why
	}
}

// process runs csvinvite until it ends, or kills it at a moment.
func (d *demo) process(ctx context.Context, at <-chan struct{}) (killed bool, err error) {
	self, err := os.Executable()
	if err != nil {
		return false, err
	}
	args := []string{"-org", d.server.OrganizationID(), "-role", d.role, "-results", d.results, "-quota-window", demoWindow.String()}
	if d.bulkOnly {
		args = append(args, "-bulk-only")
	}
	command := exec.CommandContext(ctx, self, append(args, d.people)...) //nolint:gosec // this very program
	command.Env = append(os.Environ(), "CLERK_SECRET_KEY="+d.server.SecretKey(), "CLERK_API_URL="+d.server.URL())
	command.Stdout, command.Stderr = d.out, d.errOut
	command.Cancel = func() error { return command.Process.Signal(os.Interrupt) }
	command.WaitDelay = 10 * time.Second
	if err := command.Start(); err != nil {
		return false, err
	}
	ended := make(chan error, 1)
	go func() { ended <- command.Wait() }()
	select {
	case err = <-ended:
		return false, err
	case <-at:
		_ = command.Process.Kill() // it may have just ended
		err = <-ended
		return err != nil && ctx.Err() == nil, err
	}
}

// check asks the server's own ledger, which nothing that the client believes can
// change, and shows the results.
func (d *demo) check() error {
	invited, most := d.server.InvitedAddresses(d.server.OrganizationID()), 0
	for _, times := range invited {
		most = max(most, times)
	}
	fmt.Fprintf(d.out, "\nClerk's own ledger: %d people invited, nobody more than %s; %s refused with 429.\n",
		len(invited), count(most, "time"), count(d.server.RateLimited(), "call"))
	if d.server.RateLimited() > 0 {
		fmt.Fprintln(d.out, "(At this speed calls come so close that the second process cannot tell from the list how many there were.)")
	}
	if most > 1 {
		return errors.New("somebody was invited twice")
	}
	done, err := readResults(d.results)
	if err != nil {
		return err
	}
	rows := 0
	for in, err := range readFile(d.people, clerkorg.Role(d.role)) {
		if err != nil {
			return err
		}
		if ok, err := done.has(in); err != nil || !ok {
			return errors.Join(fmt.Errorf("line %d has no result", in.line), err)
		}
		rows++
	}
	fmt.Fprintf(d.out, "%s, %s. The results begin so:\n", count(rows, "row"), count(len(done.decided), "result"))
	return head(d.out, d.results, 6)
}

// head shows the first lines of a file.
func head(out io.Writer, path string, n int) error {
	file, err := os.Open(path) //nolint:gosec // our own
	if err != nil {
		return err
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	for ; n > 0 && lines.Scan(); n-- {
		fmt.Fprintln(out, "  "+lines.Text())
	}
	return lines.Err()
}

// writeCrowd makes up n people, as they are found in the files of this world, and
// lets the server know some of them already.
func writeCrowd(path string, n int, server *clerktest.Server) error {
	var file strings.Builder
	file.WriteString("\xEF\xBB\xBFEmail,Role,Expires_In_Days,public.team,private.seat:json\r\n")
	for i := range n {
		email := fmt.Sprintf("person%d@example.com", i)
		line := fmt.Sprintf("%s,,30,\"Team %c, north\",%d", email, 'A'+rune(i%7), i)
		switch i % 1000 {
		case 100, 400, 700:
			server.AddMember(server.OrganizationID(), email, string(clerkorg.RoleMember))
		case 200, 500, 800:
			server.AddInvitation(server.OrganizationID(), email, string(clerkorg.RoleMember))
		case 150, 250, 350:
			line = fmt.Sprintf("PERSON%d@example.com,,,,", i-120) // twice in the file
		case 450:
			line = fmt.Sprintf("person%d at example.com,,30,,", i)
		case 550:
			line = email + ",,thirty,,"
		case 650:
			line = email + ",org:member"
		case 750:
			line = fmt.Sprintf("person%d@blocked.example,,,,", i) // Clerk refuses it
		case 850:
			line += "\r\n" // a blank line
		}
		file.WriteString(line + "\r\n")
	}
	return os.WriteFile(path, []byte(file.String()), 0o600) //nolint:gosec // a path of ours
}
