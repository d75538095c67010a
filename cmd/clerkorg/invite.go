package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/clerkorg/clerkorg-go"
	"github.com/clerkorg/clerkorg-go/cmd/clerkorg/internal/progress"
)

func (a *app) inviteCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "invite ADDRESS...",
		Short: "Invite a few people, and tell the outcome of each",
		Long: `Invites the people at the addresses, with the role of --role: up to ten with one
call. Who is invited already, or a member, is told and not invited again.

` + exitCodes,
		Example: `  clerkorg invite ada@example.com charles@example.com --org org_… --role org:admin`,
		Args:    atLeastOne("addresses"),
		RunE: func(cmd *cobra.Command, args []string) error {
			conn, err := a.connect()
			if err != nil {
				return err
			}
			if a.demo {
				conn.populate()
			}
			invitations := make([]clerkorg.CreateInvitationParams, len(args))
			for i, address := range args {
				invitations[i] = clerkorg.CreateInvitationParams{EmailAddress: address, Role: clerkorg.Role(a.role)}
			}
			return a.inviteThem(cmd.Context(), conn, invitations)
		},
	}
}

func atLeastOne(what string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) == 0 {
			return wrongUse("give at least one of them: %s", what)
		}
		return nil
	}
}

// inviteThem invites people and writes a line for each, in the order in which they
// are given.
func (a *app) inviteThem(ctx context.Context, conn *connection, invitations []clerkorg.CreateInvitationParams) error {
	display := quietly(a.quiet, func() progress.Display {
		return progress.New(a.errOut, progress.Options{Clock: conn.clock, Started: time.Now(), Color: useColor()})
	})
	conn.log.to(display)
	lines := make([]string, len(invitations))
	rejected := 0
	var ended error
	for result, err := range conn.client.Organizations.InviteAll(ctx, conn.organization, slices.Values(invitations), &clerkorg.InviteAllOptions{
		Total: len(invitations),
		OnProgress: func(p clerkorg.Progress) {
			display.Update(progress.Status{Progress: p, Done: p.Done, Total: len(invitations), Outcomes: p.Outcomes})
		},
	}) {
		if err != nil {
			ended = err
			break
		}
		lines[result.Index] = outcomeOf(&result)
		if result.Outcome == clerkorg.OutcomeRejected {
			rejected++
		}
	}
	conn.log.to(a.errOut)
	display.Close()
	table := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	for i, line := range lines {
		if line == "" {
			line = "not decided\t"
		}
		fmt.Fprintf(table, "%s\t%s\n", invitations[i].EmailAddress, line)
	}
	_ = table.Flush()
	switch {
	case ended != nil:
		return ended
	case rejected > 0:
		return exitError{code: exitRejected}
	}
	return nil
}

// outcomeOf is an outcome in words.
func outcomeOf(result *clerkorg.InviteResult) string {
	detail := ""
	switch {
	case result.Err != nil:
		_, detail = describe(argument{}, result.Err)
	case result.Invitation != nil:
		detail = result.Invitation.ID
	case result.Outcome == clerkorg.OutcomeDuplicate:
		detail = fmt.Sprintf("of argument %d", result.DuplicateOf+1)
	}
	return string(result.Outcome) + "\t" + detail
}

// argument is where the values of a command line come from.
type argument struct{}

// Explain says what the SDK finds wrong with an argument.
func (argument) Explain(problems []clerkorg.Problem) string {
	texts := make([]string, len(problems))
	for i, problem := range problems {
		texts[i] = problem.Message
		if problem.Field != "email_address" {
			texts[i] = "--" + problem.Field + ": " + problem.Message
		}
	}
	return strings.Join(texts, "; ")
}

// populate gives the demo people who are there already.
func (c *connection) populate() {
	organization := c.server.OrganizationID()
	c.server.AddMember(organization, "grace@example.com", string(clerkorg.RoleAdmin))
	for _, name := range []string{"alan", "barbara", "edsger", "katherine"} {
		id := c.server.AddInvitation(organization, name+"@example.com", string(clerkorg.RoleMember))
		if name == "barbara" || name == "edsger" {
			_ = c.server.ExpireInvitation(id) // it is pending
		}
	}
}
