package bench

import (
	"math"
	"runtime"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/clerkorg/clerkorg-go"
)

// TestAllocations holds the calls to what they may take of the heap, which,
// unlike time, is the same on every machine. It runs alone: it counts the
// allocations of the whole process.
func TestAllocations(t *testing.T) {
	if raceEnabled {
		t.Log("under the race detector pools are leaky: allocations are not judged")
	}
	ctx := t.Context()
	bulk, _ := inMemory(t, bulkAnswer(), plenty()...)
	list, _ := inMemory(t, listAnswer(), plenty()...)
	params := request()
	tests := []struct {
		name          string
		call          func() error
		allocs, bytes uint64 // at most
	}{
		{"a bulk call of 10", func() error {
			_, err := bulk.Organizations.CreateInvitationBulk(ctx, organizationID, params)
			return err
		}, 150, 30_000},
		{"a list of 500", func() error {
			_, err := list.Organizations.ListInvitations(ctx, organizationID, &clerkorg.ListInvitationsParams{Limit: 500})
			return err
		}, 4_500, 750_000},
	}
	for _, tt := range tests {
		allocs, bytes := perCall(t, tt.call)
		t.Logf("%s: %d allocs, %d bytes", tt.name, allocs, bytes)
		if raceEnabled {
			continue
		}
		assert.LessOrEqual(t, allocs, tt.allocs, "allocs of %s", tt.name)
		assert.LessOrEqual(t, bytes, tt.bytes, "bytes of %s", tt.name)
	}
}

// perCall returns what a call takes when no garbage collection has just emptied
// the pools: the least of several batches.
func perCall(t *testing.T, call func() error) (allocs, bytes uint64) {
	t.Helper()
	require.NoError(t, call())
	const batches, calls = 10, 20
	allocs, bytes = math.MaxUint64, math.MaxUint64
	var before, after runtime.MemStats
	for range batches {
		runtime.ReadMemStats(&before)
		for range calls {
			require.NoError(t, call())
		}
		runtime.ReadMemStats(&after)
		allocs = min(allocs, (after.Mallocs-before.Mallocs)/calls)
		bytes = min(bytes, (after.TotalAlloc-before.TotalAlloc)/calls)
	}
	return allocs, bytes
}
