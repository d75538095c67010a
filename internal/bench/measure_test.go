package bench

import (
	"context"
	"fmt"
	"math"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// duel runs the calls in short rounds, one after the other in each, and returns the
// median of the CPU time of each, and of its quotient by that of calls[1] in the same round.
// A round is long enough to pay for the garbage that it makes.
func duel(tb testing.TB, calls []func(context.Context) error) (times []time.Duration, quotients []float64) {
	tb.Helper()
	const rounds, atLeast = 41, 12 * time.Millisecond
	ctx := tb.Context()
	run := func(n int, call func(context.Context) error) time.Duration {
		start := cpuTime()
		for range n {
			if err := call(ctx); err != nil {
				tb.Fatal(err)
			}
		}
		return cpuTime() - start
	}
	counts := make([]int, len(calls))
	for i, call := range calls {
		for n := 1; counts[i] == 0; n *= 2 {
			if run(n, call) >= atLeast {
				counts[i] = n
			}
		}
	}
	taken := make([][]float64, len(calls))
	shares := make([][]float64, len(calls))
	for round := range rounds {
		perCall := make([]float64, len(calls))
		for i := range calls {
			i = (i + round) % len(calls)
			perCall[i] = float64(run(counts[i], calls[i])) / float64(counts[i])
		}
		for i := range calls {
			taken[i] = append(taken[i], perCall[i])
			shares[i] = append(shares[i], perCall[i]/perCall[1])
		}
	}
	for i := range calls {
		times = append(times, time.Duration(median(taken[i])))
		quotients = append(quotients, median(shares[i]))
	}
	return times, quotients
}

func median(values []float64) float64 {
	slices.Sort(values)
	return values[len(values)/2]
}

// perCall returns what a call takes of the heap when no garbage collection has just
// emptied the pools: the least of several batches. It counts the allocations of the
// whole process: no other test may run.
func perCall(tb testing.TB, call func(context.Context) error) (allocs, bytes uint64) {
	tb.Helper()
	ctx := tb.Context()
	require.NoError(tb, call(ctx))
	const batches, calls = 10, 20
	allocs, bytes = math.MaxUint64, math.MaxUint64
	var before, after runtime.MemStats
	for range batches {
		runtime.ReadMemStats(&before)
		for range calls {
			if err := call(ctx); err != nil {
				tb.Fatal(err)
			}
		}
		runtime.ReadMemStats(&after)
		allocs = min(allocs, (after.Mallocs-before.Mallocs)/calls)
		bytes = min(bytes, (after.TotalAlloc-before.TotalAlloc)/calls)
	}
	return allocs, bytes
}

var collected = regexp.MustCompile(`Collected : (\d+)`)

// instructions returns how many instructions one op of a benchmark takes by callgrind,
// without garbage collection: the difference of two runs.
func instructions(tb testing.TB, benchmark string, few int) int {
	tb.Helper()
	program, err := os.Executable()
	require.NoError(tb, err)
	count := func(n int) int {
		for range 3 { // the Go runtime and valgrind do not always get along
			cmd := exec.CommandContext(tb.Context(), "valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null",
				program, "-test.run=^$", "-test.bench="+benchmark, fmt.Sprintf("-test.benchtime=%dx", n))
			cmd.Env = append(os.Environ(), "GOGC=off", "GOMAXPROCS=1", "GODEBUG=asyncpreemptoff=1")
			out, _ := cmd.CombinedOutput()
			if found := collected.FindSubmatch(out); found != nil {
				total, err := strconv.Atoi(string(found[1]))
				require.NoError(tb, err)
				return total
			}
		}
		tb.Fatalf("callgrind counted nothing for %s", benchmark)
		return 0
	}
	many := 8 * few
	return (count(many) - count(few)) / (many - few)
}
