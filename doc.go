// Package clerkorg invites people into Clerk organizations.
//
// It calls Clerk's Backend API, whose bulk call takes 1 to 10 invitations, is
// admitted 50 times an hour for a secret key, has no idempotency key and does not
// say what a failed call left behind. The package keeps that limit on the client's
// side, so that no 429 is met, and never sends an invitation again unless it is
// certain that nothing was done.
//
//	client, err := clerkorg.NewClient(os.Getenv("CLERK_SECRET_KEY"))
//	if err != nil {
//		return err
//	}
//	invitations, err := client.Organizations.CreateInvitationBulk(ctx, "org_123",
//		[]clerkorg.CreateInvitationParams{
//			{EmailAddress: "ada@example.com", Role: clerkorg.RoleAdmin},
//			{EmailAddress: "charles@example.com", Role: clerkorg.RoleMember},
//		})
//
// # Errors
//
// Wrong arguments are a [*ValidationError], with every problem in it, and cost
// nothing. A spent quota is a [*RateLimitError], with the time to wait. An answer
// that is no success is an [*APIError], with Clerk's codes and trace id. Get at
// them with errors.AsType, or ask with errors.Is for [ErrUnauthorized],
// [ErrForbidden], [ErrNotFound], [ErrRateLimited] and [ErrOutcomeUnknown].
//
// # Retries
//
// Reads are repeated after network failures and 500, 502, 503 and 504. Calls that
// create or revoke are repeated only where it is certain that nothing was done:
// the request never left, or the server refused it with 429, or with 503 and a
// Retry-After. Everything else that ends without a clear answer is
// [ErrOutcomeUnknown].
//
// # Quotas
//
// Clients of one process with one secret key share a [TokenBucket]. The module
// github.com/clerkorg/clerkorg-go/redislimit shares the quota between processes,
// and package clerktest is a Clerk in memory, for tests.
//
// This is a community project, not affiliated with Clerk.
package clerkorg
