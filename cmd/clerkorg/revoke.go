package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/clerkorg/clerkorg-go"
)

func (a *app) revokeCommand() *cobra.Command {
	var age string
	var yes bool
	cmd := &cobra.Command{
		Use:   "revoke [ID or ADDRESS]...",
		Short: "Revoke pending invitations",
		Long: `Revokes pending invitations, each by its id or by the address of the invitee, or all
that were created before some time. It asks before it revokes more than one.

` + exitCodes,
		Example: `  clerkorg revoke ada@example.com
  clerkorg revoke --older-than 14d --yes`,
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case age != "" && len(args) > 0:
				return wrongUse("give either ids and addresses, or --older-than")
			case age == "" && len(args) == 0:
				return wrongUse("which ones? Give ids or addresses, or --older-than")
			}
			ctx := cmd.Context()
			var oldest time.Duration
			if age != "" {
				var err error
				if oldest, err = parseAge(age); err != nil {
					return wrongUse("--older-than: %w", err)
				}
			}
			conn, err := a.connect()
			if err != nil {
				return err
			}
			if a.demo {
				conn.populate()
			}
			if age != "" {
				if args, err = conn.pendingBefore(ctx, time.Now().Add(-oldest)); err != nil {
					return err
				}
			}
			if len(args) == 0 {
				a.tell("No pending invitation is older than %s.", age)
				return nil
			}
			if len(args) > 1 && !yes {
				if err := a.ask(fmt.Sprintf("Revoke %s?", count(len(args), "invitation"))); err != nil {
					return err
				}
			}
			return a.each(ctx, conn, args, "revoked", func(ctx context.Context, id string) (string, error) {
				revoked, err := conn.client.Organizations.RevokeInvitation(ctx, conn.organization, id, nil)
				if err != nil {
					return "", err
				}
				return revoked.ID, nil
			})
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&age, "older-than", "", "all that are older: 14d, 2w, 36h")
	flags.BoolVarP(&yes, "yes", "y", false, "do not ask")
	return cmd
}

// pendingBefore returns the ids of the pending invitations from before a time.
func (c *connection) pendingBefore(ctx context.Context, before time.Time) ([]string, error) {
	var ids []string
	pending := &clerkorg.ListInvitationsParams{Status: []clerkorg.InvitationStatus{clerkorg.InvitationPending}}
	for invitation, err := range c.client.Organizations.Invitations(ctx, c.organization, pending) {
		if err != nil {
			return nil, err
		}
		if !invitation.CreatedAt.IsZero() && invitation.CreatedAt.Before(before) {
			ids = append(ids, invitation.ID)
		}
	}
	return ids, nil
}

// ask asks a question, and returns an error where the answer is not yes.
func (a *app) ask(question string) error {
	fmt.Fprintf(a.errOut, "%s [y/N] ", question)
	answer, err := bufio.NewReader(a.in).ReadString('\n')
	switch strings.ToLower(strings.TrimSpace(answer)) {
	case "y", "yes":
		return nil
	case "":
		if err != nil {
			return wrongUse("no answer can be read: give --yes")
		}
	}
	return exitError{exitEarly, errors.New("nothing was revoked")}
}

// parseAge reads a duration that may be in days or weeks.
func parseAge(text string) (time.Duration, error) {
	units := map[byte]time.Duration{'d': 24 * time.Hour, 'w': 7 * 24 * time.Hour}
	if len(text) > 1 {
		if unit, ok := units[text[len(text)-1]]; ok {
			n, err := strconv.Atoi(text[:len(text)-1])
			if err != nil || n < 0 || n > int(math.MaxInt64/unit) {
				return 0, fmt.Errorf("want a number of days or weeks, as in 14d, is %q", text)
			}
			return time.Duration(n) * unit, nil
		}
	}
	age, err := time.ParseDuration(text)
	if err != nil || age < 0 {
		return 0, fmt.Errorf("want an age, as in 14d, 2w or 36h, is %q", text)
	}
	return age, nil
}
