package main

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/clerkorg/clerkorg-go"
	"github.com/clerkorg/clerkorg-go/clerktest"
	"github.com/clerkorg/clerkorg-go/redislimit"
)

func TestOutage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var o outage
		_, ended := o.ended()
		assert.False(t, ended)
		for after, want := range []time.Duration{time.Second, time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second, 16 * time.Second, 32 * time.Second, time.Minute, time.Minute} {
			wait, begun := o.noted()
			assert.Equal(t, want, wait)
			assert.Equal(t, after == 0, begun)
			assert.True(t, o.lasts())
			time.Sleep(wait)
		}
		lasted, ended := o.ended()
		assert.True(t, ended)
		assert.Equal(t, 184*time.Second, lasted)
		assert.False(t, o.lasts())
		_, begun := o.noted()
		assert.True(t, begun, "of another one")
	})
}

// TestRedisDead has jobs wait for a Redis that is down, and go on when it is back.
func TestRedisDead(t *testing.T) {
	t.Parallel()
	onEveryDatabase(t, func(t *testing.T, newBench func(*inviter) bench) {
		shared := miniredis.RunT(t)
		connection := redis.NewClient(&redis.Options{Addr: shared.Addr(), ContextTimeoutEnabled: true, DialerRetries: 1})
		t.Cleanup(func() { _ = connection.Close() })
		server := clerktest.NewServer()
		limiter, err := redislimit.New(connection, redislimit.WithSecretKey(server.SecretKey()))
		require.NoError(t, err)
		t.Cleanup(func() { _ = limiter.Close() })
		var log bytes.Buffer
		w := &inviter{client: newClient(t, server, clerkorg.WithRateLimiter(limiter)), pace: instant, log: slog.New(slog.NewTextHandler(&log, nil))}
		b := newBench(w)
		people := someone("ann", 40)
		var jobs []*rivertype.JobRow
		for some := range len(people) / 10 {
			jobs = append(jobs, b.enqueue(newBatch(server.OrganizationID(), people[10*some:10*some+10])))
		}

		shared.Close()
		for range 2 {
			for i, job := range jobs {
				result, err := b.run(t.Context(), job)
				require.NoError(t, err)
				assert.Equal(t, river.EventKindJobSnoozed, result.EventKind)
				assert.Zero(t, result.Job.Attempt, "waiting uses up no attempt")
				jobs[i] = result.Job
			}
		}
		assert.Empty(t, server.Calls(), "neither sent nor looked")
		assert.Equal(t, 1, strings.Count(log.String(), "\n"), "once for all jobs: %s", log.String())
		assert.Regexp(t, `level=ERROR msg="the rate limiter is unavailable: jobs wait for it".*connection refused`, log.String())

		require.NoError(t, shared.Restart())
		for _, job := range jobs {
			require.Eventually(t, func() bool {
				result, err := b.run(t.Context(), job)
				require.NoError(t, err)
				job = result.Job
				return result.EventKind == river.EventKindJobCompleted
			}, 10*time.Second, 50*time.Millisecond)
		}
		eachOnce(t, server, people)
		assert.Equal(t, 1, strings.Count(log.String(), "the rate limiter is unavailable"))
		assert.Equal(t, 1, strings.Count(log.String(), `level=INFO msg="the rate limiter is available again"`))
	})
}
