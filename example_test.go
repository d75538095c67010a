package clerkorg_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/clerkorg/clerkorg-go"
	"github.com/clerkorg/clerkorg-go/clerktest"
)

// newClient returns a client of an in-memory Clerk. Programs that call the real
// one leave the option out.
func newClient(server *clerktest.Server, opts ...clerkorg.Option) *clerkorg.Client {
	client, err := clerkorg.NewClient(server.SecretKey(),
		append(opts, clerkorg.WithHTTPClient(&http.Client{Transport: server.Transport()}))...)
	if err != nil {
		panic(err)
	}
	return client
}

// Ten people at most are invited with a single call.
func Example() {
	server := clerktest.NewServer() // a Clerk in memory
	client, err := clerkorg.NewClient(server.SecretKey(),
		clerkorg.WithHTTPClient(&http.Client{Transport: server.Transport()})) // not for the real one
	if err != nil {
		fmt.Println(err)
		return
	}

	invitations, err := client.Organizations.CreateInvitationBulk(context.Background(), server.OrganizationID(),
		[]clerkorg.CreateInvitationParams{
			{EmailAddress: "ada@example.com", Role: clerkorg.RoleAdmin, InviterUserID: server.AdminUserID()},
			{EmailAddress: "charles@example.com", Role: clerkorg.RoleMember, PublicMetadata: map[string]any{"team": "engines"}, Notify: new(false)},
		})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, invitation := range invitations {
		fmt.Println(invitation.EmailAddress, invitation.Role, invitation.Status, invitation.PublicMetadata)
	}
	// Output:
	// ada@example.com org:admin pending {}
	// charles@example.com org:member pending {"team":"engines"}
}

// What went wrong is told apart by type, or asked for with errors.Is.
func ExampleOrganizationsService_CreateInvitationBulk_errors() {
	server := clerktest.NewServer()
	client := newClient(server, clerkorg.WithQuotas(clerkorg.Quota{Name: clerkorg.QuotaBulk, Limit: 2, Window: time.Hour}))
	invite := func(organizationID, address string) error {
		_, err := client.Organizations.CreateInvitationBulk(context.Background(), organizationID,
			[]clerkorg.CreateInvitationParams{{EmailAddress: address, Role: clerkorg.RoleMember}})
		return err
	}
	explain := func(err error) {
		if invalid, ok := errors.AsType[*clerkorg.ValidationError](err); ok {
			for _, problem := range invalid.Problems {
				fmt.Println("not sent:", problem.Index, problem.Field, problem.Message)
			}
			return
		}
		if limited, ok := errors.AsType[*clerkorg.RateLimitError](err); ok {
			fmt.Println("come back in", limited.RetryAfter.Round(time.Minute))
			return
		}
		if errors.Is(err, clerkorg.ErrOutcomeUnknown) {
			fmt.Println("list the invitations before sending it again")
			return
		}
		if api, ok := errors.AsType[*clerkorg.APIError](err); ok {
			fmt.Println(api.StatusCode, api.Errors[0].Code, errors.Is(err, clerkorg.ErrNotFound))
			return
		}
		fmt.Println(err)
	}

	explain(invite(server.OrganizationID(), "no address"))
	explain(invite("org_unknown", "ada@example.com"))
	server.Inject(clerktest.Fault{Kind: clerktest.FaultResetAfter})
	explain(invite(server.OrganizationID(), "ada@example.com"))
	explain(invite(server.OrganizationID(), "grace@example.com"))
	// Output:
	// not sent: 0 email_address must be a bare e-mail address, as in name@example.com
	// 404 resource_not_found true
	// list the invitations before sending it again
	// come back in 1h0m0s
}

func ExampleOrganizationsService_ListInvitations() {
	server := clerktest.NewServer()
	for _, name := range []string{"ada", "charles", "grace"} {
		server.AddInvitation(server.OrganizationID(), name+"@example.com", "org:member")
	}
	client := newClient(server)

	list, err := client.Organizations.ListInvitations(context.Background(), server.OrganizationID(), &clerkorg.ListInvitationsParams{
		Status:  []clerkorg.InvitationStatus{clerkorg.InvitationPending},
		OrderBy: clerkorg.OrderByEmailAddress,
		Limit:   2,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, invitation := range list.Data {
		fmt.Println(invitation.EmailAddress)
	}
	fmt.Println(len(list.Data), "of", list.TotalCount)
	// Output:
	// ada@example.com
	// charles@example.com
	// 2 of 3
}

func ExampleOrganizationsService_RevokeInvitation() {
	server := clerktest.NewServer()
	invitationID := server.AddInvitation(server.OrganizationID(), "ada@example.com", "org:member")
	client := newClient(server)

	for range 2 {
		invitation, err := client.Organizations.RevokeInvitation(context.Background(), server.OrganizationID(), invitationID, nil)
		if api, ok := errors.AsType[*clerkorg.APIError](err); ok && api.HasCode(clerkorg.CodeInvitationNotPending) {
			fmt.Println("it is not pending any more")
			continue
		}
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(invitation.Status)
	}
	// Output:
	// revoked
	// it is not pending any more
}

// A limiter of its own: for a client that must not share its quota with the others
// of its process, or for one that shares it with other processes.
func ExampleWithRateLimiter() {
	server := clerktest.NewServer()
	client := newClient(server, clerkorg.WithRateLimiter(clerkorg.NewTokenBucket()))
	ctx := context.Background()
	_, err := client.Organizations.CreateInvitationBulk(ctx, server.OrganizationID(),
		[]clerkorg.CreateInvitationParams{{EmailAddress: "ada@example.com", Role: clerkorg.RoleMember}})
	if err != nil {
		fmt.Println(err)
		return
	}
	state, err := client.Quota(ctx, clerkorg.QuotaBulk)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(state.Available, "of", state.Quota.Limit, "left, the next one in", time.Until(state.NextAt).Round(time.Second))
	// Output:
	// 49 of 50 left, the next one in 1h0m5s
}

// A test of one's own needs no account and no network, and sees what would have
// happened on the worst of days.
func ExampleNewClient_testing() {
	server := clerktest.NewServer()
	server.Inject(clerktest.Fault{Operation: clerktest.OpBulk, Kind: clerktest.FaultTruncate}) // of every answer
	client := newClient(server)

	_, err := client.Organizations.CreateInvitationBulk(context.Background(), server.OrganizationID(),
		[]clerkorg.CreateInvitationParams{{EmailAddress: "ada@example.com", Role: clerkorg.RoleMember}})
	fmt.Println("unknown:", errors.Is(err, clerkorg.ErrOutcomeUnknown))
	fmt.Println("calls:", server.CallCount(clerktest.OpBulk))
	fmt.Println("invited:", server.TimesInvited(server.OrganizationID(), "ada@example.com"), "time")
	// Output:
	// unknown: true
	// calls: 1
	// invited: 1 time
}
