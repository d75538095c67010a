package clerkorg

import (
	"fmt"
	"iter"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/clerkorg/clerkorg-go/clerktest"
)

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

// phases are points of the clock hour at which a simulation begins; windows are
// ways in which its server counts.
var (
	phases  = []time.Duration{0, 17 * time.Minute, 59*time.Minute + 58*time.Second}
	windows = clerktest.Windows()
)

func isSlidingCounter(window clerktest.Window) bool {
	return window == clerktest.SlidingCounter || window == clerktest.SlidingCounterFromFirst || window == clerktest.SlidingCounterCountingRefusals
}

func TestInviteAllThousands(t *testing.T) {
	const people = 10_000
	pick := sampler(5)
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
						server := clerktest.NewServer(clerktest.WithRateLimits(window), clerktest.WithLatency(weather(uint64(phase))))
						client := inMemory(t, server)
						start := time.Now()
						results := gather(t, client.Organizations.InviteAll(t.Context(), server.OrganizationID(), slices.Values(crowd(people, nil)), &InviteAllOptions{BulkOnly: bulkOnly}), people)
						hours := time.Since(start).Hours()

						mostRefused, mostHours := 0, 13.05
						switch counter := isSlidingCounter(window); {
						case counter && bulkOnly:
							mostRefused, mostHours = 4, 20.5
						case counter:
							mostRefused, mostHours = 8, 13.6
						case bulkOnly:
							mostHours = 19.06
						}
						t.Logf("%d refused, %.3f h", server.RateLimited(), hours)
						assert.LessOrEqual(t, server.RateLimited(), mostRefused)
						assert.LessOrEqual(t, hours, mostHours)
						assert.Equal(t, map[InviteOutcome]int{OutcomeInvited: people}, countOutcomes(results))
						assert.Len(t, server.InvitedAddresses(server.OrganizationID()), people)
					})
				})
			}
		}
	}
}
