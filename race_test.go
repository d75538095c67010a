//go:build race

package clerkorg

// raceEnabled: the race detector makes simulations ten times as slow, so there are
// fewer of them.
const raceEnabled = true
