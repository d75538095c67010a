package clerkorg_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/clerkorg/clerkorg-go"
	"github.com/clerkorg/clerkorg-go/clerktest"
)

// An invitation without an organization leads to the sign-up.
func ExampleInvitationsService_Create() {
	client := newClient(clerktest.NewServer())

	for range 2 {
		invitation, err := client.Invitations.Create(context.Background(), clerkorg.CreateApplicationInvitationParams{
			EmailAddress:   "ada@example.com",
			PublicMetadata: map[string]string{"plan": "pro"},
		})
		switch {
		case errors.Is(err, clerkorg.ErrAlreadyInvited):
			fmt.Println("invited already")
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

// The refusal names all addresses that have a pending invitation.
func ExampleInvitationsService_CreateBulk() {
	server := clerktest.NewServer()
	client := newClient(server)
	server.AddApplicationInvitation("ada@example.com")

	people := []clerkorg.CreateApplicationInvitationParams{{EmailAddress: "ada@example.com"}, {EmailAddress: "charles@example.com"}}
	_, err := client.Invitations.CreateBulk(context.Background(), people)
	if api, ok := errors.AsType[*clerkorg.APIError](err); ok {
		fmt.Println(api.Code(), api.EmailAddresses())
	}

	invitations, err := client.Invitations.CreateBulk(context.Background(), people[1:])
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(invitations[0].EmailAddress, invitations[0].Status)
	// Output:
	// duplicate_record [ada@example.com]
	// charles@example.com pending
}

func ExampleInvitationsService_List() {
	server := clerktest.NewServer()
	client := newClient(server)
	server.AddApplicationInvitation("ada@example.com")
	server.AddApplicationInvitation("charles@example.com")

	page, err := client.Invitations.List(context.Background(), &clerkorg.ListApplicationInvitationsParams{Limit: 1})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(page.Data[0].EmailAddress, "and", page.TotalCount-1, "more")
	// Output: charles@example.com and 1 more
}

// The query finds parts of addresses too: compare them.
func ExampleInvitationsService_All() {
	server := clerktest.NewServer()
	client := newClient(server)
	server.AddApplicationInvitation("ada@example.com")
	server.AddApplicationInvitation("not.ada@example.com")

	params := &clerkorg.ListApplicationInvitationsParams{Query: "ada@example.com"}
	for invitation, err := range client.Invitations.All(context.Background(), params) {
		if err != nil {
			fmt.Println(err)
			return
		}
		if clerkorg.AddressKey(invitation.EmailAddress) == clerkorg.AddressKey("Ada@example.com") {
			fmt.Println(invitation.EmailAddress, invitation.Status)
		}
	}
	// Output: ada@example.com pending
}

func ExampleInvitationsService_Revoke() {
	server := clerktest.NewServer()
	client := newClient(server)
	id := server.AddApplicationInvitation("ada@example.com")

	for range 2 {
		invitation, err := client.Invitations.Revoke(context.Background(), id)
		if api, ok := errors.AsType[*clerkorg.APIError](err); ok {
			fmt.Println(api.Code())
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
	// invitation_already_revoked
}
