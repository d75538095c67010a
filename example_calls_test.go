package clerkorg_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/clerkorg/clerkorg-go"
	"github.com/clerkorg/clerkorg-go/clerktest"
)

// The invitations come back in the order in which they were sent.
func ExampleOrganizationsService_CreateInvitationBulk() {
	server := clerktest.NewServer()
	client := newClient(server)

	invitations, err := client.Organizations.CreateInvitationBulk(context.Background(), server.OrganizationID(),
		[]clerkorg.CreateInvitationParams{
			{EmailAddress: "ada@example.com", Role: clerkorg.RoleAdmin, ExpiresInDays: 7},
			{EmailAddress: "charles@example.com", Role: clerkorg.RoleMember, RedirectURL: "/welcome"},
		})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, invitation := range invitations {
		fmt.Println(invitation.EmailAddress, invitation.Role)
	}
	// Output:
	// ada@example.com org:admin
	// charles@example.com org:member
}

// A second invitation of the same address is refused.
func ExampleOrganizationsService_CreateInvitation() {
	server := clerktest.NewServer()
	client := newClient(server)

	for range 2 {
		invitation, err := client.Organizations.CreateInvitation(context.Background(), server.OrganizationID(),
			clerkorg.CreateInvitationParams{EmailAddress: "ada@example.com", Role: clerkorg.RoleMember})
		switch {
		case errors.Is(err, clerkorg.ErrAlreadyInvited):
			fmt.Println("invited already")
		case errors.Is(err, clerkorg.ErrAlreadyMember):
			fmt.Println("a member already")
		case err != nil:
			fmt.Println(err)
		default:
			fmt.Println(invitation.EmailAddress, invitation.Status)
		}
	}
	// Output:
	// ada@example.com pending
	// invited already
}

// After an unknown outcome the list tells what was created. Wait before it is read: the
// request may arrive late.
func ExampleOrganizationsService_FindInvitations() {
	server := clerktest.NewServer()
	server.Inject(clerktest.Fault{Operation: clerktest.OpBulk, Kind: clerktest.FaultResetAfter}) // the answer is lost
	client := newClient(server)
	ctx := context.Background()

	addresses := []string{"ada@example.com", "charles@example.com"}
	params := make([]clerkorg.CreateInvitationParams, len(addresses))
	for i, address := range addresses {
		params[i] = clerkorg.CreateInvitationParams{EmailAddress: address, Role: clerkorg.RoleMember}
	}
	since := time.Now().Add(-5 * time.Minute) // the clocks may differ
	_, err := client.Organizations.CreateInvitationBulk(ctx, server.OrganizationID(), params)
	if errors.Is(err, clerkorg.ErrOutcomeUnknown) {
		found, err := client.Organizations.FindInvitations(ctx, server.OrganizationID(), since, addresses)
		if err != nil {
			fmt.Println(err)
			return
		}
		for _, address := range addresses {
			invitation, ok := found[address]
			fmt.Println(address, ok, invitation.Status)
		}
	}
	// Output:
	// ada@example.com true pending
	// charles@example.com true pending
}

func ExampleOrganizationsService_GetInvitation() {
	server := clerktest.NewServer()
	invitationID := server.AddInvitation(server.OrganizationID(), "ada@example.com", "org:member")
	client := newClient(server)

	for _, id := range []string{invitationID, "orginv_unknown"} {
		invitation, err := client.Organizations.GetInvitation(context.Background(), server.OrganizationID(), id)
		if errors.Is(err, clerkorg.ErrNotFound) {
			fmt.Println("there is no such invitation")
			continue
		}
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(invitation.EmailAddress, invitation.Status, "for", invitation.ExpiresAt.Sub(invitation.CreatedAt.Time))
	}
	// Output:
	// ada@example.com pending for 720h0m0s
	// there is no such invitation
}

// Query finds parts of addresses, in all organizations of the instance.
func ExampleOrganizationsService_ListInstanceInvitations() {
	server := clerktest.NewServer()
	other := server.AddOrganization(clerktest.Organization{Name: "Engines"})
	server.AddInvitation(server.OrganizationID(), "ada@example.com", "org:member")
	server.AddInvitation(other, "ada@example.com", "org:member")
	server.AddInvitation(other, "grace@example.com", "org:member")
	client := newClient(server)

	list, err := client.Organizations.ListInstanceInvitations(context.Background(), &clerkorg.ListInstanceInvitationsParams{
		Query: "ada@",
		Limit: 1,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, invitation := range list.Data {
		fmt.Println(invitation.EmailAddress, "into", invitation.PublicOrganizationData.Name)
	}
	fmt.Println(len(list.Data), "of", list.TotalCount)
	// Output:
	// ada@example.com into Engines
	// 1 of 2
}

func ExampleOrganizationsService_InstanceInvitations() {
	server := clerktest.NewServer()
	other := server.AddOrganization(clerktest.Organization{Name: "Engines"})
	server.AddInvitation(server.OrganizationID(), "ada@example.com", "org:member")
	server.AddInvitation(other, "grace@example.com", "org:member")
	client := newClient(server)

	pending := &clerkorg.ListInstanceInvitationsParams{
		Status:  []clerkorg.InvitationStatus{clerkorg.InvitationPending},
		OrderBy: clerkorg.OrderByEmailAddress,
	}
	for invitation, err := range client.Organizations.InstanceInvitations(context.Background(), pending) {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(invitation.EmailAddress)
	}
	// Output:
	// ada@example.com
	// grace@example.com
}

func ExampleOrganizationsService_Get() {
	server := clerktest.NewServer()
	id := server.AddOrganization(clerktest.Organization{Name: "Engines", Slug: "engines"})
	server.AddMember(id, "charles@example.com", "org:admin")
	server.AddInvitation(id, "ada@example.com", "org:member")
	client := newClient(server)

	organization, err := client.Organizations.Get(context.Background(), "engines") // or its id
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(organization.Name, organization.ID == id)
	fmt.Println(organization.MembersCount, "member,", organization.PendingInvitationsCount, "pending invitation")
	// Output:
	// Engines true
	// 1 member, 1 pending invitation
}

// Which of up to 100 addresses belong to members.
func ExampleOrganizationsService_ListMemberships() {
	server := clerktest.NewServer()
	server.AddMember(server.OrganizationID(), "ada@example.com", "org:member")
	client := newClient(server)

	list, err := client.Organizations.ListMemberships(context.Background(), server.OrganizationID(), &clerkorg.ListMembershipsParams{
		EmailAddress: []string{"ada@example.com", "grace@example.com"},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, member := range list.Data {
		fmt.Println(member.PublicUserData.Identifier, member.Role)
	}
	// Output:
	// ada@example.com org:member
}

func ExampleOrganizationsService_Memberships() {
	server := clerktest.NewServer()
	for i := range 700 {
		server.AddMember(server.OrganizationID(), fmt.Sprintf("person%d@example.com", i), "org:member")
	}
	client := newClient(server)

	roles := map[clerkorg.Role]int{}
	for member, err := range client.Organizations.Memberships(context.Background(), server.OrganizationID(), nil) {
		if err != nil {
			fmt.Println(err)
			return
		}
		roles[member.Role]++
	}
	fmt.Println(roles)
	// Output:
	// map[org:admin:1 org:member:700]
}

// A refusal of a batch may name the addresses that it is about: the others can be sent
// again without them.
func ExampleAPIError_EmailAddresses() {
	server := clerktest.NewServer(clerktest.WithNamedRefusals(clerktest.NameInMeta))
	server.AddInvitation(server.OrganizationID(), "ada@example.com", "org:member")
	client := newClient(server)

	_, err := client.Organizations.CreateInvitationBulk(context.Background(), server.OrganizationID(),
		[]clerkorg.CreateInvitationParams{
			{EmailAddress: "Ada@example.com", Role: clerkorg.RoleMember},
			{EmailAddress: "grace@example.com", Role: clerkorg.RoleMember},
		})
	if api, ok := errors.AsType[*clerkorg.APIError](err); ok {
		fmt.Println(api.Code(), errors.Is(err, clerkorg.ErrAlreadyInvited), api.EmailAddresses())
	}
	// Output:
	// duplicate_record true [Ada@example.com]
}

// Metadata keeps the JSON of an answer as it came; Decode reads it.
func ExampleMetadata_Decode() {
	server := clerktest.NewServer()
	client := newClient(server)

	invitation, err := client.Organizations.CreateInvitation(context.Background(), server.OrganizationID(), clerkorg.CreateInvitationParams{
		EmailAddress:   "ada@example.com",
		Role:           clerkorg.RoleMember,
		PublicMetadata: map[string]any{"team": "engines", "badge": 9007199254740993},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	var metadata struct {
		Team  string `json:"team"`
		Badge int64  `json:"badge"`
	}
	if err := invitation.PublicMetadata.Decode(&metadata); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(metadata.Team, metadata.Badge)
	// Output: engines 9007199254740993
}
