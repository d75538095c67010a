package clerkorg_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"slices"

	"github.com/clerkorg/clerkorg-go"
	"github.com/clerkorg/clerkorg-go/clerktest"
)

func ExampleOrganizationsService_InviteAll() {
	server := clerktest.NewServer() // in place of Clerk
	client, err := clerkorg.NewClient(server.SecretKey(), clerkorg.WithHTTPClient(&http.Client{Transport: server.Transport()}))
	if err != nil {
		log.Fatal(err)
	}
	server.AddMember(server.OrganizationID(), "grace@example.com", "org:member")

	people := []clerkorg.CreateInvitationParams{
		{EmailAddress: "ada@example.com", Role: clerkorg.RoleMember},
		{EmailAddress: "grace@example.com", Role: clerkorg.RoleMember},
		{EmailAddress: "ADA@example.com", Role: clerkorg.RoleMember},
		{EmailAddress: "nobody", Role: clerkorg.RoleMember},
	}
	outcomes := make([]clerkorg.InviteOutcome, len(people))
	for result, err := range client.Organizations.InviteAll(context.Background(), server.OrganizationID(), slices.Values(people), nil) {
		if err != nil {
			log.Print(err) // run it again: it goes on from here
			break
		}
		outcomes[result.Index] = result.Outcome
	}
	for i, outcome := range outcomes {
		fmt.Println(people[i].EmailAddress, outcome)
	}
	// Output:
	// ada@example.com invited
	// grace@example.com already_member
	// ADA@example.com duplicate
	// nobody rejected
}

func ExampleOrganizationsService_Invitations() {
	server := clerktest.NewServer()
	client, err := clerkorg.NewClient(server.SecretKey(), clerkorg.WithHTTPClient(&http.Client{Transport: server.Transport()}))
	if err != nil {
		log.Fatal(err)
	}
	for i := range 1200 {
		server.AddInvitation(server.OrganizationID(), fmt.Sprintf("person%d@example.com", i), "org:member")
	}

	pending := &clerkorg.ListInvitationsParams{Status: []clerkorg.InvitationStatus{clerkorg.InvitationPending}}
	count := 0
	for invitation, err := range client.Organizations.Invitations(context.Background(), server.OrganizationID(), pending) {
		if err != nil {
			log.Print(err)
			break
		}
		if count == 0 {
			fmt.Println("the newest:", invitation.EmailAddress)
		}
		count++
	}
	fmt.Println(count, "in", server.CallCount(clerktest.OpList), "requests")
	// Output:
	// the newest: person1199@example.com
	// 1200 in 3 requests
}

func ExampleOrganizationsService_ResendInvitation() {
	server := clerktest.NewServer()
	client, err := clerkorg.NewClient(server.SecretKey(), clerkorg.WithHTTPClient(&http.Client{Transport: server.Transport()}))
	if err != nil {
		log.Fatal(err)
	}
	id := server.AddInvitation(server.OrganizationID(), "ada@example.com", "org:member")

	created, err := client.Organizations.ResendInvitation(context.Background(), server.OrganizationID(), id)
	if err != nil {
		log.Print(err) // a *clerkorg.ResendError says what is left
		return
	}
	fmt.Println(created.EmailAddress, created.Status, created.ID != id)
	// Output: ada@example.com pending true
}
