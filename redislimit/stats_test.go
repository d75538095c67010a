package redislimit

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/clerkorg/clerkorg-go"
)

// book is what a logger wrote.
type book struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *book) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

// take returns the lines since the last time, without their times.
func (b *book) take(t *testing.T) (lines []map[string]any) {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for line := range strings.Lines(b.b.String()) {
		var fields map[string]any
		require.NoError(t, json.Unmarshal([]byte(line), &fields))
		delete(fields, "time")
		lines = append(lines, fields)
	}
	b.b.Reset()
	return lines
}

func TestStats(t *testing.T) {
	t.Parallel()
	_, client := newMini(t)
	l := newTestLimiter(t, client)
	assert.Equal(t, Stats{}, l.Stats())
	two := clerkorg.Quota{Name: clerkorg.QuotaCreate, Limit: 2, Window: time.Hour}
	first, second := mustAcquire(t, l, two), mustAcquire(t, l, two)
	mustAcquire(t, l, hourly)
	_, err := l.Acquire(t.Context(), clerkorg.ReservationRequest{Quota: two})
	require.ErrorIs(t, err, clerkorg.ErrRateLimited)

	ctx, cancel := context.WithCancel(t.Context())
	waited := make(chan error)
	go func() {
		_, err := l.Acquire(ctx, clerkorg.ReservationRequest{Quota: two, MaxWait: 2 * time.Hour})
		waited <- err
	}()
	stats := func() QuotaStats { return l.Stats().Quotas[1] }
	require.Eventually(t, func() bool { return stats().Waiting == 1 }, 5*time.Second, time.Millisecond)
	cancel()
	require.ErrorIs(t, <-waited, context.Canceled)

	require.NoError(t, l.Settle(t.Context(), first, clerkorg.RequestAnswered))
	assert.Equal(t, QuotaStats{Quota: two, InFlight: 1, Owed: 1}, stats())
	require.NoError(t, l.flush(t.Context()))
	assert.Equal(t, QuotaStats{Quota: two, InFlight: 1}, stats())
	require.NoError(t, l.Settle(t.Context(), second, clerkorg.RequestNotSent))

	until := time.Now().Add(time.Minute)
	require.NoError(t, l.CloseUntil(t.Context(), two, until))
	assert.Equal(t, until, stats().ClosedUntil)
	assert.Equal(t, until.Add(2*time.Hour), stats().GuardedUntil)
	require.NoError(t, l.CloseUntil(t.Context(), instant, until))
	assert.Zero(t, l.Stats().Quotas[0].GuardedUntil, "short windows have no guard")

	all := l.Stats()
	assert.EqualValues(t, 3, all.Taken)
	assert.EqualValues(t, 1, all.Refusals)
	assert.EqualValues(t, 1, all.Waits)
	assert.Positive(t, all.Waited)
	assert.Zero(t, all.RedisErrors)
	assert.NoError(t, all.Err)
	assert.Equal(t, hourly, all.Quotas[1].Quota, "by name")
}

// TestEvents: each of them is told once, when it happens.
func TestEvents(t *testing.T) {
	t.Parallel()
	var log book
	down := newOutage(nil)
	l := newBreakable(t, down, WithLogger(slog.New(slog.NewJSONHandler(&log, nil))))
	mustAcquire(t, l, hourly)
	assert.Empty(t, log.take(t))

	down.set(errors.New("dial tcp redis.example.com:6379: connection refused"))
	for range 3 {
		_, err := l.Acquire(t.Context(), clerkorg.ReservationRequest{Quota: hourly})
		require.ErrorIs(t, err, clerkorg.ErrLimiterUnavailable)
		l.tryAgain()
	}
	lines := log.take(t)
	require.Len(t, lines, 1)
	assert.Equal(t, "WARN", lines[0]["level"])
	assert.Equal(t, "redis lost", lines[0]["msg"])
	assert.Contains(t, lines[0]["cause"], "connection refused")
	assert.NotContains(t, lines[0]["cause"], "example.com")
	require.ErrorIs(t, l.Stats().Err, clerkorg.ErrLimiterUnavailable)
	assert.EqualValues(t, 3, l.Stats().RedisErrors)

	down.set(nil)
	mustAcquire(t, l, hourly)
	assert.Equal(t, []map[string]any{{"level": "INFO", "msg": "redis found"}}, log.take(t))
	assert.NoError(t, l.Stats().Err)
}

func TestEventsOfAQuota(t *testing.T) {
	t.Parallel()
	var log book
	server, client := newMini(t)
	l := newTestLimiter(t, client, WithLogger(slog.New(slog.NewJSONHandler(&log, nil))))
	require.NoError(t, l.Settle(t.Context(), mustAcquire(t, l, hourly), clerkorg.RequestAnswered))
	server.FlushAll()
	mustAcquire(t, l, hourly)
	mustAcquire(t, l, hourly)
	assert.Equal(t, []map[string]any{{"level": "WARN", "msg": "redis has lost its memory, and is told again", "quota": hourly.Name}}, log.take(t))
	assert.EqualValues(t, 1, l.Stats().MemoryLosses)

	until := time.Now().Add(time.Minute)
	require.NoError(t, l.CloseUntil(t.Context(), hourly, until))
	require.NoError(t, l.CloseUntil(t.Context(), hourly, until))
	var guards []any
	for _, line := range log.take(t) {
		assert.Equal(t, "quota closed by the server", line["msg"])
		guards = append(guards, line["guard_turned_on"])
	}
	assert.Equal(t, []any{true, false}, guards)

	_, err := New(client, WithSecretKey(testKey), WithLogger(nil))
	require.EqualError(t, err, "redislimit: logger: must not be nil")
}
