package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/clerkorg/clerkorg-go"
	"github.com/clerkorg/clerkorg-go/cmd/clerkorg/internal/progress"
)

func (a *app) quotaCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "quota",
		Short: "Tell what is left of the quota, and when the next slot opens",
		Long: `Tells how many invitation calls the secret key has left, and when the next slot opens.
Clerk does not tell that: it is worked out from the invitations that all
organizations of the instance have got within the last hour. Calls that were refused
leave none, and are not counted.

` + exitCodes,
		Args: exactly(0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if a.organization == "" {
				a.organization = "-" // none is asked about
			}
			limiter := clerkorg.NewTokenBucket()
			a.options = append(a.options, clerkorg.WithRateLimiter(limiter))
			conn, err := a.connect()
			if err != nil {
				return err
			}
			if a.demo {
				conn.populate()
			}
			return a.showQuota(cmd.Context(), conn, limiter)
		},
	}
}

func (a *app) showQuota(ctx context.Context, conn *connection, limiter *clerkorg.TokenBucket) error {
	now := time.Now()
	bulk, single, err := conn.lastCalls(ctx, now.Add(-time.Hour-progress.Slack))
	if err != nil {
		return err
	}
	table := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "CALL\tLEFT\tOF\tNEXT SLOT\tALL FREE")
	for _, kind := range []struct {
		name, quota string
		limit       int
		calls       []time.Time
	}{{"bulk (10 people)", clerkorg.QuotaBulk, bulkLimit, bulk}, {"single", clerkorg.QuotaCreate, singleLimit, single}} {
		quota := clerkorg.Quota{Name: kind.quota, Limit: kind.limit, Window: time.Hour}
		if err := limiter.Seed(ctx, quota, kind.calls...); err != nil {
			return err
		}
		state, err := limiter.State(ctx, quota)
		if err != nil {
			return err
		}
		next, all := "now", "now"
		if state.Available == 0 {
			next = progress.Real.In(state.NextAt, now)
		}
		if len(kind.calls) > 0 {
			all = progress.Real.In(slices.MaxFunc(kind.calls, time.Time.Compare).Add(time.Hour+progress.Slack), now)
		}
		fmt.Fprintf(table, "%s\t%d\t%d\t%s\t%s\n", kind.name, state.Available, kind.limit, next, all)
	}
	return table.Flush()
}

// together is how close in time the invitations of one bulk call are to each other.
const together = 3 * time.Millisecond

// lastCalls guesses which calls the instance's invitations since a time came from:
// those of one organization that were made together from bulk calls, the others from
// single ones.
func (c *connection) lastCalls(ctx context.Context, since time.Time) (bulk, single []time.Time, err error) {
	var made []clerkorg.OrganizationInvitation
	for invitation, err := range c.client.Organizations.InstanceInvitations(ctx, nil) { // newest first
		if err != nil {
			return nil, nil, err
		}
		if invitation.CreatedAt.Before(since) {
			break
		}
		made = append(made, clerkorg.OrganizationInvitation{OrganizationID: invitation.OrganizationID, CreatedAt: invitation.CreatedAt})
	}
	slices.SortFunc(made, func(a, b clerkorg.OrganizationInvitation) int {
		return cmp.Or(cmp.Compare(a.OrganizationID, b.OrganizationID), a.CreatedAt.Compare(b.CreatedAt.Time))
	})
	for len(made) > 0 {
		n := 1
		for n < len(made) && n < clerkorg.MaxBulkInvitations && made[n].OrganizationID == made[0].OrganizationID &&
			made[n].CreatedAt.Sub(made[n-1].CreatedAt.Time) <= together {
			n++
		}
		at := made[0].CreatedAt.Time
		if now := time.Now(); at.After(now) { // Clerk's clock may be ahead of ours
			at = now
		}
		if n == 1 {
			single = append(single, at)
		} else {
			bulk = append(bulk, at)
		}
		made = made[n:]
	}
	return bulk, single, nil
}
