package redislimit

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/clerkorg/clerkorg-go"
)

const (
	// flushAfter is how long a settlement waits for a script that carries it.
	flushAfter = 200 * time.Millisecond

	// flushPause is how long a flush waits after failures at the most.
	flushPause = 30 * time.Second
)

// flushSoon has what is untold be told in a while, unless a token is taken before.
func (l *Limiter) flushSoon(wait time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return
	}
	if l.timer == nil {
		l.timer = time.AfterFunc(wait, l.flushByTimer)
		l.flushing = true
	} else if !l.flushing || wait < flushAfter {
		l.timer.Reset(wait)
		l.flushing = true
	}
}

// flushByTimer tries again, less and less often, as long as there is anything to tell.
func (l *Limiter) flushByTimer() {
	l.mu.Lock()
	l.flushing = false
	l.mu.Unlock()
	err := l.flush(context.Background())
	l.mu.Lock()
	l.flushWait = min(max(2*l.flushWait, pauseAfterFailure), flushPause)
	if err == nil {
		l.flushWait = 0
	}
	wait := l.flushWait
	l.mu.Unlock()
	if err != nil && !errors.Is(err, redis.ErrClosed) { // a closed client does not come back
		l.flushSoon(wait)
	}
}

// flush tells Redis everything that it has not been told.
func (l *Limiter) flush(ctx context.Context) error {
	l.mu.Lock()
	lines := slices.Collect(maps.Values(l.lines))
	l.mu.Unlock()
	var errs []error
	for _, line := range lines {
		if !line.tells(l.memory(line.named())) {
			continue
		}
		if err := l.catchUp(ctx, line, l.timeout); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// catchUp tells Redis all news of a quota, and everything again where it has lost
// its memory.
func (l *Limiter) catchUp(ctx context.Context, line *line, patience time.Duration) error {
	if err := line.await(ctx); err != nil {
		return err
	}
	defer line.release()
	quota := line.named()
	memory := l.memory(quota)
	for {
		seeds, restoring := line.restore(memory)
		if err := l.tellSeeds(ctx, line, quota, seeds); err != nil {
			line.restoreAgain()
			return err
		}
		for {
			news := line.next()
			if news.empty() {
				return nil
			}
			witness, losses := line.expected(quota.Window + l.slack)
			if restoring {
				witness = "" // it is being told
			}
			now := l.now()
			args := news.append([]any{witness, news.closeFor(now)}, now, l.late)
			reply, err := l.run(ctx, patience, scripts.settle, quota, 1, args...)
			if err != nil {
				return err
			}
			line.confirm(news, memory)
			if reply[0] < 0 {
				l.noteLoss(line, losses)
				break
			}
		}
	}
}

// tellSeeds tells Redis of requests of other clients, and notes those that it did not
// see itself.
func (l *Limiter) tellSeeds(ctx context.Context, line *line, quota clerkorg.Quota, seeds []seed) error {
	for part := range slices.Chunk(seeds, seedBatch) {
		args := []any{""}
		for _, s := range part {
			args = append(args, s.at, s.nth)
		}
		reply, err := l.run(ctx, l.timeout, scripts.seed, quota, 1, args...)
		if err != nil {
			return err
		}
		born := reply[0]
		line.seed(slices.DeleteFunc(slices.Clone(part), func(s seed) bool { return s.at >= born }))
	}
	return nil
}
