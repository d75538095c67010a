package clerkorg

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/clerkorg/clerkorg-go/clerktest"
)

func TestInviteAllNoInputs(t *testing.T) {
	bubble(t, func(t *testing.T, server *clerktest.Server) {
		results, err := until(t, inviteAll(t, inMemory(t, server), server, nil, nil))
		require.NoError(t, err)
		assert.Empty(t, results)
		assert.Zero(t, server.CallCount(clerktest.OpBulk)+server.CallCount(clerktest.OpCreate)+server.CallCount(clerktest.OpMemberships))
	})
}

func TestInviteAllDuplicates(t *testing.T) {
	bubble(t, func(t *testing.T, server *clerktest.Server) {
		server.AddInvitation(server.OrganizationID(), "pending@example.com", "org:member")
		people := []CreateInvitationParams{
			person("ada@example.com"), person("grace@example.com"), person("ADA@example.com"),
			person("pending@example.com"), person("PENDING@example.com"), person("ada@example.com"),
			{EmailAddress: "late@example.com"}, // without a role: not the first with its address
			person("late@example.com"),
		}
		results := gather(t, inviteAll(t, inMemory(t, server), server, people, nil), len(people))
		for i, want := range []InviteOutcome{
			OutcomeInvited, OutcomeInvited, OutcomeDuplicate, OutcomeAlreadyInvited, OutcomeDuplicate, OutcomeDuplicate,
			OutcomeRejected, OutcomeInvited,
		} {
			assert.Equal(t, want, results[i].Outcome, i)
			assert.Equal(t, people[i], results[i].Params, i)
		}
		assert.Equal(t, 0, results[2].DuplicateOf)
		assert.Equal(t, 3, results[4].DuplicateOf)
		assert.Equal(t, 0, results[5].DuplicateOf)
		assertEachOnce(t, server, 3)
	})
}

func TestInviteAllInvalidRows(t *testing.T) {
	bubble(t, func(t *testing.T, server *clerktest.Server) {
		people := crowd(60, nil)
		bad := map[int]string{3: "email_address", 10: "role", 11: "expires_in_days", 40: "public_metadata", 59: "redirect_url"}
		people[3].EmailAddress = "Ada <ada@example.com>"
		people[10].Role = ""
		people[11].ExpiresInDays = 366
		people[40].PublicMetadata = []int{1}
		people[59].RedirectURL = "ftp://example.com"
		results := gather(t, inviteAll(t, inMemory(t, server), server, people, &InviteAllOptions{BulkOnly: true}), len(people))
		for i, result := range results {
			field, isBad := bad[i]
			if !isBad {
				assert.Equal(t, OutcomeInvited, result.Outcome, i)
				assert.NoError(t, result.Err)
				continue
			}
			assert.Equal(t, OutcomeRejected, result.Outcome, i)
			var invalid *ValidationError
			require.ErrorAs(t, result.Err, &invalid)
			require.Len(t, invalid.Problems, 1)
			assert.Equal(t, i, invalid.Problems[0].Index)
			assert.Equal(t, field, invalid.Problems[0].Field)
		}
		assert.Equal(t, []int{10, 10, 10, 10, 10, 5}, slices.SortedFunc(slices.Values(bulkSizes(server)), func(a, b int) int { return b - a }))
	})
}

// TestInviteAllBatches mixes inputs of all kinds: what is sent comes in tens.
func TestInviteAllBatches(t *testing.T) {
	for _, bulkOnly := range []bool{false, true} {
		for _, n := range []int{1, 9, 10, 11, 99, 100, 101, 457} {
			t.Run(fmt.Sprintf("people=%d/bulkOnly=%t", n, bulkOnly), func(t *testing.T) {
				bubble(t, func(t *testing.T, server *clerktest.Server) {
					org := server.OrganizationID()
					people := crowd(n, nil)
					want := map[InviteOutcome]int{}
					for i := range people {
						address := people[i].EmailAddress
						outcome := OutcomeInvited
						switch i % 7 {
						case 2:
							outcome, people[i].Role = OutcomeRejected, ""
						case 3:
							outcome = OutcomeAlreadyMember
							server.AddMember(org, strings.ToUpper(address), "org:member")
						case 4:
							outcome = OutcomeAlreadyInvited
							server.AddInvitation(org, strings.ToUpper(address), "org:member")
						case 5:
							outcome, people[i] = OutcomeDuplicate, person(strings.ToUpper(people[i-5].EmailAddress))
						}
						want[outcome]++
					}
					results := gather(t, inviteAll(t, inMemory(t, server), server, people, &InviteAllOptions{BulkOnly: bulkOnly}), n)
					assert.Equal(t, want, countOutcomes(results))
					for i, result := range results {
						switch result.Outcome {
						case OutcomeInvited, OutcomeAlreadyInvited:
							require.NotNil(t, result.Invitation, i)
							assert.Equal(t, strings.ToLower(people[i].EmailAddress), strings.ToLower(result.Invitation.EmailAddress))
						case OutcomeDuplicate:
							assert.Equal(t, i-5, result.DuplicateOf)
							fallthrough
						default:
							assert.Nil(t, result.Invitation)
						}
					}
					sizes := bulkSizes(server)
					slices.SortFunc(sizes, func(a, b int) int { return b - a })
					if n <= MaxBulkInvitations {
						assert.LessOrEqual(t, len(sizes), 2, "one refused, one for whom it is")
						sizes = nil
					}
					for _, size := range sizes[:max(0, len(sizes)-1)] {
						assert.Equal(t, 10, size)
					}
					assertEachOnce(t, server, want[OutcomeInvited])
				})
			})
		}
	}
}

// TestInviteAllFewNewPeople finds three in a hundred that are no members: they are
// gathered until there are ten.
func TestInviteAllFewNewPeople(t *testing.T) {
	bubble(t, func(t *testing.T, server *clerktest.Server) {
		people := crowd(1500, nil)
		for i := range people {
			if i%100 > 2 {
				server.AddMember(server.OrganizationID(), people[i].EmailAddress, "org:member")
			}
		}
		gather(t, inviteAll(t, inMemory(t, server), server, people, &InviteAllOptions{BulkOnly: true}), len(people))
		assert.ElementsMatch(t, []int{10, 10, 10, 10, 5}, bulkSizes(server))
	})
}

// TestInviteAllBriefInvitations has more pending invitations than a run keeps
// whole: of the others it gives back what it keeps, and looks none up.
func TestInviteAllBriefInvitations(t *testing.T) {
	bubble(t, func(t *testing.T, server *clerktest.Server) {
		const n = 2200
		people := crowd(n, nil)
		metadata := map[string]string{"text": strings.Repeat("x", 8000)}
		for i := range people {
			people[i].PublicMetadata, people[i].PrivateMetadata = metadata, metadata
		}
		client := inMemory(t, server, WithRateLimiter(Unlimited()))
		created := map[string]OrganizationInvitation{}
		for batch := range slices.Chunk(people, 10) {
			made, err := client.Organizations.CreateInvitationBulk(t.Context(), server.OrganizationID(), batch)
			require.NoError(t, err)
			for _, invitation := range made {
				created[invitation.EmailAddress] = invitation
			}
		}
		time.Sleep(time.Hour)
		before := server.CallCount(clerktest.OpAny)
		results := gather(t, inviteAll(t, client, server, people, nil), n)
		brief := 0
		for i, result := range results {
			require.Equal(t, OutcomeAlreadyInvited, result.Outcome)
			require.NotNil(t, result.Invitation, i)
			want := created[people[i].EmailAddress]
			if result.Invitation.URL == "" {
				brief++
				want = OrganizationInvitation{
					Object: want.Object, ID: want.ID, EmailAddress: want.EmailAddress, Role: want.Role, Status: want.Status,
					OrganizationID: want.OrganizationID, CreatedAt: want.CreatedAt, ExpiresAt: want.ExpiresAt,
				}
			}
			require.Equal(t, want, *result.Invitation)
		}
		assert.Greater(t, brief, 500)
		assert.LessOrEqual(t, server.CallCount(clerktest.OpAny)-before, 6, "pages of the list, and of the instance's")
		assertEachOnce(t, server, n)
	}, clerktest.WithoutRateLimits())
}

// TestInviteAllHiddenMembers has members that are found by an address which they
// do not show.
func TestInviteAllHiddenMembers(t *testing.T) {
	for _, hidden := range [][]int{{0}, {99}, {3, 4, 50}, {17, 18, 19, 77, 98, 99, 100, 101, 119}} {
		t.Run(fmt.Sprintf("hidden=%v", hidden), func(t *testing.T) {
			bubble(t, func(t *testing.T, server *clerktest.Server) {
				people := crowd(120, nil)
				for _, i := range hidden {
					server.AddMember(server.OrganizationID(), people[i].EmailAddress, "org:member")
				}
				server.AddMember(server.OrganizationID(), people[60].EmailAddress, "org:member") // shows its address
				client := through(t, server, func(req *http.Request, next http.RoundTripper) (*http.Response, error) {
					resp, err := next.RoundTrip(req)
					if err != nil || !strings.HasSuffix(req.URL.Path, "/memberships") {
						return resp, err
					}
					body := bodyOf(&http.Request{Body: resp.Body})
					for _, i := range hidden {
						body = strings.ReplaceAll(body, `"`+people[i].EmailAddress+`"`, fmt.Sprintf(`"+4930%d"`, i))
					}
					return canned(req, resp.StatusCode, body), nil
				})
				results := gather(t, inviteAll(t, client, server, people, nil), len(people))
				for i, result := range results {
					want := OutcomeInvited
					if i == 60 || slices.Contains(hidden, i) {
						want = OutcomeAlreadyMember
					}
					assert.Equal(t, want, result.Outcome, i)
				}
				assertEachOnce(t, server, len(people)-len(hidden)-1)
				assert.LessOrEqual(t, server.CallCount(clerktest.OpMemberships), 2+2*7*len(hidden))
			})
		})
	}
}

// TestInviteAllSince counts invitations that are no longer pending.
func TestInviteAllSince(t *testing.T) {
	for _, with := range []bool{false, true} {
		t.Run(fmt.Sprintf("since=%t", with), func(t *testing.T) {
			bubble(t, func(t *testing.T, server *clerktest.Server) {
				org, client := server.OrganizationID(), inMemory(t, server)
				var people []CreateInvitationParams
				invite := func(address string) string {
					people = append(people, person(address))
					return server.AddInvitation(org, address, "org:member")
				}
				revoke := func(id string) {
					_, err := client.Organizations.RevokeInvitation(t.Context(), org, id, nil)
					require.NoError(t, err)
				}
				revoke(invite("long-ago@example.com"))
				time.Sleep(time.Hour + 300*time.Microsecond) // the wire has whole milliseconds
				opts := &InviteAllOptions{}
				if with {
					opts.Since = time.Now()
				}
				revoke(invite("revoked@example.com"))
				require.NoError(t, server.ExpireInvitation(invite("expired@example.com")))
				require.NoError(t, server.AcceptInvitation(invite("accepted@example.com")))
				invite("pending@example.com")
				people = append(people, person("new@example.com"))

				results := gather(t, inviteAll(t, client, server, people, opts), len(people))
				want := []InviteOutcome{OutcomeInvited, OutcomeInvited, OutcomeInvited, OutcomeAlreadyMember, OutcomeAlreadyInvited, OutcomeInvited}
				if with {
					want = []InviteOutcome{OutcomeInvited, OutcomeAlreadyInvited, OutcomeAlreadyInvited, OutcomeAlreadyInvited, OutcomeAlreadyInvited, OutcomeInvited}
					assert.Equal(t, InvitationRevoked, results[1].Invitation.Status)
					assert.Equal(t, InvitationExpired, results[2].Invitation.Status)
					assert.Equal(t, InvitationAccepted, results[3].Invitation.Status)
				}
				for i := range want {
					assert.Equal(t, want[i], results[i].Outcome, people[i].EmailAddress)
				}
			})
		})
	}
}
