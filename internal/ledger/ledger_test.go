package ledger

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const hour = time.Hour

func take(t *testing.T, l *Ledger, now time.Duration) {
	t.Helper()
	require.True(t, l.Take(now, 0))
}

func TestTokenComesBackAWindowAfterItsAnswer(t *testing.T) {
	l := &Ledger{Limit: 2, Window: hour}
	take(t, l, 0)
	take(t, l, 0)
	assert.False(t, l.Take(0, 0), "both are in flight")
	assert.Equal(t, hour+Slack, l.Next(0, 0), "no sooner than if it were answered now")

	l.Spend(10*time.Second, 10*time.Second)
	assert.Equal(t, 10*time.Second+hour+Slack, l.Next(11*time.Second, 0))
	assert.Equal(t, 11*time.Second+hour+Slack, l.Next(11*time.Second, 1), "the other one is still in flight")
	assert.False(t, l.Take(10*time.Second+hour+Slack-1, 0))
	assert.True(t, l.Take(10*time.Second+hour+Slack, 0))
}

func TestReturnedTokenIsFreeAtOnce(t *testing.T) {
	l := &Ledger{Limit: 1, Window: hour}
	take(t, l, 0)
	assert.False(t, l.Take(0, 0))
	l.Return()
	assert.True(t, l.Take(0, 0))
	l.Return()
	l.Return() // once too often
	assert.Equal(t, 1, l.Left())
	assert.True(t, l.Idle(0))
}

func TestAnswersOutOfOrder(t *testing.T) {
	l := &Ledger{Limit: 3, Window: hour}
	for range 3 {
		take(t, l, 0)
	}
	l.Spend(60*time.Second, 60*time.Second)
	l.Spend(20*time.Second, 20*time.Second)
	l.Spend(40*time.Second, 40*time.Second)
	for i, at := range []time.Duration{20, 40, 60} {
		assert.Equal(t, at*time.Second+hour+Slack, l.Next(time.Minute, i))
	}
	assert.Equal(t, 20*time.Second+hour+Slack, l.NextReturn(time.Minute))
}

func TestReserveIsLeft(t *testing.T) {
	l := &Ledger{Limit: 5, Window: hour}
	assert.True(t, l.Take(0, 3))
	assert.True(t, l.Take(0, 3))
	assert.False(t, l.Take(0, 3))
	assert.True(t, l.Take(0, 2))
	assert.Equal(t, 2, l.Left())
	l.Spend(0, 0)
	assert.Equal(t, hour+Slack, l.Next(0, 2), "one return is enough to leave two")
	assert.Greater(t, l.Next(0, 5), 1000*hour, "more than all is never free")
}

func TestCloseAndOpen(t *testing.T) {
	l := &Ledger{Limit: 5, Window: hour}
	l.Close(0, time.Minute)
	l.Close(0, time.Second) // an earlier word does not open it
	assert.Equal(t, 0, l.Lend())
	assert.False(t, l.Take(time.Minute-1, 0))
	assert.Equal(t, 0, l.Available(0))
	assert.Equal(t, time.Minute, l.Next(0, 0))
	assert.False(t, l.Idle(time.Second))
	assert.True(t, l.Take(time.Minute, 0))
	assert.Equal(t, 4, l.Available(time.Minute))
}

func TestLend(t *testing.T) {
	l := &Ledger{Limit: 5, Window: hour}
	take(t, l, 0)
	assert.Equal(t, 4, l.Lend())
	assert.Equal(t, 0, l.Lend())
	assert.False(t, l.Take(0, 0), "all are lent")
	l.Reclaim(3)
	assert.Equal(t, 3, l.Left())
	l.Close(0, 0)
	assert.Equal(t, 0, l.Lend(), "the guard wants to see every one")
}

func TestSeed(t *testing.T) {
	l := &Ledger{Limit: 10, Window: hour}
	now := 3 * hour
	times := []time.Duration{now - 10*time.Minute, now - 20*time.Minute, now - 10*time.Minute, now - 90*time.Minute, now - 3*hour}
	l.Seed(now, times)
	assert.Equal(t, 7, l.Available(now), "two at once and one before count, those older than the window do not")
	l.Seed(now, times)
	l.Seed(now, times[:3])
	assert.Equal(t, 7, l.Available(now), "known times are not counted again")
	l.Seed(now, []time.Duration{now - 20*time.Minute, now - 20*time.Minute})
	assert.Equal(t, 6, l.Available(now), "the same moment twice is two requests")
	assert.Equal(t, now-20*time.Minute+hour+Slack, l.NextReturn(now))
	l.Limit = 3
	assert.Equal(t, 0, l.Available(now))
}

func TestMemoryIsBounded(t *testing.T) {
	l := &Ledger{Limit: 50, Window: time.Minute}
	now, most := time.Duration(0), 0
	for range 100_000 {
		now = l.Next(now, 0)
		take(t, l, now)
		l.Spend(now, now)
		most = max(most, len(l.log))
	}
	assert.LessOrEqual(t, most, 300)
	assert.Equal(t, now+time.Minute+Slack, l.Next(now, 49))
	now += 10 * time.Minute
	assert.True(t, l.Idle(now))
	assert.True(t, l.Empty())
}

// TestNoWindowHoldsTooMany runs random traffic and counts, for every window that
// begins at a request.
func TestNoWindowHoldsTooMany(t *testing.T) {
	for seed := range uint64(20) {
		random := rand.New(rand.NewPCG(seed, 1))
		l := &Ledger{Limit: 1 + random.IntN(20), Window: hour}
		var counted []time.Duration // when the server counted each
		now := time.Duration(0)
		for range 300 {
			now = l.Next(now, 0)
			arrives := now + time.Duration(random.Int64N(int64(10*time.Second)))
			answered := arrives + time.Duration(random.Int64N(int64(10*time.Second)))
			take(t, l, now)
			l.Spend(answered, answered)
			counted = append(counted, arrives)
			if random.IntN(10) == 0 {
				now += time.Duration(random.Int64N(int64(2 * hour)))
			}
		}
		for _, from := range counted {
			n := 0
			for _, at := range counted {
				if at >= from && at < from+hour {
					n++
				}
			}
			require.LessOrEqual(t, n, l.Limit)
		}
	}
}

func TestEmpty(t *testing.T) {
	l := &Ledger{Limit: 3, Window: hour}
	assert.True(t, l.Empty())
	take(t, l, 0)
	take(t, l, 0)
	assert.True(t, l.Empty(), "nothing was sent yet, as far as is known")
	l.Spend(0, time.Minute)
	assert.False(t, l.Empty(), "one may still arrive")
	l.Spend(0, 0)
	assert.False(t, l.Empty())
	assert.False(t, l.Idle(2*hour+Slack))
	assert.False(t, l.Idle(2*hour+Slack+time.Minute-1))
	assert.True(t, l.Idle(2*hour+Slack+time.Minute))
	assert.True(t, l.Empty())
}

// TestInstants: a nanosecond before a token comes back, and when it does.
func TestInstants(t *testing.T) {
	const back = hour + Slack
	for name, test := range map[string]struct {
		counted []time.Duration // told at 0
		now     time.Duration
		ahead   int
		next    time.Duration
		left    int
	}{
		"answered":               {[]time.Duration{0, 0, 0}, back - 1, 0, back, 0},
		"back":                   {[]time.Duration{0, 0, 0}, back, 0, back, 3},
		"the second":             {[]time.Duration{-1, 0, 0}, back - 1, 0, back - 1, 1},
		"the second of two":      {[]time.Duration{-1, 0, 0}, back - 1, 1, back, 1},
		"late":                   {[]time.Duration{0, 60, 60}, back + 59, 1, back + 60, 1},
		"the third, late":        {[]time.Duration{0, 60, 70}, back + 59, 2, back + 70, 1},
		"all late, not yet due":  {[]time.Duration{50, 60, 70}, 0, 1, back + 60, 0},
		"one late, not yet due":  {[]time.Duration{0, 0, 70}, 0, 2, back + 70, 0},
		"late, just due":         {[]time.Duration{50, 60, 70}, 60, 1, back + 60, 0},
		"late, all back":         {[]time.Duration{50, 60, 70}, back + 70, 2, back + 70, 3},
		"more than was ever due": {nil, 0, 2, 0, 3},
	} {
		l := &Ledger{Limit: 3, Window: hour}
		for _, at := range test.counted {
			take(t, l, 0)
			l.Spend(0, at)
		}
		assert.Equal(t, test.next, l.Next(test.now, test.ahead), name)
		assert.Equal(t, test.left, l.Left(), name)
	}
}

// TestManyUnanswered: a request that is answered while many may still arrive is not
// compared with each of them.
func TestManyUnanswered(t *testing.T) {
	l := &Ledger{Limit: 200_000, Window: hour}
	for now := range time.Duration(100_000) {
		l.Spend(now, now+time.Minute)
	}
	for now := time.Duration(100_000); now < 100_100; now++ {
		l.Spend(now, now)
	}
	assert.Len(t, l.late, 100_000)
	assert.Len(t, l.log, 100)
	assert.Equal(t, 99_900, l.Left())
	l.Next(time.Minute+49_999, 0)
	assert.Len(t, l.late, 50_000)
	assert.Len(t, l.log, 50_100)
	assert.IsNonDecreasing(t, l.log)
	assert.Equal(t, 99_900, l.Left())
}

// TestForgetsAtTheInstant at which the guard needs a request no more, and not before.
func TestForgetsAtTheInstant(t *testing.T) {
	l := &Ledger{Limit: 10, Window: hour}
	for at := range time.Duration(4) {
		l.Spend(at, at)
	}
	l.Next(2*hour+Slack+1, 0)
	assert.Equal(t, []time.Duration{2, 3}, l.log)
	l.Next(2*hour+Slack+2-1, 0)
	assert.Len(t, l.log, 2)
	l.Seed(2*hour+Slack+2, []time.Duration{2, 3, 3})
	assert.Equal(t, []time.Duration{3, 3}, l.log, "one is too old, one known, one new")
}

// BenchmarkLate answers a request while 100,000 others may still arrive.
func BenchmarkLate(b *testing.B) {
	l := &Ledger{Limit: 1 << 30, Window: hour}
	for now := range time.Duration(100_000) {
		l.Spend(now, now+time.Minute)
	}
	now := time.Duration(100_000)
	for b.Loop() {
		now++
		l.Spend(now, now)
	}
}
