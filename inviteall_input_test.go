package clerkorg

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/clerkorg/clerkorg-go/clerktest"
)

// TestInviteAllReusedInput has a sequence that reuses its map, its buffer and its
// pointer for every input.
func TestInviteAllReusedInput(t *testing.T) {
	for _, n := range []int{7, 30, 5000} {
		t.Run(fmt.Sprintf("people=%d", n), func(t *testing.T) {
			bubble(t, func(t *testing.T, server *clerktest.Server) {
				metadata, raw, notify := map[string]any{}, json.RawMessage(nil), false
				input := func(yield func(CreateInvitationParams) bool) {
					for i := range n {
						metadata["i"] = i
						raw = fmt.Appendf(raw[:0], `{"i":%d}`, i)
						notify = i%2 == 0
						params := person(fmt.Sprintf("person%d@example.com", i))
						params.PublicMetadata, params.PrivateMetadata, params.Notify = metadata, raw, &notify
						if !yield(params) {
							return
						}
					}
					clear(metadata)
				}
				results := gather(t, inMemory(t, server, WithRateLimiter(Unlimited())).Organizations.InviteAll(t.Context(), server.OrganizationID(), input, nil), n)
				for i, result := range results {
					require.Equal(t, OutcomeInvited, result.Outcome)
					want := fmt.Sprintf(`{"i":%d}`, i)
					require.Equal(t, want, string(result.Invitation.PublicMetadata))
					require.Equal(t, want, string(result.Invitation.PrivateMetadata))
					require.Equal(t, Metadata(want), result.Params.PublicMetadata)
					require.Equal(t, Metadata(want), result.Params.PrivateMetadata)
					require.Equal(t, i%2 == 0, *result.Params.Notify)
				}
			}, clerktest.WithoutRateLimits())
		})
	}
}

// TestInviteAllSlowInput yields an input a second: what is there is sent.
func TestInviteAllSlowInput(t *testing.T) {
	for _, bulkOnly := range []bool{false, true} {
		t.Run(fmt.Sprintf("bulkOnly=%t", bulkOnly), func(t *testing.T) {
			bubble(t, func(t *testing.T, server *clerktest.Server) {
				start := time.Now()
				input := func(yield func(CreateInvitationParams) bool) {
					for _, params := range crowd(100, nil) {
						time.Sleep(time.Second)
						if !yield(params) {
							return
						}
					}
				}
				results := 0
				var first time.Duration
				for result, err := range inMemory(t, server).Organizations.InviteAll(t.Context(), server.OrganizationID(), input, &InviteAllOptions{BulkOnly: bulkOnly}) {
					require.NoError(t, err)
					if results == 0 {
						first = time.Since(start)
					}
					results++
					assert.Less(t, time.Since(start), time.Duration(result.Index+14)*time.Second)
				}
				assert.Equal(t, 100, results)
				assert.Less(t, first, 11*time.Second)
				if bulkOnly {
					assert.Equal(t, []int{10, 10, 10, 10, 10, 10, 10, 10, 10, 10}, bulkSizes(server))
				}
				assertEachOnce(t, server, 100)
			})
		})
	}
}

// TestInviteAllBlockedInput has a sequence that blocks after some inputs: those
// are sent, and the context ends the run at once.
func TestInviteAllBlockedInput(t *testing.T) {
	for _, n := range []int{0, 3, 10, 25, 120} {
		t.Run(fmt.Sprintf("inputs=%d", n), func(t *testing.T) {
			bubble(t, func(t *testing.T, server *clerktest.Server) {
				release, yielded, released := make(chan struct{}), false, make(chan struct{})
				input := func(yield func(CreateInvitationParams) bool) {
					defer close(released)
					for _, params := range crowd(n, nil) {
						if !yield(params) {
							return
						}
					}
					<-release
					yielded = yield(person("late@example.com"))
				}
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
				defer cancel()
				start := time.Now()
				results, err := until(t, inMemory(t, server).Organizations.InviteAll(ctx, server.OrganizationID(), input, nil))
				assert.Equal(t, context.DeadlineExceeded, err)
				assert.Equal(t, 10*time.Minute, time.Since(start))
				assert.Len(t, results, n)
				assertEachOnce(t, server, n)
				close(release)
				<-released
				assert.False(t, yielded, "an input is wanted after the end")
			})
		})
	}
}

// TestInviteAllInputGoexit ends the goroutine that ranges, as a failed test does.
func TestInviteAllInputGoexit(t *testing.T) {
	bubble(t, func(t *testing.T, server *clerktest.Server) {
		client, ended, after := inMemory(t, server), make(chan struct{}), false
		go func() {
			defer close(ended)
			for _, err := range client.Organizations.InviteAll(t.Context(), server.OrganizationID(), func(func(CreateInvitationParams) bool) { runtime.Goexit() }, nil) {
				assert.NoError(t, err)
			}
			after = true
		}()
		<-ended
		assert.False(t, after, "it went on")
	})
}

// TestInviteAllSmall counts the calls of runs that fit into one.
func TestInviteAllSmall(t *testing.T) {
	type counts struct{ bulk, single, other int }
	for name, tt := range map[string]struct {
		n       int
		prepare func(server *clerktest.Server, people []CreateInvitationParams)
		options []clerktest.Option
		want    map[InviteOutcome]int
		most    int
		exactly *counts
	}{
		"ten new":  {n: 10, want: map[InviteOutcome]int{OutcomeInvited: 10}, exactly: &counts{bulk: 1}},
		"one new":  {n: 1, want: map[InviteOutcome]int{OutcomeInvited: 1}, exactly: &counts{bulk: 1}},
		"nine new": {n: 9, want: map[InviteOutcome]int{OutcomeInvited: 9}, exactly: &counts{bulk: 1}},
		"a member": {n: 10, most: 4, want: map[InviteOutcome]int{OutcomeInvited: 9, OutcomeAlreadyMember: 1},
			prepare: func(server *clerktest.Server, people []CreateInvitationParams) {
				server.AddMember(server.OrganizationID(), people[4].EmailAddress, "org:member")
			}},
		"a member, named": {n: 10, most: 4, want: map[InviteOutcome]int{OutcomeInvited: 9, OutcomeAlreadyMember: 1},
			options: []clerktest.Option{clerktest.WithNamedRefusals(clerktest.NameInText)},
			prepare: func(server *clerktest.Server, people []CreateInvitationParams) {
				server.AddMember(server.OrganizationID(), people[4].EmailAddress, "org:member")
			}},
		"invited": {n: 10, most: 4, want: map[InviteOutcome]int{OutcomeInvited: 9, OutcomeAlreadyInvited: 1},
			prepare: func(server *clerktest.Server, people []CreateInvitationParams) {
				server.AddInvitation(server.OrganizationID(), people[4].EmailAddress, "org:member")
			}},
		"invited, named": {n: 10, most: 4, want: map[InviteOutcome]int{OutcomeInvited: 9, OutcomeAlreadyInvited: 1},
			options: []clerktest.Option{clerktest.WithNamedRefusals(clerktest.NameInMeta)},
			prepare: func(server *clerktest.Server, people []CreateInvitationParams) {
				server.AddInvitation(server.OrganizationID(), people[4].EmailAddress, "org:member")
			}},
		"blocked, named": {n: 10, most: 4, want: map[InviteOutcome]int{OutcomeInvited: 9, OutcomeRejected: 1},
			options: []clerktest.Option{clerktest.WithNamedRefusals(clerktest.NameInText), clerktest.WithBlocked(blocked)},
			prepare: func(_ *clerktest.Server, people []CreateInvitationParams) {
				people[4].EmailAddress = "spam@blocked.example"
			}},
		"blocked, unnamed": {n: 10, most: 12, want: map[InviteOutcome]int{OutcomeInvited: 9, OutcomeRejected: 1},
			options: []clerktest.Option{clerktest.WithBlocked(blocked)},
			prepare: func(_ *clerktest.Server, people []CreateInvitationParams) {
				people[4].EmailAddress = "spam@blocked.example"
			}},
		"all invited": {n: 10, most: 2, want: map[InviteOutcome]int{OutcomeAlreadyInvited: 10},
			prepare: func(server *clerktest.Server, people []CreateInvitationParams) {
				for _, params := range people {
					server.AddInvitation(server.OrganizationID(), params.EmailAddress, "org:member")
				}
			}},
		"all members": {n: 10, most: 3, want: map[InviteOutcome]int{OutcomeAlreadyMember: 10},
			prepare: func(server *clerktest.Server, people []CreateInvitationParams) {
				for _, params := range people {
					server.AddMember(server.OrganizationID(), params.EmailAddress, "org:member")
				}
			}},
		"invalid and duplicate": {n: 10, want: map[InviteOutcome]int{OutcomeInvited: 8, OutcomeRejected: 1, OutcomeDuplicate: 1}, exactly: &counts{bulk: 1},
			prepare: func(_ *clerktest.Server, people []CreateInvitationParams) {
				people[3].Role = ""
				people[7].EmailAddress = strings.ToUpper(people[2].EmailAddress)
			}},
	} {
		for _, partial := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/partial=%t", name, partial), func(t *testing.T) {
				bubble(t, func(t *testing.T, server *clerktest.Server) {
					people := crowd(tt.n, nil)
					if tt.prepare != nil {
						tt.prepare(server, people)
					}
					time.Sleep(time.Minute)
					results := gather(t, inviteAll(t, inMemory(t, server), server, people, nil), tt.n)
					assert.Equal(t, tt.want, countOutcomes(results))
					for _, result := range results {
						if result.Outcome == OutcomeAlreadyInvited || result.Outcome == OutcomeInvited {
							assert.NotNil(t, result.Invitation)
						}
					}
					got := counts{bulk: server.CallCount(clerktest.OpBulk), single: server.CallCount(clerktest.OpCreate)}
					got.other = server.CallCount(clerktest.OpAny) - got.bulk - got.single
					if tt.exactly != nil {
						assert.Equal(t, *tt.exactly, got)
					} else {
						assert.LessOrEqual(t, got.bulk+got.single+got.other, tt.most, "%+v", got)
					}
				}, append(tt.options, clerktest.WithPartialBulk(partial))...)
			})
		}
	}
}

// TestInviteAllSmallSince reads first, as a longer run does.
func TestInviteAllSmallSince(t *testing.T) {
	bubble(t, func(t *testing.T, server *clerktest.Server) {
		since := time.Now()
		require.NoError(t, server.ExpireInvitation(server.AddInvitation(server.OrganizationID(), "ada@example.com", "org:member")))
		time.Sleep(time.Minute)
		results := gather(t, inviteAll(t, inMemory(t, server), server, []CreateInvitationParams{person("ada@example.com"), person("bob@example.com")}, &InviteAllOptions{Since: since}), 2)
		assert.Equal(t, OutcomeAlreadyInvited, results[0].Outcome)
		assert.Equal(t, OutcomeInvited, results[1].Outcome)
	})
}

// TestInviteAllManyPending gives 100,000 pending invitations to a run: what it reads
// before its first call is bounded, and so is what it reads for those who are given
// again.
func TestInviteAllManyPending(t *testing.T) {
	pending := 100_000 / stride(10)
	page := func(req *http.Request) string {
		var limit, offset int
		_, _ = fmt.Sscan(req.URL.Query().Get("limit"), &limit)
		_, _ = fmt.Sscan(req.URL.Query().Get("offset"), &offset)
		var data strings.Builder
		for i := offset; i < min(offset+limit, pending); i++ {
			if i > offset {
				data.WriteByte(',')
			}
			fmt.Fprintf(&data, `{"id":"orginv_%d","status":"pending","role":"org:member","email_address":"pending%d@example.com","created_at":1700000000000}`, i, i)
		}
		return fmt.Sprintf(`{"data":[%s],"total_count":%d}`, data.String(), pending)
	}
	var reads, before atomic.Int64
	client := newTestClient(t, transportFunc(func(req *http.Request) (*http.Response, error) {
		switch {
		case req.Method == http.MethodPost:
			before.CompareAndSwap(0, reads.Load())
			return agree(req)
		case strings.HasSuffix(req.URL.Path, "/invitations"):
			reads.Add(1)
			return canned(req, 200, page(req)), nil
		}
		reads.Add(1)
		return agree(req)
	}), WithRateLimiter(Unlimited()))
	input := func(yield func(CreateInvitationParams) bool) {
		for i := range pending {
			if i%1000 == 0 && !yield(person(fmt.Sprintf("new%d@example.com", i))) || !yield(person(fmt.Sprintf("PENDING%d@example.com", i))) {
				return
			}
		}
	}
	outcomes := map[InviteOutcome]int{}
	for result, err := range client.Organizations.InviteAll(t.Context(), "org_1", input, nil) {
		require.NoError(t, err)
		outcomes[result.Outcome]++
		if result.Outcome == OutcomeAlreadyInvited {
			var i int
			_, err := fmt.Sscanf(result.Invitation.ID, "orginv_%d", &i)
			require.NoError(t, err)
			require.Equal(t, fmt.Sprintf("PENDING%d@example.com", i), strings.Replace(result.Invitation.EmailAddress, "pending", "PENDING", 1))
			require.Equal(t, RoleMember, result.Invitation.Role)
		}
	}
	assert.Equal(t, map[InviteOutcome]int{OutcomeAlreadyInvited: pending, OutcomeInvited: pending / 1000}, outcomes)
	t.Logf("%d reads, %d before the first call", reads.Load(), before.Load())
	assert.LessOrEqual(t, reads.Load(), int64(500))
}
