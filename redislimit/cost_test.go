package redislimit

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/clerkorg/clerkorg-go"
)

// live is the quota of the whole instance behind a sk_live_ key.
var live = clerkorg.Quota{Name: clerkorg.QuotaInstance, Limit: 1000, Window: 10 * time.Second}

// fill puts requests into the log: all but one of what the quota allows just now, and
// twice as many that are out of date.
func fill(t testing.TB, l *Limiter, q clerkorg.Quota) {
	t.Helper()
	var entries []redis.Z
	for i := range 3*q.Limit - 1 {
		at := time.Now().Add(-time.Duration(i) * time.Millisecond)
		if i >= q.Limit-1 {
			at = at.Add(-q.Window - l.slack)
		}
		entries = append(entries, redis.Z{Score: float64(at.UnixMicro()), Member: "t" + at.String()})
	}
	require.NoError(t, l.redis.ZAdd(context.Background(), l.keys(q)[1], entries...).Err())
}

// TestScriptsAreShort measures what a script costs Redis, of a quota of 1,000 in 10 s
// that is as good as spent, after a refusal by the server. It is not parallel, to have
// the processor for itself.
func TestScriptsAreShort(t *testing.T) {
	const (
		most   = 100 * time.Microsecond
		rounds = 50
	)
	server := newServer(t, "--slowlog-log-slower-than", "0", "--slowlog-max-len", "10000")
	client := dial(t, "redis://"+server.addr)
	l := newTestLimiter(t, client)
	ctx := t.Context()
	times := make([]time.Time, seedBatch)
	for i := range times {
		times[i] = time.Now().Add(-time.Duration(i) * time.Millisecond)
	}
	steps := map[string]struct {
		script *redis.Script
		run    func()
	}{
		"take and settle": {scripts.take, func() {
			token, err := l.Acquire(ctx, clerkorg.ReservationRequest{Quota: live})
			for errors.Is(err, clerkorg.ErrRateLimited) { // the outcome is under way, by the timer
				token, err = l.Acquire(ctx, clerkorg.ReservationRequest{Quota: live})
			}
			assert.NoError(t, err)
			assert.NoError(t, l.Settle(ctx, token, clerkorg.RequestNotSent))
		}},
		"take one more than there are": {scripts.take, func() {
			_, err := l.Acquire(ctx, clerkorg.ReservationRequest{Quota: live, Reserve: 1})
			assert.ErrorIs(t, err, clerkorg.ErrRateLimited)
		}},
		"take what hundreds wait for": {scripts.take, func() {
			_, err := l.Acquire(ctx, clerkorg.ReservationRequest{Quota: live, Reserve: 900})
			assert.ErrorIs(t, err, clerkorg.ErrRateLimited)
		}},
		"take and tell a batch": {scripts.take, func() {
			j := l.line(live).journal
			for range batchSize {
				j.settle(l.newID(), clerkorg.RequestNotSent, time.Minute)
			}
			_, err := l.Acquire(ctx, clerkorg.ReservationRequest{Quota: live, Reserve: 1})
			assert.ErrorIs(t, err, clerkorg.ErrRateLimited)
		}},
		"settle a batch": {scripts.settle, func() {
			j := l.line(live).journal
			for range batchSize {
				j.settle(l.newID(), clerkorg.RequestAnswered, time.Minute)
			}
			assert.NoError(t, l.flush(ctx))
		}},
		"seed a batch": {scripts.seed, func() {
			times = append(times[1:], times[len(times)-1].Add(-time.Millisecond))
			assert.NoError(t, l.Seed(ctx, live, times...))
		}},
		"close": {scripts.close, func() { assert.NoError(t, l.CloseUntil(ctx, live, time.Now())) }},
		"state": {scripts.state, func() {
			state, err := l.State(ctx, live)
			assert.NoError(t, err)
			assert.Equal(t, 1, state.Available)
		}},
	}
	for name, step := range steps {
		require.NoError(t, client.FlushAll(ctx).Err())
		l = newTestLimiter(t, client)
		require.NoError(t, l.CloseUntil(ctx, live, time.Now()))
		require.NoError(t, l.Settle(ctx, mustAcquire(t, l, live), clerkorg.RequestNotSent))
		require.NoError(t, l.flush(ctx))
		fill(t, l, live)
		step.run() // loads the script
		require.NoError(t, client.Do(ctx, "SLOWLOG", "RESET").Err())
		for range rounds {
			step.run()
		}
		log, err := client.SlowLogGet(ctx, 10_000).Result()
		require.NoError(t, err)
		var took []time.Duration
		for _, entry := range log {
			if strings.EqualFold(entry.Args[0], "evalsha") && entry.Args[1] == step.script.Hash() {
				took = append(took, entry.Duration)
			}
		}
		require.GreaterOrEqual(t, len(took), rounds, name)
		slices.Sort(took)
		// Each round has the same to do. In all but the fastest ones other processes had the
		// processor in between.
		t.Logf("%s: %s, at the most %s", name, took[0], took[len(took)-1])
		assert.LessOrEqual(t, took[0], most, name)
	}
}

// commands returns how many commands Redis has run since its statistics were reset, those
// that scripts call included.
func commands(t *testing.T, client *redis.Client) (total int) {
	t.Helper()
	stats, err := client.Info(t.Context(), "commandstats").Result()
	require.NoError(t, err)
	for line := range strings.Lines(stats) {
		name, rest, _ := strings.Cut(strings.TrimPrefix(line, "cmdstat_"), ":calls=")
		if name == "info" || strings.HasPrefix(name, "config") {
			continue
		}
		calls, _, _ := strings.Cut(rest, ",")
		n, _ := strconv.Atoi(calls)
		total += n
	}
	return total
}

// TestFewCommands counts what Redis does for the quotas of a call: the script's time goes
// there. redis_rate's Allow is 4 commands.
func TestFewCommands(t *testing.T) {
	t.Parallel()
	const calls = 640 // of which about 10 also clear away
	server := newServer(t)
	client := dial(t, "redis://"+server.addr)
	wide := clerkorg.Quota{Name: "wide", Limit: 2 * calls, Window: time.Hour}
	for name, c := range map[string]struct {
		reqs []clerkorg.ReservationRequest
		most float64
	}{
		"read": {both(wide, hourly)[:1], 6.5}, // the script, TIME, HMGET, ZCOUNT, ZSCORE, ZADD
		"bulk": {both(wide, clerkorg.Quota{Name: "wide, too", Limit: 2 * calls, Window: time.Minute}), 11},
	} {
		l := newTestLimiter(t, client, WithPrefix(name))
		for i := range calls + 2 {
			if i == 2 { // the keys are there
				require.NoError(t, client.ConfigResetStat(t.Context()).Err())
			}
			tokens, err := l.AcquireAll(t.Context(), c.reqs)
			require.NoError(t, err)
			for _, token := range tokens {
				require.NoError(t, l.Settle(t.Context(), token, clerkorg.RequestAnswered))
			}
		}
		each := float64(commands(t, client)) / calls
		t.Logf("%s: %.2f commands", name, each)
		assert.Less(t, each, c.most, name)
	}
}

// TestStateOnlyReads looks at every command that Redis runs for State, where there is a
// lot to be cleared away.
func TestStateOnlyReads(t *testing.T) {
	t.Parallel()
	server := newServer(t)
	client := dial(t, "redis://"+server.addr)
	l := newTestLimiter(t, client)
	l.late = time.Microsecond // what is in flight has been given up
	fill(t, l, live)
	for range 10 {
		mustAcquire(t, l, hourly)
	}
	require.NoError(t, l.CloseUntil(t.Context(), hourly, time.Now()))
	available(t, l, live) // loads the script

	require.NoError(t, client.ConfigResetStat(t.Context()).Err())
	assert.Equal(t, 1, available(t, l, live))
	assert.Equal(t, hourly.Limit-10, available(t, l, hourly))
	state, err := l.State(t.Context(), hourly)
	require.NoError(t, err)
	assert.InDelta(t, time.Hour+5*time.Second, time.Until(state.NextAt), float64(soon), "of the first that was given up")

	stats, err := client.Info(t.Context(), "commandstats").Result()
	require.NoError(t, err)
	reads := []string{"evalsha", "time", "hmget", "zscore", "zcard", "zcount", "zrange", "zrangebyscore"}
	ran := 0
	for line := range strings.Lines(stats) {
		name, _, found := strings.Cut(strings.TrimPrefix(line, "cmdstat_"), ":")
		if !found || strings.HasPrefix(name, "config") || name == "info" || name == "hello" || strings.HasPrefix(name, "client") {
			continue
		}
		ran++
		assert.Contains(t, reads, name)
	}
	assert.GreaterOrEqual(t, ran, len(reads)-1, stats)
}
