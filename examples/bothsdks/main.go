// Command bothsdks uses Clerk's own SDK and this one with one secret key. Clerk's SDK
// sends through the transport of this one, so that both keep one set of quotas.
//
//	go run ./examples/bothsdks -demo
//	CLERK_SECRET_KEY=sk_… go run ./examples/bothsdks -org org_… ada@example.com grace@example.com
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"os/signal"

	"github.com/clerk/clerk-sdk-go/v2"
	"github.com/clerk/clerk-sdk-go/v2/organizationinvitation"
	"github.com/clerk/clerk-sdk-go/v2/organizationmembership"

	"github.com/clerkorg/clerkorg-go"
	"github.com/clerkorg/clerkorg-go/clerktest"
)

func main() {
	organization := flag.String("org", os.Getenv("CLERK_ORGANIZATION_ID"), "`id` of the organization")
	demo := flag.Bool("demo", false, "invite made-up people into an in-memory Clerk")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	key, url, addresses := os.Getenv("CLERK_SECRET_KEY"), clerkorg.DefaultBaseURL, flag.Args()
	if *demo {
		server := clerktest.NewServer()
		defer server.Close()
		key, url, *organization = server.SecretKey(), server.URL()+"/v1", server.OrganizationID()
		addresses = []string{"ada@example.com", "grace@example.com", "alan@example.com"}
	}
	if err := run(ctx, key, url, *organization, addresses, os.Stdout); err != nil {
		stop()
		log.Print(err)
		os.Exit(1)
	}
}

// run invites the first person through Clerk's SDK, the others through this one, and
// counts the members through Clerk's again.
func run(ctx context.Context, key, url, organization string, addresses []string, out io.Writer) error {
	theirs, ours, err := connect(key, url)
	if err != nil {
		return err
	}
	for _, address := range addresses[:min(1, len(addresses))] {
		_, err := organizationinvitation.NewClient(theirs).Create(ctx, &organizationinvitation.CreateParams{
			OrganizationID: organization,
			EmailAddress:   &address,
			Role:           clerk.String(string(clerkorg.RoleMember)),
		})
		if limited, ok := errors.AsType[*clerkorg.RateLimitError](err); ok {
			return fmt.Errorf("free again in %s: %w", limited.RetryAfter, err)
		}
		if err != nil {
			return err
		}
		fmt.Fprintln(out, "clerk-sdk-go invited", address)
	}
	var people []clerkorg.CreateInvitationParams
	for _, address := range addresses[min(1, len(addresses)):] {
		people = append(people, clerkorg.CreateInvitationParams{EmailAddress: address, Role: clerkorg.RoleMember})
	}
	if len(people) > 0 {
		invitations, err := ours.Organizations.CreateInvitationBulk(ctx, organization, people)
		if err != nil {
			return err
		}
		fmt.Fprintln(out, "clerkorg-go invited", len(invitations), "more")
	}
	members, err := organizationmembership.NewClient(theirs).List(ctx, &organizationmembership.ListParams{OrganizationID: organization})
	if err != nil {
		return err
	}
	fmt.Fprintln(out, "members:", members.TotalCount)
	for _, name := range []string{clerkorg.QuotaBulk, clerkorg.QuotaCreate, clerkorg.QuotaInstance} {
		state, err := ours.Quota(ctx, name)
		if err != nil {
			return err
		}
		fmt.Fprintln(out, state.Available, "left of", state.Quota)
	}
	return nil
}

// connect returns a configuration for the clients of Clerk's SDK and a client of this
// one, which share the quotas of the key.
func connect(key, url string, opts ...clerkorg.Option) (*clerk.ClientConfig, *clerkorg.Client, error) {
	opts = append(opts, clerkorg.WithBaseURL(url))
	ours, err := clerkorg.NewClient(key, opts...)
	if err != nil {
		return nil, nil, err
	}
	transport, err := clerkorg.NewTransport(key, opts...)
	if err != nil {
		return nil, nil, err
	}
	theirs := &clerk.ClientConfig{}
	theirs.Key = &key
	theirs.URL = &url
	theirs.HTTPClient = &http.Client{Transport: transport, Timeout: clerkorg.DefaultTimeout}
	return theirs, ours, nil
}
