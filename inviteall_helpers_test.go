package clerkorg

import (
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/clerkorg/clerkorg-go/clerktest"
)

// inviteAll runs people through InviteAll.
func inviteAll(t *testing.T, client *Client, server *clerktest.Server, people []CreateInvitationParams, opts *InviteAllOptions) iter.Seq2[InviteResult, error] {
	t.Helper()
	return client.Organizations.InviteAll(t.Context(), server.OrganizationID(), slices.Values(people), opts)
}

// until ranges to the end and returns what there was, and the error that ended it.
func until(t *testing.T, results iter.Seq2[InviteResult, error]) ([]InviteResult, error) {
	t.Helper()
	var all []InviteResult
	var end error
	for result, err := range results {
		require.NoError(t, end, "something came after an error")
		if end = err; err == nil {
			all = append(all, result)
		} else {
			require.Zero(t, result)
		}
	}
	return all, end
}

// bulkSizes is how many invitations each bulk call has created.
func bulkSizes(server *clerktest.Server) []int {
	var sizes []int
	for _, call := range server.Calls() {
		if call.Operation == clerktest.OpBulk {
			sizes = append(sizes, call.Invited)
		}
	}
	return sizes
}

// invitedBy is how many people the API has invited.
func invitedBy(server *clerktest.Server) int {
	return len(server.InvitedAddresses(server.OrganizationID()))
}

// crowd is n people, of whom every one that bad picks has an address that the
// server refuses.
func crowd(n int, bad func(i int) bool) []CreateInvitationParams {
	people := make([]CreateInvitationParams, n)
	for i := range people {
		domain := "example.com"
		if bad != nil && bad(i) {
			domain = "blocked.example"
		}
		people[i] = CreateInvitationParams{EmailAddress: fmt.Sprintf("Person%d@%s", i, domain), Role: RoleMember}
	}
	return people
}

// gather ranges to the end and checks that every input has one result.
func gather(t *testing.T, results iter.Seq2[InviteResult, error], n int) []InviteResult {
	t.Helper()
	all := make([]InviteResult, n)
	seen := make([]bool, n)
	for result, err := range results {
		require.NoError(t, err)
		require.False(t, seen[result.Index], "two results for input %d", result.Index)
		seen[result.Index] = true
		all[result.Index] = result
	}
	require.NotContains(t, seen, false)
	return all
}

func countOutcomes(results []InviteResult) map[InviteOutcome]int {
	counts := map[InviteOutcome]int{}
	for _, result := range results {
		counts[result.Outcome]++
	}
	return counts
}

// forEachWindow runs a test in virtual time for every way to count, from several
// points of the clock hour, with both lanes and with one.
func forEachWindow(t *testing.T, windows []clerktest.Window, test func(t *testing.T, server *clerktest.Server, window clerktest.Window, bulkOnly bool)) {
	t.Helper()
	pick := sampler(11)
	for _, window := range windows {
		for _, phase := range phases {
			for _, bulkOnly := range []bool{false, true} {
				if !pick() {
					continue
				}
				t.Run(fmt.Sprintf("%s/phase=%s/bulkOnly=%t", window, phase, bulkOnly), func(t *testing.T) {
					t.Parallel()
					synctest.Test(t, func(t *testing.T) {
						time.Sleep(phase)
						test(t, clerktest.NewServer(clerktest.WithRateLimits(window), clerktest.WithLatency(weather(uint64(phase)))), window, bulkOnly)
					})
				})
			}
		}
	}
}

func isSlidingCounter(window clerktest.Window) bool {
	return strings.HasPrefix(window.String(), clerktest.SlidingCounter.String())
}

// assertEachOnce asks the server's own ledger whether so many people were invited,
// and none of them twice.
func assertEachOnce(t *testing.T, server *clerktest.Server, people int) {
	t.Helper()
	assert.Equal(t, people, invitedBy(server))
	assertNoneTwice(t, server, server.OrganizationID())
}

func blocked(address string) bool { return strings.HasSuffix(address, "@blocked.example") }

var namings = []clerktest.Naming{clerktest.NameNone, clerktest.NameInMeta, clerktest.NameInText}

func nameOf(naming clerktest.Naming) string {
	return map[clerktest.Naming]string{clerktest.NameNone: "none", clerktest.NameInMeta: "meta", clerktest.NameInText: "text"}[naming]
}

// rateLimited counts the calls of each operation that a rate limit refused.
func rateLimited(server *clerktest.Server) map[clerktest.Operation]int {
	refused := map[clerktest.Operation]int{}
	for _, call := range server.Calls() {
		if call.Refused {
			refused[call.Operation]++
		}
	}
	return refused
}

func refusedBulkCalls(server *clerktest.Server) (refused int) {
	for _, call := range server.Calls() {
		if call.Operation == clerktest.OpBulk && call.Status >= 400 {
			refused++
		}
	}
	return refused
}
