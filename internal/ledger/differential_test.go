package ledger

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestAgreesWithReference does the same to a ledger and to the definition of one,
// at random, and expects the same answers.
func TestAgreesWithReference(t *testing.T) {
	t.Parallel()
	var guarded, held, went int
	for seed := range uint64(300) {
		random := rand.New(rand.NewPCG(seed, 1)) //nolint:gosec // To be repeated.
		window := []time.Duration{hour, hour, 10 * time.Minute, time.Minute, 10 * time.Second}[random.IntN(5)]
		limit := 1 + random.IntN(30)
		l := &Ledger{Limit: limit, Window: window}
		r := &reference{limit: limit, window: window}
		refuses := random.IntN(4) > 0
		amount := func(most time.Duration) time.Duration { return time.Duration(random.Int64N(int64(most))) }
		var seeded []time.Duration

		now := time.Duration(0)
		for range 200 {
			switch n := random.IntN(100); {
			case n < 40:
				reserve := random.IntN(2) * random.IntN(limit+1)
				if r.next(now, reserve) <= now {
					r.inFlight++
					require.True(t, l.Take(now, reserve), "seed %d", seed)
				} else {
					require.False(t, l.Take(now, reserve), "seed %d", seed)
				}
			case n < 65:
				if r.inFlight == 0 {
					continue
				}
				at := now
				switch random.IntN(5) {
				case 0:
					at += min(window, time.Minute)
				case 1:
					at -= amount(window / 50) // told a little late
				}
				l.Spend(now, at)
				r.inFlight--
				r.requests = append(r.requests, at)
			case n < 68:
				if r.inFlight > 0 {
					l.Return()
					r.inFlight--
				}
			case n < 72 && refuses:
				until := now + amount(window) - window/10
				l.Close(now, until)
				r.closed, r.refused, r.guarded = max(r.closed, until), now, true
			case n < 75:
				var moments []time.Duration
				for range random.IntN(5) {
					if len(seeded) == 0 || random.IntN(3) > 0 {
						seeded = append(seeded, now-amount(3*window))
					}
					moments = append(moments, seeded[random.IntN(len(seeded))])
				}
				l.Seed(now, moments)
				r.seed(now, moments)
			case n < 87:
				now = max(now, min(r.next(now, random.IntN(limit)), now+2*window)+time.Duration(random.IntN(3)-1))
			default:
				now += amount([]time.Duration{window / 10, window / 10, window, 3 * window}[random.IntN(4)])
			}

			ahead := random.IntN(limit + 1)
			require.Equal(t, r.next(now, ahead), l.Next(now, ahead), "seed %d: with %d ahead", seed, ahead)
			require.Equal(t, r.left(now), l.Left(), "seed %d", seed)
			require.Equal(t, r.available(now), l.Available(now), "seed %d", seed)
			require.Equal(t, r.nextReturn(now), l.NextReturn(now), "seed %d", seed)
			require.Equal(t, r.closed, l.ClosedUntil(), "seed %d", seed)
			require.Equal(t, len(r.requests) == 0, len(l.log)-l.old+len(l.late) == 0, "seed %d", seed)
			lent, free := l.Lend(), r.left(now)
			if r.guarded || r.closed != 0 {
				free = 0
			}
			require.Equal(t, free, lent, "seed %d", seed)
			l.Reclaim(lent)
			if r.guarded {
				guarded++
				if r.available(now) < r.left(now) && r.closed <= now {
					held++
				}
			} else if r.refused > 0 {
				went++
			}
		}
	}
	t.Logf("guarded after %d steps, held back after %d, unguarded again after %d", guarded, held, went)
	assert.Greater(t, guarded, 5000)
	assert.Greater(t, held, 1000, "the guard was tried")
	assert.Greater(t, went, 1000, "the guard went")
}

// TestGuardBetweenBounds holds the guard against what it is for. It admits nothing
// that a server which weighs its previous window would refuse; and it admits
// whatever such a server would admit if each request had come a piece of the
// window later and the clock were a second behind.
func TestGuardBetweenBounds(t *testing.T) {
	t.Parallel()
	var admitted, refused, between int
	for seed := range uint64(200) {
		random := rand.New(rand.NewPCG(seed, 2)) //nolint:gosec // To be repeated.
		window := []time.Duration{hour, 10 * time.Minute}[random.IntN(2)]
		r := &reference{limit: 1 + random.IntN(40), window: window}
		g := guard{cut: cutFor(r.limit, window)}
		now := time.Duration(0)
		for range 100 {
			now += time.Duration(random.Int64N(int64(3 * window / time.Duration(r.limit))))
			for range random.IntN(3) { // some come in bursts
				at := now - time.Duration(random.Int64N(int64(window)))/time.Duration(1+random.IntN(100))
				g.add(at)
				r.requests = append(r.requests, at)
			}
			r.inFlight = random.IntN(3)
			admits := g.next(now, r.limit, r.inFlight) == now
			width := g.piece
			// Whether the last window, not weighed, holds fewer than the limit is not
			// the guard's to know.
			inWindow := r.inFlight
			for _, at := range r.requests {
				if at >= now-window-width {
					inWindow++
				}
			}
			if inWindow >= r.limit {
				continue
			}
			exact, slack := r.counts(now, 0, 0), r.counts(now, width, guardSlack)
			switch {
			case admits:
				admitted++
				require.LessOrEqual(t, exact, float64(r.limit)+1e-9, "seed %d", seed)
			case exact > float64(r.limit):
				refused++
			default:
				between++
			}
			if !admits {
				require.Greater(t, slack, float64(r.limit)-1e-9, "seed %d", seed)
			}
		}
	}
	t.Logf("%d admitted, %d refused, %d refused within the slack", admitted, refused, between)
	assert.Greater(t, admitted, 1000)
	assert.Greater(t, refused, 1000)
	assert.Less(t, between, refused/5)
}
