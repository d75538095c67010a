package clerkhook_test

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/clerkorg/clerkorg-go"
	"github.com/clerkorg/clerkorg-go/clerkhook"
	"github.com/clerkorg/clerkorg-go/clerktest"
)

// TestStory invites two people through the SDK, of whom one accepts and one is
// revoked. The events come late, in reverse, twice, after attempts that were lost, and
// to a receiver that fails: it handles each of them once all the same.
func TestStory(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		verifier, err := clerkhook.NewVerifier(signingSecret)
		require.NoError(t, err)
		var told []string
		failed := false
		note := func(event *clerkhook.Event, who string) error {
			if !failed {
				failed = true
				return errors.New("the database is down")
			}
			told = append(told, string(event.Type)+" "+who)
			return nil
		}
		acceptedBy := ""
		invitation := func(_ context.Context, event *clerkhook.Event, invitation *clerkhook.Invitation) error {
			if event.Type == clerkhook.InvitationAccepted {
				acceptedBy = invitation.UserID
			}
			return note(event, invitation.EmailAddress)
		}
		events := clerkhook.Mux{
			InvitationCreated: invitation, InvitationAccepted: invitation, InvitationRevoked: invitation,
			MembershipCreated: func(_ context.Context, event *clerkhook.Event, membership *clerkorg.OrganizationMembership) error {
				return note(event, membership.PublicUserData.Identifier)
			},
		}
		var reported []error
		handler := clerkhook.Handler(verifier, events.HandleEvent, clerkhook.WithDeduplicator(clerkhook.NewMemoryDeduplicator(0)),
			clerkhook.WithErrorFunc(func(_ context.Context, _ *clerkhook.Event, err error) { reported = append(reported, err) }))
		server := clerktest.NewServer(clerktest.WithWebhook("https://app.example.com/webhooks", signingSecret,
			clerktest.WebhookHandler(handler), clerktest.WebhookDuplicates(2), clerktest.WebhookDrops(1), clerktest.WebhookReorder(time.Minute)))
		client, err := clerkorg.NewClient(server.SecretKey(), clerkorg.WithHTTPClient(&http.Client{Transport: server.Transport()}))
		require.NoError(t, err)

		org, ctx := server.OrganizationID(), t.Context()
		invitations, err := client.Organizations.CreateInvitationBulk(ctx, org, []clerkorg.CreateInvitationParams{
			{EmailAddress: "ada@example.com", Role: clerkorg.RoleMember}, {EmailAddress: "grace@example.com", Role: clerkorg.RoleMember},
		})
		require.NoError(t, err)
		require.NoError(t, server.AcceptInvitation(invitations[0].ID))
		_, err = client.Organizations.RevokeInvitation(ctx, org, invitations[1].ID, nil)
		require.NoError(t, err)
		require.NoError(t, server.WaitForWebhooks(ctx))

		require.Len(t, reported, 1)
		assert.EqualError(t, reported[0], "the database is down")
		members, err := client.Organizations.ListMemberships(ctx, org, &clerkorg.ListMembershipsParams{EmailAddress: []string{"ada@example.com"}})
		require.NoError(t, err)
		assert.Equal(t, members.Data[0].PublicUserData.UserID, acceptedBy)
		slices.Sort(told)
		assert.Equal(t, []string{
			"organizationInvitation.accepted ada@example.com",
			"organizationInvitation.created ada@example.com",
			"organizationInvitation.created grace@example.com",
			"organizationInvitation.revoked grace@example.com",
			"organizationMembership.created ada@example.com",
		}, told)
		assert.Len(t, server.Deliveries(), 5*4+1)
	})
}

// Deliveries of a server whose clock is wrong are refused, until they are signed anew.
func TestWrongClock(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		verifier, err := clerkhook.NewVerifier(signingSecret)
		require.NoError(t, err)
		var reported []error
		calls := 0
		handler := clerkhook.Handler(verifier, func(context.Context, *clerkhook.Event) error { calls++; return nil },
			clerkhook.WithErrorFunc(func(_ context.Context, _ *clerkhook.Event, err error) { reported = append(reported, err) }))
		start := time.Now()
		mended := func() time.Time { // an hour slow, for ten minutes
			if now := time.Now(); now.Sub(start) > 10*time.Minute {
				return now
			}
			return time.Now().Add(-time.Hour)
		}
		server := clerktest.NewServer(clerktest.WithClock(mended),
			clerktest.WithWebhook("https://app.example.com/webhooks", signingSecret, clerktest.WebhookHandler(handler)))
		server.AddInvitation(server.OrganizationID(), "ada@example.com", "org:member")
		require.NoError(t, server.WaitForWebhooks(t.Context()))
		assert.Equal(t, 1, calls)
		require.Len(t, reported, 3)
		for _, err := range reported {
			assert.ErrorIs(t, err, clerkhook.ErrStale)
			assert.ErrorContains(t, err, "1h0m0s behind the clock here")
		}
	})
}
