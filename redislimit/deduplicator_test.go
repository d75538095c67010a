package redislimit

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestDeduplicator(t *testing.T) {
	t.Parallel()
	server, client := newMini(t)
	one, other := NewDeduplicator(client, ""), NewDeduplicator(newRedisClient(t, server.Addr()), "")
	claim := func(d *Deduplicator) bool {
		t.Helper()
		ok, err := d.Claim(t.Context(), "msg_1")
		require.NoError(t, err)
		return ok
	}
	require.True(t, claim(one))
	_, err := other.Claim(t.Context(), "msg_1")
	require.ErrorIs(t, err, ErrClaimed)
	require.NoError(t, one.Settle(t.Context(), "msg_1", false))
	require.True(t, claim(other), "it failed, and is tried again")
	require.NoError(t, one.Settle(t.Context(), "msg_1", false))
	_, err = one.Claim(t.Context(), "msg_1")
	require.ErrorIs(t, err, ErrClaimed, "the claim of another process stays")
	require.NoError(t, other.Settle(t.Context(), "msg_1", true))
	require.False(t, claim(one))
	require.False(t, claim(other))
	require.True(t, server.Exists("clerkorg:event:msg_1"))

	server.FastForward(remembered + time.Second)
	require.True(t, claim(one), "after a week it is forgotten")
	server.FastForward(claimed + time.Second)
	require.True(t, claim(other), "the process has died")

	separate := NewDeduplicator(client, "test:")
	require.True(t, claim(separate))
}

func TestDeduplicatorOnce(t *testing.T) {
	t.Parallel()
	_, client := newMini(t)
	var handled atomic.Int32
	var group sync.WaitGroup
	for range 16 {
		d := NewDeduplicator(client, "")
		group.Go(func() {
			ok, err := d.Claim(t.Context(), "msg_1")
			if err != nil {
				assert.ErrorIs(t, err, ErrClaimed)
				return
			}
			if ok {
				handled.Add(1)
				assert.NoError(t, d.Settle(t.Context(), "msg_1", true))
			}
		})
	}
	group.Wait()
	assert.EqualValues(t, 1, handled.Load())
}

func TestDeduplicatorWithoutRedis(t *testing.T) {
	t.Parallel()
	server, client := newMini(t)
	d := NewDeduplicator(client, "")
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := d.Claim(ended, "msg_1")
	require.ErrorIs(t, err, context.Canceled)
	server.SetError("ERR out of order")
	_, err = d.Claim(t.Context(), "msg_1")
	require.ErrorContains(t, err, "out of order")
	require.NotErrorIs(t, err, ErrClaimed)
	require.ErrorContains(t, d.Settle(t.Context(), "msg_1", true), "out of order")
	require.ErrorContains(t, d.Settle(t.Context(), "msg_1", false), "out of order")
}
