package clerkorg

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/clerkorg/clerkorg-go/clerktest"
)

// TestInviteAllUnsearchable has addresses for which the members list refuses the
// question, and the invitations list too: they are invited all the same.
func TestInviteAllUnsearchable(t *testing.T) {
	odd := func(address string) bool { return strings.Contains(address, "odd") }
	for _, indexes := range [][]int{{0}, {57}, {3, 4, 99, 100, 149}} {
		for _, fault := range []clerktest.Fault{{}, {Operation: clerktest.OpBulk, Kind: clerktest.FaultResetAfter, Calls: []int{1, 2}}} {
			t.Run(fmt.Sprintf("odd=%v/fault=%s", indexes, fault.Kind), func(t *testing.T) {
				bubble(t, func(t *testing.T, server *clerktest.Server) {
					if fault.Operation != "" {
						server.Inject(fault)
					}
					people := crowd(150, nil)
					for _, i := range indexes {
						people[i].EmailAddress = fmt.Sprintf("odd%d@example.com", i)
					}
					results := gather(t, inviteAll(t, inMemory(t, server), server, people, nil), len(people))
					assert.Equal(t, map[InviteOutcome]int{OutcomeInvited: len(people)}, countOutcomes(results))
					assertEachOnce(t, server, len(people))
				}, clerktest.WithUnsearchable(odd))
			})
		}
	}
}

// TestInviteAllOddQuestions refuses every question about addresses in every way
// that may be about the addresses.
func TestInviteAllOddQuestions(t *testing.T) {
	for _, status := range []int{400, 413, 414, 422, 431} {
		for _, body := range []string{`{"errors":[{"code":"form_param_format_invalid","message":"no"}]}`, "<h1>no</h1>", ""} {
			t.Run(fmt.Sprintf("status=%d/body=%.6q", status, body), func(t *testing.T) {
				bubble(t, func(t *testing.T, server *clerktest.Server) {
					people := crowd(130, nil)
					server.AddMember(server.OrganizationID(), people[7].EmailAddress, "org:member")
					client := through(t, server, func(req *http.Request, next http.RoundTripper) (*http.Response, error) {
						if req.URL.Query().Has("email_address") {
							return canned(req, status, body), nil
						}
						return next.RoundTrip(req)
					})
					results := gather(t, inviteAll(t, client, server, people, nil), len(people))
					assert.Equal(t, map[InviteOutcome]int{OutcomeInvited: 129, OutcomeAlreadyMember: 1}, countOutcomes(results))
					assertEachOnce(t, server, 129)
				})
			})
		}
	}
}

// TestInviteAllLongAddresses keeps URLs so short that proxies take them.
func TestInviteAllLongAddresses(t *testing.T) {
	bubble(t, func(t *testing.T, server *clerktest.Server) {
		people := crowd(150, nil)
		for i := range people {
			people[i].EmailAddress = fmt.Sprintf("person+%03d%s@%s.example.com", i, strings.Repeat("é", 20), strings.Repeat("x", 60))
		}
		client := through(t, server, func(req *http.Request, next http.RoundTripper) (*http.Response, error) {
			assert.LessOrEqual(t, len(req.URL.String()), 4<<10)
			return next.RoundTrip(req)
		})
		gather(t, inviteAll(t, client, server, people, nil), len(people))
		assert.Zero(t, server.CallCount(clerktest.OpUsers))
		assertEachOnce(t, server, len(people))
	}, clerktest.WithMaxURL(4<<10))
}

// TestInviteAllMomentaryRefusals has reads refused for five minutes in ways that
// say nothing of what was asked.
func TestInviteAllMomentaryRefusals(t *testing.T) {
	for _, tt := range []struct {
		status int
		body   string
	}{
		{403, "<html>Access denied</html>"},
		{403, ""},
		{408, ""},
		{409, `{"errors":[{"code":"conflict"}]}`},
		{423, `{"errors":[{"code":"resource_locked"}]}`},
		{425, ""},
		{500, "{}"},
		{999, "?"},
	} {
		for _, path := range []string{"/invitations", "/memberships", "/organization_invitations"} {
			if path == "/organization_invitations" && tt.status < 500 {
				continue // a key that may not see the instance's is lived with
			}
			t.Run(fmt.Sprintf("status=%d%s", tt.status, path), func(t *testing.T) {
				bubble(t, func(t *testing.T, server *clerktest.Server) {
					up := time.Now().Add(5 * time.Minute)
					var told Progress
					client := through(t, server, func(req *http.Request, next http.RoundTripper) (*http.Response, error) {
						if req.Method == http.MethodGet && strings.HasSuffix(req.URL.Path, path) && time.Now().Before(up) {
							return canned(req, tt.status, tt.body), nil
						}
						return next.RoundTrip(req)
					})
					opts := &InviteAllOptions{OnProgress: func(p Progress) {
						if p.Err != nil {
							told = p
						}
					}}
					gather(t, inviteAll(t, client, server, crowd(120, nil), opts), 120)
					assertEachOnce(t, server, 120)
					var api *APIError
					require.ErrorAs(t, told.Err, &api)
					assert.Equal(t, tt.status, api.StatusCode)
					assert.WithinDuration(t, up.Add(-5*time.Minute), told.FailingSince, 10*time.Second)
				})
			})
		}
	}
}

// TestInviteAllFirewall refuses creates for a while without Clerk's JSON.
func TestInviteAllFirewall(t *testing.T) {
	bubble(t, func(t *testing.T, server *clerktest.Server) {
		start := time.Now()
		client := through(t, server, func(req *http.Request, next http.RoundTripper) (*http.Response, error) {
			if req.Method == http.MethodPost && time.Since(start) < 20*time.Minute {
				return canned(req, 403, "<html>Access denied</html>"), nil
			}
			return next.RoundTrip(req)
		})
		results := gather(t, inviteAll(t, client, server, crowd(300, nil), nil), 300)
		assert.Equal(t, map[InviteOutcome]int{OutcomeInvited: 300}, countOutcomes(results))
	})
}

// TestInviteAllFailingWhenItEnds: the context's error tells what was failing.
func TestInviteAllFailingWhenItEnds(t *testing.T) {
	bubble(t, func(t *testing.T, server *clerktest.Server) {
		start := time.Now()
		cause := errors.New("dial tcp: lookup api.clerk.com: no such host")
		client := through(t, server, func(req *http.Request, next http.RoundTripper) (*http.Response, error) {
			if time.Since(start) > 0 {
				return nil, cause
			}
			return next.RoundTrip(req)
		})
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
		defer cancel()
		_, err := until(t, client.Organizations.InviteAll(ctx, server.OrganizationID(), slices.Values(crowd(50, nil)), nil))
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.ErrorIs(t, err, cause)
		assert.ErrorContains(t, err, "context deadline exceeded")
		assert.ErrorContains(t, err, "no such host")
	})
}

// TestInviteAllErrorsInLogs: what ends a run shows none of the server's sentences to a
// logger.
func TestInviteAllErrorsInLogs(t *testing.T) {
	bubble(t, func(t *testing.T, server *clerktest.Server) {
		client := through(t, server, func(req *http.Request, next http.RoundTripper) (*http.Response, error) {
			if req.Method == http.MethodPost {
				return canned(req, 500, `{"errors":[{"code":"oh_no","message":"ada@example.com"}]}`), nil
			}
			return next.RoundTrip(req)
		})
		_, err := until(t, inviteAll(t, client, server, crowd(20, nil), nil))
		require.ErrorContains(t, err, "ada@example.com")
		var log strings.Builder
		slog.New(slog.NewTextHandler(&log, nil)).Error("ended", "error", err)
		assert.NotContains(t, log.String(), "ada@")
		assert.Contains(t, log.String(), "oh_no")
		assert.Contains(t, log.String(), "no call has succeeded for")
	})
}

func TestInviteAllStopsAfterRejected(t *testing.T) {
	bubble(t, func(t *testing.T, server *clerktest.Server) {
		people := crowd(500, nil)
		for i := range people {
			if i >= 100 {
				people[i].EmailAddress = "column B"
			}
		}
		results, err := until(t, inviteAll(t, inMemory(t, server), server, people, &InviteAllOptions{StopAfterRejected: 20}))
		require.ErrorIs(t, err, ErrTooManyRejected)
		require.ErrorContains(t, err, "clerkorg: too many inputs were rejected: 20, the last one for this reason: invalid call: [")
		var invalid *ValidationError
		require.ErrorAs(t, err, &invalid)
		assert.Equal(t, 20, countOutcomes(results)[OutcomeRejected])
	})
}

// TestInviteAllSeats fills the seats that are left, whichever error says that there
// are no more.
func TestInviteAllSeats(t *testing.T) {
	for _, seats := range []int{0, 1, 7, 10, 13, 29} {
		forEachRefusal(t, func(t *testing.T, server *clerktest.Server, bulkOnly bool) {
			results, err := until(t, inviteAll(t, inMemory(t, server), server, crowd(200, nil), &InviteAllOptions{BulkOnly: bulkOnly}))
			var api *APIError
			require.ErrorAs(t, err, &api)
			assert.True(t, api.HasCode(CodeInsufficientSeats))
			assertEachOnce(t, server, seats)
			assert.LessOrEqual(t, countOutcomes(results)[OutcomeInvited], seats)
			assert.LessOrEqual(t, refusedBulkCalls(server), 25)
		}, clerktest.WithSeats(seats+1))
	}
}

// TestInviteAllNothingToProbeWith has nothing but halves of a refused batch left
// when creating begins to fail.
func TestInviteAllNothingToProbeWith(t *testing.T) {
	for _, bulkOnly := range []bool{false, true} {
		for broken := 2; broken < 8; broken++ {
			t.Run(fmt.Sprintf("bulkOnly=%t/from=%d", bulkOnly, broken), func(t *testing.T) {
				bubble(t, func(t *testing.T, server *clerktest.Server) {
					var calls atomic.Int64
					client := through(t, server, func(req *http.Request, next http.RoundTripper) (*http.Response, error) {
						if req.Method == http.MethodPost {
							if n := int(calls.Add(1)); n >= broken && n < broken+5 {
								return canned(req, 500, "oh no"), nil
							}
						}
						return next.RoundTrip(req)
					})
					people := crowd(40, func(i int) bool { return i%10 == 4 })
					results := gather(t, inviteAll(t, client, server, people, &InviteAllOptions{BulkOnly: bulkOnly, Concurrency: 1, ReserveSingle: 249}), len(people))
					assert.Equal(t, map[InviteOutcome]int{OutcomeInvited: 36, OutcomeRejected: 4}, countOutcomes(results))
					assertEachOnce(t, server, 36)
				}, clerktest.WithBlocked(blocked))
			})
		}
	}
}

// TestInviteAllLateLists has lists that lag behind by half a minute, and answers
// that get lost.
func TestInviteAllLateLists(t *testing.T) {
	for _, ahead := range []time.Duration{0, 10 * time.Minute, -10 * time.Minute, 3 * time.Hour} {
		for _, partial := range []bool{false, true} {
			t.Run(fmt.Sprintf("ahead=%s/partial=%t", ahead, partial), func(t *testing.T) {
				bubble(t, func(t *testing.T, server *clerktest.Server) {
					people := crowd(2000/stride(4), func(i int) bool { return i%50 == 7 })
					before := 0
					for i := range people {
						if i%100 == 3 {
							server.AddInvitation(server.OrganizationID(), people[i].EmailAddress, "org:member")
							before++
						}
					}
					time.Sleep(time.Minute)
					for _, kind := range []clerktest.FaultKind{clerktest.FaultResetAfter, clerktest.FaultTruncate} {
						server.Inject(clerktest.Fault{Operation: clerktest.OpBulk, Kind: kind, Probability: 0.1})
						server.Inject(clerktest.Fault{Operation: clerktest.OpCreate, Kind: kind, Probability: 0.1})
					}
					results := gather(t, inviteAll(t, inMemory(t, server), server, people, nil), len(people))
					bad := len(people) / 50
					assert.Equal(t, map[InviteOutcome]int{OutcomeInvited: len(people) - bad - before, OutcomeAlreadyInvited: before, OutcomeRejected: bad}, countOutcomes(results))
					for _, result := range results {
						if result.Outcome != OutcomeRejected {
							require.NotNil(t, result.Invitation, result.Index)
						}
					}
					assertEachOnce(t, server, len(people)-bad-before)
				}, clerktest.WithListLag(30*time.Second), clerktest.WithPartialBulk(partial), clerktest.WithBlocked(blocked),
					clerktest.WithRandom(5), clerktest.WithClock(func() time.Time { return time.Now().Add(ahead) }))
			})
		}
	}
}

// TestInviteAllRestartedWithAnotherClock begins anew while the quota is spent, on
// a machine whose clock differs from the server's.
func TestInviteAllRestartedWithAnotherClock(t *testing.T) {
	for _, ahead := range []time.Duration{0, 10 * time.Minute, -10 * time.Minute} {
		t.Run(fmt.Sprintf("ahead=%s", ahead), func(t *testing.T) {
			bubble(t, func(t *testing.T, server *clerktest.Server) {
				people := crowd(3000, nil)
				results, _ := restarts(t, server, people, InviteAllOptions{}, time.Minute, func() time.Duration { return 25 * time.Minute })
				assert.Equal(t, OutcomeInvited, results[0].Outcome)
				assert.Zero(t, server.RateLimited())
				assertEachOnce(t, server, len(people))
			}, clerktest.WithRateLimits(clerktest.SlidingLog), clerktest.WithLatency(weather(3)),
				clerktest.WithClock(func() time.Time { return time.Now().Add(ahead) }))
		})
	}
}

// TestInviteAllTakenButNotListed: the server says that an address is taken, and
// lists no invitation of it.
func TestInviteAllTakenButNotListed(t *testing.T) {
	bubble(t, func(t *testing.T, server *clerktest.Server) {
		people := crowd(30, nil)
		client := through(t, server, func(req *http.Request, next http.RoundTripper) (*http.Response, error) {
			if req.Method == http.MethodPost && strings.Contains(bodyOf(req), people[5].EmailAddress) {
				return canned(req, 400, `{"errors":[{"code":"organization_invitation_not_unique","message":"taken"}]}`), nil
			}
			return next.RoundTrip(req)
		})
		start := time.Now()
		results := gather(t, inviteAll(t, client, server, people, nil), len(people))
		assert.Equal(t, OutcomeAlreadyInvited, results[5].Outcome)
		assert.Nil(t, results[5].Invitation)
		assert.Less(t, time.Since(start), 5*time.Minute)
		assert.LessOrEqual(t, server.CallCount(clerktest.OpList), 20)
	})
}

// TestMatchInvitations gives each row its own invitation, however the answer spells
// and orders them.
func TestMatchInvitations(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ rows, answer, want []string }{
		"as sent":                       {[]string{"a@x", "b@x"}, []string{"a@x", "b@x"}, []string{"0", "1"}},
		"reordered":                     {[]string{"a@x", "b@x", "c@x"}, []string{"c@x", "a@x", "b@x"}, []string{"1", "2", "0"}},
		"another case":                  {[]string{"A@x", "b@x"}, []string{"B@X", "a@X"}, []string{"1", "0"}},
		"one is spelled differently":    {[]string{"a.b@x", "c@x", "d@x"}, []string{"d@x", "ab@x", "c@x"}, []string{"1", "2", "0"}},
		"in its place, if that is free": {[]string{"a.b@x", "c.d@x", "e@x"}, []string{"ab@x", "cd@x", "e@x"}, []string{"0", "1", "2"}},
		"all are":                       {[]string{"a.b@x", "c.d@x"}, []string{"ab@x", "cd@x"}, []string{"0", "1"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var rows []*row
			for _, address := range tt.rows {
				rows = append(rows, &row{wire: wireInvitation{EmailAddress: address}})
			}
			var invitations []OrganizationInvitation
			for i, address := range tt.answer {
				invitations = append(invitations, OrganizationInvitation{ID: fmt.Sprint(i), EmailAddress: address})
			}
			var got []string
			for _, invitation := range matchInvitations(rows, invitations) {
				got = append(got, invitation.ID)
			}
			assert.Equal(t, tt.want, got)
		})
	}
}

// TestInviteAllHiddenMembersCost bounds the questions about people who are members
// by an address that the list does not show.
func TestInviteAllHiddenMembersCost(t *testing.T) {
	const people = 1000
	for _, hidden := range []int{1, 10, 100, 500, 1000} {
		for _, users := range []bool{true, false} {
			t.Run(fmt.Sprintf("hidden=%d/users=%t", hidden, users), func(t *testing.T) {
				bubble(t, func(t *testing.T, server *clerktest.Server) {
					list := crowd(people, nil)
					for n, i := range rand.New(rand.NewPCG(1, 2)).Perm(people)[:hidden] {
						user := server.AddMember(server.OrganizationID(), fmt.Sprintf("first%d@example.org", n), "org:member")
						require.NoError(t, server.AddUserAddress(user, list[i].EmailAddress))
					}
					if !users {
						server.Inject(clerktest.Fault{Operation: clerktest.OpUsers, Kind: clerktest.FaultStatus, Status: 403, Code: "authorization_invalid"})
					}
					results := gather(t, inviteAll(t, inMemory(t, server), server, list, nil), people)
					assert.Equal(t, hidden, countOutcomes(results)[OutcomeAlreadyMember])
					assertEachOnce(t, server, people-hidden)
					asked := server.CallCount(clerktest.OpMemberships) + server.CallCount(clerktest.OpUsers)
					t.Logf("%d questions", asked)
					if users || hidden == people {
						assert.LessOrEqual(t, asked, 2*people/100+hidden)
					}
				})
			})
		}
	}
}
