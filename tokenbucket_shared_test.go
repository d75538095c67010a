package clerkorg

import (
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestClientsOfOneKeyShareABucket(t *testing.T) {
	table := limiterTable{entries: map[keyHash]*limiterEntry{}}
	first := table.bucket("sk_test_one")
	assert.Same(t, first, table.bucket("sk_test_one"))
	assert.NotSame(t, first, table.bucket("sk_test_two"))
	runtime.KeepAlive(first)
}

// collect makes unreachable buckets go.
func collect() {
	for range 3 {
		runtime.GC()
	}
}

func TestBucketGoesWhenNothingIsToBeRemembered(t *testing.T) {
	table := limiterTable{entries: map[keyHash]*limiterEntry{}}
	gone := atomic.Bool{}
	runtime.AddCleanup(table.bucket("sk_test_idle"), func(int) { gone.Store(true) }, 0)
	require.Eventually(t, func() bool { collect(); return gone.Load() }, 5*time.Second, time.Millisecond)
	table.sweep()
	assert.Empty(t, table.entries)
}

func TestBucketStaysWhileItRemembers(t *testing.T) {
	table := limiterTable{entries: map[keyHash]*limiterEntry{}}
	brief := Quota{Name: "brief", Limit: 2, Window: time.Millisecond}
	func() {
		b := table.bucket("sk_test_busy")
		for _, quota := range []Quota{hourly, brief} {
			token, err := b.Acquire(t.Context(), ReservationRequest{Quota: quota})
			require.NoError(t, err)
			require.NoError(t, b.Settle(t.Context(), token, RequestAnswered))
		}
	}()
	collect()
	table.sweep()
	collect()
	state, err := table.bucket("sk_test_busy").State(t.Context(), hourly)
	require.NoError(t, err)
	assert.Equal(t, 2, state.Available, "a client made later knows of the request")
}
