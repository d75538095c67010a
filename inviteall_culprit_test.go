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

// withoutParameter takes the name of the parameter out of refusals.
func withoutParameter(req *http.Request, next http.RoundTripper) (*http.Response, error) {
	resp, err := next.RoundTrip(req)
	if err != nil || resp.StatusCode != http.StatusNotFound {
		return resp, err
	}
	body := strings.ReplaceAll(bodyOf(&http.Request{Body: resp.Body}), "param_name", "other")
	return canned(req, resp.StatusCode, body), nil
}

// TestInviteAllMistypedRole rejects everybody with a role that the server has
// refused once, without a call.
func TestInviteAllMistypedRole(t *testing.T) {
	for _, named := range []bool{true, false} {
		for _, inviters := range []int{0, 1, 20} {
			for _, readable := range []bool{true, false} {
				t.Run(fmt.Sprintf("named=%t/inviters=%d/readable=%t", named, inviters, readable), func(t *testing.T) {
					bubble(t, func(t *testing.T, server *clerktest.Server) {
						if !readable {
							server.Inject(clerktest.Fault{Operation: clerktest.OpRoles, Kind: clerktest.FaultStatus, Status: 403, Code: "authorization_invalid"})
						}
						people := crowd(600, nil)
						admins := make([]string, inviters)
						for i := range admins {
							admins[i] = server.AddMember(server.OrganizationID(), fmt.Sprintf("admin%d@example.com", i), "org:admin")
						}
						for i := range people {
							if i%2 == 0 {
								people[i].Role = "org:membre"
							}
							if inviters > 0 {
								people[i].InviterUserID = admins[i%inviters]
							}
						}
						client := inMemory(t, server)
						if !named {
							client = through(t, server, withoutParameter)
						}
						results := gather(t, inviteAll(t, client, server, people, nil), len(people))
						assert.Equal(t, map[InviteOutcome]int{OutcomeInvited: 300, OutcomeRejected: 300}, countOutcomes(results))
						assertEachOnce(t, server, 300)
						told := 0
						for _, result := range results {
							if result.Outcome == OutcomeRejected {
								var api *APIError
								require.ErrorAs(t, result.Err, &api)
								if strings.Contains(result.Err.Error(), "org:membre") {
									told++
								}
							}
						}
						refused := 0
						for _, call := range server.Calls() {
							if call.Status == http.StatusNotFound {
								refused++
							}
						}
						t.Logf("%d calls refused, %d texts name the role", refused, told)
						if named || readable || inviters == 0 {
							assert.LessOrEqual(t, refused, 60)
							assert.GreaterOrEqual(t, told, 240)
						}
					}, clerktest.WithoutRateLimits())
				})
			}
		}
	}
}

// TestInviteAllUnknownInviter rejects everybody whose inviter the server has
// refused once; others with the same role are invited.
func TestInviteAllUnknownInviter(t *testing.T) {
	for _, named := range []bool{true, false} {
		t.Run(fmt.Sprintf("named=%t", named), func(t *testing.T) {
			bubble(t, func(t *testing.T, server *clerktest.Server) {
				people := crowd(400, nil)
				for i := range people {
					people[i].InviterUserID = server.AdminUserID()
					if i%4 == 1 {
						people[i].InviterUserID = "user_unknown"
					}
				}
				client := inMemory(t, server)
				if !named {
					client = through(t, server, withoutParameter)
				}
				results := gather(t, inviteAll(t, client, server, people, nil), len(people))
				assert.Equal(t, map[InviteOutcome]int{OutcomeInvited: 300, OutcomeRejected: 100}, countOutcomes(results))
				refused := 0
				for _, call := range server.Calls() {
					if call.Status == http.StatusNotFound {
						refused++
					}
				}
				t.Logf("%d calls refused", refused)
				assert.LessOrEqual(t, refused, 30)
			}, clerktest.WithoutRateLimits())
		})
	}
}

// TestInviteAllBlamesNoRole has rows that are refused as unknown for a reason that
// is neither their role nor their inviter: the others are invited.
func TestInviteAllBlamesNoRole(t *testing.T) {
	for _, bulkOnly := range []bool{false, true} {
		for _, poisoned := range [][]int{{0}, {0, 1, 2, 3}, {7, 77}} {
			t.Run(fmt.Sprintf("bulkOnly=%t/poisoned=%v", bulkOnly, poisoned), func(t *testing.T) {
				bubble(t, func(t *testing.T, server *clerktest.Server) {
					people := crowd(100, nil)
					for i := range people {
						people[i].InviterUserID = server.AdminUserID()
					}
					client := through(t, server, func(req *http.Request, next http.RoundTripper) (*http.Response, error) {
						body := bodyOf(req)
						for _, i := range poisoned {
							if req.Method == http.MethodPost && strings.Contains(body, `"`+people[i].EmailAddress) {
								return canned(req, 404, `{"errors":[{"code":"resource_not_found"}]}`), nil
							}
						}
						return next.RoundTrip(req)
					})
					results := gather(t, inviteAll(t, client, server, people, &InviteAllOptions{BulkOnly: bulkOnly, Concurrency: 1}), len(people))
					assert.Equal(t, map[InviteOutcome]int{OutcomeInvited: 100 - len(poisoned), OutcomeRejected: len(poisoned)}, countOutcomes(results))
				})
			})
		}
	}
}

// TestInviteAllBulkOnlyBadAddresses counts what bad addresses cost where no single
// call may be made.
func TestInviteAllBulkOnlyBadAddresses(t *testing.T) {
	for _, percent := range []int{2, 5} {
		for _, partial := range []bool{false, true} {
			t.Run(fmt.Sprintf("bad=%d%%/partial=%t", percent, partial), func(t *testing.T) {
				bubble(t, func(t *testing.T, server *clerktest.Server) {
					const people = 2000
					start := time.Now()
					list := crowd(people, func(i int) bool { return i*7919%100 < percent })
					bad := people * percent / 100
					results := gather(t, inviteAll(t, inMemory(t, server), server, list, &InviteAllOptions{BulkOnly: true}), people)
					assert.Equal(t, map[InviteOutcome]int{OutcomeInvited: people - bad, OutcomeRejected: bad}, countOutcomes(results))
					cost := (float64(server.CallCount(clerktest.OpBulk)) - people/10) / float64(bad)
					t.Logf("%.2f bulk calls for each bad address, %s", cost, time.Since(start))
					assert.LessOrEqual(t, cost, 4.2, "4 on average: see TestBacklogCost")
					assertEachOnce(t, server, people-bad)
				}, clerktest.WithBlocked(blocked), clerktest.WithPartialBulk(partial))
			})
		}
	}
}
