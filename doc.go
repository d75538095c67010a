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
// # Thousands of invitations
//
// [OrganizationsService.InviteAll] takes any number of invitations and yields a result
// for each, as fast as the quotas allow: 750 an hour. It skips members and addresses
// that are invited already, sets rejected ones aside, waits out quotas and outages, and
// after an unknown outcome looks before it sends again. The server's lists are its only
// memory: a run that was killed is continued by the next one with the same input.
//
//	for result, err := range client.Organizations.InviteAll(ctx, "org_123", slices.Values(people), nil) {
//		if err != nil {
//			return err // nothing more can be done now; another run goes on from here
//		}
//		fmt.Println(result.Params.EmailAddress, result.Outcome)
//	}
//
// # Lists
//
// The calls that begin with List return one page. [OrganizationsService.Invitations],
// [OrganizationsService.InstanceInvitations] and [OrganizationsService.Memberships] are
// iterators over all pages. They send nothing before they are ranged over, fetch a page
// while the one before it is read, and yield every item once that was in the list all
// along, also while the list grows or shrinks. An error is the last thing they yield.
//
//	for invitation, err := range client.Organizations.Invitations(ctx, "org_123", nil) {
//		if err != nil {
//			return err
//		}
//		fmt.Println(invitation.EmailAddress, invitation.Status)
//	}
//
// [OrganizationsService.FindInvitations] finds the invitations of given addresses.
//
// # Errors
//
// Wrong arguments are a [*ValidationError], with every problem in it: nothing is sent
// and no quota is spent. A spent quota is a [*RateLimitError], with the time to wait. An
// answer that is no success is an [*APIError], with Clerk's codes and trace id. Get at
// them with errors.AsType, or ask with errors.Is:
//
//   - [ErrUnauthorized], [ErrForbidden], [ErrNotFound]: the server refused the key, the
//     permission or an id.
//   - [ErrAlreadyInvited], [ErrAlreadyMember]: the server refused an address.
//   - [ErrRateLimited]: a quota is spent.
//   - [ErrLimiterUnavailable]: the rate limiter could not be asked, and nothing was sent.
//   - [ErrOutcomeUnknown]: the request may have been carried out. Call FindInvitations
//     before sending it again.
//
// The text of an error may hold the server's words, which may name an e-mail address.
// The errors of the calls have a LogValue for log/slog that holds none of them.
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
// github.com/clerkorg/clerkorg-go/redislimit shares the quota between processes, and
// [RateLimiter] is the interface for others. [Client.Quota] tells what is left.
//
// # Tests
//
// Package clerktest is a Clerk in memory, with rate limits and with faults on demand.
//
// This is a community project, not affiliated with Clerk.
package clerkorg
