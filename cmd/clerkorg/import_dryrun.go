package main

import (
	"context"
	"fmt"
	"hash/maphash"
	"math"
	"time"

	"github.com/clerkorg/clerkorg-go"
	"github.com/clerkorg/clerkorg-go/cmd/clerkorg/internal/people"
	"github.com/clerkorg/clerkorg-go/cmd/clerkorg/internal/progress"
	"github.com/clerkorg/clerkorg-go/cmd/clerkorg/internal/results"
)

// rehearse reads the file and tells what would be done.
func (im *importer) rehearse(ctx context.Context, conn *connection, list *people.List) error {
	seed := maphash.MakeSeed()
	key := func(email string) uint64 { return maphash.String(seed, clerkorg.AddressKey(email)) }
	var there map[uint64]bool
	var err error
	if conn != nil && !im.demo {
		if there, err = conn.whoIsThere(ctx, key); err != nil {
			return err
		}
	}
	journal, err := results.Peek(im.results)
	if err != nil {
		return exitError{exitWrongUse, err}
	}
	defer journal.Close()
	look, err := im.newSurveyor(list, math.MaxInt) // there are no results to look into
	if err != nil {
		return err
	}
	var decided, duplicates, invited, members, send int
	first := map[uint64]uint32{} // the line of an address
	for row, err := range list.All() {
		if err != nil {
			return exitError{exitWrongUse, fmt.Errorf("%s: %w", im.path, err)}
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if journal.Has(row.Index) {
			decided++
		}
		if !look.look(ctx, &row) || journal.Has(row.Index) {
			continue
		}
		person := key(row.Params.EmailAddress)
		if line, ok := first[person]; ok {
			duplicates++
			im.tell("%s %d: the same address as in %s %d", list.Unit, row.Line, list.Unit, line)
			continue
		}
		first[person] = uint32(row.Line) //nolint:gosec // no file has so many lines
		switch member, known := there[person]; {
		case member:
			members++
		case known:
			invited++
		default:
			send++
		}
	}
	look.conclude()
	fmt.Fprintf(im.out, "%s: %s\n", im.path, count(look.rows, "row"))
	for _, part := range []struct {
		n    int
		text string
	}{
		{decided, "decided by earlier runs"},
		{look.bad, "would be rejected"},
		{duplicates, "given twice"},
		{invited, "invited already"},
		{members, "in the organization already"},
	} {
		if part.n > 0 {
			fmt.Fprintf(im.out, "%8d %s\n", part.n, part.text)
		}
	}
	fmt.Fprintf(im.out, "%8d to be invited\n", send)
	fmt.Fprintln(im.out, forecast(send, im.bulkOnly))
	if there == nil {
		fmt.Fprintln(im.out, "Who is there already was not looked up: that takes a secret key and --org.")
	}
	fmt.Fprintln(im.out, "Nothing was sent.")
	if look.bad > 0 {
		return exitError{code: exitRejected}
	}
	return nil
}

// forecast says how many calls n people take, and how long.
func forecast(n int, bulkOnly bool) string {
	hourly := clerkorg.MaxBulkInvitations * bulkLimit
	if !bulkOnly {
		hourly += singleLimit
	}
	// Both kinds of calls are used up every full hour. What remains goes in tens,
	// and what does not fit into them one by one.
	hours, rest := n/hourly, n%hourly
	bulk := min(bulkLimit, (rest+clerkorg.MaxBulkInvitations-1)/clerkorg.MaxBulkInvitations)
	single := max(0, rest-bulk*clerkorg.MaxBulkInvitations)
	bulk += hours * bulkLimit
	if !bulkOnly {
		single += hours * singleLimit
	}
	took := "a few minutes, if nothing was sent in the last hour"
	if waits := (n - 1) / hourly; n > 0 && waits > 0 {
		took = "about " + progress.Words(time.Duration(waits)*(time.Hour+progress.Slack)+time.Minute)
	}
	return fmt.Sprintf("About %s of up to ten people and %s of one; at %d people an hour that takes %s.",
		count(bulk, "bulk call"), count(single, "call"), hourly, took)
}

// whoIsThere reads who has an invitation to the organization, and who is a member,
// for which the value is true.
func (c *connection) whoIsThere(ctx context.Context, key func(string) uint64) (map[uint64]bool, error) {
	there := map[uint64]bool{}
	pending := &clerkorg.ListInvitationsParams{Status: []clerkorg.InvitationStatus{clerkorg.InvitationPending}}
	for invitation, err := range c.client.Organizations.Invitations(ctx, c.organization, pending) {
		if err != nil {
			return nil, err
		}
		there[key(invitation.EmailAddress)] = false
	}
	for membership, err := range c.client.Organizations.Memberships(ctx, c.organization, nil) {
		if err != nil {
			return nil, err
		}
		if membership.PublicUserData != nil {
			there[key(membership.PublicUserData.Identifier)] = true
		}
	}
	return there, nil
}
