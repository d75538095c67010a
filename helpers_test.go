package clerkorg

import (
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
)

// full reports whether simulations run from all points, with all seeds and at full
// size. It takes minutes of processor time, and is for .ci/run, which sets the
// variable; without it they run from a sample of the points, and make the same
// checks there.
var full = os.Getenv("CLERKORG_TEST_FULL") != ""

// stride is the step from one point of a simulation to the next: n, or 1 where all
// of them are wanted.
func stride(n int) int {
	if full {
		return 1
	}
	return n
}

// sampler returns a function that picks the first of every n points, or all of them
// where all are wanted, and under the race detector a third of those. Choose n coprime to the lengths of the inner loops: then the
// sample has every value of each of them.
func sampler(n int) (pick func() bool) {
	if n = stride(n); raceEnabled {
		n *= 3
	}
	next := 0
	return func() bool {
		picked := next%n == 0
		next++
		return picked
	}
}

func TestSampler(t *testing.T) {
	t.Parallel()
	pick := sampler(3)
	picked := 0
	for range 12 {
		if pick() {
			picked++
		}
	}
	switch {
	case full && !raceEnabled:
		assert.Equal(t, 12, picked)
	case full || !raceEnabled:
		assert.Equal(t, 4, picked)
	default:
		assert.Equal(t, 2, picked)
	}
}
