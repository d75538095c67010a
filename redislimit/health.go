package redislimit

import (
	"sync"
	"time"
)

// pauseAfterFailure is how long Redis is left alone after it failed, so that not
// every call has to find out for itself.
const pauseAfterFailure = time.Second

// health remembers whether Redis works.
type health struct {
	mu    sync.Mutex
	err   error // why it does not
	again time.Time
}

// ask is nil for whoever may try Redis: everybody while it works, one in a while
// where it does not.
func (h *health) ask() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.err == nil {
		return nil
	}
	now := time.Now()
	if now.Before(h.again) {
		return h.err
	}
	h.again = now.Add(pauseAfterFailure)
	return nil
}

// report tells what came of trying.
func (h *health) report(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.err = err
	if err != nil {
		h.again = time.Now().Add(pauseAfterFailure)
	}
}
