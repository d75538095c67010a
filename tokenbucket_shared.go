package clerkorg

import (
	"crypto/sha256"
	"sync"
	"weak"
)

// sharedLimiters holds the one bucket that all clients of a secret key share.
//
// A bucket is held weakly, so that it can go with its last client, but strongly
// while it remembers requests: a program that makes a client for every call has
// still only one quota.
var sharedLimiters = limiterTable{entries: map[keyHash]*limiterEntry{}}

// keyHash stands for a secret key, which is itself never kept in the table.
type keyHash [sha256.Size]byte

type limiterTable struct {
	mu      sync.Mutex
	entries map[keyHash]*limiterEntry
	sweepAt int // the number of entries at which to look for those that can go
}

type limiterEntry struct {
	shared weak.Pointer[TokenBucket]
	held   *TokenBucket // set while there is something to remember
}

// bucket returns the bucket of a secret key.
func (t *limiterTable) bucket(secretKey string) *TokenBucket {
	key := keyHash(sha256.Sum256([]byte(secretKey)))
	t.mu.Lock()
	defer t.mu.Unlock()
	if entry := t.entries[key]; entry != nil {
		if b := entry.shared.Value(); b != nil {
			return b
		}
	}
	if len(t.entries) >= t.sweepAt {
		t.sweep()
		t.sweepAt = max(16, 2*len(t.entries))
	}
	b := NewTokenBucket()
	entry := &limiterEntry{shared: weak.Make(b)}
	t.entries[key] = entry
	b.remember = func() {
		// Only a live bucket calls this, so the weak pointer still leads to it.
		t.mu.Lock()
		defer t.mu.Unlock()
		entry.held = entry.shared.Value()
	}
	return b
}

// sweep lets go of buckets with nothing to remember, and forgets those that are
// gone. The lock is held.
func (t *limiterTable) sweep() {
	for key, entry := range t.entries {
		if entry.held != nil && entry.held.idle() {
			entry.held = nil
		}
		if entry.shared.Value() == nil {
			delete(t.entries, key)
		}
	}
}
