package redislimit

import (
	"context"
	"sync"
	"time"
)

// pauseAfterFailure is how long Redis is left alone after it failed, so that not
// every call has to find out for itself.
const pauseAfterFailure = time.Second

// health remembers whether Redis works. After a failure one request in a while, the
// probe, tries it again.
type health struct {
	mu    sync.Mutex
	err   error // why Redis does not work
	again time.Time
	probe chan struct{} // closed when the probe under way ends
}

// ask returns nil where the caller may send a request to Redis, and must report its
// end. While a probe is under way, it waits for the result, but no longer than
// patience.
func (h *health) ask(ctx context.Context, patience time.Duration) error {
	var expired <-chan time.Time
	for {
		probe, err := h.admit()
		if probe == nil {
			return err
		}
		if expired == nil {
			expired = time.After(patience)
		}
		select {
		case <-probe:
		case <-expired:
			return err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// admit returns nil twice where the caller may go on, and else why Redis failed,
// with the probe under way, if there is one.
func (h *health) admit() (probe <-chan struct{}, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.err == nil:
		return nil, nil
	case h.probe != nil:
		return h.probe, h.err
	case time.Now().Before(h.again):
		return nil, h.err
	}
	h.probe = make(chan struct{})
	return nil, nil
}

// failure is why Redis does not work; nil where it does.
func (h *health) failure() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.err
}

// report notes how a request to Redis ended. It returns whether Redis was lost by that,
// or works again.
func (h *health) report(err error) (lost, recovered bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	lost, recovered = h.err == nil && err != nil, h.err != nil && err == nil
	h.err = err
	if err != nil {
		h.again = time.Now().Add(pauseAfterFailure)
	}
	if h.probe != nil {
		close(h.probe)
		h.probe = nil
	}
	return lost, recovered
}
