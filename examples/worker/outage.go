package main

import (
	"sync"
	"time"
)

// Bounds of how long a job waits for a limiter that is unavailable.
const minOutageWait, maxOutageWait = time.Second, time.Minute

// outage is the time for which the rate limiter has been unavailable, for all jobs of a
// process. Its zero value is that of a limiter that works.
type outage struct {
	mu    sync.Mutex
	since time.Time // zero while the limiter works
}

// noted notes that the limiter is unavailable, and returns how long a job should wait
// before it asks again: as long as the outage has lasted, within bounds. It reports
// whether the outage has just begun.
func (o *outage) noted() (wait time.Duration, begun bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if begun = o.since.IsZero(); begun {
		o.since = time.Now()
	}
	return min(max(time.Since(o.since), minOutageWait), maxOutageWait), begun
}

// lasts reports whether there is an outage.
func (o *outage) lasts() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return !o.since.IsZero()
}

// ended notes that the limiter works, and reports whether that ends an outage, and
// which lasted how long.
func (o *outage) ended() (lasted time.Duration, ended bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.since.IsZero() {
		return 0, false
	}
	lasted, o.since = time.Since(o.since), time.Time{}
	return lasted, true
}
