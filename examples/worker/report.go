package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"github.com/clerkorg/clerkorg-go"
)

// each calls do with every job, from the oldest, in these states, or in all.
func each(ctx context.Context, jobs queue, states []rivertype.JobState, do func(*river.Job[InviteBatch]) error) error {
	const page = 500
	params := river.NewJobListParams().Kinds(InviteBatch{}.Kind()).OrderBy(river.JobListOrderByID, river.SortOrderAsc).First(page)
	if len(states) > 0 {
		params = params.States(states...)
	}
	for {
		found, err := jobs.JobList(ctx, params)
		if err != nil {
			return fmt.Errorf("list the jobs: %w", err)
		}
		for _, row := range found.Jobs {
			job := &river.Job[InviteBatch]{JobRow: row}
			if err := json.Unmarshal(row.EncodedArgs, &job.Args); err != nil {
				return fmt.Errorf("job %d cannot be read", row.ID)
			}
			if err := do(job); err != nil {
				return err
			}
		}
		if found.LastCursor == nil || len(found.Jobs) < page {
			return nil
		}
		params = params.After(found.LastCursor)
	}
}

// report prints the outcome of each person who was not invited, counts all, and tells of
// jobs that do not go on: those of a worker that has died, and those that are given up.
func report(ctx context.Context, jobs queue, out io.Writer, p pace) error {
	total, states := map[clerkorg.InviteOutcome]int{}, map[rivertype.JobState]int{}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	orphans, dead := map[string][]*river.Job[InviteBatch]{}, []*river.Job[InviteBatch](nil)
	err := each(ctx, jobs, nil, func(job *river.Job[InviteBatch]) error {
		states[job.State]++
		r := recall(job)
		for o, n := range r.counts() {
			total[o] += n
		}
		for _, p := range r.People {
			if p.Outcome != clerkorg.OutcomeInvited && p.Outcome != "" {
				fmt.Fprintf(table, "  %s\t%s\t%s%s\n", p.EmailAddress, p.Outcome, p.Code, p.Invalid)
			}
		}
		switch {
		case job.State == rivertype.JobStateRunning && orphaned(job, p):
			worker := job.AttemptedBy[len(job.AttemptedBy)-1]
			orphans[worker] = append(orphans[worker], job)
		case given(job):
			dead = append(dead, job)
		}
		return nil
	})
	if err != nil {
		return err
	}
	_ = table.Flush()
	printCounts(out, "people", total)
	printCounts(out, "jobs", states)
	printOrphans(out, orphans, p)
	printDead(out, dead)
	return nil
}

// orphaned reports whether a running job is that of a worker that has died: a worker that
// lives has ended the run, or written that it goes on, before.
func orphaned(job *river.Job[InviteBatch], p pace) bool {
	return job.AttemptedAt != nil && len(job.AttemptedBy) > 0 && time.Since(*job.AttemptedAt) > p.rescueAfter
}

// given reports whether River has given a job up: a dead letter.
func given(job *river.Job[InviteBatch]) bool {
	return job.State == rivertype.JobStateDiscarded || job.State == rivertype.JobStateCancelled
}

func printOrphans(out io.Writer, orphans map[string][]*river.Job[InviteBatch], p pace) {
	workers := make([]string, 0, len(orphans))
	for worker := range orphans {
		workers = append(workers, worker)
	}
	slices.Sort(workers)
	for _, worker := range workers {
		since := orphans[worker][0].AttemptedAt
		for _, job := range orphans[worker] {
			if job.AttemptedAt.After(*since) {
				since = job.AttemptedAt
			}
		}
		fmt.Fprintf(out, "dead worker %s: %d jobs since %s; another worker goes on with them within %s of that\n",
			worker, len(orphans[worker]), since.UTC().Format(time.DateTime), p.standstill())
	}
}

func printDead(out io.Writer, dead []*river.Job[InviteBatch]) {
	for _, job := range dead {
		reason := "cancelled by hand"
		if n := len(job.Errors); n > 0 {
			reason = job.Errors[n-1].Error
		}
		fmt.Fprintf(out, "dead letter: job %d of %s, %d people waiting, %s after %d attempts: %s\n",
			job.ID, job.Args.OrganizationID, len(recall(job).waiting()), job.State, job.Attempt, reason)
	}
	if len(dead) > 0 {
		fmt.Fprintln(out, "put them back with -retry all, or -retry with the numbers of some, when the reasons are gone")
	}
}

// retry puts dead letters back: all of them, or those whose numbers are given with
// commas. Their next run looks first for people who have been invited.
func retry(ctx context.Context, jobs queue, out io.Writer, which string) error {
	wanted := map[int64]bool{}
	if which != "all" {
		for text := range strings.SplitSeq(which, ",") {
			id, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
			if err != nil {
				return fmt.Errorf("-retry takes all, or numbers of jobs with commas, not %q", text)
			}
			wanted[id] = true
		}
	}
	var ids []int64
	err := each(ctx, jobs, []rivertype.JobState{rivertype.JobStateDiscarded, rivertype.JobStateCancelled}, func(job *river.Job[InviteBatch]) error {
		if which == "all" || wanted[job.ID] {
			ids = append(ids, job.ID)
			delete(wanted, job.ID)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for id := range wanted {
		return fmt.Errorf("job %d is no dead letter", id)
	}
	failures := make([]error, 0, len(ids))
	for _, id := range ids {
		if _, err := jobs.JobRetry(ctx, id); err != nil {
			failures = append(failures, fmt.Errorf("put job %d back: %w", id, err))
		}
	}
	fmt.Fprintf(out, "%d jobs are put back\n", len(ids)-len(failures))
	return errors.Join(failures...)
}

func printCounts[K ~string](out io.Writer, what string, counts map[K]int) {
	names := make([]K, 0, len(counts))
	for name := range counts {
		names = append(names, name)
	}
	slices.Sort(names)
	fmt.Fprintf(out, "%s:", what)
	for _, name := range names {
		label := string(name)
		if label == "" {
			label = "waiting"
		}
		fmt.Fprintf(out, " %d %s", counts[name], label)
	}
	fmt.Fprintln(out)
}
