//go:build unix

package bench

import (
	"syscall"
	"time"
)

// cpuTime is the time that the process has spent on any core, which other processes
// disturb far less than the clock.
func cpuTime() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		panic(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
