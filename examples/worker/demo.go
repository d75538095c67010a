package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"github.com/clerkorg/clerkorg-go"
	"github.com/clerkorg/clerkorg-go/clerktest"
)

// demonstrate invites 60 people at a Clerk in this process that refuses some of them,
// loses an answer, and has a small quota.
func demonstrate(ctx context.Context, out io.Writer) error {
	dir, err := os.MkdirTemp("", "worker")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)

	quota := clerkorg.Quota{Name: clerkorg.QuotaBulk, Limit: 5, Window: time.Second}
	server := clerktest.NewServer(
		clerktest.WithQuota(clerktest.OpBulk, quota.Limit, quota.Window),
		clerktest.WithBlocked(func(email string) bool { return strings.HasSuffix(email, "@blocked.example") }),
	)
	organization := server.OrganizationID()
	people := acquaintances(server)
	server.Inject(clerktest.Fault{Operation: clerktest.OpBulk, Calls: []int{2}, Kind: clerktest.FaultResetAfter})
	client, err := clerkorg.NewClient(server.SecretKey(), append(options(production),
		clerkorg.WithHTTPClient(&http.Client{Transport: server.Transport()}), clerkorg.WithQuotas(quota))...)
	if err != nil {
		return err
	}

	// The Clerk is in this process: nothing arrives late, and there is one clock.
	hurried := production
	hurried.settle, hurried.skew, hurried.hasty = time.Second, 0, true
	log := slog.New(slog.NewTextHandler(out, &slog.HandlerOptions{ReplaceAttr: withoutTime}))
	jobs, done, err := openQueue(ctx, "sqlite:"+filepath.Join(dir, "jobs.sqlite"), hurried.config(&inviter{client: client, pace: hurried, log: log}))
	if err != nil {
		return err
	}
	defer done()

	fmt.Fprintln(out, "A Clerk in memory, and jobs in SQLite. Its quota is 5 bulk calls a second here, not 50 an hour.")
	made, err := enqueue(ctx, jobs, organization, people)
	if err != nil {
		return err
	}
	made.print(out)
	again, err := enqueue(ctx, jobs, organization, people)
	if err != nil {
		return err
	}
	again.print(out)

	if err := workUntil(ctx, jobs, made.jobs); err != nil {
		return err
	}
	fmt.Fprintln(out, "\nNot invited:")
	if err := report(ctx, jobs, out, hurried); err != nil {
		return err
	}
	twice := 0
	for _, n := range server.InvitedAddresses(organization) {
		if n > 1 {
			twice++
		}
	}
	fmt.Fprintf(out, "\nClerk saw %d bulk calls and %d single ones, refused %d with 429, and invited %d people, %d of them twice\n",
		server.CallCount(clerktest.OpBulk), server.CallCount(clerktest.OpCreate), server.RateLimited(), len(server.InvitedAddresses(organization)), twice)
	return nil
}

// acquaintances returns 60 lines of people, of whom the server knows some.
func acquaintances(server *clerktest.Server) []Person {
	var people []Person
	for i := range 55 {
		people = append(people, Person{EmailAddress: fmt.Sprintf("guest-%02d@example.com", i), Role: clerkorg.RoleMember})
	}
	server.AddMember(server.OrganizationID(), people[13].EmailAddress, string(clerkorg.RoleMember))
	server.AddInvitation(server.OrganizationID(), people[17].EmailAddress, string(clerkorg.RoleMember))
	for _, address := range []string{"GUEST-01@example.com", "guest-02@example.com", "mallory@blocked.example", "not an address", "ada@example.com"} {
		people = append(people, Person{EmailAddress: address, Role: clerkorg.RoleMember})
	}
	return people
}

// workUntil works so many jobs to their end.
func workUntil(ctx context.Context, jobs queue, n int) error {
	ended, unsubscribe := jobs.Subscribe(river.EventKindJobCompleted, river.EventKindJobCancelled, river.EventKindJobFailed)
	defer unsubscribe()
	working, stop := context.WithCancel(ctx)
	defer stop()
	failed := make(chan error, 1)
	go func() { failed <- work(working, jobs) }()
	for n > 0 {
		select {
		case event := <-ended:
			if event.Job.State != rivertype.JobStateAvailable && event.Job.State != rivertype.JobStateRetryable {
				n--
			}
		case err := <-failed: // before the time: ctx has ended, or it has not started
			if err == nil {
				err = ctx.Err()
			}
			return err
		}
	}
	stop()
	return <-failed
}

func withoutTime(_ []string, a slog.Attr) slog.Attr {
	if a.Key == slog.TimeKey {
		return slog.Attr{}
	}
	return a
}
