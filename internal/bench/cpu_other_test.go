//go:build !unix

package bench

import "time"

var begin = time.Now()

func cpuTime() time.Duration { return time.Since(begin) }
