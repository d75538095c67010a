package redislimit

import (
	"context"
	crand "crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/clerkorg/clerkorg-go/clerkhook"
)

const (
	// remembered is how long an event that was handled is known: Svix delivers again for
	// 28 hours, and people do so by hand.
	remembered = 7 * 24 * time.Hour

	// claimed is how long a process may handle an event before another one may.
	claimed = time.Minute
)

// ErrClaimed is the error of [Deduplicator.Claim] where another process handles the event
// just then. The handler of package clerkhook answers with 500, and the event is
// delivered again.
var ErrClaimed = errors.New("redislimit: another process handles the event")

// Deduplicator is a [clerkhook.Deduplicator] for all processes that share a Redis. It
// remembers for a week that an event was handled. A process that dies while it handles one
// holds it for a minute.
type Deduplicator struct {
	redis  redis.UniversalClient
	prefix string
	name   string // of this process, among those that claim
}

var _ clerkhook.Deduplicator = (*Deduplicator)(nil)

// NewDeduplicator returns a deduplicator whose keys in Redis begin with prefix, or with
// [DefaultPrefix] where that is empty.
func NewDeduplicator(client redis.UniversalClient, prefix string) *Deduplicator {
	if prefix == "" {
		prefix = DefaultPrefix
	}
	return &Deduplicator{client, prefix + "event:", "claimed by " + crand.Text()}
}

const handledEvent = "handled"

// Claim implements [clerkhook.Deduplicator]. Where another process handles the event, the
// error is [ErrClaimed].
func (d *Deduplicator) Claim(ctx context.Context, id string) (bool, error) {
	// One of two rounds is enough, unless the claim of another process ends in between.
	for range 2 {
		ok, err := d.redis.SetNX(ctx, d.prefix+id, d.name, claimed).Result()
		if err != nil || ok {
			return ok, err
		}
		switch state, err := d.redis.Get(ctx, d.prefix+id).Result(); {
		case err == nil && state == handledEvent:
			return false, nil
		case err == nil:
			return false, ErrClaimed
		case !errors.Is(err, redis.Nil):
			return false, err
		}
	}
	return false, ErrClaimed
}

// unclaim forgets a claim, if it is still that of the process.
var unclaim = redis.NewScript(`if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0`)

// Settle implements [clerkhook.Deduplicator].
func (d *Deduplicator) Settle(ctx context.Context, id string, handled bool) error {
	var err error
	if handled {
		err = d.redis.Set(ctx, d.prefix+id, handledEvent, remembered).Err()
	} else {
		err = unclaim.Run(ctx, d.redis, []string{d.prefix + id}, d.name).Err()
	}
	if err != nil {
		return fmt.Errorf("redislimit: settle an event: %w", err)
	}
	return nil
}
