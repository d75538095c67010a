package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/clerkorg/clerkorg-go"
)

func (a *app) resendCommand() *cobra.Command {
	var expired bool
	cmd := &cobra.Command{
		Use:   "resend [ID or ADDRESS]...",
		Short: "Send invitations again, or all that expired",
		Long: `Sends invitations again, each by its id or by the address of the invitee: a pending
one is revoked, and another one created with the same address, role, inviter,
metadata and days to live.

--expired sends all again that expired: those of people whose newest invitation did,
and who are no members. It goes as fast as Clerk's quotas allow, 750 an hour; after an
interruption the same command goes on.

` + exitCodes,
		Example: `  clerkorg resend ada@example.com
  clerkorg resend --expired`,
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case expired && len(args) > 0:
				return wrongUse("give either ids and addresses, or --expired")
			case !expired && len(args) == 0:
				return wrongUse("which ones? Give ids or addresses, or --expired")
			}
			conn, err := a.connect()
			if err != nil {
				return err
			}
			if a.demo {
				conn.populate()
			}
			if expired {
				return a.resendExpired(cmd.Context(), conn)
			}
			return a.each(cmd.Context(), conn, args, "sent again as", func(ctx context.Context, id string) (string, error) {
				fresh, err := conn.client.Organizations.ResendInvitation(ctx, conn.organization, id)
				if err != nil {
					return "", err
				}
				return fresh.ID, nil
			})
		},
	}
	cmd.Flags().BoolVar(&expired, "expired", false, "all that expired")
	return cmd
}

// each does something with each of the invitations that are named by their id or
// address, and writes a line for each. It goes on after an error that is about one
// of them.
func (a *app) each(ctx context.Context, conn *connection, names []string, done string, do func(ctx context.Context, id string) (string, error)) error {
	failed := 0
	for _, name := range names {
		id, err := conn.invitationOf(ctx, name)
		if err == nil {
			id, err = do(ctx, id)
		}
		switch api, _ := errors.AsType[*clerkorg.APIError](err); {
		case err == nil:
			fmt.Fprintf(a.out, "%s: %s %s\n", name, done, id)
		case ctx.Err() != nil, errors.Is(err, clerkorg.ErrUnauthorized), api == nil && !errors.Is(err, errNoInvitation) && !isResend(err):
			return fmt.Errorf("%s: %w", name, err)
		default:
			failed++
			fmt.Fprintf(a.errOut, "%s: %s\n", name, strings.ReplaceAll(err.Error(), "clerkorg: ", ""))
		}
	}
	if failed > 0 {
		return exitError{code: exitRejected}
	}
	return nil
}

func isResend(err error) bool {
	_, ok := errors.AsType[*clerkorg.ResendError](err)
	return ok
}

var errNoInvitation = errors.New("has no invitation to this organization")

// invitationOf returns the id of an invitation that is named by it, or by the
// address of the invitee.
func (c *connection) invitationOf(ctx context.Context, name string) (id string, err error) {
	if !strings.Contains(name, "@") {
		return name, nil
	}
	found, err := c.client.Organizations.FindInvitations(ctx, c.organization, time.Time{}, []string{name})
	if err != nil {
		return "", err
	}
	invitation, ok := found[name]
	if !ok {
		return "", errNoInvitation
	}
	return invitation.ID, nil
}

// resendExpired invites again whose newest invitation expired.
func (a *app) resendExpired(ctx context.Context, conn *connection) error {
	var again []clerkorg.CreateInvitationParams
	seen := map[string]bool{}
	for invitation, err := range conn.client.Organizations.Invitations(ctx, conn.organization, nil) { // newest first
		if err != nil {
			return err
		}
		key := clerkorg.AddressKey(invitation.EmailAddress)
		if !seen[key] && invitation.Status == clerkorg.InvitationExpired {
			again = append(again, paramsOf(&invitation))
		}
		seen[key] = true
	}
	if len(again) == 0 {
		a.tell("No invitation has expired without another one.")
		return nil
	}
	a.tell("%s. %s", count(len(again), "expired invitation"), forecast(len(again), false))
	return a.inviteThem(ctx, conn, again)
}

// paramsOf is what an invitation was created with, as far as it shows.
func paramsOf(old *clerkorg.OrganizationInvitation) clerkorg.CreateInvitationParams {
	params := clerkorg.CreateInvitationParams{
		EmailAddress: old.EmailAddress, Role: old.Role, InviterUserID: old.InviterID,
		PublicMetadata: old.PublicMetadata, PrivateMetadata: old.PrivateMetadata,
	}
	if link, err := url.Parse(old.URL); err == nil {
		params.RedirectURL = link.Query().Get("redirect_url")
	}
	if !old.ExpiresAt.IsZero() && !old.CreatedAt.IsZero() {
		days := old.ExpiresAt.Sub(old.CreatedAt.Time).Round(24*time.Hour) / (24 * time.Hour)
		params.ExpiresInDays = int(min(max(1, days), 365))
	}
	return params
}
