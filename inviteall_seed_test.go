package clerkorg

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/clerkorg/clerkorg-go/clerktest"
)

// TestCallsOf guesses from which calls invitations came.
func TestCallsOf(t *testing.T) {
	t.Parallel()
	start := time.UnixMilli(1_700_000_000_000)
	type made struct {
		org      string
		at, n    int // milliseconds, invitations
		apart    int // milliseconds between them
		backward bool
	}
	after := func(milliseconds []int) (times []time.Time) {
		for _, ms := range milliseconds {
			times = append(times, start.Add(time.Duration(ms)*time.Millisecond))
		}
		return times
	}
	for name, tt := range map[string]struct {
		made         []made
		bulk, single []int // milliseconds after start
	}{
		"nothing":                         {nil, nil, nil},
		"one":                             {[]made{{"a", 0, 1, 0, false}}, nil, []int{0}},
		"ten together":                    {[]made{{"a", 0, 10, 0, false}}, []int{0}, nil},
		"ten a millisecond apart":         {[]made{{"a", 0, 10, 1, false}}, []int{0}, nil},
		"eleven a millisecond apart":      {[]made{{"a", 0, 11, 1, false}}, []int{0, 10}, []int{10}},
		"ten a second apart":              {[]made{{"a", 0, 10, 1000, false}}, nil, []int{0, 1000, 2000, 3000, 4000, 5000, 6000, 7000, 8000, 9000}},
		"ten from the last to the first":  {[]made{{"a", 0, 10, 1, true}}, []int{0}, nil},
		"two together may be either":      {[]made{{"a", 0, 2, 1, false}}, []int{0}, []int{0, 1}},
		"three together may be either":    {[]made{{"a", 0, 3, 0, false}}, []int{0}, []int{0, 0, 0}},
		"four together may be either":     {[]made{{"a", 0, 4, 1, false}}, []int{0}, []int{0, 1, 2, 3}},
		"five together are a bulk call":   {[]made{{"a", 0, 5, 0, false}}, []int{0}, nil},
		"twenty together":                 {[]made{{"a", 0, 20, 1, false}}, []int{0, 10}, nil},
		"a single one beside a bulk call": {[]made{{"a", 0, 11, 0, false}}, []int{0, 0}, []int{0}},
		"two organizations at once":       {[]made{{"a", 0, 10, 0, false}, {"b", 1, 10, 0, false}}, []int{0, 1}, nil},
		"single ones of two at once":      {[]made{{"a", 0, 1, 0, false}, {"b", 1, 1, 0, false}}, nil, []int{0, 1}},
		"two bulk calls":                  {[]made{{"a", 0, 10, 0, false}, {"a", 50, 10, 0, false}}, []int{0, 50}, nil},
		"mixed":                           {[]made{{"a", 0, 10, 0, false}, {"a", 5000, 1, 0, false}, {"a", 9000, 7, 1, true}}, []int{0, 9000}, []int{5000}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var created []OrganizationInvitation
			for _, m := range tt.made {
				group := make([]OrganizationInvitation, m.n)
				for i := range group {
					at := start.Add(time.Duration(m.at+i*m.apart) * time.Millisecond)
					group[i] = OrganizationInvitation{OrganizationID: m.org, CreatedAt: Timestamp{at}}
				}
				if m.backward {
					slices.Reverse(group)
				}
				created = append(created, group...)
			}
			bulk, single := callsOf(created)
			assert.Equal(t, after(tt.bulk), bulk)
			assert.Equal(t, after(tt.single), single)
		})
	}
}

// TestInviteAllSecondProcess starts while the quota of the first one is spent, on
// another organization of the same instance.
func TestInviteAllSecondProcess(t *testing.T) {
	for _, seeds := range []bool{true, false} {
		t.Run(fmt.Sprintf("seeds=%t", seeds), func(t *testing.T) {
			bubble(t, func(t *testing.T, server *clerktest.Server) {
				first := inMemory(t, server, WithRateLimiter(NewTokenBucket()))
				gather(t, inviteAll(t, first, server, crowd(750, nil), nil), 750)
				time.Sleep(10 * time.Minute)

				limiter := RateLimiter(NewTokenBucket())
				if !seeds {
					limiter = struct{ RateLimiter }{limiter} // no Seeder
				}
				second := inMemory(t, server, WithRateLimiter(limiter))
				org := server.AddOrganization(clerktest.Organization{})
				gather(t, second.Organizations.InviteAll(t.Context(), org, slices.Values(crowd(900, nil)), nil), 900)
				if seeds {
					assert.Zero(t, server.RateLimited())
				} else {
					assert.Positive(t, server.RateLimited())
				}
				assertNoneTwice(t, server, org)
			}, clerktest.WithRateLimits(clerktest.SlidingLog))
		})
	}
}

// TestInviteAllWithoutSightOfTheInstance: the key may not list it.
func TestInviteAllWithoutSightOfTheInstance(t *testing.T) {
	bubble(t, func(t *testing.T, server *clerktest.Server) {
		server.Inject(clerktest.Fault{Operation: clerktest.OpListInstance, Kind: clerktest.FaultStatus, Status: 403})
		gather(t, inviteAll(t, inMemory(t, server), server, crowd(30, nil), nil), 30)
		assertEachOnce(t, server, 30)
	})
}

// TestInviteAllSeedsAfterTrouble repeats a first look that failed.
func TestInviteAllSeedsAfterTrouble(t *testing.T) {
	bubble(t, func(t *testing.T, server *clerktest.Server) {
		for _, op := range []clerktest.Operation{clerktest.OpList, clerktest.OpListInstance, clerktest.OpMemberships} {
			server.Inject(clerktest.Fault{Operation: op, Kind: clerktest.FaultTruncate, Calls: []int{1, 2, 3, 4, 5, 6}})
		}
		gather(t, inviteAll(t, inMemory(t, server), server, crowd(30, nil), nil), 30)
		assertEachOnce(t, server, 30)
	})
}

// seeds is a limiter that notes of how many calls it is told.
type seeds struct {
	*TokenBucket
	bulk, single int
}

func (s *seeds) Seed(ctx context.Context, quota Quota, calls ...time.Time) error {
	if quota.Name == QuotaBulk {
		s.bulk += len(calls)
	} else {
		s.single += len(calls)
	}
	return s.TokenBucket.Seed(ctx, quota, calls...)
}

// TestInviteAllSeedsAcrossPages reads the invitations of one bulk call on two pages,
// whose answers tell the server's clock differently: a Date has whole seconds.
func TestInviteAllSeedsAcrossPages(t *testing.T) {
	for _, ahead := range []time.Duration{0, 10 * time.Minute, -10 * time.Minute} {
		t.Run(fmt.Sprintf("ahead=%s", ahead), func(t *testing.T) {
			var latency atomic.Int64
			latency.Store(int64(50 * time.Millisecond))
			bubble(t, func(t *testing.T, server *clerktest.Server) {
				first := inMemory(t, server, WithRateLimiter(NewTokenBucket()))
				gather(t, inviteAll(t, first, server, crowd(maxPageSize, nil), &InviteAllOptions{BulkOnly: true}), maxPageSize)
				_, err := first.Organizations.CreateInvitation(t.Context(), server.OrganizationID(), CreateInvitationParams{EmailAddress: "last@example.org", Role: "org:member"})
				require.NoError(t, err)

				latency.Store(int64(700 * time.Millisecond))
				limiter := &seeds{TokenBucket: NewTokenBucket()}
				org := server.AddOrganization(clerktest.Organization{})
				gather(t, inMemory(t, server, WithRateLimiter(limiter)).Organizations.InviteAll(t.Context(), org, slices.Values(crowd(11, nil)), nil), 11)
				assert.Equal(t, 50, limiter.bulk)
				assert.Equal(t, 1, limiter.single)
			}, clerktest.WithLatency(func() time.Duration { return time.Duration(latency.Load()) }),
				clerktest.WithClock(func() time.Time { return time.Now().Add(ahead) }))
		})
	}
}
