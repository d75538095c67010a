package clerkorg

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/clerkorg/clerkorg-go/clerktest"
)

// stops are moments of a run in which the caller ends it: while it reads,
// sends, looks after a call without an outcome, and waits for quota.
var stops = map[string]time.Duration{
	"before":           0,
	"reading":          30 * time.Millisecond,
	"reading members":  230 * time.Millisecond,
	"sending":          430 * time.Millisecond,
	"settling":         1500 * time.Millisecond,
	"looking":          2450 * time.Millisecond,
	"waiting":          30 * time.Minute,
	"the second burst": time.Hour + 6*time.Second,
}

// TestInviteAllStopped ends the context in every phase.
func TestInviteAllStopped(t *testing.T) {
	for phase, after := range stops {
		for _, want := range []error{context.Canceled, context.DeadlineExceeded} {
			t.Run(fmt.Sprintf("%s/want=%s", phase, want), func(t *testing.T) {
				bubble(t, func(t *testing.T, server *clerktest.Server) {
					server.Inject(clerktest.Fault{Operation: clerktest.OpBulk, Calls: []int{2}, Kind: clerktest.FaultResetAfter})
					ctx, cancel := context.WithTimeout(t.Context(), after)
					if errors.Is(want, context.Canceled) {
						var stop context.CancelFunc
						ctx, stop = context.WithCancel(t.Context())
						time.AfterFunc(after, stop)
						defer stop()
					}
					defer cancel()
					start := time.Now()
					results, err := until(t, inMemory(t, server).Organizations.InviteAll(ctx, server.OrganizationID(), slices.Values(crowd(3000, nil)), nil))
					assert.Equal(t, want, err)
					assert.Equal(t, after, time.Since(start), "it did not end at once")
					calls := server.CallCount(clerktest.OpAny)
					time.Sleep(2 * time.Hour)
					assert.LessOrEqual(t, server.CallCount(clerktest.OpAny), calls+12, "more than what was on its way")
					assert.LessOrEqual(t, len(results), invitedBy(server))
				})
			})
		}
	}
}

// TestInviteAllBroken breaks the loop, or panics in it, after so many results.
func TestInviteAllBroken(t *testing.T) {
	for _, after := range []int{1, 10, 100, 740, 760} {
		for _, panics := range []bool{false, true} {
			t.Run(fmt.Sprintf("after=%d/panics=%t", after, panics), func(t *testing.T) {
				bubble(t, func(t *testing.T, server *clerktest.Server) {
					got := 0
					consume := func() {
						for _, err := range inviteAll(t, inMemory(t, server), server, crowd(3000, nil), nil) {
							assert.NoError(t, err)
							if got++; got == after && panics {
								panic("had enough")
							} else if got == after {
								break
							}
						}
					}
					if panics {
						assert.PanicsWithValue(t, "had enough", consume)
					} else {
						consume()
					}
					calls := server.CallCount(clerktest.OpAny)
					time.Sleep(2 * time.Hour)
					assert.LessOrEqual(t, server.CallCount(clerktest.OpAny), calls+12, "more than what was on its way")
					// The next run finds out the outcome of those.
					_, err := until(t, inviteAll(t, inMemory(t, server), server, crowd(3000, nil), nil))
					require.NoError(t, err)
					assertEachOnce(t, server, 3000)
				})
			})
		}
	}
}

// TestInviteAllPanickingCaller panics while it is read, and in OnProgress.
func TestInviteAllPanickingCaller(t *testing.T) {
	bubble(t, func(t *testing.T, server *clerktest.Server) {
		input := func(yield func(CreateInvitationParams) bool) {
			for _, params := range crowd(1500, nil) {
				if !yield(params) {
					return
				}
			}
			panic("no more")
		}
		orgs := inMemory(t, server).Organizations
		assert.PanicsWithValue(t, "no more", func() { _, _ = until(t, orgs.InviteAll(t.Context(), server.OrganizationID(), input, nil)) })
		opts := &InviteAllOptions{OnProgress: func(p Progress) {
			if p.Done > 100 {
				panic("too much")
			}
		}}
		assert.PanicsWithValue(t, "too much", func() {
			_, _ = until(t, orgs.InviteAll(t.Context(), server.OrganizationID(), slices.Values(crowd(1000, nil)), opts))
		})
	})
}

// TestInviteAllLeavesNoGoroutine counts them, outside of a bubble.
func TestInviteAllLeavesNoGoroutine(t *testing.T) {
	server := clerktest.NewServer()
	client := through(t, server, func(req *http.Request, next http.RoundTripper) (*http.Response, error) {
		if req.Method == http.MethodPost {
			<-req.Context().Done()
			return nil, req.Context().Err()
		}
		return next.RoundTrip(req)
	})
	before := runtime.NumGoroutine()
	for range 20 {
		ctx, cancel := context.WithCancel(t.Context())
		bad := append([]CreateInvitationParams{{}}, crowd(200, nil)...)
		for result, err := range client.Organizations.InviteAll(ctx, server.OrganizationID(), slices.Values(bad), nil) {
			if err == nil {
				require.Equal(t, 0, result.Index)
				cancel()
			}
		}
		cancel()
	}
	for range 1000 {
		if runtime.NumGoroutine() <= before {
			return
		}
		runtime.Gosched()
	}
	assert.LessOrEqual(t, runtime.NumGoroutine(), before+5) // other tests have some of their own
}

// TestInviteAllSmallRunWithoutQuota has ten people or one, and a context that ends
// before a quota comes back.
func TestInviteAllSmallRunWithoutQuota(t *testing.T) {
	bulk, single := Quota{QuotaBulk, 1, time.Hour}, Quota{QuotaCreate, 4, time.Hour}
	bad := func(i int) bool { return i == 3 }
	for name, test := range map[string]struct {
		spent, people, invited, rejected int
		quota                            Quota
		within                           time.Duration // of the deadline
		want                             error
	}{
		"enough for ten":    {people: 10, invited: 9, rejected: 1, quota: Quota{QuotaCreate, 10, time.Hour}, within: 20 * time.Second},
		"nothing left":      {spent: 4, people: 10, quota: single, within: 20 * time.Second, want: context.DeadlineExceeded},
		"spent on the way":  {people: 10, invited: 3, rejected: 1, quota: single, within: 20 * time.Second, want: context.DeadlineExceeded},
		"within the limits": {spent: 4, people: 2, invited: 2, quota: single, within: 3 * time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, server *clerktest.Server) {
				client := inMemory(t, server, WithQuotas(bulk, test.quota))
				for i := range test.spent {
					_, err := client.Organizations.CreateInvitation(t.Context(), server.OrganizationID(), person(fmt.Sprintf("spent-%d@example.com", i)))
					require.NoError(t, err)
				}
				if test.spent > 0 {
					_, err := client.Organizations.CreateInvitationBulk(t.Context(), server.OrganizationID(), []CreateInvitationParams{person("spent@example.com")})
					require.NoError(t, err)
				}
				ctx, cancel := context.WithTimeout(t.Context(), test.within)
				defer cancel()
				start := time.Now()
				results, err := until(t, client.Organizations.InviteAll(ctx, server.OrganizationID(), slices.Values(crowd(test.people, bad)), nil))
				outcomes := countOutcomes(results)
				assert.Equal(t, test.invited, outcomes[OutcomeInvited])
				assert.Equal(t, test.rejected, outcomes[OutcomeRejected])
				require.ErrorIs(t, err, test.want)
				if test.want == nil {
					return
				}
				assert.Less(t, time.Since(start), 4*time.Second, "it waited for the deadline")
				limited, ok := errors.AsType[*RateLimitError](err)
				require.True(t, ok)
				assert.InDelta(t, time.Hour+5*time.Second, limited.RetryAfter, float64(5*time.Second))
			}, clerktest.WithBlocked(blocked))
		})
	}
}

// TestInviteAllSmallRunRefused has a 429 close the quota for as long as it says, and no
// longer: a small run does not take it for the sign of a restart.
func TestInviteAllSmallRunRefused(t *testing.T) {
	bubble(t, func(t *testing.T, server *clerktest.Server) {
		client := inMemory(t, server)
		stop := server.Inject(clerktest.Fault{Kind: clerktest.FaultStatus, Status: http.StatusTooManyRequests, RetryAfter: 77})
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		_, err := until(t, client.Organizations.InviteAll(ctx, server.OrganizationID(), slices.Values(crowd(2, nil)), nil))
		limited, ok := errors.AsType[*RateLimitError](err)
		require.True(t, ok)
		assert.InDelta(t, 77*time.Second, limited.RetryAfter, float64(time.Second))
		stop()
		time.Sleep(limited.RetryAfter + time.Second)
		state, err := client.Quota(t.Context(), QuotaBulk)
		require.NoError(t, err)
		assert.Equal(t, 49, state.Available)
	})
}
