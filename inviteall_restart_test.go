package clerkorg

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/clerkorg/clerkorg-go/clerktest"
)

// TestInviteAllRestartsUnderFaults counts the calls that the server refuses after
// each of many restarts, while calls get lost: those are in no list, so that the
// limiter of the next process does not know them.
func TestInviteAllRestartsUnderFaults(t *testing.T) {
	for _, window := range []clerktest.Window{clerktest.FixedWindow, clerktest.SlidingLog, clerktest.GCRA} {
		for seed := range uint64(6 / stride(6)) {
			t.Run(fmt.Sprintf("window=%s/seed=%d", window, seed), func(t *testing.T) {
				bubble(t, func(t *testing.T, server *clerktest.Server) {
					for _, kind := range []clerktest.FaultKind{clerktest.FaultStatus, clerktest.FaultResetBefore, clerktest.FaultResetAfter} {
						server.Inject(clerktest.Fault{Kind: kind, Status: 500, Probability: 0.07})
					}
					random := rand.New(rand.NewPCG(seed, 5))
					people := crowd(3000, func(int) bool { return random.IntN(100) < 3 })
					var starts []time.Time
					restarts(t, server, people, InviteAllOptions{}, time.Minute, func() time.Duration {
						starts = append(starts, time.Now())
						return 5*time.Minute + time.Duration(random.Int64N(int64(40*time.Minute)))
					})
					most := map[clerktest.Operation]int{}
					total := map[clerktest.Operation]int{}
					for i, start := range starts {
						refused := map[clerktest.Operation]int{}
						for _, call := range server.Calls() {
							if call.Status == 429 && !call.Time.Before(start) && (i+1 == len(starts) || call.Time.Before(starts[i+1])) {
								refused[call.Operation]++
								total[call.Operation]++
							}
						}
						for op, n := range refused {
							most[op] = max(most[op], n)
						}
					}
					t.Logf("%d restarts, refused %v, at most %v after one", len(starts)-1, total, most)
					for op, n := range most {
						assert.LessOrEqual(t, n, 2, op)
					}
				}, clerktest.WithRateLimits(window), clerktest.WithLatency(weather(seed)), clerktest.WithBlocked(blocked), clerktest.WithRandom(seed))
			})
		}
	}
}
