package redislimit

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"github.com/clerkorg/clerkorg-go"
)

// Stats is what a limiter has done since it was made, and how things stand. Counts are of
// this process alone.
type Stats struct {
	Taken    uint64        // tokens
	Waits    uint64        // calls of Acquire that could not have one at once
	Waited   time.Duration // by all of them together
	Refusals uint64        // calls of Acquire that could have none in time

	RedisErrors  uint64 // scripts without an answer, or with an error
	MemoryLosses uint64 // how often Redis did not know what it had to
	Err          error  // why Redis cannot be asked now; nil where it can

	Quotas []QuotaStats // by name
}

// QuotaStats is how things stand with one quota of a limiter.
type QuotaStats struct {
	Quota    clerkorg.Quota
	Waiting  int // calls of Acquire
	InFlight int // tokens whose requests have no outcome yet
	Owed     int // outcomes that Redis has not been told

	// ClosedUntil is when a quota opens that the server has closed, and GuardedUntil how
	// long the guard stays on, as far as this process was told; zero where they do not
	// apply.
	ClosedUntil, GuardedUntil time.Time
}

// counters are the part of the stats that grows.
type counters struct {
	taken, waits, refusals, redisErrors, memoryLosses atomic.Uint64
	waited                                            atomic.Int64
}

// Stats returns what the limiter has done and how things stand. It does not ask Redis.
func (l *Limiter) Stats() Stats {
	stats := Stats{
		Taken:        l.counters.taken.Load(),
		Waits:        l.counters.waits.Load(),
		Waited:       time.Duration(l.counters.waited.Load()),
		Refusals:     l.counters.refusals.Load(),
		RedisErrors:  l.counters.redisErrors.Load(),
		MemoryLosses: l.counters.memoryLosses.Load(),
		Err:          l.health.failure(),
	}
	l.mu.Lock()
	lines := maps.Clone(l.lines)
	l.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(lines)) {
		line := lines[name]
		quota := line.named()
		one := QuotaStats{Quota: quota, Waiting: line.length()}
		line.stats(&one)
		stats.Quotas = append(stats.Quotas, one)
	}
	return stats
}

// stats fills in what the journal knows.
func (j *journal) stats(s *QuotaStats) {
	j.mu.Lock()
	defer j.mu.Unlock()
	now := j.now()
	s.InFlight, s.Owed = len(j.inFlight), len(j.untold)
	if j.closed.After(now) {
		s.ClosedUntil = j.closed
	}
	if until := j.closed.Add(2 * s.Quota.Window); j.guarded && s.Quota.Window >= shortestGuarded && until.After(now) {
		s.GuardedUntil = until
	}
}

// count notes how a call of Acquire has ended.
func (c *counters) count(err error) {
	if err == nil {
		c.taken.Add(1)
	} else if _, refused := errors.AsType[*clerkorg.RateLimitError](err); refused {
		c.refusals.Add(1)
	}
}

// say writes to the logger, if there is one.
func (l *Limiter) say(level slog.Level, text string, attrs ...slog.Attr) {
	if l.logger != nil {
		l.logger.LogAttrs(context.Background(), level, text, attrs...)
	}
}

// noteHealth tells that Redis was lost or found.
func (l *Limiter) noteHealth(err error, lost, found bool) {
	if err != nil {
		l.counters.redisErrors.Add(1)
	}
	switch {
	case lost:
		l.say(slog.LevelWarn, "redis lost", slog.Any("cause", err))
	case found:
		l.say(slog.LevelInfo, "redis found")
	}
}

// noteLoss tells that Redis did not know the token of a quota that it had to know.
func (l *Limiter) noteLoss(line *line, losses int) {
	if line.lose(losses) {
		l.counters.memoryLosses.Add(1)
		l.say(slog.LevelWarn, "redis has lost its memory, and is told again", slog.String("quota", line.named().Name))
	}
}

// noteClose tells that the server has closed a quota, which turns on the guard.
func (l *Limiter) noteClose(line *line, quota clerkorg.Quota, until time.Time, told bool) {
	first := line.close(until, told)
	l.say(slog.LevelWarn, "quota closed by the server",
		slog.String("quota", quota.Name), slog.Time("until", until), slog.Bool("guard_turned_on", first && quota.Window >= shortestGuarded))
}
