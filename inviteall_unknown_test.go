package clerkorg

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/clerkorg/clerkorg-go/clerktest"
)

// unknowns are the faults after which nobody knows what was done.
var unknowns = []clerktest.Fault{
	{Kind: clerktest.FaultStatus, Status: 500},
	{Kind: clerktest.FaultStatusAfter, Status: 500},
	{Kind: clerktest.FaultStatus, Status: 503}, // without a Retry-After
	{Kind: clerktest.FaultStatusAfter, Status: 504},
	{Kind: clerktest.FaultStatusAfter, Status: 408},
	{Kind: clerktest.FaultHTML},
	{Kind: clerktest.FaultHTMLAfter},
	{Kind: clerktest.FaultEmpty},
	{Kind: clerktest.FaultEmptyAfter},
	{Kind: clerktest.FaultResetBefore},
	{Kind: clerktest.FaultResetAfter},
	{Kind: clerktest.FaultTruncate},
	{Kind: clerktest.FaultDelay, Delay: 40 * time.Second},
	{Kind: clerktest.FaultDelayAfter, Delay: 40 * time.Second},
}

// TestInviteAllUnknownOutcomes breaks the first calls of each kind: what they
// created is found, and only who is missing is sent again.
func TestInviteAllUnknownOutcomes(t *testing.T) {
	for _, fault := range unknowns {
		for _, op := range []clerktest.Operation{clerktest.OpBulk, clerktest.OpCreate} {
			for _, partial := range []bool{false, true} {
				t.Run(fmt.Sprintf("fault=%s/status=%d/%s/partial=%t", fault.Kind, fault.Status, op, partial), func(t *testing.T) {
					bubble(t, func(t *testing.T, server *clerktest.Server) {
						broken := fault
						broken.Operation, broken.Calls = op, []int{1, 2}
						server.Inject(broken)
						people := crowd(95, func(i int) bool { return i == 7 })
						results := gather(t, inviteAll(t, inMemory(t, server), server, people, nil), len(people))
						for i, result := range results {
							if i == 7 {
								assert.Equal(t, OutcomeRejected, result.Outcome)
								continue
							}
							assert.Equal(t, OutcomeInvited, result.Outcome, i)
							assert.Equal(t, people[i].EmailAddress, result.Invitation.EmailAddress)
						}
						assertEachOnce(t, server, 94)
						most := 10 + 1 // batches, and the refused one
						if op == clerktest.OpBulk {
							most += 2
						}
						assert.LessOrEqual(t, server.CallCount(clerktest.OpBulk), most)
					}, clerktest.WithBlocked(blocked), clerktest.WithPartialBulk(partial), clerktest.WithListLag(time.Second))
				})
			}
		}
	}
}

// TestInviteAllPoison has rows that make the server fail whenever they come.
func TestInviteAllPoison(t *testing.T) {
	for _, poisoned := range [][]int{{0}, {5}, {99}, {3, 55}} {
		for _, bulkOnly := range []bool{false, true} {
			for _, answer := range []string{"500", "404", "409", "reset"} {
				t.Run(fmt.Sprintf("poisoned=%v/bulkOnly=%t/answer=%s", poisoned, bulkOnly, answer), func(t *testing.T) {
					bubble(t, func(t *testing.T, server *clerktest.Server) {
						people := crowd(100, nil)
						client := through(t, server, func(req *http.Request, next http.RoundTripper) (*http.Response, error) {
							body := bodyOf(req)
							for _, i := range poisoned {
								if req.Method != http.MethodPost || !strings.Contains(body, people[i].EmailAddress) {
									continue
								}
								switch answer {
								case "reset":
									return nil, fmt.Errorf("connection reset")
								case "409":
									return canned(req, 409, `{"errors":[{"code":"conflict"}]}`), nil
								case "404":
									return canned(req, 404, `{"errors":[{"code":"resource_not_found"}]}`), nil
								}
								return canned(req, 500, "oh no"), nil
							}
							return next.RoundTrip(req)
						})
						start := time.Now()
						results := gather(t, inviteAll(t, client, server, people, &InviteAllOptions{BulkOnly: bulkOnly}), len(people))
						assert.Equal(t, map[InviteOutcome]int{OutcomeInvited: len(people) - len(poisoned), OutcomeRejected: len(poisoned)}, countOutcomes(results))
						for _, i := range poisoned {
							require.Error(t, results[i].Err, i)
						}
						assertEachOnce(t, server, len(people)-len(poisoned))
						t.Logf("%s, %d bulk and %d single calls", time.Since(start), server.CallCount(clerktest.OpBulk), server.CallCount(clerktest.OpCreate))
					})
				})
			}
		}
	}
}
