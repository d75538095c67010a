package ledger

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func guarding(limit int, moments ...time.Duration) *guard {
	g := &guard{cut: cutFor(limit, hour)}
	for _, at := range moments {
		g.add(at)
	}
	return g
}

func TestGuardCuts(t *testing.T) {
	t.Parallel()
	assert.Equal(t, cut{hour, hour / 512}, cutFor(1, hour))
	assert.Equal(t, cut{hour, hour / 512}, cutFor(512, hour))
	assert.Equal(t, cut{hour, hour / 128}, cutFor(513, hour))

	g := guard{cut: cut{window: 512, piece: 10}}
	for at, number := range map[time.Duration]time.Duration{-21: -3, -20: -2, -11: -2, -10: -1, -1: -1, 0: 0, 9: 0, 10: 1, 19: 1, 20: 2} {
		assert.Equal(t, number, g.number(at), "%d", at)
	}
}

func TestGuardGroups(t *testing.T) {
	t.Parallel()
	g := &guard{cut: cut{window: 512, piece: 10}}
	for _, at := range []time.Duration{25, 21, 29, 30, 5, 42, 8, 8, -3} {
		g.add(at)
	}
	assert.Equal(t, []group{{-3, 0}, {8, 1}, {29, 4}, {30, 7}, {42, 8}}, g.groups)
	assert.Equal(t, 9, g.total)
	for at, first := range map[time.Duration]int{-4: 0, -3: 1, 7: 1, 8: 2, 41: 4, 42: 5, 100: 5} {
		assert.Equal(t, first, g.after(at), "%d", at)
	}
}

// TestGuardInstants: at most 4 in an hour, so that 3 of those of the hour before
// may count beside a new one.
func TestGuardInstants(t *testing.T) {
	t.Parallel()
	const minute = time.Minute
	for name, test := range map[string]struct {
		requests []time.Duration
		room     int
		inFlight int
		from     time.Duration
		next     time.Duration
	}{
		"nothing":                           {nil, 4, 0, hour, hour},
		"room for all":                      {[]time.Duration{0, 0, 0}, 4, 0, hour, hour},
		"in flight":                         {[]time.Duration{0, 0}, 4, 1, hour, hour},
		"3 of 4 once 45 min are left":       {[]time.Duration{0, 0, 0, 0}, 4, 0, hour, hour + 15*minute + time.Second},
		"1 ns too early":                    {[]time.Duration{0, 0, 0, 0}, 4, 0, hour + 15*minute + time.Second - 1, hour + 15*minute + time.Second},
		"not a moment later":                {[]time.Duration{0, 0, 0, 0}, 4, 0, hour + 15*minute + time.Second, hour + 15*minute + time.Second},
		"one in flight is of this window":   {[]time.Duration{0, 0, 0, 0}, 4, 1, hour, hour + 30*minute + time.Second},
		"nearly all in flight":              {[]time.Duration{0}, 4, 3, hour, 2 * hour},
		"one may be counted alone":          {[]time.Duration{0}, 1, 0, hour, 2 * hour},
		"a window begins with each":         {[]time.Duration{0, minute, 2 * minute, 3 * minute}, 4, 0, hour + 3*minute, hour + 15*minute + time.Second},
		"those of a piece are its last":     {[]time.Duration{0, 1, 2, 3 * time.Second}, 4, 0, hour, hour + 15*minute + 4*time.Second},
		"a window that begins just now":     {[]time.Duration{0, 0, 0, 3 * time.Second}, 4, 0, 3 * time.Second, hour + 15*minute + 4*time.Second},
		"the one before that window is out": {[]time.Duration{0, hour + 1, hour + 1, hour + 1}, 4, 0, 2*hour + 1, 2*hour + 1},
		"never beyond the window":           {[]time.Duration{0, 0, 0, 0}, 2, 1, hour, 2 * hour},
	} {
		g := guarding(4, test.requests...)
		assert.Equal(t, test.next, g.next(test.from, test.room, test.inFlight), name)
		assert.Equal(t, test.next, g.next(test.from, test.room, test.inFlight), "%s, asked again", name)
	}
}

// TestGuardRemembersItsAnswer, and whether it is still one.
func TestGuardRemembersItsAnswer(t *testing.T) {
	t.Parallel()
	g := guarding(4, 0, 0, 0, 0)
	safe := hour + 15*time.Minute + time.Second
	assert.Equal(t, safe, g.next(hour, 4, 0))
	assert.Equal(t, safe, g.next(hour+time.Minute, 4, 0))
	assert.Equal(t, safe+1, g.next(safe+1, 4, 0), "later")
	assert.Equal(t, safe, g.next(hour, 4, 0), "earlier")
	assert.Equal(t, hour+30*time.Minute+time.Second, g.next(hour, 4, 1))
	assert.Equal(t, hour, g.next(hour, 5, 0))
	g.add(hour)
	assert.Equal(t, hour+30*time.Minute+time.Second, g.next(hour, 4, 0), "one was added")
}

// TestGuardForgets: what no window counts any more takes no room, and makes no
// difference.
func TestGuardForgets(t *testing.T) {
	t.Parallel()
	g, most := guarding(1000), 0
	for now := time.Duration(0); now < 50*hour; now += 10 * time.Second {
		g.expire(now)
		g.add(now)
		most = max(most, len(g.groups))
		if now >= 2*hour && now%(7*time.Minute) == 0 {
			fresh := guarding(1000)
			for at := now - 2*hour; at <= now; at += 10 * time.Second {
				fresh.add(at)
			}
			for _, room := range []int{100, 300, 361, 362, 363} {
				require.Equal(t, fresh.next(now, room, 0), g.next(now, room, 0))
			}
		}
	}
	assert.Equal(t, 4*128+1, most)
}

// guarded is a ledger with the guard on and requests at these moments.
func guarded(limit int, moments ...time.Duration) *Ledger {
	l := &Ledger{Limit: limit, Window: hour}
	for _, at := range moments {
		l.Spend(at, at)
	}
	l.Close(0, 0)
	return l
}

// TestGuardGoes: two windows after the last refusal, unless there is something to
// guard.
func TestGuardGoes(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		refused  time.Duration
		requests []time.Duration
		goes     time.Duration
	}{
		"nothing else":         {0, nil, 2*hour + Slack},
		"a request":            {0, []time.Duration{hour}, 2*hour + Slack},
		"the limit":            {0, []time.Duration{hour, 2 * hour}, 3*hour + Slack},
		"the limit, then less": {0, []time.Duration{hour, 2 * hour, 2*hour + time.Second}, 4*hour + Slack},
		"refused again":        {3 * hour, []time.Duration{0, 0}, 5*hour + Slack},
	} {
		l := guarded(2)
		l.Close(test.refused, 0)
		for _, at := range test.requests {
			l.Spend(at, at)
		}
		l.Next(test.goes-1, 0)
		assert.True(t, l.guarded, name)
		l.Next(test.goes, 0)
		assert.False(t, l.guarded, name)
		assert.Equal(t, 2, l.Limit-l.Left()+l.Lend(), "%s: all can be lent", name)
	}
	for name, use := range map[string]func(*Ledger){
		"in flight":  func(l *Ledger) { l.inFlight = 1 },
		"unanswered": func(l *Ledger) { l.Spend(0, 3*hour) },
	} {
		l := guarded(1)
		use(l)
		l.Next(2*hour+Slack, 0)
		assert.True(t, l.guarded, name)
	}
}

// TestGuardComesBack with the next refusal, knowing what was before.
func TestGuardComesBack(t *testing.T) {
	t.Parallel()
	l := guarded(4)
	l.Next(3*hour, 0)
	require.False(t, l.guarded)
	for range 4 {
		l.Spend(3*hour, 3*hour)
	}
	assert.Equal(t, 4*hour+Slack, l.Next(4*hour, 0))
	l.Close(4*hour, 4*hour+time.Minute)
	assert.Equal(t, 4*hour+15*time.Minute+time.Second, l.Next(4*hour, 0))
}

// TestGuardOnShortWindows: none is guarded that is shorter than a minute.
func TestGuardOnShortWindows(t *testing.T) {
	t.Parallel()
	for window, next := range map[time.Duration]time.Duration{
		time.Minute:     2 * time.Minute,
		time.Minute - 1: time.Minute - 1 + Slack,
	} {
		l := &Ledger{Limit: 1, Window: window}
		l.Spend(0, 0)
		l.Close(0, 0)
		assert.Equal(t, next, l.Next(0, 0), "%s", window)
	}
}

// TestGuardOfAnotherQuota: clients of one key may have been told different limits.
func TestGuardOfAnotherQuota(t *testing.T) {
	t.Parallel()
	l := guarded(4, 0, 0, 0, 0)
	assert.Equal(t, hour+15*time.Minute+time.Second, l.Next(hour, 0))
	l.Limit = 3
	assert.Equal(t, hour+30*time.Minute+time.Second, l.Next(hour, 0))
	l.Window = 2 * hour
	assert.Equal(t, 3*hour+time.Second, l.Next(hour, 0))
	l.Limit, l.Window = 1000, hour
	assert.Equal(t, hour, l.Next(hour, 0))
	l.Limit, l.Window = 3, 4*hour // pieces as wide as before
	assert.Equal(t, 6*hour+time.Second, l.Next(hour, 0))
	l.Window = time.Nanosecond
	assert.Equal(t, hour, l.Next(hour, 0))
}

// TestGuardIsBounded: how much it looks at does not depend on the limit.
func TestGuardIsBounded(t *testing.T) {
	t.Parallel()
	l := guarded(64_000)
	for now := time.Duration(0); now < 3*hour; now += hour / 100_000 {
		l.Spend(now, now)
	}
	assert.LessOrEqual(t, len(l.guard.groups), 4*128+1)
	assert.Greater(t, l.Next(3*hour, 0), 3*hour)
	assert.NotEqual(t, time.Duration(math.MaxInt64), l.Next(3*hour, 0))
}
