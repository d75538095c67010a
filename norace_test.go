//go:build !race

package clerkorg

const raceEnabled = false
