package redislimit

import (
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/clerkorg/clerkorg-go"
)

// TestFailuresTellTheirCause and nothing of where Redis is, or how to get in.
func TestFailuresTellTheirCause(t *testing.T) {
	t.Parallel()
	tcp := func(port int) net.Addr { return &net.TCPAddr{IP: net.IPv4(10, 1, 2, 3), Port: port} }
	refused := &net.OpError{Op: "dial", Net: "tcp", Addr: tcp(6379), Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
	for _, test := range []struct {
		err  error
		want string
	}{
		{refused, "dial tcp: connect: connection refused"},
		{fmt.Errorf("after 3 tries: %w", refused), "after 3 tries: dial tcp: connect: connection refused"},
		{
			&net.OpError{Op: "read", Net: "tcp", Source: tcp(51234), Addr: tcp(6379), Err: os.NewSyscallError("read", syscall.ECONNRESET)},
			"read tcp: read: connection reset by peer",
		},
		{
			&net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{Err: "no such host", Name: "redis.internal", Server: "10.0.0.2:53", IsNotFound: true}},
			"dial tcp: lookup: no such host",
		},
		{
			&net.OpError{Op: "dial", Net: "unix", Addr: &net.UnixAddr{Name: "/run/redis.sock", Net: "unix"}, Err: os.NewSyscallError("connect", syscall.ENOENT)},
			"dial unix: connect: no such file or directory",
		},
		{errors.New("MOVED 3999 10.1.2.3:6381"), "MOVED 3999"},
		{errors.New("cannot reach redis://user:hunter2@redis-main:6379/0"), "cannot reach redis:///0"},
		{errors.New("WRONGPASS hunter2 is wrong"), "WRONGPASS *** is wrong"},
		{errors.New("OOM command not allowed when used memory > 'maxmemory'"), "OOM command not allowed when used memory > 'maxmemory'"},
		{errors.New("ERR user_script:35: Wrong type"), "ERR user_script:35: Wrong type"},
		{errors.New("dial tcp [fe80::1%eth0]:6379: i/o timeout"), "dial tcp: i/o timeout"},
	} {
		clients := []redis.UniversalClient{
			redis.NewClient(&redis.Options{Password: "hunter2"}),
			redis.NewClusterClient(&redis.ClusterOptions{Password: "hunter2"}),
			redis.NewRing(&redis.RingOptions{Password: "hunter2"}),
		}
		for _, client := range clients {
			l := newTestLimiter(t, client)
			failed := l.newFailure(test.err)
			assert.EqualError(t, failed, "redislimit: "+test.want)
			assert.ErrorIs(t, failed, test.err)
			assert.ErrorIs(t, failed, clerkorg.ErrLimiterUnavailable)
			require.NoError(t, client.Close())
		}
	}
}

// TestClientTellsWhyRedisFails looks at what a caller of package clerkorg gets.
func TestClientTellsWhyRedisFails(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	addr := listener.Addr().String()
	require.NoError(t, listener.Close())
	rdb := redis.NewClient(&redis.Options{Addr: addr, Password: "hunter2", MaxRetries: -1})
	defer func() { _ = rdb.Close() }()
	limiter, err := New(rdb, WithSecretKey(testKey))
	require.NoError(t, err)
	client, err := clerkorg.NewClient(testKey, clerkorg.WithRateLimiter(limiter))
	require.NoError(t, err)
	_, err = client.Organizations.CreateInvitationBulk(t.Context(), "org_1",
		[]clerkorg.CreateInvitationParams{{EmailAddress: "ada@example.com", Role: clerkorg.RoleMember}})
	require.ErrorIs(t, err, clerkorg.ErrLimiterUnavailable)
	require.NotErrorIs(t, err, clerkorg.ErrRateLimited)
	require.ErrorIs(t, err, syscall.ECONNREFUSED)
	assert.EqualError(t, err, "clerkorg: the rate limiter cannot be asked for quota "+hourly.String()+
		": redislimit: dial tcp: connect: connection refused")
}
