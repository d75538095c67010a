package clerkorg

import (
	"fmt"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/clerkorg/clerkorg-go/clerktest"
)

// TestInviteAllHourly keeps both lanes full.
func TestInviteAllHourly(t *testing.T) {
	for _, tt := range []struct {
		opts InviteAllOptions
		want int // in the first hour
	}{
		{InviteAllOptions{}, 750},
		{InviteAllOptions{BulkOnly: true}, 500},
		{InviteAllOptions{ReserveBulk: 10}, 650},
		{InviteAllOptions{ReserveSingle: 100}, 650},
		{InviteAllOptions{ReserveBulk: 49, ReserveSingle: 249}, 11},
		{InviteAllOptions{Concurrency: 1}, 750},
		{InviteAllOptions{Concurrency: 50}, 750},
	} {
		t.Run(fmt.Sprintf("bulkOnly=%t/reserveBulk=%d/reserveSingle=%d/concurrency=%d", tt.opts.BulkOnly, tt.opts.ReserveBulk, tt.opts.ReserveSingle, tt.opts.Concurrency), func(t *testing.T) {
			bubble(t, func(t *testing.T, server *clerktest.Server) {
				start := time.Now()
				results := 0
				for _, err := range inviteAll(t, inMemory(t, server), server, crowd(1600, nil), &tt.opts) {
					require.NoError(t, err)
					if time.Since(start) < time.Hour {
						results++
					} else {
						break
					}
				}
				assert.Equal(t, tt.want, results)
				if tt.opts.BulkOnly {
					assert.Zero(t, server.CallCount(clerktest.OpCreate))
				}
			})
		})
	}
}

// TestInviteAllReserves has another user of the key make a call of each
// kind now and then, who never waits.
func TestInviteAllReserves(t *testing.T) {
	bubble(t, func(t *testing.T, server *clerktest.Server) {
		client := inMemory(t, server)
		eager := client.with(0, 0, nil)
		ended := make(chan struct{})
		others := 0
		var wg sync.WaitGroup
		wg.Go(func() {
			for i := 0; ; i++ {
				// So often that the reserve suffices, two at a time.
				select {
				case <-ended:
					return
				case <-time.After(20*time.Minute - 7*time.Second):
				}
				for j := range 2 {
					address := fmt.Sprintf("other%d-%d@example.com", i, j)
					_, err := eager.Organizations.CreateInvitation(t.Context(), server.OrganizationID(), person(address))
					assert.NoError(t, err)
					_, err = eager.Organizations.CreateInvitationBulk(t.Context(), server.OrganizationID(), []CreateInvitationParams{person("b" + address)})
					assert.NoError(t, err)
					others += 2
				}
			}
		})
		gather(t, inviteAll(t, client, server, crowd(4000, nil), &InviteAllOptions{ReserveBulk: 8, ReserveSingle: 8}), 4000)
		close(ended)
		wg.Wait()
		assert.Greater(t, others, 40)
		assert.Zero(t, server.RateLimited())
		assertEachOnce(t, server, 4000+others)
	}, clerktest.WithRateLimits(clerktest.SlidingLog))
}

func TestInviteAllConcurrency(t *testing.T) {
	for _, concurrency := range []int{0, 1, 2, 7} {
		t.Run(fmt.Sprintf("concurrency=%d", concurrency), func(t *testing.T) {
			bubble(t, func(t *testing.T, server *clerktest.Server) {
				var mu sync.Mutex
				now, most := map[string]int{}, map[string]int{}
				client := through(t, server, func(req *http.Request, next http.RoundTripper) (*http.Response, error) {
					kind := req.Method + req.URL.Path
					mu.Lock()
					now[kind]++
					most[kind] = max(most[kind], now[kind])
					mu.Unlock()
					resp, err := next.RoundTrip(req)
					mu.Lock()
					now[kind]--
					mu.Unlock()
					return resp, err
				})
				gather(t, inviteAll(t, client, server, crowd(700, nil), &InviteAllOptions{Concurrency: concurrency}), 700)
				want := concurrency
				if want == 0 {
					want = defaultConcurrency
				}
				single := "POST/v1/organizations/" + server.OrganizationID() + "/invitations"
				assert.Equal(t, want, most[single])
				assert.Equal(t, want, most[single+"/bulk"])
			})
		})
	}
}

// TestInviteAllIsLazy has an endless input: it is read in bounded numbers, and not
// after the break.
func TestInviteAllIsLazy(t *testing.T) {
	for name, address := range map[string]func(i int) string{
		"new":        func(i int) string { return fmt.Sprintf("person%d@example.com", i) },
		"duplicates": func(i int) string { return fmt.Sprintf("person%d@example.com", i%3) },
		"invalid":    func(int) string { return "nobody" },
		"pending":    func(int) string { return "pending@example.com" },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, server *clerktest.Server) {
				server.AddInvitation(server.OrganizationID(), "pending@example.com", "org:member")
				var read atomic.Int64
				var open atomic.Bool
				open.Store(true)
				endless := func(yield func(CreateInvitationParams) bool) {
					defer open.Store(false)
					for yield(person(address(int(read.Load())))) {
						read.Add(1)
					}
				}
				results := inMemory(t, server).Organizations.InviteAll(t.Context(), server.OrganizationID(), endless, nil)
				assert.Zero(t, read.Load(), "read before it was ranged over")
				got := 0
				for _, err := range results {
					require.NoError(t, err)
					require.LessOrEqual(t, int(read.Load()), got+2*maxUndecided)
					if got++; got == 5000 {
						break
					}
				}
				assert.Equal(t, 5000, got)
				assert.False(t, open.Load(), "the input was not closed")
				calls := server.CallCount(clerktest.OpAny)
				time.Sleep(3 * time.Hour)
				assert.LessOrEqual(t, server.CallCount(clerktest.OpAny), calls+12, "more than what was on its way")
			})
		})
	}
}

// TestInviteAllSlowLoop spends a long time on every result.
func TestInviteAllSlowLoop(t *testing.T) {
	bubble(t, func(t *testing.T, server *clerktest.Server) {
		seen := map[int]bool{}
		for result, err := range inviteAll(t, inMemory(t, server), server, crowd(900, nil), nil) {
			require.NoError(t, err)
			require.False(t, seen[result.Index])
			seen[result.Index] = true
			time.Sleep(time.Minute)
		}
		assert.Len(t, seen, 900)
		assertEachOnce(t, server, 900)
		assert.Zero(t, server.RateLimited())
	})
}

// TestInviteAllCanBeRangedAgain: the second time everybody is there.
func TestInviteAllCanBeRangedAgain(t *testing.T) {
	bubble(t, func(t *testing.T, server *clerktest.Server) {
		opts := &InviteAllOptions{BulkOnly: true}
		people := crowd(30, nil)
		results := inMemory(t, server).Organizations.InviteAll(t.Context(), server.OrganizationID(), slices.Values(people), opts)
		opts.BulkOnly, opts.Concurrency = false, -1 // too late to count
		assert.Equal(t, map[InviteOutcome]int{OutcomeInvited: 30}, countOutcomes(gather(t, results, 30)))
		assert.Zero(t, server.CallCount(clerktest.OpCreate))
		assert.Equal(t, map[InviteOutcome]int{OutcomeAlreadyInvited: 30}, countOutcomes(gather(t, results, 30)))
		// Two at once do not disturb each other.
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(func() {
				all, err := until(t, results)
				assert.NoError(t, err)
				assert.Len(t, all, 30)
			})
		}
		wg.Wait()
		assertEachOnce(t, server, 30)
	})
}

func TestInviteAllArguments(t *testing.T) {
	t.Parallel()
	server := clerktest.NewServer()
	client := inMemory(t, server)
	nobody := slices.Values([]CreateInvitationParams{})
	for _, tt := range []struct {
		name  string
		org   string
		input func(yield func(CreateInvitationParams) bool)
		opts  *InviteAllOptions
		field string // "" if it is valid
	}{
		{"nil sequence", "org_1", nil, nil, "invitations"},
		{"no organization", "", nobody, nil, "organization_id"},
		{"dots", "..", nobody, nil, "organization_id"},
		{"concurrency", "org_1", nobody, &InviteAllOptions{Concurrency: -1}, "Concurrency"},
		{"great concurrency", "org_1", nobody, &InviteAllOptions{Concurrency: 1001}, "Concurrency"},
		{"outage", "org_1", nobody, &InviteAllOptions{MaxOutage: -1}, "MaxOutage"},
		{"total", "org_1", nobody, &InviteAllOptions{Total: -1}, "Total"},
		{"negative bulk reserve", "org_1", nobody, &InviteAllOptions{ReserveBulk: -1}, "ReserveBulk"},
		{"negative single reserve", "org_1", nobody, &InviteAllOptions{ReserveSingle: -1}, "ReserveSingle"},
		{"whole bulk reserve", "org_1", nobody, &InviteAllOptions{ReserveBulk: 50}, "ReserveBulk"},
		{"whole single reserve", "org_1", nobody, &InviteAllOptions{ReserveSingle: 250}, "ReserveSingle"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			results, err := until(t, client.Organizations.InviteAll(t.Context(), tt.org, tt.input, tt.opts))
			assert.Empty(t, results)
			var invalid *ValidationError
			require.ErrorAs(t, err, &invalid)
			require.Len(t, invalid.Problems, 1)
			assert.Equal(t, tt.field, invalid.Problems[0].Field)
			assert.Equal(t, -1, invalid.Problems[0].Index)
		})
	}
	_, err := until(t, client.Organizations.InviteAll(t.Context(), "", nil, &InviteAllOptions{Concurrency: -1, MaxOutage: -1}))
	var invalid *ValidationError
	require.ErrorAs(t, err, &invalid)
	assert.Len(t, invalid.Problems, 4, "all at once")
	assert.Zero(t, server.CallCount(clerktest.OpAny))
}

// TestInviteAllOutlastsTheInstanceQuota: a 429 of the quota of all calls costs a lane
// seconds. Taken for one of the lane's own, after a start whose history is not known, it
// would cost what the lane has left of its hour.
func TestInviteAllOutlastsTheInstanceQuota(t *testing.T) {
	for _, op := range []clerktest.Operation{clerktest.OpBulk, clerktest.OpCreate} {
		t.Run(string(op), func(t *testing.T) {
			bubble(t, func(t *testing.T, server *clerktest.Server) {
				const people = 740 // 50 bulk calls and 240 single ones
				server.Inject(clerktest.Fault{Operation: op, Calls: []int{30}, Status: 429, RetryAfter: 5})
				start := time.Now()
				gather(t, inviteAll(t, inMemory(t, server), server, crowd(people, nil), nil), people)
				assert.Less(t, time.Since(start), 5*time.Minute)
				assertEachOnce(t, server, people)
			})
		})
	}
}
