package redislimit

import (
	"fmt"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/clerkorg/clerkorg-go"
)

const slots = 16384

// newCluster starts a cluster of three nodes, which share the slots, without replicas.
func newCluster(t *testing.T) (addrs []string) {
	t.Helper()
	const nodes = 3
	clients := make([]*redis.Client, nodes)
	for i := range nodes {
		addrs = append(addrs, newServer(t, "--cluster-enabled", "yes", "--cluster-port", strconv.Itoa(freePort(t))).addr)
		clients[i] = dial(t, "redis://"+addrs[i])
		require.NoError(t, clients[i].ClusterAddSlotsRange(t.Context(), i*slots/nodes, (i+1)*slots/nodes-1).Err())
		require.NoError(t, clients[i].Do(t.Context(), "CLUSTER", "SET-CONFIG-EPOCH", i+1).Err())
	}
	for i, addr := range addrs {
		host, port, err := net.SplitHostPort(addr)
		require.NoError(t, err)
		bus := clients[i].ConfigGet(t.Context(), "cluster-port").Val()["cluster-port"]
		require.NoError(t, clients[(i+1)%nodes].Do(t.Context(), "CLUSTER", "MEET", host, port, bus).Err())
	}
	eventually(t, func() bool {
		for _, client := range clients {
			info := client.ClusterInfo(t.Context()).Val()
			if !strings.Contains(info, "cluster_state:ok") || !strings.Contains(info, fmt.Sprint("cluster_known_nodes:", nodes)) {
				return false
			}
		}
		return true
	}, "the cluster is up")
	return addrs
}

func freePort(t *testing.T) int {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = listener.Close() }()
	return listener.Addr().(*net.TCPAddr).Port
}

// TestCluster runs every script in a cluster, which refuses keys of two slots, for owners
// whose slots lie on all of its nodes.
func TestCluster(t *testing.T) {
	t.Parallel()
	client := redis.NewClusterClient(&redis.ClusterOptions{Addrs: newCluster(t), ContextTimeoutEnabled: true})
	defer func() { _ = client.Close() }()
	asked := map[int64]bool{}
	for i := range 8 {
		l, err := New(client, WithNamespace(fmt.Sprint("owner ", i)))
		require.NoError(t, err)
		defer func() { assert.NoError(t, l.Close()) }()
		slot, err := client.ClusterKeySlot(t.Context(), l.keys(hourly)[0]).Result()
		require.NoError(t, err)
		asked[3*slot/slots] = true
		for _, quota := range []clerkorg.Quota{hourly, instant} {
			require.NoError(t, l.Seed(t.Context(), quota, time.Now().Add(-time.Second)))
			require.NoError(t, l.Settle(t.Context(), mustAcquire(t, l, quota), clerkorg.RequestAnswered))
			assert.Equal(t, quota.Limit-2, available(t, l, quota))
		}
		for range 2 { // the second time goes the short way
			tokens, err := l.AcquireAll(t.Context(), both(hourly, instant))
			require.NoError(t, err)
			for _, token := range tokens {
				require.NoError(t, l.Settle(t.Context(), token, clerkorg.RequestAnswered))
			}
		}
		assert.Equal(t, hourly.Limit-4, available(t, l, hourly))
		for _, quota := range []clerkorg.Quota{hourly, instant} {
			require.NoError(t, l.CloseUntil(t.Context(), quota, time.Now().Add(time.Hour)))
			_, err := l.Acquire(t.Context(), clerkorg.ReservationRequest{Quota: quota})
			assert.InDelta(t, time.Hour, refusal(t, err).RetryAfter, float64(soon))
		}
	}
	assert.Len(t, asked, 3, "nodes that keep quotas")
}

// TestReserveAmongProcesses has one process keep tokens free for the calls of another,
// also while calls of both wait.
func TestReserveAmongProcesses(t *testing.T) {
	t.Parallel()
	url, prefix := realRedis(t)
	importer := newTestLimiter(t, dial(t, url), WithPrefix(prefix))
	handler := newTestLimiter(t, dial(t, url), WithPrefix(prefix))
	handler.lookAgain = 100 * time.Millisecond
	quota := clerkorg.Quota{Name: "q", Limit: 10, Window: time.Hour}
	reserved := clerkorg.ReservationRequest{Quota: quota, Reserve: 4}

	var held []clerkorg.Reservation
	for range 6 {
		token, err := importer.Acquire(t.Context(), reserved)
		require.NoError(t, err)
		held = append(held, token)
	}
	_, err := importer.Acquire(t.Context(), reserved)
	require.ErrorIs(t, err, clerkorg.ErrRateLimited, "the rest is kept for others")
	for range 4 {
		mustAcquire(t, handler, quota)
	}
	_, err = handler.Acquire(t.Context(), clerkorg.ReservationRequest{Quota: quota})
	require.ErrorIs(t, err, clerkorg.ErrRateLimited)

	// Six are given back: one for each, and the four that are reserved.
	patient := newCrowd(t, importer, quota)
	patient.add(t.Context(), "importer", 4)
	urgent := newCrowd(t, handler, quota)
	urgent.add(t.Context(), "handler", 0)
	for _, token := range held {
		require.NoError(t, importer.Settle(t.Context(), token, clerkorg.RequestNotSent))
	}
	require.NoError(t, patient.next().err)
	require.NoError(t, urgent.next().err, "it looks again in a while")
	assert.Equal(t, 4, available(t, handler, quota))

	_, err = importer.Acquire(t.Context(), reserved)
	require.ErrorIs(t, err, clerkorg.ErrRateLimited)
}
