package clerkorg

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/clerkorg/clerkorg-go/clerktest"
)

// TestInviteAllProgress checks everything that is told, from the first to the last.
func TestInviteAllProgress(t *testing.T) {
	for _, n := range []int{0, 5, 700, 760, 3000, 5100} {
		for _, bulkOnly := range []bool{false, true} {
			t.Run(fmt.Sprintf("people=%d/bulkOnly=%t", n, bulkOnly), func(t *testing.T) {
				bubble(t, func(t *testing.T, server *clerktest.Server) {
					people := crowd(n, nil)
					for i := range people {
						if i%10 == 4 {
							people[i].Role = ""
						}
					}
					type told struct {
						Progress
						at time.Time
					}
					var all []told
					ended := false
					opts := &InviteAllOptions{BulkOnly: bulkOnly, Total: n, OnProgress: func(p Progress) {
						assert.False(t, ended, "told after the end")
						all = append(all, told{p, time.Now()})
					}}
					results := gather(t, inviteAll(t, inMemory(t, server), server, people, opts), n)
					ended = true
					end := time.Now()
					require.NotEmpty(t, all)

					var last Progress
					for _, p := range all {
						sum := 0
						for outcome, count := range p.Outcomes {
							sum += count
							assert.GreaterOrEqual(t, count, last.Outcomes[outcome])
						}
						require.Equal(t, p.Done, sum)
						require.Equal(t, n, p.Done+p.Remaining)
						require.GreaterOrEqual(t, p.Calls, last.Calls)
						require.LessOrEqual(t, p.BulkLeft, 50)
						require.LessOrEqual(t, p.SingleLeft, 250)
						if bulkOnly {
							require.Zero(t, p.SingleLeft)
						}
						left := p.BulkLeft+p.SingleLeft > 0
						require.Equal(t, left, p.NextSlotAt.IsZero())
						require.True(t, left || p.NextSlotAt.After(p.at))
						if p.Calls > 0 {
							// In ten parts, and no better than a window.
							off := p.EstimatedEnd.Sub(end).Abs()
							require.LessOrEqual(t, off, max(time.Hour+time.Minute, end.Sub(p.at)/10), "after %s", p.at)
						}
						last = p.Progress
					}
					assert.True(t, all[0].EstimatedEnd.IsZero(), "before the first look")
					assert.Equal(t, n, last.Done)
					assert.Equal(t, countOutcomes(results), last.Outcomes)
					assert.Equal(t, server.CallCount(clerktest.OpBulk)+server.CallCount(clerktest.OpCreate), last.Calls)
				})
			})
		}
	}
}

// TestInviteAllCountsCallsThatLeft leaves out those that could not be made.
func TestInviteAllCountsCallsThatLeft(t *testing.T) {
	bubble(t, func(t *testing.T, server *clerktest.Server) {
		server.Inject(clerktest.Fault{Operation: clerktest.OpBulk, Kind: clerktest.FaultRefuse, Calls: []int{1, 2}})
		server.Inject(clerktest.Fault{Operation: clerktest.OpBulk, Kind: clerktest.FaultResetAfter, Calls: []int{1}})
		calls := 0
		opts := &InviteAllOptions{OnProgress: func(p Progress) { calls = p.Calls }}
		gather(t, inviteAll(t, inMemory(t, server), server, crowd(50, nil), opts), 50)
		assert.Equal(t, server.CallCount(clerktest.OpBulk)+server.CallCount(clerktest.OpCreate), calls)
	})
}
