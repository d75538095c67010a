// Package clerktest is a Clerk Backend API in memory, for tests of programs
// that invite people into organizations.
//
// A [Server] starts with one organization, one admin and one secret key. It
// answers the invitation calls the way Clerk does: the same
// paths, shapes, status codes and error codes, the same rules about who can be
// invited, and the same rate limits. What Clerk does not document, such as how
// it cuts the hour of a rate limit, is an [Option], so that a client can be
// tried against every plausible answer.
//
// # Over a socket
//
// Any program in any language can talk to the address in [Server.URL]:
//
//	server := clerktest.NewServer()
//	defer server.Close()
//	client, err := clerkorg.NewClient(server.SecretKey(), clerkorg.WithBaseURL(server.URL()+"/v1"))
//
// Paths work with the /v1 prefix and without it, since some SDKs want it in
// their base URL and others add it themselves. Programs that are not written in
// Go start the same server from a shell; it prints its URL, the secret key, an
// organization id and the user id of an admin, each on a line of its own:
//
//	go run github.com/clerkorg/clerkorg-go/clerktest/cmd/clerktest -addr 127.0.0.1:4010
//
// # In memory
//
// [Server.Transport] reaches the same server without a socket. It is what a
// testing/synctest bubble needs, where hours of rate limits pass in
// milliseconds of real time:
//
//	synctest.Test(t, func(t *testing.T) {
//		server := clerktest.NewServer()
//		client := &http.Client{Transport: server.Transport()}
//		// ... time.Sleep(time.Hour) returns at once.
//	})
//
// The Transport ignores the host of the request, reports to
// [net/http/httptrace] like the one in net/http, and carries a request out even
// if its caller stopped waiting for it, as a network does.
//
// # Trouble
//
// [Server.Inject] adds faults: error statuses, HTML from a proxy, resets,
// delays and truncated answers, each before or after the work was done; and odd
// answers, such as 101, lists of another length, or an echo of the secret key.
// [Server.Calls], [Server.TimesInvited] and [Server.Invitations] return what
// the server saw, independently of the client's view.
//
// # Webhooks
//
// [WithWebhook] posts signed events of what happens to invitations and memberships, to
// a URL or to a handler in memory. Its options duplicate, reorder, delay and lose
// deliveries. [Server.WaitForWebhooks] waits for the last of them, and
// [Server.Deliveries] lists the attempts.
//
// # What it is not
//
// It is not Clerk, and is not affiliated with it. It sends no e-mail, knows no
// more of users than their e-mail addresses, and its sentences differ from
// Clerk's: rely on codes and statuses. Nothing is kept after the program ends.
package clerktest
