package clerkhook

import (
	"context"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestMemoryDeduplicatorBound(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	d := NewMemoryDeduplicator(3)
	handle := func(id string) bool {
		claimed, err := d.Claim(ctx, id)
		require.NoError(t, err)
		require.NoError(t, d.Settle(ctx, id, true))
		return claimed
	}
	for i := range 1000 {
		assert.True(t, handle(strconv.Itoa(i)))
		assert.False(t, handle(strconv.Itoa(i)))
		assert.LessOrEqual(t, len(d.handled), 3)
		assert.LessOrEqual(t, len(d.order), 3)
		assert.Empty(t, d.claims)
	}
	assert.False(t, handle("997"), "among the last three")
	assert.True(t, handle("996"), "forgotten")
	assert.Len(t, d.handled, 3)
	assert.Equal(t, DefaultRemembered, NewMemoryDeduplicator(-1).limit)
}

func TestMemoryDeduplicatorSettle(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	d := NewMemoryDeduplicator(0)
	require.NoError(t, d.Settle(ctx, "never claimed", true))
	claimed, err := d.Claim(ctx, "never claimed")
	require.NoError(t, err)
	assert.True(t, claimed)
	require.NoError(t, d.Settle(ctx, "never claimed", false))
	require.NoError(t, d.Settle(ctx, "never claimed", true), "a second time")
	claimed, err = d.Claim(ctx, "never claimed")
	require.NoError(t, err)
	assert.True(t, claimed, "it was not handled")
}

func TestMemoryDeduplicatorContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := NewMemoryDeduplicator(0)
		claimed, err := d.Claim(t.Context(), "a")
		require.NoError(t, err)
		require.True(t, claimed)
		ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
		defer cancel()
		claimed, err = d.Claim(ctx, "a")
		assert.False(t, claimed)
		assert.ErrorIs(t, err, context.DeadlineExceeded)
	})
}

// Of many that claim the same events, one handles each.
func TestMemoryDeduplicatorConcurrently(t *testing.T) {
	t.Parallel()
	d := NewMemoryDeduplicator(0)
	var handled atomic.Int32
	var group sync.WaitGroup
	for worker := range 8 {
		group.Go(func() {
			for i := range 200 {
				id := strconv.Itoa(i)
				claimed, err := d.Claim(t.Context(), id)
				if !assert.NoError(t, err) || !claimed {
					continue
				}
				if worker == 0 { // fails with each
					_ = d.Settle(t.Context(), id, false)
					continue
				}
				handled.Add(1)
				_ = d.Settle(t.Context(), id, true)
			}
		})
	}
	group.Wait()
	assert.EqualValues(t, 200, handled.Load())
}
