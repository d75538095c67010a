package main

import (
	"time"

	"github.com/riverqueue/river"

	"github.com/clerkorg/clerkorg-go"
)

// pace is how long things may take. The values depend on each other.
type pace struct {
	// call limits one call to Clerk.
	call time.Duration

	// jobTimeout ends a run. A run starts no call for which less than call is left: it
	// is continued by another run at once. So it is the longest time after the start of
	// a run at which a call can be under way, and the shorter it is, the sooner the jobs
	// of a dead worker go on.
	jobTimeout time.Duration

	// rescueAfter is how long after the start of a run its worker counts as dead, if
	// the run has not ended. River's default is an hour. It must be longer than
	// jobTimeout, by what it takes to write the end of a run.
	rescueAfter time.Duration

	// settle is how long after a call without an answer a look tells what the call
	// did: it may arrive late.
	settle time.Duration

	// skew is how far Clerk's clock may be behind the database's.
	skew time.Duration

	// softStop is what a run has left after SIGTERM: enough for the call under way, and
	// less than the 30 s after which Kubernetes sends SIGKILL.
	softStop time.Duration

	workers int  // jobs at once in a process: the quota is what limits, not they
	hasty   bool // without River's random delays at the start, for tests
}

var production = pace{
	call:        15 * time.Second,
	jobTimeout:  40 * time.Second,
	rescueAfter: 55 * time.Second,
	settle:      clerkorg.LateArrival + 5*time.Second,
	skew:        5 * time.Minute,
	softStop:    25 * time.Second,
	workers:     4,
}

// River's own intervals, which its configuration does not change.
const (
	electAfter    = 21 * time.Second // after the death of the leader, which alone rescues and schedules, another one leads
	rescueEvery   = 30 * time.Second
	scheduleEvery = 5 * time.Second
	pollEvery     = time.Second
)

// standstill is the longest time for which a job whose worker was killed waits for
// another one. The worst case is a run that had just begun: it is waited for as long as
// for one that was killed at its end, with a call under way.
func (p pace) standstill() time.Duration {
	return max(electAfter, p.rescueAfter+rescueEvery, p.jobTimeout+p.settle) + scheduleEvery + pollEvery
}

// keepCompleted is how long finished jobs stay: for a report, and to keep the
// same file from being enqueued again. River's default is a day.
const keepCompleted = 7 * 24 * time.Hour

// config is River's configuration for a process that works invite's jobs.
func (p pace) config(invite *inviter) *river.Config {
	workers := river.NewWorkers()
	river.AddWorker(workers, invite)
	return &river.Config{
		CompletedJobRetentionPeriod: keepCompleted,
		JobTimeout:                  p.jobTimeout,
		RescueStuckJobsAfter:        p.rescueAfter,
		SoftStopTimeout:             p.softStop,
		Queues:                      map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: p.workers}},
		Workers:                     workers,
		TestOnly:                    p.hasty,
	}
}
