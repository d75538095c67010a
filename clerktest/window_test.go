package clerktest

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// epoch is on a whole hour, where clock-aligned windows begin.
var epoch = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)

func TestWindowNames(t *testing.T) {
	t.Parallel()
	require.Len(t, Windows(), 11)
	names := map[string]bool{}
	for _, w := range Windows() {
		names[w.String()] = true
	}
	require.Len(t, names, 11)
	require.Equal(t, "sliding-log", SlidingLog.String())
	require.Equal(t, "unknown", Window(-1).String())
	require.Equal(t, "unknown", Window(99).String())
	require.IsType(t, &fixedWindow{}, Window(99).newAlgorithm(1, time.Second))
}

// TestWindowAlgorithms tries a limit of 4 in 60 seconds. A step at some second
// after a whole minute either is admitted (wait 0) or has to wait that many
// seconds, rounded up.
func TestWindowAlgorithms(t *testing.T) {
	t.Parallel()
	type step struct {
		at, wait float64
	}
	admitted := func(at ...float64) []step {
		var steps []step
		for _, s := range at {
			steps = append(steps, step{s, 0})
		}
		return steps
	}
	const ns = 1e-9
	tests := []struct {
		window Window
		steps  []step
	}{
		{FixedWindow, append(admitted(50, 51, 52, 59.5), step{59.75, 0.25}, step{60, 0}, step{61, 0}, step{62, 0}, step{63, 0}, step{64, 56})},
		{FixedWindowFromFirst, append(admitted(50, 51, 52, 53), step{54, 56}, step{109, 1}, step{110, 0}, step{111, 0}, step{112, 0}, step{113, 0}, step{114, 56})},
		{FixedWindowFromFirst, append(admitted(0), step{200, 0}, step{201, 0}, step{202, 0}, step{203, 0}, step{204, 56})},
		{SlidingLog, append(admitted(0, 10, 20, 30), step{40, 20}, step{59, 1}, step{60, 0}, step{61, 9}, step{70, 0})},
		{SlidingLogCountingRefusals, append(admitted(0, 10, 20, 30),
			step{40, 30}, // the four newest: 10, 20, 30, 40
			step{50, 30}, step{80, 0}, step{81, 19}, step{100, 0})},
		{TokenBucket, append(admitted(0, 0, 0, 0), step{0, 15}, step{10, 5}, step{15, 0}, step{16, 14}, step{30, 0}, step{200, 0}, step{200, 0}, step{200, 0}, step{200, 0}, step{200, 15})},
		{GCRA, append(admitted(0, 0, 0, 0), step{0, 15}, step{10, 5}, step{15, 0}, step{16, 14}, step{30, 0}, step{200, 0}, step{200, 0}, step{200, 0}, step{200, 0}, step{200, 15})},
		{SlidingCounter, append(admitted(0, 10, 20, 30),
			step{40, 20 + ns}, // the next window, once the overlap is less than whole
			step{60, ns},      // 4 of 4 covered
			step{61, 0},       // 3.93 covered
			step{62, 13 + ns}, // 3.87 + 1; 3 covered only after 15 s
			step{75.5, 0},     // 2.97 + 1
			step{76, 14 + ns}, // 2 covered only after 30 s
			step{180, 0},      // two windows later nothing counts
			step{181, 0}, step{182, 0}, step{183, 0}, step{184, 56 + ns})},
		{SlidingCounterFromFirst, append(admitted(50, 51, 52, 53), step{60, 50 + ns}, step{110, ns}, step{111, 0}, step{112, 13 + ns})},
		{SlidingCounterCountingRefusals, append(admitted(0, 1, 2, 3),
			step{4, 56 + 12 + ns}, // 5 in this window: below 4 once 4/5 are covered
			step{72, 12 + ns},     // 5 * 0.8 is not below 4; now 1, so that 3/5 may be covered
			step{100, 0},          // 5 * 0.33 + 1
			step{101, 0})},
		{SlidingCounterCountingFirst, append(admitted(0, 10, 20, 30),
			step{40, 20 + 15}, // in the next window, once 3 of 4 are covered
			step{60, 15},      // 4 of 4 covered, and 1
			step{74.5, 0.5}, step{75, 0},
			step{76, 14}, // 2 may be covered, after 30 s
			step{90, 0},
			step{180, 0}, // two windows later nothing counts
			step{181, 0}, step{182, 0}, step{183, 0}, step{184, 56 + 15})},
		{SlidingCounterCountingFirstAndRefusals, append(admitted(0, 1, 2, 3),
			step{4, 56 + 24}, // 5 in this window: 3 of them may be covered
			step{72, 24},     // 4 of 5 covered, and 1; as that one counts, 2 of 5 may be covered
			step{96, 0})},    // 2 of 5 covered, and 2
	}
	for _, tt := range tests {
		t.Run(tt.window.String(), func(t *testing.T) {
			t.Parallel()
			a := tt.window.newAlgorithm(4, time.Minute)
			for i, s := range tt.steps {
				ok, wait := a.allow(epoch.Add(time.Duration(s.at * float64(time.Second))))
				assert.Equal(t, s.wait == 0, ok, "step %d at %v s", i, s.at)
				assert.InDelta(t, s.wait, wait.Seconds(), 2e-9, "step %d at %v s", i, s.at)
			}
		})
	}
}

// TestWindowWaitIsExact: a request after the whole wait is admitted, one before
// its end is not.
func TestWindowWaitIsExact(t *testing.T) {
	t.Parallel()
	for _, w := range Windows() {
		for _, limit := range []int{1, 3, 50} {
			t.Run(fmt.Sprintf("%s/limit=%d", w, limit), func(t *testing.T) {
				t.Parallel()
				fill := func() (algorithm, time.Time, time.Duration) {
					a := w.newAlgorithm(limit, time.Hour)
					now := epoch.Add(17*time.Minute + 123*time.Millisecond)
					for {
						ok, wait := a.allow(now)
						if !ok {
							return a, now, wait
						}
						now = now.Add(7 * time.Second)
					}
				}
				a, now, wait := fill()
				require.Positive(t, wait)
				require.LessOrEqual(t, wait, 2*time.Hour)
				ok, _ := a.allow(now.Add(wait))
				require.True(t, ok, "after %v", wait)

				a, now, wait = fill()
				ok, _ = a.allow(now.Add(wait - time.Millisecond))
				require.False(t, ok, "before %v", wait)
			})
		}
	}
}

// TestWindowLongRun: no algorithm admits more, in the long run, than its limit.
func TestWindowLongRun(t *testing.T) {
	t.Parallel()
	for _, w := range Windows() {
		t.Run(w.String(), func(t *testing.T) {
			t.Parallel()
			a := w.newAlgorithm(50, time.Hour)
			count := 0
			const hours = 20
			for now := epoch; now.Before(epoch.Add(hours * time.Hour)); now = now.Add(30 * time.Second) {
				if ok, _ := a.allow(now); ok {
					count++
				}
			}
			require.LessOrEqual(t, count, 50*(hours+1))
			if !w.countsRefusals() {
				require.GreaterOrEqual(t, count, 45*hours)
			}
		})
	}
}

func TestStartOf(t *testing.T) {
	t.Parallel()
	week := 7 * 24 * time.Hour
	unix := time.Unix(0, 0)
	require.Equal(t, unix.Add(week), startOf(unix.Add(week+time.Hour), unix, week))
	require.Equal(t, unix.Add(-week), startOf(unix.Add(-time.Hour), unix, week))
	require.Equal(t, unix, startOf(unix, unix, week))
}

func TestQuotaStaysShut(t *testing.T) {
	t.Parallel()
	// Two requests at once and one more each 1.5 s: the bucket would admit the
	// third after 1.5 s, but its Retry-After said 2.
	q := newQuota(TokenBucket, quotaRule{2, 3 * time.Second})
	require.Zero(t, q.admit(epoch))
	require.Zero(t, q.admit(epoch))
	require.Equal(t, 2, q.admit(epoch))
	require.Equal(t, 1, q.admit(epoch.Add(1600*time.Millisecond)))
	require.Zero(t, q.admit(epoch.Add(2*time.Second)))
}

func TestQuotaBlockGrowsWhereRefusalsCount(t *testing.T) {
	t.Parallel()
	q := newQuota(SlidingLogCountingRefusals, quotaRule{1, time.Minute})
	require.Zero(t, q.admit(epoch))
	require.Equal(t, 60, q.admit(epoch.Add(10*time.Second)))
	require.Equal(t, 60, q.admit(epoch.Add(69*time.Second)), "knocking starts it anew")
	require.Zero(t, q.admit(epoch.Add(129*time.Second)))
}
