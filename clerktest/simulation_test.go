package clerktest

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/clerkorg/clerkorg-go/internal/ledger"
)

// simulation is a client that keeps a quota with a ledger, and a server that
// counts in one of the ways, in virtual time and without HTTP.
type simulation struct {
	ledger     ledger.Ledger
	quota      *quota
	random     *rand.Rand
	phase      time.Duration // between the beginning of a clock hour and that of the simulation
	retryAfter bool          // whether the server tells how long to wait

	now     time.Duration
	refused int
}

func simulate(w Window, limit int, phase time.Duration) *simulation {
	return &simulation{
		ledger:     ledger.Ledger{Limit: limit, Window: time.Hour},
		quota:      newQuota(w, quotaRule{limit, time.Hour}),
		random:     rand.New(rand.NewPCG(uint64(phase), uint64(w))), //nolint:gosec // A simulation, to be repeated.
		phase:      phase,
		retryAfter: true,
	}
}

// latency is 20 to 800 ms one way, and a spike of 5 s now and then.
func (s *simulation) latency() time.Duration {
	if s.random.IntN(200) == 0 {
		return 5 * time.Second
	}
	return 20*time.Millisecond + time.Duration(s.random.Int64N(int64(780*time.Millisecond)))
}

// request is one on its way: to the server, or back with its answer.
type request struct {
	due    time.Duration
	counts bool // whether the server counts it when it is due; otherwise it is answered
	wait   time.Duration
}

// run makes calls, so many at a time; refused ones again.
func (s *simulation) run(calls, concurrency int) {
	var requests []request
	for open := calls; open > 0; {
		for len(requests) < min(concurrency, open) && s.ledger.Take(s.now, 0) {
			requests = append(requests, request{due: s.now + s.latency(), counts: true})
		}
		first := -1
		for i := range requests {
			if first < 0 || requests[i].due < requests[first].due {
				first = i
			}
		}
		if len(requests) < min(concurrency, open) {
			if next := s.ledger.Next(s.now, 0); first < 0 || next < requests[first].due {
				s.now = next
				continue
			}
		}
		r := &requests[first]
		s.now = r.due
		if r.counts {
			*r = request{due: s.now + s.latency(), wait: s.count()}
			continue
		}
		s.ledger.Spend(s.now, s.now)
		if r.wait > 0 {
			s.refused++
			s.ledger.Close(s.now, s.now+r.wait)
		} else {
			open--
		}
		requests = append(requests[:first], requests[first+1:]...)
	}
}

// count has the server count a request, and returns for how long the client is to
// wait if it is refused.
func (s *simulation) count() time.Duration {
	seconds := s.quota.admit(epoch.Add(s.phase + s.now))
	if seconds > 0 && !s.retryAfter {
		return s.ledger.Window / 10
	}
	return time.Duration(seconds) * time.Second
}

func weighs(w Window) bool { return strings.HasPrefix(w.String(), SlidingCounter.String()) }

// TestLedgerAgainstEveryWindow makes 1,000 bulk calls, four at a time, from many
// points of the clock hour. Half of the clients get no Retry-After, and wait for a
// tenth of a window instead.
func TestLedgerAgainstEveryWindow(t *testing.T) {
	t.Parallel()
	for _, w := range Windows() {
		t.Run(w.String(), func(t *testing.T) {
			t.Parallel()
			mostRefused, mostHours := 0, 19.06
			if weighs(w) {
				mostRefused, mostHours = 4, 20.5
			}
			refused, hours := 0, 0.0
			for phase := time.Duration(0); phase < time.Hour; phase += 61 * time.Second {
				s := simulate(w, 50, phase)
				s.retryAfter = phase/(61*time.Second)%2 == 0
				s.run(1000, 4)
				assert.LessOrEqual(t, s.refused, mostRefused, "from %s on", phase)
				assert.LessOrEqual(t, s.now.Hours(), mostHours, "from %s on", phase)
				refused, hours = max(refused, s.refused), max(hours, s.now.Hours())
			}
			t.Logf("at most %d refused, %.3f h", refused, hours)
		})
	}
}

// TestLedgerForWeeks: the guard stays as long as there is something to guard.
func TestLedgerForWeeks(t *testing.T) {
	t.Parallel()
	for _, w := range Windows() {
		mostRefused, mostHours := 0, 199.4
		if weighs(w) {
			mostRefused, mostHours = 4, 204.5
		}
		for _, phase := range []time.Duration{0, 17 * time.Minute, 59*time.Minute + 58*time.Second} {
			s := simulate(w, 50, phase)
			s.run(10_000, 4)
			assert.LessOrEqual(t, s.refused, mostRefused, "%s from %s on", w, phase)
			assert.LessOrEqual(t, s.now.Hours(), mostHours, "%s from %s on", w, phase)
		}
	}
}

// TestLedgerAfterPauses: the guard goes in a pause, and comes back with the first
// refusals.
func TestLedgerAfterPauses(t *testing.T) {
	t.Parallel()
	for _, w := range Windows() {
		most := 0
		if weighs(w) {
			most = 4
		}
		for phase := time.Duration(0); phase < time.Hour; phase += 7 * time.Minute {
			s := simulate(w, 50, phase)
			for range 5 {
				before := s.refused
				s.run(250, 4)
				assert.LessOrEqual(t, s.refused-before, most, "%s from %s on", w, phase)
				s.now += 3 * time.Hour
			}
		}
	}
}
