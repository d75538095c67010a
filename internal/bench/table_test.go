package bench

import (
	"bufio"
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var (
	update    = flag.Bool("update", false, "write the table into docs/performance.md")
	callgrind = flag.Bool("callgrind", false, "count instructions too, with valgrind: minutes")
)

const (
	document    = "../../docs/performance.md"
	tableBegins = "<!-- written by: go test ./internal/bench -run Table -bench . -update -->\n"
	tableEnds   = "<!-- end -->\n"
)

// TestTable prints all that is measured here, in one run. It takes long, and is
// therefore asked for by -bench, which is what else takes long.
func TestTable(t *testing.T) {
	if flag.Lookup("test.bench").Value.String() == "" {
		return
	}
	var table bytes.Buffer
	fmt.Fprintf(&table, "%s\n\n", machine())
	clients(t, &table)
	limiterTable(t, &table)
	t.Log("\n" + table.String())
	if !*update {
		return
	}
	text, err := os.ReadFile(document)
	require.NoError(t, err)
	before, rest, found := strings.Cut(string(text), tableBegins)
	_, after, ends := strings.Cut(rest, tableEnds)
	require.True(t, found && ends, "%s has no place for the table", document)
	text = []byte(before + tableBegins + "\n" + table.String() + "\n" + tableEnds + after)
	require.NoError(t, os.WriteFile(document, text, 0o600))
}

// clients compares the clients, a row for each kind of call and each measure.
func clients(t *testing.T, table *bytes.Buffer) {
	t.Helper()
	memory, loopback := inMemory(t), overLoopback(t)
	header(table, "", memory[0].name, memory[2].name, memory[1].name, memory[3].name)
	for _, kind := range []struct {
		name, benchmark string
		few             int
		call            func(contender) func(context.Context) error
	}{
		{"bulk of 10", "Bulk10", 50, func(c contender) func(context.Context) error { return c.bulk }},
		{"list of 500", "List500", 4, func(c contender) func(context.Context) error { return c.list }},
	} {
		calls := func(contenders []contender, wrap func(func(context.Context) error) func(context.Context) error) (calls []func(context.Context) error) {
			for _, c := range contenders {
				if call := kind.call(c); call != nil {
					calls = append(calls, wrap(call))
				}
			}
			return calls
		}
		alone := calls(memory, func(call func(context.Context) error) func(context.Context) error { return call })
		times, shares := duel(t, alone)
		row(table, kind.name+": CPU time", alone, func(i int) string {
			return fmt.Sprintf("%s (%.2f x)", short(times[i]), shares[i])
		})
		if *callgrind {
			counts := make([]int, len(alone))
			for i := range alone {
				counts[i] = instructions(t, fmt.Sprintf("^Benchmark%s$/^%s$", kind.benchmark, memory[i].name), kind.few)
			}
			row(table, "instructions", alone, func(i int) string {
				return fmt.Sprintf("%d k (%.3f x)", counts[i]/1000, float64(counts[i])/float64(counts[1]))
			})
		}
		allocs, size := make([]uint64, len(alone)), make([]uint64, len(alone))
		for i, call := range alone {
			allocs[i], size[i] = perCall(t, call)
		}
		row(table, "allocations", alone, func(i int) string { return fmt.Sprintf("%d, %d KB", allocs[i], size[i]/1000) })
		crowded := calls(loopback, func(call func(context.Context) error) func(context.Context) error { return crowd(call, 2*parallel) })
		times, shares = duel(t, crowded)
		row(table, "the same over loopback, 16 at a time", crowded, func(i int) string {
			return fmt.Sprintf("%s (%.2f x)", short(times[i]/(2*parallel)), shares[i])
		})
	}
	table.WriteByte('\n')
}

func limiterTable(t *testing.T, table *bytes.Buffer) {
	t.Helper()
	header(table, "a token taken and settled, by", "1 goroutine", "16", "256", "allocations")
	for _, limiter := range limiters() {
		var cells []string
		for _, goroutines := range crowds {
			var times []float64
			for range 9 {
				times = append(times, float64(inCrowd(t, goroutines, limiter.take)))
			}
			cells = append(cells, short(time.Duration(median(times))))
		}
		allocs, _ := perCall(t, limiter.take)
		fmt.Fprintf(table, "| %s | %s | %d |\n", limiter.name, strings.Join(cells, " | "), allocs)
	}
}

func header(table *bytes.Buffer, names ...string) {
	fmt.Fprintf(table, "| %s |\n|---|%s\n", strings.Join(names, " | "), strings.Repeat("---:|", len(names)-1))
}

// row writes a cell for each call; the limit stands before the floor.
func row(table *bytes.Buffer, name string, calls []func(context.Context) error, cell func(i int) string) {
	fmt.Fprintf(table, "| %s ", name)
	for _, i := range []int{0, 2, 1, 3} {
		text := "no such call"
		if i < len(calls) {
			text = cell(i)
		}
		fmt.Fprintf(table, "| %s ", text)
	}
	table.WriteString("|\n")
}

func short(d time.Duration) string {
	switch {
	case d < 10*time.Microsecond:
		return fmt.Sprintf("%d ns", d.Nanoseconds())
	case d < 10*time.Millisecond:
		return fmt.Sprintf("%d µs", d.Microseconds())
	}
	return fmt.Sprintf("%d ms", d.Milliseconds())
}

// machine says where and when the table was made.
func machine() string {
	processor := "unknown processor"
	if file, err := os.Open("/proc/cpuinfo"); err == nil {
		defer file.Close()
		for lines := bufio.NewScanner(file); lines.Scan(); {
			if name, value, _ := strings.Cut(lines.Text(), ":"); strings.TrimSpace(name) == "model name" {
				processor = strings.TrimSpace(value)
			}
		}
	}
	return fmt.Sprintf("%s, %d cores, %s/%s, %s, %s.", processor, runtime.NumCPU(),
		runtime.GOOS, runtime.GOARCH, runtime.Version(), time.Now().UTC().Format(time.DateOnly))
}
