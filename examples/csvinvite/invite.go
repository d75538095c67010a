package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"
	"sync"
	"time"

	"github.com/clerkorg/clerkorg-go"
)

// Clerk's quotas for invitations.
const (
	bulkLimit   = 50  // calls an hour, of ten people each
	singleLimit = 250 // calls an hour, of one
)

// job invites the people of one file.
type job struct {
	options
	client  *clerkorg.Client
	results *resultsFile
	display display

	started time.Time
	clock   clock
	total   int // rows in the file

	// InviteAll reads the inputs in a goroutine of its own, which may outlast the run.
	mu     sync.Mutex // guards what follows, and the results and the display of the run
	over   bool       // no input is wanted
	broken error      // what kept the inputs from being read
	lines  []int      // of the inputs of InviteAll, by index
	done   int        // rows that have a result
	failed int        // of those, rejected
}

func runJob(ctx context.Context, o options, out io.Writer) error {
	client, err := o.client()
	if err != nil {
		return err
	}
	j := &job{options: o, client: client, started: time.Now(), clock: clock{o.window}}
	j.results, err = openResults(o.results, o.organization, o.since, j.started)
	if err != nil {
		return exitError{exitWrongUse, err}
	}
	open, sendable, err := j.survey()
	if err != nil {
		return errors.Join(exitError{exitWrongUse, err}, j.results.close())
	}
	fmt.Fprintf(out, "%s: %s, %d decided by earlier runs. Results go to %s.\n", o.people, count(j.total, "row"), j.done, o.results)
	if note := j.clock.note(); note != "" {
		fmt.Fprintln(out, note)
	}
	j.display = newDisplay(out, j.clock, j.started, j.total, j.done)
	if open > 0 {
		err = j.invite(ctx, sendable)
	}
	j.display.close()
	if closing := j.results.close(); err == nil {
		err = closing
	}
	return j.conclude(out, err, ctx.Err() != nil)
}

func (j *job) rows() iter.Seq2[row, error] { return readFile(j.people, clerkorg.Role(j.role)) }

// survey reads the file once before anything is sent: it counts the rows that have
// no result yet, and those of them that can be sent, and compares the others with
// their results.
func (j *job) survey() (open, sendable int, err error) {
	for in, err := range j.rows() {
		if err != nil {
			return 0, 0, err
		}
		decided, err := j.results.has(in)
		if err != nil {
			return 0, 0, err
		}
		j.total++
		switch {
		case decided:
			j.done++
		case in.err == nil:
			sendable++
			fallthrough
		default:
			open++
		}
	}
	if lost := len(j.results.decided) - j.done; lost > 0 {
		return 0, 0, fmt.Errorf("%s has results for %s that are not in %s: has it changed? Give another -results", j.options.results, count(lost, "line"), j.people)
	}
	j.failed = j.results.outcomes[clerkorg.OutcomeRejected]
	return open, sendable, nil
}

// invite gives every row that has none its result.
func (j *job) invite(ctx context.Context, sendable int) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	opts := &clerkorg.InviteAllOptions{
		Since:    j.results.since,
		BulkOnly: j.bulkOnly,
		Total:    sendable,
		OnProgress: func(p clerkorg.Progress) {
			j.mu.Lock()
			defer j.mu.Unlock()
			j.display.update(j.status(p))
		},
	}
	var failed error
	for res, err := range j.client.Organizations.InviteAll(ctx, j.organization, j.inputs(cancel), opts) {
		if failed = err; err != nil {
			break
		}
		if failed = j.settle(res); failed != nil {
			break
		}
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.over = true
	return cmp.Or(j.broken, failed)
}

// inputs are the rows for InviteAll to decide. A failure to read them ends the run by
// cancel.
func (j *job) inputs(cancel func()) iter.Seq[clerkorg.CreateInvitationParams] {
	return func(yield func(clerkorg.CreateInvitationParams) bool) {
		for in, err := range j.rows() {
			wanted, over := j.take(in, err)
			if over {
				cancel()
				return
			}
			if wanted && !yield(in.params) {
				return
			}
		}
	}
}

// take reports whether a row is one for InviteAll, and whether the inputs end with it.
// A row that cannot be sent is decided here.
func (j *job) take(in row, err error) (wanted, over bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.over {
		return false, true
	}
	var decided bool
	if err == nil {
		decided, err = j.results.has(in)
	}
	if err == nil && in.err != nil && !decided {
		err = j.decide(result{
			line: in.line, email: in.params.EmailAddress,
			outcome: clerkorg.OutcomeRejected, code: codeInvalid, message: in.err.Error(),
		})
		decided = true
	}
	if err != nil {
		j.broken = err
		return false, true
	}
	if !decided {
		j.lines = append(j.lines, in.line)
	}
	return !decided, false
}

// settle writes down what InviteAll says of a row, unless the inputs are broken.
func (j *job) settle(res clerkorg.InviteResult) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.broken != nil {
		return j.broken
	}
	return j.decide(j.explain(res))
}

// codeInvalid is the code of what was never sent.
const codeInvalid = "invalid"

// explain makes a row of the results of what InviteAll says.
func (j *job) explain(res clerkorg.InviteResult) result {
	out := result{line: j.lines[res.Index], email: res.Params.EmailAddress, outcome: res.Outcome}
	if res.Invitation != nil {
		out.invitationID = res.Invitation.ID
	}
	if res.Outcome == clerkorg.OutcomeDuplicate {
		out.message = fmt.Sprintf("the same address as in line %d", j.lines[res.DuplicateOf])
	}
	if res.Err != nil {
		out.code, out.message = describe(res.Err)
	}
	return out
}

// describe says why a person was rejected.
func describe(err error) (code, message string) {
	if invalid, ok := errors.AsType[*clerkorg.ValidationError](err); ok {
		texts := make([]string, len(invalid.Problems))
		for i, problem := range invalid.Problems {
			texts[i] = problem.Field + ": " + problem.Message
		}
		return codeInvalid, strings.Join(texts, "; ")
	}
	if refused, ok := errors.AsType[*clerkorg.APIError](err); ok && len(refused.Errors) > 0 {
		detail := refused.Errors[0]
		if message = detail.LongMessage; message == "" {
			message = detail.Message
		}
		return string(detail.Code), message
	}
	return "failed", err.Error()
}

// decide writes down the result of a row.
func (j *job) decide(res result) error {
	j.done++
	if res.outcome == clerkorg.OutcomeRejected {
		j.failed++
		j.display.say(fmt.Sprintf("line %d: %s", res.line, res.message))
	}
	return j.results.add(res)
}

// status is how things stand.
func (j *job) status(p clerkorg.Progress) status {
	return status{
		done: j.done, total: j.total, failed: j.failed,
		bulkLeft: p.BulkLeft, singleLeft: p.SingleLeft, bulkOnly: j.bulkOnly,
		next: p.NextSlotAt,
		end:  p.EstimatedEnd,
	}
}

// conclude says what came of it all, and how to go on where that is not the end.
func (j *job) conclude(out io.Writer, err error, interrupted bool) error {
	if err == nil {
		fmt.Fprintf(out, "Done in %s: all %s have a result.\n", j.clock.span(time.Since(j.started)), count(j.total, "row"))
	} else {
		fmt.Fprintf(out, "Stopped: %d of %s have a result.\n", j.done, count(j.total, "row"))
	}
	for _, outcome := range []clerkorg.InviteOutcome{
		clerkorg.OutcomeInvited, clerkorg.OutcomeAlreadyInvited, clerkorg.OutcomeAlreadyMember, clerkorg.OutcomeDuplicate, clerkorg.OutcomeRejected,
	} {
		if n := j.results.outcomes[outcome]; n > 0 {
			fmt.Fprintf(out, "%8d %s\n", n, outcome)
		}
	}
	if err == nil {
		return nil
	}
	fmt.Fprintf(out, "To go on, run:\n  %s\n", j.again(j.results.since))
	if interrupted {
		return exitError{exitInterrupted, nil}
	}
	return exitError{exitCutShort, err}
}

// count says how many there are.
func count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}
