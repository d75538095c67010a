package clerkorg

import (
	"crypto/sha256"
	"sync"
	"weak"
)

// sharedLimiters holds, for each secret key, the bucket that its clients share.
//
// The reference is weak, so that a bucket is collected after its last client, but
// strong while the bucket has requests on record: a program that makes a client for
// every call still keeps its quota.
var sharedLimiters = limiterTable{entries: map[keyHash]*limiterEntry{}}

// keyHash identifies a secret key. The table does not contain the key itself.
type keyHash [sha256.Size]byte

type limiterTable struct {
	mu      sync.Mutex
	entries map[keyHash]*limiterEntry
	sweepAt int // the number of entries from which on the next new one sweeps
}

type limiterEntry struct {
	shared weak.Pointer[TokenBucket]
	held   *TokenBucket // set while there are requests on record
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
		// A bucket that calls this is reachable, so the weak pointer is not nil.
		t.mu.Lock()
		defer t.mu.Unlock()
		entry.held = entry.shared.Value()
	}
	return b
}

// sweep releases the buckets without requests on record, and deletes the entries
// of collected ones. The lock is held.
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
