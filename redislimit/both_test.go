package redislimit

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/clerkorg/clerkorg-go"
	"github.com/clerkorg/clerkorg-go/clerktest"
)

func both(first, second clerkorg.Quota) []clerkorg.ReservationRequest {
	return []clerkorg.ReservationRequest{{Quota: first}, {Quota: second}}
}

func TestBothInOneRoundTrip(t *testing.T) {
	t.Parallel()
	_, client := newMini(t)
	s := &spy{}
	client.AddHook(s)
	l := newTestLimiter(t, client)
	take := func() []clerkorg.Reservation {
		t.Helper()
		tokens, err := l.AcquireAll(t.Context(), both(hourly, instant))
		require.NoError(t, err)
		require.Len(t, tokens, 2)
		return tokens
	}
	for _, token := range take() { // loads the script
		require.NoError(t, l.Settle(t.Context(), token, clerkorg.RequestAnswered))
	}
	asked := s.scripts.Load()
	tokens := take()
	assert.Equal(t, asked+1, s.scripts.Load())
	assert.Equal(t, hourly, tokens[0].Quota)
	assert.Equal(t, hourly.Limit-2, tokens[0].Left)
	assert.Equal(t, instant.Limit-2, tokens[1].Left)
	assert.NotEqual(t, tokens[0].ID, tokens[1].ID)
	for i := range l.Stats().Quotas {
		assert.Zero(t, l.Stats().Quotas[i].Owed, "the script has carried the outcomes")
	}

	// An unused token is free at once.
	for _, token := range tokens {
		require.NoError(t, l.Settle(t.Context(), token, clerkorg.RequestNotSent))
	}
	assert.Equal(t, hourly.Limit-1, available(t, l, hourly))
	assert.Equal(t, instant.Limit-1, available(t, l, instant))
	assert.EqualValues(t, 4, l.Stats().Taken)
}

// TestBothOrNone: what has to be waited for, or cannot be had, takes nothing of the other.
func TestBothOrNone(t *testing.T) {
	t.Parallel()
	one := clerkorg.Quota{Name: clerkorg.QuotaCreate, Limit: 1, Window: time.Hour}
	for name, reqs := range map[string][]clerkorg.ReservationRequest{"the first": both(one, instant), "the second": both(hourly, one)} {
		_, client := newMini(t)
		l := newTestLimiter(t, client)
		mustAcquire(t, l, one)
		_, err := l.AcquireAll(t.Context(), reqs)
		assert.Equal(t, one, refusal(t, err).Quota, name)
		require.NoError(t, l.flush(t.Context()))
		assert.Equal(t, hourly.Limit, available(t, l, hourly), name)
		assert.Equal(t, instant.Limit, available(t, l, instant), name)

		reqs[0].Reserve, reqs[1].Reserve = 0, 0
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		_, err = l.AcquireAll(ended, reqs)
		require.ErrorIs(t, err, context.Canceled)
	}
}

// TestBothWait: for all together no longer than MaxWait.
func TestBothWait(t *testing.T) {
	t.Parallel()
	_, client := newMini(t)
	l := newTestLimiter(t, client)
	brief := clerkorg.Quota{Name: "brief", Limit: 1, Window: 200 * time.Millisecond}
	l.slack = 0
	token := mustAcquire(t, l, brief)
	require.NoError(t, l.Settle(t.Context(), token, clerkorg.RequestAnswered))
	reqs := both(hourly, brief)
	reqs[0].MaxWait, reqs[1].MaxWait = 5*time.Second, 5*time.Second
	start := time.Now()
	tokens, err := l.AcquireAll(t.Context(), reqs)
	require.NoError(t, err)
	assert.Len(t, tokens, 2)
	assert.GreaterOrEqual(t, time.Since(start), 100*time.Millisecond)
}

// TestBothWithoutRedis goes the way of Acquire: long windows fail, and what was taken is
// given back.
func TestBothWithoutRedis(t *testing.T) {
	t.Parallel()
	down := newOutage(nil)
	l := newBreakable(t, down)
	_, err := l.AcquireAll(t.Context(), both(hourly, instant))
	require.NoError(t, err)
	down.set(errDown)
	for range 3 {
		_, err = l.AcquireAll(t.Context(), both(hourly, instant))
		require.ErrorIs(t, err, clerkorg.ErrLimiterUnavailable)
		require.ErrorIs(t, err, errDown)
	}
	tokens, err := l.AcquireAll(t.Context(), both(instant, clerkorg.Quota{Name: "other", Limit: 2, Window: time.Second}))
	require.NoError(t, err)
	assert.True(t, isLocal(tokens[0]))

	down.set(nil)
	l.tryAgain()
	require.NoError(t, l.flush(t.Context()))
	assert.Equal(t, hourly.Limit-1, available(t, l, hourly))
}

// TestBothAnswerLost: a script whose reply is lost may have run; nothing leaks.
func TestBothAnswerLost(t *testing.T) {
	t.Parallel()
	_, client := newMini(t)
	lost := false
	client.AddHook(&spy{after: func(_ redis.Cmder, err error) error {
		if lost {
			lost = false
			return errors.New("connection reset")
		}
		return err
	}})
	l := newTestLimiter(t, client)
	_, err := l.AcquireAll(t.Context(), both(hourly, instant))
	require.NoError(t, err)
	lost = true
	_, err = l.AcquireAll(t.Context(), both(hourly, instant))
	require.ErrorIs(t, err, clerkorg.ErrLimiterUnavailable, "Redis is left alone for a while")
	l.tryAgain()
	require.NoError(t, l.flush(t.Context()))
	assert.Equal(t, hourly.Limit-1, available(t, l, hourly))
	assert.Equal(t, instant.Limit-1, available(t, l, instant))
}

// TestBothAfterALoss: Redis is told again what it has forgotten of either quota.
func TestBothAfterALoss(t *testing.T) {
	t.Parallel()
	server, client := newMini(t)
	l := newTestLimiter(t, client)
	for range 3 {
		_, err := l.AcquireAll(t.Context(), both(hourly, instant))
		require.NoError(t, err)
	}
	server.FlushAll()
	tokens, err := l.AcquireAll(t.Context(), both(hourly, instant))
	require.NoError(t, err)
	assert.Equal(t, hourly.Limit-4, tokens[0].Left)
	assert.Equal(t, instant.Limit-4, tokens[1].Left)
	assert.EqualValues(t, 2, l.Stats().MemoryLosses)
}

func TestBothClosedLimiter(t *testing.T) {
	t.Parallel()
	_, client := newMini(t)
	l := newTestLimiter(t, client)
	require.NoError(t, l.Close())
	_, err := l.AcquireAll(t.Context(), both(hourly, instant))
	require.ErrorIs(t, err, ErrClosed)
	_, err = newTestLimiter(t, client).AcquireAll(t.Context(), both(clerkorg.Quota{}, instant))
	require.ErrorContains(t, err, "needs a name")
}

// slowly forwards connections to addr, and lets each direction take so long.
func slowly(t *testing.T, addr string, delay time.Duration) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var group sync.WaitGroup
	t.Cleanup(func() {
		_ = listener.Close()
		group.Wait()
	})
	pump := func(from, to net.Conn) {
		defer to.Close()
		defer from.Close()
		buffer := make([]byte, 64<<10)
		for {
			n, err := from.Read(buffer)
			if err != nil {
				return
			}
			time.Sleep(delay) // the way: one request is under way at a time
			if _, err := to.Write(buffer[:n]); err != nil {
				return
			}
		}
	}
	group.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			next, err := net.Dial("tcp", addr)
			if err != nil {
				_ = conn.Close()
				return
			}
			group.Go(func() { pump(conn, next) })
			group.Go(func() { pump(next, conn) })
		}
	})
	return listener.Addr().String()
}

// TestCallCostsOneDelay: over a network that takes its time, a call of the API costs one
// round trip to Redis, whatever it counts against.
func TestCallCostsOneDelay(t *testing.T) {
	t.Parallel()
	const delay = 10 * time.Millisecond // there and back
	server, _ := newMini(t)
	client := newRedisClient(t, slowly(t, server.Addr(), delay/2))
	clerk := clerktest.NewServer()
	l := newTestLimiter(t, client, WithPrefix("delay:"))
	api, err := clerkorg.NewClient(clerk.SecretKey(), clerkorg.WithRateLimiter(l),
		clerkorg.WithHTTPClient(&http.Client{Transport: clerk.Transport()}))
	require.NoError(t, err)
	for name, call := range map[string]func(i int) error{
		"bulk": func(i int) error {
			_, err := api.Organizations.CreateInvitationBulk(t.Context(), clerk.OrganizationID(),
				[]clerkorg.CreateInvitationParams{{EmailAddress: fmt.Sprintf("p%d@example.com", i), Role: clerkorg.RoleMember}})
			return err
		},
		"read": func(int) error {
			_, err := api.Organizations.Get(t.Context(), clerk.OrganizationID())
			return err
		},
	} {
		require.NoError(t, call(100)) // loads the script, and dials
		least := time.Hour
		for i := range 25 { // other processes slow most of them down
			start := time.Now()
			require.NoError(t, call(i))
			least = min(least, time.Since(start))
		}
		assert.GreaterOrEqual(t, least, delay, name)
		assert.Less(t, least, 2*delay, name)
	}
	require.NoError(t, l.Close())
}

// TestBothAmongProcesses: not one token too many is granted, and none is lost.
func TestBothAmongProcesses(t *testing.T) {
	t.Parallel()
	server, client := newMini(t)
	wide := clerkorg.Quota{Name: clerkorg.QuotaInstance, Limit: 1000, Window: time.Minute}
	limiters := []*Limiter{newTestLimiter(t, client)}
	for range 3 {
		limiters = append(limiters, newTestLimiter(t, newRedisClient(t, server.Addr())))
	}
	var used atomic.Int64
	var group sync.WaitGroup
	for i := range 40 {
		l := limiters[i%len(limiters)]
		group.Go(func() {
			for n := range 20 {
				tokens, err := l.AcquireAll(t.Context(), both(hourly, wide))
				if err != nil {
					assert.ErrorIs(t, err, clerkorg.ErrRateLimited)
					return
				}
				outcome := clerkorg.RequestAnswered
				if (i+n)%3 == 0 {
					outcome = clerkorg.RequestNotSent
				} else {
					used.Add(1)
				}
				for _, token := range tokens {
					assert.NoError(t, l.Settle(t.Context(), token, outcome))
				}
			}
		})
	}
	group.Wait()
	for _, l := range limiters {
		require.NoError(t, l.flush(t.Context()))
	}
	answered := int(used.Load())
	assert.Greater(t, answered, hourly.Limit/2)
	assert.Equal(t, hourly.Limit, answered+available(t, limiters[0], hourly))
	assert.Equal(t, wide.Limit, answered+available(t, limiters[1], wide))
}
