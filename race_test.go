//go:build race

package clerkorg

// raceEnabled: the race detector makes simulations ten times as slow, so they are
// smaller.
const raceEnabled = true
