package redislimit

import (
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/clerkorg/clerkorg-go"
)

// TestRunbook does what docs/scaling.md says: it uses the limiter with the rights that are
// given there and no others, and resets a quota with the commands there.
func TestRunbook(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../docs/scaling.md")
	require.NoError(t, err, "in the repository")
	server := newServer(t)
	admin := dial(t, "redis://"+server.addr)
	do := func(line string) {
		t.Helper()
		var args []any
		for word := range strings.FieldsSeq(line) {
			args = append(args, strings.Trim(word, "'"))
		}
		require.NoError(t, admin.Do(t.Context(), args...).Err(), line)
	}
	do(regexp.MustCompile(`ACL SETUSER .*`).FindString(string(text)))
	client := redis.NewClient(&redis.Options{Addr: server.addr, Username: "clerkorg", Password: "PASSWORD", ContextTimeoutEnabled: true, MaxRetries: -1})
	defer func() { _ = client.Close() }()
	require.Error(t, client.Set(t.Context(), "clerkorg:x", 1, 0).Err())
	require.Error(t, client.HSet(t.Context(), "other", "x", 1).Err())

	// Every script, and every part of them.
	l := newTestLimiter(t, client)
	brief := clerkorg.Quota{Name: "brief", Limit: 1, Window: 50 * time.Millisecond}
	l.slack = time.Millisecond
	require.NoError(t, client.Ping(t.Context()).Err())
	for range 80 { // about one of 64 scripts clears away what is out of date
		token, err := l.Acquire(t.Context(), clerkorg.ReservationRequest{Quota: brief, MaxWait: soon})
		require.NoError(t, err)
		require.NoError(t, l.Settle(t.Context(), token, clerkorg.RequestAnswered))
	}
	for range 3 {
		tokens, err := l.AcquireAll(t.Context(), both(hourly, instant))
		require.NoError(t, err)
		require.NoError(t, l.Settle(t.Context(), tokens[0], clerkorg.RequestAnswered))
		require.NoError(t, l.Settle(t.Context(), tokens[1], clerkorg.RequestNotSent))
	}
	require.NoError(t, l.Seed(t.Context(), clerkorg.Quota{Name: "seeded", Limit: 1, Window: time.Hour}, time.Now()))
	require.NoError(t, l.CloseUntil(t.Context(), hourly, time.Now().Add(time.Hour)))
	_, err = l.Acquire(t.Context(), clerkorg.ReservationRequest{Quota: hourly})
	require.ErrorIs(t, err, clerkorg.ErrRateLimited)
	require.NoError(t, l.flush(t.Context()))
	assert.Zero(t, available(t, l, hourly))

	// The quota is opened, and then forgotten.
	owner := regexp.MustCompile(`\{.*\}`).FindString(l.keys(hourly)[0])
	command := func(name string) string {
		line := regexp.MustCompile(`redis-cli (` + name + ` .*)`).FindStringSubmatch(string(text))
		require.NotNil(t, line, name)
		return strings.NewReplacer("{HASH}", owner, "invitations.bulk", hourly.Name).Replace(line[1])
	}
	do(command("HDEL"))
	assert.Equal(t, hourly.Limit-3, available(t, l, hourly))
	require.NoError(t, l.Close())
	do(command("UNLINK"))
	fresh := newTestLimiter(t, client)
	assert.Equal(t, hourly.Limit, available(t, fresh, hourly))
	keys, err := admin.Keys(t.Context(), "*"+hourly.Name).Result()
	require.NoError(t, err)
	assert.Empty(t, keys, "there are no others")
}
