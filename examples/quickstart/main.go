// Command quickstart invites people into a Clerk organization and shows what
// comes back.
//
//	go run ./examples/quickstart
//	go run ./examples/quickstart -page
//
// With nothing set it runs against an in-memory Clerk, invites people who do not
// exist, and shows what errors and the quota look like; with -page it then stays, and
// the invitations can be accepted in a browser. With CLERK_SECRET_KEY set
// and an organization given it runs against the real API, and invites only
// the addresses given as arguments:
//
//	CLERK_SECRET_KEY=sk_test_… go run ./examples/quickstart -org org_… ada@example.com
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"text/tabwriter"
	"time"

	"github.com/clerkorg/clerkorg-go"
	"github.com/clerkorg/clerkorg-go/clerktest"
	"github.com/clerkorg/clerkorg-go/clerktest/desk"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	switch err := run(ctx, os.Args[1:], os.Stdout); {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintln(os.Stderr, "quickstart:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("quickstart", flag.ContinueOnError)
	organization := flags.String("org", os.Getenv("CLERK_ORGANIZATION_ID"), "`id` of the organization; default $CLERK_ORGANIZATION_ID")
	role := flags.String("role", string(clerkorg.RoleMember), "`role` of the people invited")
	page := flags.Bool("page", false, "show the in-memory Clerk in a browser, and stay until interrupted")
	if err := flags.Parse(args); err != nil {
		return err
	}
	haveKey := os.Getenv("CLERK_SECRET_KEY") != ""
	switch {
	case !haveKey && *organization == "" && flags.NArg() == 0:
		return demonstrate(ctx, out, *page)
	case *page:
		return errors.New("-page shows the in-memory Clerk, which is used where CLERK_SECRET_KEY is not set and no arguments are given")
	case !haveKey:
		return errors.New("to invite real people set CLERK_SECRET_KEY (without it, and without arguments, an in-memory Clerk is used)")
	case *organization == "":
		return errors.New("CLERK_SECRET_KEY is set, but which organization? Give -org org_… or set CLERK_ORGANIZATION_ID (unset CLERK_SECRET_KEY for an in-memory Clerk)")
	case flags.NArg() == 0:
		return errors.New("which people? Give e-mail addresses as arguments: a real instance gets no made-up people")
	}
	client, err := clerkorg.NewClientFromEnv(clerkorg.WithUserAgent("quickstart"))
	if err != nil {
		return err
	}
	p := printer{out}
	if err := invite(ctx, p, client, *organization, clerkorg.Role(*role), flags.Args()...); err != nil {
		return err
	}
	if err := p.quota(ctx, client); err != nil {
		return err
	}
	return listPending(ctx, p, client, *organization)
}

// invite invites up to ten people with one call.
func invite(ctx context.Context, p printer, client *clerkorg.Client, organization string, role clerkorg.Role, addresses ...string) error {
	params := make([]clerkorg.CreateInvitationParams, len(addresses))
	for i, address := range addresses {
		params[i] = clerkorg.CreateInvitationParams{
			EmailAddress:   address,
			Role:           role,
			PublicMetadata: map[string]any{"invited_by": "quickstart"},
		}
	}
	invitations, err := client.Organizations.CreateInvitationBulk(ctx, organization, params)
	if err != nil {
		return err
	}
	p.title("One call invited %d", len(invitations))
	p.table(invitations)
	return nil
}

func listPending(ctx context.Context, p printer, client *clerkorg.Client, organization string) error {
	list, err := client.Organizations.ListInvitations(ctx, organization, &clerkorg.ListInvitationsParams{
		Status:  []clerkorg.InvitationStatus{clerkorg.InvitationPending},
		OrderBy: clerkorg.OrderByOldest,
		Limit:   5,
	})
	if err != nil {
		return err
	}
	p.title("The first %d of %d pending invitations", len(list.Data), list.TotalCount)
	p.table(list.Data)
	return nil
}

// demonstrate runs everything against a Clerk in this process.
func demonstrate(ctx context.Context, out io.Writer, page bool) error {
	server := clerktest.NewServer()
	defer server.Close()
	client, err := clerkorg.NewClient(server.SecretKey(), clerkorg.WithBaseURL(server.URL()))
	if err != nil {
		return err
	}
	p, organization := printer{out}, server.OrganizationID()
	p.line("CLERK_SECRET_KEY is not set: this is an in-memory Clerk at %s.", server.URL())
	url := desk.Attach(server).URL()

	if err := invite(ctx, p, client, organization, clerkorg.RoleMember,
		"ada@example.com", "charles@example.com", "grace@example.com"); err != nil {
		return err
	}

	p.title("A wrong call: every problem at once, nothing sent, no quota spent")
	_, err = client.Organizations.CreateInvitationBulk(ctx, organization, []clerkorg.CreateInvitationParams{
		{EmailAddress: "Ada <ada@example.com>", Role: clerkorg.RoleMember},
		{EmailAddress: "alan@example.com", ExpiresInDays: 1000},
	})
	invalid, ok := errors.AsType[*clerkorg.ValidationError](err)
	if !ok {
		return fmt.Errorf("expected a validation error, got: %w", err)
	}
	for _, problem := range invalid.Problems {
		p.line("invitation %d, %s: %s", problem.Index, problem.Field, problem.Message)
	}

	p.title("A person who is invited already: what Clerk answers")
	_, err = client.Organizations.CreateInvitation(ctx, organization,
		clerkorg.CreateInvitationParams{EmailAddress: "ada@example.com", Role: clerkorg.RoleMember})
	refused, ok := errors.AsType[*clerkorg.APIError](err)
	if !ok || !errors.Is(err, clerkorg.ErrAlreadyInvited) {
		return fmt.Errorf("expected Clerk to refuse a second invitation, got: %w", err)
	}
	for _, detail := range refused.Errors {
		p.line("status %d, code %s", refused.StatusCode, detail.Code)
		p.line("%s", detail.LongMessage)
	}

	if err := p.quota(ctx, client); err != nil {
		return err
	}

	p.title("A spent quota: known before anything is sent, with the time to wait")
	sent := 0
	for i := 0; err == nil || !errors.Is(err, clerkorg.ErrRateLimited); i++ {
		_, err = client.Organizations.CreateInvitationBulk(ctx, organization, []clerkorg.CreateInvitationParams{
			{EmailAddress: fmt.Sprintf("guest-%02d@example.com", i), Role: clerkorg.RoleMember},
		})
		if err == nil {
			sent++
		} else if !errors.Is(err, clerkorg.ErrRateLimited) {
			return err
		}
	}
	p.line("%d calls later: %s", sent, err)
	p.line("Calls that Clerk itself had to refuse with 429: %d", server.RateLimited())

	if err := listPending(ctx, p, client, organization); err != nil || !page {
		return err
	}
	p.line("\nThe invitations are at %s until this is interrupted.", url)
	<-ctx.Done()
	return nil
}

// printer writes text for a person to read.
type printer struct{ out io.Writer }

func (p printer) line(format string, args ...any) {
	_, _ = fmt.Fprintf(p.out, format+"\n", args...)
}

func (p printer) title(format string, args ...any) {
	p.line("\n"+format, args...)
}

func (p printer) table(invitations []clerkorg.OrganizationInvitation) {
	table := tabwriter.NewWriter(p.out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "E-MAIL\tROLE\tSTATUS\tEXPIRES\tID")
	for _, i := range invitations {
		expires := "never"
		if !i.ExpiresAt.IsZero() {
			expires = i.ExpiresAt.Format(time.DateOnly)
		}
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n",
			i.EmailAddress, i.Role, cmp.Or(i.Status, "unknown"), expires, i.ID)
	}
	_ = table.Flush()
}

func (p printer) quota(ctx context.Context, client *clerkorg.Client) error {
	p.title("The quota, as this process knows it")
	for _, name := range []string{clerkorg.QuotaBulk, clerkorg.QuotaCreate} {
		state, err := client.Quota(ctx, name)
		if err != nil {
			return err
		}
		line := fmt.Sprintf("%s: %d of %d left", name, state.Available, state.Quota.Limit)
		if !state.NextAt.IsZero() {
			line += ", the next comes back at " + state.NextAt.Format(time.TimeOnly)
		}
		p.line("%s", line)
	}
	return nil
}
