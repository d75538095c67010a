package redislimit

import (
	"container/heap"
	"math"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/clerkorg/clerkorg-go"
)

// event is something that happens to a replica at a moment of virtual time.
type event struct {
	at   time.Duration
	nth  int // of events at one moment
	what func()
}

type agenda []event

func (a agenda) Len() int { return len(a) }
func (a agenda) Less(i, j int) bool {
	return a[i].at < a[j].at || a[i].at == a[j].at && a[i].nth < a[j].nth
}
func (a agenda) Swap(i, j int) { a[i], a[j] = a[j], a[i] }
func (a *agenda) Push(x any)   { *a = append(*a, x.(event)) }
func (a *agenda) Pop() any {
	last := len(*a) - 1
	e := (*a)[last]
	*a = (*a)[:last]
	return e
}

// replicas are processes that share a quota, in virtual time: what decides is the scripts
// and the code that asks them, while an agenda takes the place of timers.
type replicas struct {
	t      *testing.T
	quota  clerkorg.Quota
	clock  *clock
	now    time.Duration
	agenda agenda
	events int

	came, served []time.Duration // of each call, as it was served
}

const (
	simulatedLatency = 200 * time.Millisecond // of a request
	simulatedTrip    = time.Millisecond       // to Redis and back
)

func (r *replicas) after(d time.Duration, what func()) {
	r.events++
	heap.Push(&r.agenda, event{r.now + d, r.events, what})
}

// call has a replica wait for a token, make its request, and go on with its other calls.
func (r *replicas) call(l *Limiter, calls int) {
	if calls == 0 {
		return
	}
	ctx := r.t.Context()
	came := r.now
	w := l.line(r.quota).newWaiter(ctx, clerkorg.ReservationRequest{Quota: r.quota, MaxWait: 1000 * time.Hour})
	var ask func()
	ask = func() {
		w.since = time.Now().Add(came - r.now)
		id := l.newID()
		wait, _, err := l.take(ctx, w, id, 0)
		require.NoError(r.t, err)
		if wait > 0 {
			r.after(min(wait, w.trust(l.lookAgain))+simulatedTrip, ask)
			return
		}
		r.came, r.served = append(r.came, came), append(r.served, r.now)
		r.after(simulatedLatency, func() {
			w.line.settle(id, clerkorg.RequestAnswered, l.memory(r.quota))
			r.after(0, func() { r.call(l, calls-1) })
			r.after(flushAfter, func() { require.NoError(r.t, l.flush(ctx)) })
		})
	}
	ask()
}

func (r *replicas) run() {
	for len(r.agenda) > 0 {
		e := heap.Pop(&r.agenda).(event)
		r.clock.advance(e.at - r.now)
		r.now = e.at
		e.what()
	}
}

// TestManyReplicas simulates many replicas that want more than the quota has, and compares
// what happens with the formulas of docs/scaling.md. With CLERKORG_TEST_FULL they are a
// thousand.
func TestManyReplicas(t *testing.T) {
	t.Parallel()
	number := 100
	if os.Getenv("CLERKORG_TEST_FULL") != "" {
		number = 1000
	}
	for name, s := range map[string]struct {
		quota clerkorg.Quota
		calls int // of each replica
	}{
		"instance": {clerkorg.Quota{Name: "instance", Limit: number, Window: 10 * time.Second}, 4},
		"bulk":     {clerkorg.Quota{Name: "bulk", Limit: max(1, number/20), Window: time.Minute}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server, client := newMini(t)
			counted := &spy{}
			client.AddHook(counted)
			r := &replicas{t: t, quota: s.quota, clock: newClock(server)}
			start := r.clock.now()
			for i := range number {
				l := newTestLimiter(t, client)
				l.now = func() time.Time { return start.Add(r.now) }
				r.after(time.Duration(i)*time.Second/time.Duration(number), func() { r.call(l, s.calls) })
			}
			r.run()

			calls := number * s.calls
			require.Len(t, r.served, calls)
			last := r.served[len(r.served)-1]
			round := s.quota.Window + 5*time.Second + simulatedLatency
			expected := time.Duration(float64(calls)/float64(s.quota.Limit)-1) * round
			scripts := float64(counted.scripts.Load())
			waits := make([]time.Duration, calls)
			for i := range calls {
				waits[i] = r.served[i] - r.came[i]
			}
			slices.Sort(waits)
			arrivals := slices.Clone(r.came)
			slices.Sort(arrivals)
			most := 0
			for i, came := range r.came {
				before, _ := slices.BinarySearch(arrivals, came)
				until, _ := slices.BinarySearch(arrivals, came+1)
				most = max(most, before-i, i-until+1)
			}
			t.Logf("%d replicas, %s: %d calls in %s (formula: %s); waits of %s in the middle and %s at most; "+
				"%.1f scripts a call, %.0f a second; at most %d places (%.1f %%) from the order of arrival",
				number, s.quota, calls, last.Round(time.Second), expected, waits[calls/2].Round(time.Second), waits[calls-1].Round(time.Second),
				scripts/float64(calls), scripts/last.Seconds(), most, 100*float64(most)/float64(calls))
			assert.InEpsilon(t, expected.Seconds(), last.Seconds(), 0.1)
			fewer := 3*float64(calls) + last.Seconds()*16/lookAgain.Seconds()*math.Log(1+float64(number)/16)
			assert.Less(t, scripts, fewer)
			assert.LessOrEqual(t, most, calls/10)
			noWindowHoldsTooMany(t, momentsOf(start, r.served), s.quota)
		})
	}
}

func momentsOf(start time.Time, all []time.Duration) []time.Time {
	moments := make([]time.Time, len(all))
	for i, at := range all {
		moments[i] = start.Add(at)
	}
	return moments
}
