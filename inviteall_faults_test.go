package clerkorg

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/clerkorg/clerkorg-go/clerktest"
)

// restarts runs InviteAll again and again, each time as a new process would: with
// a limiter of its own, and killed after lasts, until a run comes to its end.
// restart is how long the next process takes to start. It returns every result of
// all runs.
func restarts(t *testing.T, server *clerktest.Server, people []CreateInvitationParams, opts InviteAllOptions, restart time.Duration, lasts func() time.Duration) (results []InviteResult, runs int) {
	t.Helper()
	opts.Since = time.Now()
	for {
		runs++
		client := inMemory(t, server, WithRateLimiter(NewTokenBucket()))
		ctx, kill := context.WithTimeout(t.Context(), lasts())
		var last error
		for result, err := range client.Organizations.InviteAll(ctx, server.OrganizationID(), slices.Values(people), &opts) {
			if err == nil {
				results = append(results, result)
			}
			last = err
		}
		kill()
		if last == nil {
			return results, runs
		}
		require.ErrorIs(t, last, context.DeadlineExceeded)
		time.Sleep(restart)
	}
}

func TestInviteAllRestarted(t *testing.T) {
	const people = 10_000
	// What a sliding counter refuses after a restart is not bounded.
	others := slices.DeleteFunc(slices.Clone(windows), isSlidingCounter)
	forEachWindow(t, others, func(t *testing.T, server *clerktest.Server, _ clerktest.Window, bulkOnly bool) {
		start := time.Now()
		_, runs := restarts(t, server, crowd(people, nil), InviteAllOptions{BulkOnly: bulkOnly}, 0, func() time.Duration { return 2 * time.Hour })
		hours := time.Since(start).Hours()
		t.Logf("%d refused, %.3f h, %d runs", server.RateLimited(), hours, runs)
		mostHours := 13.05
		if bulkOnly {
			mostHours = 19.06
		}
		assert.Zero(t, server.RateLimited())
		assert.LessOrEqual(t, hours, mostHours)
		assertEachOnce(t, server, people)
	})
}

func TestInviteAllBadAddresses(t *testing.T) {
	const people = 10_000
	pick := sampler(7)
	for _, tt := range []struct {
		percent  int
		naming   clerktest.Naming
		mostTime float64
	}{
		{2, clerktest.NameNone, 15.1},
		{2, clerktest.NameInMeta, 15.1},
		{5, clerktest.NameNone, 18.1},
		{5, clerktest.NameInMeta, 16.1},
	} {
		for _, partial := range []bool{false, true} {
			for seed := range uint64(3) {
				if !pick() {
					continue
				}
				t.Run(fmt.Sprintf("bad=%d%%/names=%s/partial=%t/seed=%d", tt.percent, nameOf(tt.naming), partial, seed), func(t *testing.T) {
					t.Parallel()
					synctest.Test(t, func(t *testing.T) {
						random := rand.New(rand.NewPCG(seed, 9))
						list := crowd(people, func(int) bool { return random.IntN(100) < tt.percent })
						bad := 0
						for i := range list {
							if blocked(list[i].EmailAddress) {
								bad++
							}
						}
						server := clerktest.NewServer(clerktest.WithBlocked(blocked), clerktest.WithNamedRefusals(tt.naming),
							clerktest.WithPartialBulk(partial), clerktest.WithLatency(weather(seed)))
						client := inMemory(t, server)
						start := time.Now()
						results := gather(t, client.Organizations.InviteAll(t.Context(), server.OrganizationID(), slices.Values(list), nil), people)
						hours := time.Since(start).Hours()

						refusedBatches := refusedBulkCalls(server)
						t.Logf("%.3f h, %d bad, %d batches refused, %d bulk calls", hours, bad, refusedBatches, server.CallCount(clerktest.OpBulk))
						assert.LessOrEqual(t, hours, tt.mostTime)
						assert.LessOrEqual(t, refusedBatches, bad, "a bad address costs at most one bulk call")
						assert.Zero(t, server.RateLimited())
						assert.Equal(t, map[InviteOutcome]int{OutcomeInvited: people - bad, OutcomeRejected: bad}, countOutcomes(results))
						for _, result := range results {
							if result.Outcome == OutcomeRejected {
								assert.True(t, blocked(result.Params.EmailAddress))
								assert.ErrorIs(t, result.Err, ErrForbidden)
							}
						}
						assertEachOnce(t, server, people-bad)
					})
				})
			}
		}
	}
}

// everyFault breaks 5 % of the calls in each of six ways.
func everyFault(server *clerktest.Server) {
	for _, fault := range []clerktest.Fault{
		{Kind: clerktest.FaultResetBefore},
		{Kind: clerktest.FaultResetAfter},
		{Kind: clerktest.FaultStatus, Status: 500},
		{Kind: clerktest.FaultHTMLAfter, Status: 502},
		{Kind: clerktest.FaultTruncate},
		{Kind: clerktest.FaultDelay, Delay: 40 * time.Second},
	} {
		fault.Probability = 0.05
		server.Inject(fault)
	}
}

// churn accepts and expires invitations, new ones above all, so that a second
// invitation to the same address would not be refused. It returns how to stop it.
func churn(server *clerktest.Server, seed uint64) (stop func()) {
	done := make(chan struct{})
	go func() {
		random := rand.New(rand.NewPCG(seed, 13))
		calls, quiet := 0, 0
		for {
			select {
			case <-done:
				return
			case <-time.After(2 * time.Second):
			}
			if now := server.CallCount(clerktest.OpAny); now != calls {
				calls, quiet = now, 0
			}
			if quiet++; quiet > 30 {
				continue // none of them is pending anymore
			}
			all := server.Invitations(server.OrganizationID())
			for _, invitation := range all[max(0, len(all)-60):] {
				switch {
				case invitation.Status != "pending" || !invitation.ByAPI:
				case random.IntN(5) == 0:
					_ = server.ExpireInvitation(invitation.ID)
				case random.IntN(5) == 0:
					_ = server.AcceptInvitation(invitation.ID)
				}
			}
		}
	}()
	return func() { close(done) }
}

// TestInviteAllSurvivesEverything kills runs at random moments, under all faults
// at once, and asks the server's own ledger whether everybody was invited once.
func TestInviteAllSurvivesEverything(t *testing.T) {
	const people = 1000
	var kills, simulations, picked atomic.Int64
	t.Cleanup(func() {
		t.Logf("%d kills in %d simulations", kills.Load(), simulations.Load())
		if simulations.Load() == picked.Load() { // -run left none of them out
			assert.GreaterOrEqual(t, kills.Load(), picked.Load()*200/54)
		}
	})
	pick := sampler(10)
	for _, partial := range []bool{false, true} {
		for _, naming := range namings {
			for seed := range uint64(9) {
				if !pick() {
					continue
				}
				picked.Add(1)
				t.Run(fmt.Sprintf("partial=%t/names=%s/seed=%d", partial, nameOf(naming), seed), func(t *testing.T) {
					t.Parallel()
					simulations.Add(1)
					synctest.Test(t, func(t *testing.T) {
						random := rand.New(rand.NewPCG(seed, 11))
						server := clerktest.NewServer(clerktest.WithPartialBulk(partial), clerktest.WithNamedRefusals(naming),
							clerktest.WithBlocked(blocked), clerktest.WithLatency(weather(seed)), clerktest.WithRandom(seed), clerktest.WithListLag(time.Second))
						list := crowd(people, func(int) bool { return random.IntN(100) < 2 })
						want := map[string]int{} // by lower-case address
						for i, params := range list {
							switch {
							case blocked(params.EmailAddress):
							case random.IntN(40) == 0:
								server.AddMember(server.OrganizationID(), params.EmailAddress, "org:member")
							case random.IntN(40) == 0:
								server.AddInvitation(server.OrganizationID(), params.EmailAddress, "org:member")
							default:
								want[strings.ToLower(params.EmailAddress)] = i
							}
						}
						everyFault(server)
						stop := churn(server, random.Uint64())
						results, runs := restarts(t, server, list, InviteAllOptions{}, LateArrival, func() time.Duration {
							return 5*time.Second + rand.N(10*time.Minute)
						})
						stop()
						kills.Add(int64(runs - 1))
						t.Logf("%d runs, %d calls, %d refused", runs, len(server.Calls()), server.RateLimited())

						assertEachOnce(t, server, len(want))
						for address := range server.InvitedAddresses(server.OrganizationID()) {
							require.Contains(t, want, strings.ToLower(address))
						}
						assertDecided(t, results, list)
					})
				})
			}
		}
	}
}

// assertDecided checks that over all runs every input was decided, never in two
// ways that contradict each other.
func assertDecided(t *testing.T, results []InviteResult, list []CreateInvitationParams) {
	t.Helper()
	outcomes := make([]map[InviteOutcome]int, len(list))
	for _, result := range results {
		if outcomes[result.Index] == nil {
			outcomes[result.Index] = map[InviteOutcome]int{}
		}
		outcomes[result.Index][result.Outcome]++
	}
	for i := range list {
		require.NotEmpty(t, outcomes[i], "input %d was never decided", i)
		require.LessOrEqual(t, outcomes[i][OutcomeInvited], 1, "input %d", i)
		if outcomes[i][OutcomeRejected] > 0 {
			require.Len(t, outcomes[i], 1, "input %d", i)
			require.True(t, blocked(list[i].EmailAddress), "input %d", i)
		}
	}
}
