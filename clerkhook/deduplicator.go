package clerkhook

import (
	"context"
	"sync"
)

// Deduplicator remembers which events were handled, by their ids. Its methods may be
// called by several goroutines at once.
type Deduplicator interface {
	// Claim returns true where the caller is to handle the event, and then to call
	// Settle. It returns false where the event was handled before. While another
	// caller handles it, Claim waits for the outcome, or returns an error. It also
	// returns one where it cannot tell, or the context ends.
	Claim(ctx context.Context, id string) (bool, error)

	// Settle ends a claim. An event that was not handled can be claimed again.
	Settle(ctx context.Context, id string, handled bool) error
}

// DefaultRemembered is how many events a [MemoryDeduplicator] remembers by default.
const DefaultRemembered = 10_000

// MemoryDeduplicator is a [Deduplicator] for one process: what it remembers ends with
// that, and other processes do not know of it.
type MemoryDeduplicator struct {
	mu      sync.Mutex
	claims  map[string]chan struct{} // closed when the claim is settled
	handled map[string]struct{}
	order   []string // the handled ids, a ring once it is full
	oldest  int
	limit   int
}

// NewMemoryDeduplicator returns a deduplicator that remembers the last n events that
// were handled, or [DefaultRemembered] where n is zero or less. An id has at most 256
// bytes; those of Clerk have about 31.
func NewMemoryDeduplicator(n int) *MemoryDeduplicator {
	if n <= 0 {
		n = DefaultRemembered
	}
	return &MemoryDeduplicator{claims: make(map[string]chan struct{}), handled: make(map[string]struct{}), limit: n}
}

// Claim implements [Deduplicator]. Its error is that of the context.
func (d *MemoryDeduplicator) Claim(ctx context.Context, id string) (bool, error) {
	for {
		d.mu.Lock()
		_, handled := d.handled[id]
		other, claimed := d.claims[id]
		if !handled && !claimed {
			d.claims[id] = make(chan struct{})
		}
		d.mu.Unlock()
		switch {
		case handled:
			return false, nil
		case !claimed:
			return true, nil
		}
		select {
		case <-other:
		case <-ctx.Done():
			return false, ctx.Err()
		}
	}
}

// Settle implements [Deduplicator]. An event that is not claimed stays as it is. The
// error is always nil.
func (d *MemoryDeduplicator) Settle(_ context.Context, id string, handled bool) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	claim, claimed := d.claims[id]
	if !claimed {
		return nil
	}
	delete(d.claims, id)
	close(claim)
	if handled {
		d.remember(id)
	}
	return nil
}

func (d *MemoryDeduplicator) remember(id string) {
	d.handled[id] = struct{}{}
	if len(d.order) < d.limit {
		d.order = append(d.order, id)
		return
	}
	delete(d.handled, d.order[d.oldest])
	d.order[d.oldest] = id
	d.oldest = (d.oldest + 1) % d.limit
}
