package clerkorg

import (
	"net/http"
	"sync/atomic"
	"time"
)

// serverClock is how far the server's clock is ahead of ours, as the Date headers
// of its answers tell. It is safe for concurrent use; a nil one learns nothing.
type serverClock struct {
	ahead atomic.Int64 // nanoseconds
	known atomic.Bool
}

// Clocks are compared with one of these tolerances.
const (
	clockTolerance   = 2 * time.Second // Date counts whole seconds, and answers take their time
	unknownTolerance = 5 * time.Minute // where no answer had a Date
)

// observe reads the Date of an answer that came just now.
func (c *serverClock) observe(header http.Header) {
	if c == nil {
		return
	}
	date, err := http.ParseTime(header.Get("Date"))
	if err != nil {
		return
	}
	const half = time.Second / 2 // Date is cut to whole seconds
	c.ahead.Store(int64(time.Until(date.Add(half))))
	c.known.Store(true)
}

// offset is how far the server's clock is ahead. Less than the tolerance is none.
func (c *serverClock) offset() time.Duration {
	ahead := time.Duration(c.ahead.Load())
	if ahead.Abs() < clockTolerance {
		return 0
	}
	return ahead
}

// now is the time by the server's clock.
func (c *serverClock) now() time.Time { return time.Now().Add(c.offset()) }

// tolerance is how far now may be off.
func (c *serverClock) tolerance() time.Duration {
	if c.known.Load() {
		return clockTolerance
	}
	return unknownTolerance
}
