package main

import (
	"time"

	"github.com/riverqueue/river"

	"github.com/clerkorg/clerkorg-go"
)

// pace is how long things may take. The values depend on each other.
type pace struct {
	// jobTimeout ends a run. River's minute is too short: a run may look, send,
	// look again and then send ten calls one by one, each with retries. Cutting it
	// off loses nobody, but leaves an outcome to be found out.
	jobTimeout time.Duration

	// rescueAfter is when a job whose worker has died is given to another one.
	// River's hour would keep its people waiting. It must be longer than jobTimeout,
	// or a job that is merely slow runs twice at once; and longer by what a request
	// of the dead worker may take to arrive, or the next one looks too early.
	rescueAfter time.Duration

	// settle is how long after a call without an answer a look tells what it did:
	// it may arrive late.
	settle time.Duration

	// skew is how far Clerk's clock may be behind the database's.
	skew time.Duration

	// softStop is what a run has left after SIGTERM: enough for the call under
	// way, and less than the 30 s after which Kubernetes sends SIGKILL.
	softStop time.Duration

	workers int  // jobs at once in a process: the quota is what limits, not they
	hasty   bool // without River's random delays at the start, for tests
}

var production = pace{
	jobTimeout:  3 * time.Minute,
	rescueAfter: 3*time.Minute + clerkorg.LateArrival + time.Minute,
	settle:      clerkorg.LateArrival + 5*time.Second,
	skew:        5 * time.Minute,
	softStop:    25 * time.Second,
	workers:     4,
}

// callTimeout is shorter than softStop, so that a call that has begun is answered
// or given up by the time a worker must stop.
const callTimeout = 15 * time.Second

// keepCompleted is how long finished jobs stay: for a report, and to keep the
// same file from being enqueued again. River's day is soon over.
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
