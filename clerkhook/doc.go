// Package clerkhook receives Clerk's webhooks: it verifies that a delivery comes
// from Clerk and is recent, and decodes events about invitations, memberships and
// organizations into the types of package clerkorg.
//
//	verifier, err := clerkhook.NewVerifierFromEnv() // reads CLERK_WEBHOOK_SIGNING_SECRET
//	if err != nil {
//		log.Fatal(err)
//	}
//	events := clerkhook.Mux{
//		InvitationAccepted: func(ctx context.Context, event *clerkhook.Event, invitation *clerkhook.Invitation) error {
//			return joined(ctx, invitation.ID, invitation.UserID)
//		},
//	}
//	http.Handle("/webhooks/clerk", clerkhook.Handler(verifier, events.HandleEvent,
//		clerkhook.WithDeduplicator(clerkhook.NewMemoryDeduplicator(0))))
//
// [Verifier.Verify] does the same for a header and a body, where there is no
// http.Handler.
//
// # What deliveries are like
//
// An event is delivered at least once, in no certain order, and sometimes not at
// all. A callback is therefore to be idempotent or to stand behind a
// [Deduplicator], is not to depend on organizationInvitation.accepted coming before
// organizationMembership.created or after it, and a list that is read from time to
// time is to find what no event told. A delivery that is not answered with a 2xx
// status within 15 s comes again, for about a day. An invitation that expires
// causes no event.
//
// # Signatures
//
// Clerk delivers through Svix, which signs as Standard Webhooks describes: the
// headers svix-id, svix-timestamp and svix-signature (or webhook-id and so on) hold
// the id of the event, the time of the attempt, and one or more HMAC-SHA256
// signatures of both and the body, byte by byte as it was sent. The body must not
// be decoded, formatted or re-encoded before it is verified.
//
// # Privacy
//
// No error of this package holds anything of a body, of a header or of a secret:
// invitations hold e-mail addresses and links that admit each person who follows them. An
// [Event] that is printed or logged shows its id, type, time and instance only.
package clerkhook
