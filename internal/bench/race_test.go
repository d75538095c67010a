//go:build race

package bench

// raceEnabled: the race detector makes sync.Pool drop things on purpose.
const raceEnabled = true
