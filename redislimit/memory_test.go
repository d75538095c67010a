package redislimit

import (
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/clerkorg/clerkorg-go"
	"github.com/clerkorg/clerkorg-go/clerktest"
)

// useAnswered takes tokens, and has their requests answered.
func useAnswered(t testing.TB, l *Limiter, q clerkorg.Quota, n int) {
	t.Helper()
	for range n {
		require.NoError(t, l.Settle(t.Context(), mustAcquire(t, l, q), clerkorg.RequestAnswered))
	}
	require.NoError(t, l.flush(t.Context()))
}

// TestShorterWindowErasesNothing has a replica that is configured with a shorter window
// than the others, as during a deploy.
func TestShorterWindowErasesNothing(t *testing.T) {
	t.Parallel()
	server, client := newMini(t)
	clock := newClock(server)
	long, short := newTestLimiter(t, client), newTestLimiter(t, client)
	for _, l := range []*Limiter{long, short} {
		l.now = clock.now
	}
	brief := hourly
	brief.Window = 10 * time.Minute
	useAnswered(t, long, hourly, 10)
	left := func() int {
		t.Helper() // of a process that knows nothing, and so cannot tell Redis again
		return available(t, newTestLimiter(t, client), hourly)
	}

	clock.advance(30 * time.Minute)
	assert.Equal(t, brief.Limit, available(t, short, brief))
	assert.Equal(t, hourly.Limit-10, left(), "reading erases nothing")
	useAnswered(t, short, brief, 1)
	require.NoError(t, short.Seed(t.Context(), brief, clock.now()))
	assert.Equal(t, hourly.Limit-11, left(), "nor does writing")
	clock.advance(29 * time.Minute)
	assert.Equal(t, hourly.Limit-11, left(), "nor do the keys expire early")

	// Once no replica has named the longer window for three of it, its requests go.
	for range 20 {
		useAnswered(t, short, brief, 1)
		clock.advance(9 * time.Minute)
	}
	useAnswered(t, short, brief, 1)
	assert.Equal(t, fmt.Sprint(brief.Window.Microseconds()), server.HGet(short.keys(brief)[0], "window"))
	members, err := server.ZMembers(short.keys(brief)[1])
	require.NoError(t, err)
	assert.Len(t, members, 3, "those of two windows, as the guard needs them")
}

// TestLostMemoryIsToldAgain empties Redis, which then learns from each process what
// that knows.
func TestLostMemoryIsToldAgain(t *testing.T) {
	t.Parallel()
	server, client := newMini(t)
	a, b := newTestLimiter(t, client), newTestLimiter(t, newRedisClient(t, server.Addr()))
	listed := []time.Time{time.Now().Add(-time.Minute), time.Now().Add(-2 * time.Minute)}
	listed = append(listed, listed[0]) // two requests at one moment
	require.NoError(t, a.Seed(t.Context(), hourly, listed...))
	useAnswered(t, a, hourly, 5)
	useAnswered(t, b, hourly, 3)
	held := mustAcquire(t, a, hourly)
	require.NoError(t, a.Settle(t.Context(), mustAcquire(t, a, hourly), clerkorg.RequestNotSent))
	require.NoError(t, a.Settle(t.Context(), mustAcquire(t, a, hourly), clerkorg.RequestUnanswered))

	server.FlushAll()
	left := hourly.Limit - (3 + 5 + 1 + 1)
	assert.Equal(t, left-1, mustAcquire(t, a, hourly).Left, "seeds, answered, in flight, unanswered")
	left -= 1 + 3
	assert.Equal(t, left, available(t, b, hourly), "State notices it too")

	server.FlushAll()
	require.NoError(t, b.Settle(t.Context(), mustAcquire(t, b, hourly), clerkorg.RequestAnswered))
	require.NoError(t, a.Settle(t.Context(), held, clerkorg.RequestAnswered))
	require.NoError(t, a.flush(t.Context()), "so does settling")
	require.NoError(t, b.flush(t.Context()))
	assert.Equal(t, left-1, available(t, b, hourly), "again and again, each is counted once")
}

// TestTellingAgainFails breaks off halfway, and starts over.
func TestTellingAgainFails(t *testing.T) {
	t.Parallel()
	server, client := newMini(t)
	down := newOutage(nil)
	client.AddHook(&spy{before: func(cmd redis.Cmder) error {
		if cmd.Args()[1] == scripts.seed.Hash() {
			return down.get()
		}
		return nil
	}})
	l := newTestLimiter(t, client)
	require.NoError(t, l.Seed(t.Context(), hourly, time.Now().Add(-time.Minute)))
	useAnswered(t, l, hourly, 3)
	server.FlushAll()
	down.set(errDown)
	_, err := l.Acquire(t.Context(), clerkorg.ReservationRequest{Quota: hourly})
	require.ErrorIs(t, err, errDown)
	down.set(nil)
	l.tryAgain()
	assert.Equal(t, hourly.Limit-5, mustAcquire(t, l, hourly).Left)
}

func TestLostRefusalIsToldAgain(t *testing.T) {
	t.Parallel()
	server, client := newMini(t)
	l := newTestLimiter(t, client)
	useAnswered(t, l, hourly, 1)
	require.NoError(t, l.CloseUntil(t.Context(), hourly, time.Now().Add(time.Hour)))
	server.FlushAll()
	_, err := l.Acquire(t.Context(), clerkorg.ReservationRequest{Quota: hourly})
	assert.InDelta(t, time.Hour, refusal(t, err).RetryAfter, float64(soon))
	assert.NotEmpty(t, server.HGet(l.keys(hourly)[0], "guarded"))
}

// TestFailoverLosesTheLastWrites takes from Redis what a replica that took over had not
// received.
func TestFailoverLosesTheLastWrites(t *testing.T) {
	t.Parallel()
	_, client := newMini(t)
	l := newTestLimiter(t, client)
	useAnswered(t, l, hourly, 3)
	held := mustAcquire(t, l, hourly)
	require.NoError(t, client.ZRem(t.Context(), l.keys(hourly)[1], held.ID).Err())
	assert.Equal(t, hourly.Limit-5, mustAcquire(t, l, hourly).Left)
}

// TestForgetfulRedis forgets everything after each script: nothing helps, but calls
// still end.
func TestForgetfulRedis(t *testing.T) {
	t.Parallel()
	server, client := newMini(t)
	forget := false
	client.AddHook(&spy{after: func(_ redis.Cmder, err error) error {
		if forget {
			server.FlushAll()
		}
		return err
	}})
	l := newTestLimiter(t, client)
	useAnswered(t, l, hourly, 40)
	forget = true
	mustAcquire(t, l, hourly)
	available(t, l, hourly)
	require.NoError(t, l.flush(t.Context()))
}

// TestManyAreToldAgainBeforeATokenIsGranted restores more than one script carries.
func TestManyAreToldAgainBeforeATokenIsGranted(t *testing.T) {
	t.Parallel()
	server, client := newMini(t)
	l := newTestLimiter(t, client)
	quota := clerkorg.Quota{Name: "q", Limit: 3 * batchSize, Window: time.Hour}
	useAnswered(t, l, quota, quota.Limit)
	server.FlushAll()
	ends := make(chan error)
	for range 10 {
		go func() {
			_, err := l.Acquire(t.Context(), clerkorg.ReservationRequest{Quota: quota})
			ends <- err
		}()
	}
	for range 10 {
		assert.Greater(t, refusal(t, <-ends).RetryAfter, time.Hour-soon)
	}
}

// TestClientsSurviveFlushAll has two clients of package clerkorg use up one quota of a
// server that counts a sliding log, and Redis lose its memory on the way.
func TestClientsSurviveFlushAll(t *testing.T) {
	t.Parallel()
	redisServer := newServer(t)
	clerk := clerktest.NewServer(
		clerktest.WithQuota(clerktest.OpBulk, invited.Limit, invited.Window),
		clerktest.WithRateLimits(clerktest.SlidingLog),
	)
	defer clerk.Close()
	var limiters []*Limiter
	var clients []*clerkorg.Client
	for range 2 {
		l := newTestLimiter(t, dial(t, "redis://"+redisServer.addr))
		l.slack, l.late = shortSlack, shortLate
		client, err := clerkorg.NewClient(clerk.SecretKey(), clerkorg.WithRateLimiter(l), clerkorg.WithQuotas(invited),
			clerkorg.WithMaxRateLimitWait(time.Minute), clerkorg.WithHTTPClient(&http.Client{Transport: clerk.Transport()}))
		require.NoError(t, err)
		limiters, clients = append(limiters, l), append(clients, client)
	}
	people := 0
	invite := func(client *clerkorg.Client) {
		people++
		_, err := client.Organizations.CreateInvitationBulk(t.Context(), clerk.OrganizationID(),
			[]clerkorg.CreateInvitationParams{{EmailAddress: fmt.Sprintf("p%d@example.com", people), Role: clerkorg.RoleMember}})
		require.NoError(t, err)
	}
	for i := range invited.Limit {
		invite(clients[i%2])
	}
	require.NoError(t, limiters[0].redis.FlushAll(t.Context()).Err())
	for _, client := range clients {
		_, err := client.Quota(t.Context(), clerkorg.QuotaBulk)
		require.NoError(t, err)
	}
	for i := range 2 * invited.Limit {
		invite(clients[i%2])
	}
	assert.Zero(t, clerk.RateLimited(), "of %d", clerk.CallCount(clerktest.OpBulk))
}

func TestJournalIsBounded(t *testing.T) {
	t.Parallel()
	now := time.Now()
	j := newJournal(func() time.Time { return now })
	for i := range maxSettlements + 10 {
		j.took(fmt.Sprint(i), true, time.Hour)
		j.settle(fmt.Sprint(i), clerkorg.RequestAnswered, time.Hour)
	}
	assert.Len(t, j.untold, maxSettlements)
	require.True(t, j.try())
	for !j.next().empty() {
		j.confirm(j.next(), time.Hour)
	}
	j.release()
	assert.LessOrEqual(t, len(j.told), maxSettlements+batchSize)

	now = now.Add(time.Hour + time.Second)
	j.settle("new", clerkorg.RequestAnswered, time.Hour)
	assert.True(t, slices.Equal(j.untold, []settlement{{"new", clerkorg.RequestAnswered, now}}))
	require.True(t, j.try())
	j.settle("newer", clerkorg.RequestAnswered, time.Hour)
	told := news{settlements: j.next().settlements[:1]}
	now = now.Add(time.Hour + time.Second)
	j.settle("newest", clerkorg.RequestAnswered, time.Hour)
	j.confirm(told, time.Hour)
	j.release()
	assert.Equal(t, "newer", j.untold[0].token, "what came meanwhile is untold still")
	assert.Empty(t, j.told[1:], "what is out of date is forgotten")

	for i := range 10_000 {
		j.took(fmt.Sprint("abandoned", i), true, time.Hour)
		now = now.Add(time.Minute)
	}
	assert.Less(t, len(j.inFlight), 1000, "tokens that are never settled are forgotten too")
}
