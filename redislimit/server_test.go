package redislimit

import (
	"cmp"
	"context"
	"crypto/rand"
	"net"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

// serverBinary is what the tests start: that in REDIS_SERVER, such as valkey-server, or
// redis-server.
func serverBinary() string { return cmp.Or(os.Getenv("REDIS_SERVER"), "redis-server") }

// server is a redis-server of the tests' own, that keeps nothing on disk.
type server struct {
	addr string
	dir  string
	args []string
	cmd  *exec.Cmd
}

// skip leaves a test out, but fails it in CI, where that would go unnoticed.
func skip(t testing.TB, why string) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatalf("skipped, but CI is set: %s", why)
	}
	t.Skip(why)
}

// newServer starts a redis-server on a free port of the loopback interface.
func newServer(t testing.TB, args ...string) *server {
	t.Helper()
	if _, err := exec.LookPath(serverBinary()); err != nil {
		skip(t, "there is no "+serverBinary()+" on the PATH")
	}
	s := &server{dir: t.TempDir(), args: args}
	t.Cleanup(s.kill)
	for range 5 { // another program may take the port before the server does
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		s.addr = listener.Addr().String()
		require.NoError(t, listener.Close())
		if s.start(t) {
			return s
		}
	}
	require.Fail(t, "redis-server does not start")
	return nil
}

// start starts the server, again if it was killed, and waits until it answers.
func (s *server) start(t testing.TB) bool {
	t.Helper()
	_, port, err := net.SplitHostPort(s.addr)
	require.NoError(t, err)
	args := append([]string{"--port", port, "--bind", "127.0.0.1", "--dir", s.dir, "--save", "", "--appendonly", "no"}, s.args...)
	s.cmd = exec.Command(serverBinary(), args...)
	require.NoError(t, s.cmd.Start())
	ended := make(chan struct{})
	go func(cmd *exec.Cmd) {
		_ = cmd.Wait()
		close(ended)
	}(s.cmd)
	client := redis.NewClient(&redis.Options{Addr: s.addr, MaxRetries: -1})
	defer func() { _ = client.Close() }()
	for deadline := time.Now().Add(soon); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		select {
		case <-ended:
			return false
		default:
		}
		if client.Ping(context.Background()).Err() == nil {
			return true
		}
	}
	s.kill()
	return false
}

func (s *server) kill() {
	if s.cmd != nil && s.cmd.Process != nil {
		_ = s.cmd.Process.Kill()
	}
}

// realRedis returns the address of a real Redis, that in REDIS_URL or one of the
// test's own, and a prefix of its own.
func realRedis(t testing.TB) (url, prefix string) {
	t.Helper()
	prefix = "test-" + rand.Text() + ":"
	if url = os.Getenv("REDIS_URL"); url == "" {
		url = "redis://" + newServer(t).addr
	}
	client := dial(t, url)
	require.NoError(t, client.Ping(context.Background()).Err())
	t.Cleanup(func() { // runs before the client is closed
		keys := client.Scan(context.Background(), 0, prefix+"*", 1000).Iterator()
		for keys.Next(context.Background()) {
			client.Del(context.Background(), keys.Val())
		}
	})
	return url, prefix
}

// dial returns a client that heeds contexts, as the documentation advises.
func dial(t testing.TB, url string) *redis.Client {
	t.Helper()
	opts, err := redis.ParseURL(url)
	require.NoError(t, err)
	opts.ContextTimeoutEnabled = true
	client := redis.NewClient(opts)
	t.Cleanup(func() { _ = client.Close() })
	return client
}
