package clerkorg

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/clerkorg/clerkorg-go/clerktest"
)

// forEachRefusal runs a test for every way in which the server may refuse.
func forEachRefusal(t *testing.T, test func(t *testing.T, server *clerktest.Server, bulkOnly bool), opts ...clerktest.Option) {
	t.Helper()
	for _, naming := range namings {
		for _, partial := range []bool{false, true} {
			for _, bulkOnly := range []bool{false, true} {
				t.Run(fmt.Sprintf("names=%s/partial=%t/bulkOnly=%t", nameOf(naming), partial, bulkOnly), func(t *testing.T) {
					bubble(t, func(t *testing.T, server *clerktest.Server) { test(t, server, bulkOnly) },
						append([]clerktest.Option{clerktest.WithNamedRefusals(naming), clerktest.WithPartialBulk(partial)}, opts...)...)
				})
			}
		}
	}
}

// TestInviteAllRefusals has rows that the server refuses for every reason there
// is, which the first look at it could not tell.
func TestInviteAllRefusals(t *testing.T) {
	prepare := func(server *clerktest.Server, people []CreateInvitationParams) map[int]InviteOutcome {
		org := server.OrganizationID()
		simple := server.AddMember(org, "simple@example.com", "org:member")
		outsider := server.AddMember(server.AddOrganization(clerktest.Organization{}), "outsider@example.com", "org:admin")
		people[3].EmailAddress = "spam@blocked.example"
		people[14].EmailAddress = "odd@rejected.example"
		people[25].Role = "org:unknown"
		people[36].InviterUserID = simple
		people[47].InviterUserID = outsider
		people[58].InviterUserID = "user_unknown"
		people[59].InviterUserID = server.AdminUserID()
		return map[int]InviteOutcome{3: OutcomeRejected, 14: OutcomeRejected, 25: OutcomeRejected, 36: OutcomeRejected, 47: OutcomeRejected, 58: OutcomeRejected}
	}
	forEachRefusal(t, func(t *testing.T, server *clerktest.Server, bulkOnly bool) {
		people := crowd(120, nil)
		want := prepare(server, people)
		// Another process is quicker with these, after the first look.
		late := map[int]InviteOutcome{69: OutcomeAlreadyMember, 78: OutcomeAlreadyInvited, 119: OutcomeAlreadyInvited}
		var once sync.Once
		client := through(t, server, func(req *http.Request, next http.RoundTripper) (*http.Response, error) {
			if req.Method == http.MethodPost {
				once.Do(func() {
					server.AddMember(server.OrganizationID(), people[69].EmailAddress, "org:member")
					server.AddInvitation(server.OrganizationID(), people[78].EmailAddress, "org:member")
					server.AddInvitation(server.OrganizationID(), people[119].EmailAddress, "org:member")
				})
			}
			return next.RoundTrip(req)
		})
		opts := &InviteAllOptions{BulkOnly: bulkOnly, Concurrency: 1}
		results := gather(t, inviteAll(t, client, server, people, opts), len(people))
		for i, result := range results {
			switch outcome, isLate := late[i]; {
			case isLate && outcome == OutcomeAlreadyInvited:
				// An invitation of a moment ago cannot be told from one of this run.
				assert.Contains(t, []InviteOutcome{OutcomeAlreadyInvited, OutcomeInvited}, result.Outcome, i)
				assert.NotNil(t, result.Invitation)
			case isLate:
				assert.Equal(t, outcome, result.Outcome, i)
			case want[i] != "":
				assert.Equal(t, want[i], result.Outcome, i)
				var api *APIError
				assert.ErrorAs(t, result.Err, &api)
			default:
				assert.Equal(t, OutcomeInvited, result.Outcome, i)
			}
		}
		assertEachOnce(t, server, len(people)-len(want)-len(late))
		if !bulkOnly {
			assert.LessOrEqual(t, refusedBulkCalls(server), len(want)+len(late))
		}
	}, clerktest.WithBlocked(blocked), clerktest.WithRejected(func(address string) bool { return strings.HasSuffix(address, "@rejected.example") }))
}

// TestInviteAllRefusedButAllThere refuses batches of which everybody turns out to
// have an invitation.
func TestInviteAllRefusedButAllThere(t *testing.T) {
	forEachRefusal(t, func(t *testing.T, server *clerktest.Server, bulkOnly bool) {
		people := crowd(20, nil)
		late := func() {
			for _, params := range people {
				server.AddInvitation(server.OrganizationID(), params.EmailAddress, "org:member")
			}
		}
		client := through(t, server, func(req *http.Request, next http.RoundTripper) (*http.Response, error) {
			if req.Method == http.MethodPost {
				late()
			}
			return next.RoundTrip(req)
		})
		results := gather(t, inviteAll(t, client, server, people, &InviteAllOptions{BulkOnly: bulkOnly}), len(people))
		for _, result := range results {
			assert.NotNil(t, result.Invitation)
		}
		assert.Zero(t, invitedBy(server))
	})
}

// TestInviteAllManyRefusedBatches has so many bad batches that the single lane
// alone would need hours for them.
func TestInviteAllManyRefusedBatches(t *testing.T) {
	for _, partial := range []bool{false, true} {
		t.Run(fmt.Sprintf("partial=%t", partial), func(t *testing.T) {
			bubble(t, func(t *testing.T, server *clerktest.Server) {
				people := crowd(800, func(i int) bool { return i%10 == 4 })
				results := gather(t, inviteAll(t, inMemory(t, server), server, people, nil), len(people))
				assert.Equal(t, map[InviteOutcome]int{OutcomeInvited: 720, OutcomeRejected: 80}, countOutcomes(results))
				if !partial {
					halved := slices.ContainsFunc(bulkSizes(server), func(size int) bool { return size > 0 && size < MaxBulkInvitations })
					assert.True(t, halved, "none was halved")
				}
				assertEachOnce(t, server, 720)
			}, clerktest.WithBlocked(blocked), clerktest.WithPartialBulk(partial))
		})
	}
}

// TestInviteAllHalvesWithoutRoom has halves of batches wait when a batch no longer
// fits, in an organization of which a member leaves a moment later. Where there is no
// room for a single row, the run ends.
func TestInviteAllHalvesWithoutRoom(t *testing.T) {
	for call := 1; call <= 12; call++ {
		t.Run(fmt.Sprintf("call=%d", call), func(t *testing.T) {
			bubble(t, func(t *testing.T, server *clerktest.Server) {
				var calls atomic.Int64
				client := through(t, server, func(req *http.Request, next http.RoundTripper) (*http.Response, error) {
					if strings.Count(bodyOf(req), `"email_address"`) > 1 && int(calls.Add(1)) == call {
						return canned(req, 403, `{"errors":[{"code":"organization_membership_quota_exceeded"}]}`), nil
					}
					return next.RoundTrip(req)
				})
				people := crowd(100, func(i int) bool { return i%10 == 4 })
				opts := &InviteAllOptions{ReserveSingle: 245} // next to no single calls: batches are halved
				results := gather(t, inviteAll(t, client, server, people, opts), len(people))
				assert.Equal(t, map[InviteOutcome]int{OutcomeInvited: 90, OutcomeRejected: 10}, countOutcomes(results))
				assertEachOnce(t, server, 90)
			}, clerktest.WithBlocked(blocked))
		})
	}
}

// TestInviteAllSlowSingleLane keeps rows of refused batches out of a lane that has
// next to nothing to give.
func TestInviteAllSlowSingleLane(t *testing.T) {
	bubble(t, func(t *testing.T, server *clerktest.Server) {
		start := time.Now()
		people := crowd(100, func(i int) bool { return i%20 == 4 })
		gather(t, inviteAll(t, inMemory(t, server), server, people, &InviteAllOptions{ReserveSingle: 245}), len(people))
		assert.Less(t, time.Since(start), 90*time.Minute)
		assertEachOnce(t, server, 95)
	}, clerktest.WithBlocked(blocked))
}

// TestInviteAllFullOrganization fills the seats that are left.
func TestInviteAllFullOrganization(t *testing.T) {
	for _, seats := range []int{0, 1, 7, 10, 13, 29} {
		forEachRefusal(t, func(t *testing.T, server *clerktest.Server, bulkOnly bool) {
			results, err := until(t, inviteAll(t, inMemory(t, server), server, crowd(200, nil), &InviteAllOptions{BulkOnly: bulkOnly}))
			var api *APIError
			require.ErrorAs(t, err, &api)
			assert.True(t, api.HasCode(CodeMembershipQuotaExceeded))
			assertEachOnce(t, server, seats)
			// What a batch left behind that was refused after the end is for the next run.
			assert.LessOrEqual(t, countOutcomes(results)[OutcomeInvited], seats)
			assert.LessOrEqual(t, refusedBulkCalls(server), 25)
		}, clerktest.WithMaxMemberships(seats+1))
	}
}

// TestInviteAllEnds meets what no further call can mend.
func TestInviteAllEnds(t *testing.T) {
	for _, tt := range []struct {
		status int
		code   ErrorCode
		is     error
	}{
		{401, CodeSecretKeyInvalid, ErrUnauthorized},
		{402, CodeUnsupportedPlanFeatures, nil},
		{403, CodeOrganizationsNotEnabled, ErrForbidden},
		{403, CodeAuthorizationInvalid, ErrForbidden},
		{403, CodeMissingPermission, ErrForbidden},
		{403, CodeNotAMember, ErrForbidden},
		{403, CodeQuotaExceeded, ErrForbidden},
		{403, "", ErrForbidden},
		{400, CodeDevEmailLimitExceeded, nil},
		{400, CodeAPIVersionInvalid, nil},
		{422, CodeDevEmailLimitExceeded, nil},
		{302, "", nil},
		{308, "", nil},
		{405, CodeBadRequest, nil},
		{410, "gone", nil},
	} {
		for _, op := range []clerktest.Operation{clerktest.OpBulk, clerktest.OpCreate, clerktest.OpList, clerktest.OpMemberships} {
			if op == clerktest.OpMemberships && (tt.status == 400 || tt.status == 422) {
				continue // a question about some addresses never ends a run
			}
			t.Run(fmt.Sprintf("status=%d/code=%s/%s", tt.status, tt.code, op), func(t *testing.T) {
				bubble(t, func(t *testing.T, server *clerktest.Server) {
					server.Inject(clerktest.Fault{Operation: op, Kind: clerktest.FaultStatus, Status: tt.status, Code: string(tt.code)})
					results, err := until(t, inviteAll(t, inMemory(t, server), server, crowd(300, nil), nil))
					var api *APIError
					require.ErrorAs(t, err, &api)
					assert.Equal(t, tt.status, api.StatusCode)
					if tt.is != nil {
						assert.ErrorIs(t, err, tt.is)
					}
					assert.LessOrEqual(t, server.CallCount(op), 4)
					assert.Len(t, results, invitedBy(server))
				})
			})
		}
	}
}

func TestInviteAllUnknownOrganization(t *testing.T) {
	bubble(t, func(t *testing.T, server *clerktest.Server) {
		results, err := until(t, inMemory(t, server).Organizations.InviteAll(t.Context(), "org_none", slices.Values(crowd(20, nil)), nil))
		assert.ErrorIs(t, err, ErrNotFound)
		assert.Empty(t, results)
		assert.Equal(t, 1, server.CallCount(clerktest.OpAny))
	})
}

// TestInviteAllInviters: where a row names an inviter, a refused permission is
// that row's own affair.
func TestInviteAllInviters(t *testing.T) {
	for _, code := range []ErrorCode{CodeNotAMember, CodeMissingPermission, CodeAuthorizationInvalid} {
		t.Run(fmt.Sprintf("code=%s", code), func(t *testing.T) {
			bubble(t, func(t *testing.T, server *clerktest.Server) {
				people := crowd(20, nil)
				for i := range people {
					people[i].InviterUserID = server.AdminUserID()
				}
				client := through(t, server, func(req *http.Request, next http.RoundTripper) (*http.Response, error) {
					if req.Method == http.MethodPost && strings.Contains(bodyOf(req), people[5].EmailAddress) {
						return canned(req, 403, fmt.Sprintf(`{"errors":[{"code":%q,"message":"no"}]}`, code)), nil
					}
					return next.RoundTrip(req)
				})
				results := gather(t, inviteAll(t, client, server, people, nil), len(people))
				assert.Equal(t, map[InviteOutcome]int{OutcomeInvited: 19, OutcomeRejected: 1}, countOutcomes(results))
				assert.ErrorIs(t, results[5].Err, ErrForbidden)
			})
		})
	}
}
