package main

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"net/http"
	"time"

	"github.com/clerkorg/clerkorg-go"
)

// dryRun reads the file and says what would be sent.
func dryRun(ctx context.Context, o options, out io.Writer) error {
	var there map[uint64]string
	var err error
	seed := maphash.MakeSeed()
	key := func(email string) uint64 { return maphash.String(seed, clerkorg.AddressKey(email)) }
	if o.haveKey && o.organization != "" {
		if there, err = whoIsThere(ctx, o, key); err != nil {
			return err
		}
	}
	results, err := readResults(o.results)
	if err != nil {
		return exitError{exitWrongUse, err}
	}
	valid, err := newValidator()
	if err != nil {
		return err
	}
	var rows, decided, rejected, duplicates, invited, members, send int
	first := map[uint64]int{}
	for in, err := range readFile(o.people, clerkorg.Role(o.role)) {
		if err != nil {
			return exitError{exitWrongUse, err}
		}
		rows++
		if ok, err := results.has(in); err != nil {
			return exitError{exitWrongUse, err}
		} else if ok {
			decided++
			continue
		}
		if in.err == nil {
			in.err = valid.check(ctx, in.params)
		}
		if in.err != nil {
			rejected++
			_, message := describe(in.err)
			fmt.Fprintf(out, "line %d: %s\n", in.line, message)
			continue
		}
		person := key(in.params.EmailAddress)
		if line, ok := first[person]; ok {
			duplicates++
			fmt.Fprintf(out, "line %d: the same address as in line %d\n", in.line, line)
			continue
		}
		first[person] = in.line
		switch there[person] {
		case "invited":
			invited++
		case "member":
			members++
		default:
			send++
		}
	}
	fmt.Fprintf(out, "%s: %s\n", o.people, count(rows, "row"))
	for _, part := range []struct {
		n    int
		text string
	}{
		{decided, "decided by earlier runs"},
		{rejected, "would be rejected"},
		{duplicates, "duplicates"},
		{invited, "invited already"},
		{members, "members already"},
	} {
		if part.n > 0 {
			fmt.Fprintf(out, "%8d %s\n", part.n, part.text)
		}
	}
	fmt.Fprintf(out, "%8d to be invited\n", send)
	fmt.Fprintln(out, forecast(send, o.bulkOnly))
	if there == nil {
		fmt.Fprintln(out, "Who is there already was not looked up: that takes CLERK_SECRET_KEY and -org.")
	}
	fmt.Fprintln(out, "Nothing was sent.")
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
		took = "about " + clock{time.Hour}.span(time.Duration(waits)*(time.Hour+slack)+time.Minute)
	}
	return fmt.Sprintf("About %s of up to ten people and %s of one; at %d people an hour that takes %s.",
		count(bulk, "bulk call"), count(single, "call"), hourly, took)
}

// whoIsThere reads who is a member of the organization or has an invitation.
func whoIsThere(ctx context.Context, o options, key func(string) uint64) (map[uint64]string, error) {
	client, err := o.client()
	if err != nil {
		return nil, err
	}
	there := map[uint64]string{}
	pending := &clerkorg.ListInvitationsParams{Status: []clerkorg.InvitationStatus{clerkorg.InvitationPending}}
	for invitation, err := range client.Organizations.Invitations(ctx, o.organization, pending) {
		if err != nil {
			return nil, err
		}
		there[key(invitation.EmailAddress)] = "invited"
	}
	for membership, err := range client.Organizations.Memberships(ctx, o.organization, nil) {
		if err != nil {
			return nil, err
		}
		if membership.PublicUserData != nil {
			there[key(membership.PublicUserData.Identifier)] = "member"
		}
	}
	return there, nil
}

// validator checks invitations as the SDK does, by a client that cannot send.
type validator struct{ client *clerkorg.Client }

type nowhere struct{}

var errNowhere = errors.New("this is a dry run")

func (nowhere) RoundTrip(*http.Request) (*http.Response, error) { return nil, errNowhere }

func newValidator() (validator, error) {
	client, err := clerkorg.NewClient("sk_test_dryrun", clerkorg.WithHTTPClient(&http.Client{Transport: nowhere{}}),
		clerkorg.WithRateLimiter(clerkorg.Unlimited()), clerkorg.WithMaxRetries(0))
	return validator{client}, err
}

// check returns what the SDK finds wrong with an invitation, nil where it would
// have sent it.
func (v validator) check(ctx context.Context, params clerkorg.CreateInvitationParams) error {
	_, err := v.client.Organizations.CreateInvitation(ctx, "org_dryrun", params)
	if invalid, ok := errors.AsType[*clerkorg.ValidationError](err); ok {
		return invalid
	}
	return ctx.Err()
}
