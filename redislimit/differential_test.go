package redislimit

import (
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/clerkorg/clerkorg-go"
	"github.com/clerkorg/clerkorg-go/internal/ledger"
)

// pair is the limiter in Redis and the ledger in memory that it has to agree with,
// in virtual time.
type pair struct {
	t      *testing.T
	random *rand.Rand
	redis  *Limiter
	quota  clerkorg.Quota
	start  time.Time
	set    func(time.Time)
	now    time.Duration // since start
	shown  atomic.Int64  // the same, for the limiter

	memory ledger.Ledger
	born   time.Duration
	open   []openToken
	silent bool        // whether a holder ever was
	known  []time.Time // seeded before

	takes, refusals, closes int // so that a test that tests nothing is noticed
}

type openToken struct {
	token clerkorg.Reservation
	taken time.Duration
}

func newPair(t *testing.T, seed uint64) *pair {
	server, client := newMini(t)
	random := rand.New(rand.NewPCG(seed, 7))
	p := &pair{
		t:      t,
		random: random,
		redis:  newTestLimiter(t, client),
		quota:  clerkorg.Quota{Name: "q", Limit: 1 + random.IntN(20), Window: time.Hour},
		start:  time.Unix(1_800_000_000, 0),
		set:    server.SetTime,
		born:   -1,
	}
	if random.IntN(3) == 0 {
		p.quota.Window = 10 * time.Second
	}
	p.memory.Limit, p.memory.Window = p.quota.Limit, p.quota.Window
	p.redis.now = func() time.Time { return p.start.Add(time.Duration(p.shown.Load())) }
	p.advance(0)
	return p
}

// advance moves time, and lets the ledger do what Redis does by itself: whose
// holder is silent for a minute counts as never answered.
func (p *pair) advance(d time.Duration) {
	p.now += d.Round(time.Microsecond)
	p.shown.Store(int64(p.now))
	p.set(p.start.Add(p.now))
	p.open = slices.DeleteFunc(p.open, func(o openToken) bool {
		silent := o.taken+clerkorg.LateArrival <= p.now
		if silent {
			p.silent = true
			p.memory.Spend(p.now, o.taken+clerkorg.LateArrival)
		}
		return silent
	})
}

// amount is a random duration that is hardly ever the same twice.
func (p *pair) amount(most time.Duration) time.Duration {
	return time.Duration(p.random.Int64N(int64(most/time.Microsecond))) * time.Microsecond
}

// same compares waits. Redis counts in microseconds, and rounds up.
func (p *pair) same(memory, redis time.Duration, what string) {
	p.t.Helper()
	require.InDelta(p.t, memory, redis, float64(2*time.Microsecond), "%s: in memory %s, in Redis %s", what, memory, redis)
}

func (p *pair) take(reserve int) {
	next := p.memory.Next(p.now, reserve)
	took := p.memory.Take(p.now, reserve)
	token, err := p.redis.Acquire(p.t.Context(), clerkorg.ReservationRequest{Quota: p.quota, Reserve: reserve})
	if !took {
		p.refusals++
		require.Error(p.t, err, "in memory it is refused until %s from now", next-p.now)
		if reserve < p.quota.Limit {
			p.same(next-p.now, refusal(p.t, err).RetryAfter, "wait")
		}
		return
	}
	p.takes++
	require.NoError(p.t, err)
	if p.silent { // Redis may not have cleared them away
		require.LessOrEqual(p.t, token.Left, p.memory.Left())
	} else {
		require.Equal(p.t, p.memory.Left(), token.Left)
	}
	p.open = append(p.open, openToken{token, p.now})
	if p.born < 0 {
		p.born = p.now
	}
}

func (p *pair) settle() {
	if len(p.open) == 0 {
		return
	}
	i := p.random.IntN(len(p.open))
	token := p.open[i].token
	p.open = slices.Delete(p.open, i, i+1)
	outcome := clerkorg.RequestAnswered
	switch p.random.IntN(6) {
	case 0:
		outcome = clerkorg.RequestNotSent
		p.memory.Return()
	case 1:
		outcome = clerkorg.RequestUnanswered
		p.memory.Spend(p.now, p.now+clerkorg.LateArrival)
	default:
		p.memory.Spend(p.now, p.now)
	}
	require.NoError(p.t, p.redis.Settle(p.t.Context(), token, outcome))
	require.NoError(p.t, p.redis.flush(p.t.Context()))
}

func (p *pair) close() {
	wait := p.amount(p.quota.Window) - p.quota.Window/10
	p.memory.Close(p.now, p.now+wait)
	p.closes++
	require.NoError(p.t, p.redis.CloseUntil(p.t.Context(), p.quota, p.redis.now().Add(wait)))
}

func (p *pair) seed() {
	var times []time.Time
	for range p.random.IntN(6) {
		at := p.start.Add(p.now - p.amount(3*p.quota.Window) + p.amount(p.quota.Window))
		if len(p.known) > 0 && p.random.IntN(3) == 0 {
			at = p.known[p.random.IntN(len(p.known))]
		}
		times = append(times, at)
		p.known = append(p.known, at)
	}
	if p.born < 0 {
		p.born = p.now
	}
	var moments []time.Duration
	for _, at := range times {
		if since := at.Sub(p.start); since < p.born {
			moments = append(moments, since)
		}
	}
	p.memory.Seed(p.now, moments)
	require.NoError(p.t, p.redis.Seed(p.t.Context(), p.quota, times...))
}

func (p *pair) state() {
	state, err := p.redis.State(p.t.Context(), p.quota)
	require.NoError(p.t, err)
	require.Equal(p.t, p.memory.Available(p.now), state.Available)

	next := p.memory.NextReturn(p.now)
	if state.Available == 0 {
		next = p.memory.Next(p.now, 0)
	}
	if next > p.now {
		p.same(next, state.NextAt.Sub(p.start), "next")
	} else {
		require.Zero(p.t, state.NextAt)
	}
	if closed := p.memory.ClosedUntil(); closed > p.now {
		p.same(closed, state.ClosedUntil.Sub(p.start), "closed")
	} else {
		require.Zero(p.t, state.ClosedUntil)
	}
}

// next goes to the very moment at which a token comes back, or just before it.
func (p *pair) next() {
	next := p.memory.Next(p.now, p.random.IntN(p.quota.Limit))
	if next <= p.now {
		return
	}
	// The ledger's moment may lie between two of Redis's microseconds.
	switch p.random.IntN(3) {
	case 0:
		p.advance(next - p.now - 3*time.Microsecond)
	default:
		p.advance(next - p.now + 2*time.Microsecond)
	}
}

// TestAgreesWithLedger does the same to the limiter in Redis and to the ledger in
// memory, at random, and expects the same answers: tokens left, waits, states, the
// guard.
func TestAgreesWithLedger(t *testing.T) {
	t.Parallel()
	const runs = 30
	var takes, refusals, guarded int
	for seed := range uint64(runs) {
		p := newPair(t, seed)
		closes := p.random.IntN(2) == 0 // half of them never meet a 429
		for range 250 {
			switch n := p.random.IntN(100); {
			case n < 45:
				p.take(p.random.IntN(2) * p.random.IntN(p.quota.Limit+1))
			case n < 70:
				p.settle()
			case n < 73 && closes:
				p.close()
			case n < 77:
				p.seed()
			case n < 85:
				p.state()
			case n < 90:
				p.next()
			case n < 95:
				p.advance(p.amount(p.quota.Window / 200)) // the guard takes some of these together
			case n < 99:
				p.advance(p.amount(p.quota.Window / 5))
			default:
				p.advance(p.amount(3 * p.quota.Window))
			}
			if t.Failed() {
				t.Fatalf("seed %d", seed)
			}
		}
		takes += p.takes
		refusals += p.refusals
		if p.closes > 0 {
			guarded++
		}
	}
	t.Logf("%d taken, %d refused, %d of %d guarded", takes, refusals, guarded, runs)
	assert.Greater(t, takes, 1000)
	assert.Greater(t, refusals, 1000)
	assert.Greater(t, guarded, 5)
}
