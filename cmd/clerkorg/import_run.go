package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"sync"
	"time"

	"github.com/clerkorg/clerkorg-go"
	"github.com/clerkorg/clerkorg-go/cmd/clerkorg/internal/people"
	"github.com/clerkorg/clerkorg-go/cmd/clerkorg/internal/progress"
	"github.com/clerkorg/clerkorg-go/cmd/clerkorg/internal/results"
)

// job invites the people of one file.
type job struct {
	*importer
	*connection
	list    *people.List
	journal *results.Journal
	display progress.Display
	started time.Time
	total   int // rows in the file

	written time.Time     // when the results were
	cost    time.Duration // of writing them

	// mu guards what the goroutine that reads the file shares with the one that takes
	// the results.
	mu     sync.Mutex
	inputs []place // of the inputs of InviteAll, by index
	told   int     // refusals that were written
	over   bool    // nothing more is to be decided
}

// place is where an input stands in the file.
type place struct {
	row, line uint32
	key       uint64
}

// invite gives every row of the list its outcome.
func (im *importer) invite(ctx context.Context, conn *connection, list *people.List) error {
	j := &job{importer: im, connection: conn, list: list, started: time.Now()}
	if err := j.look(ctx); err != nil {
		return err
	}
	organization, err := conn.find(ctx, im.tell)
	if err != nil {
		return err
	}
	if j.journal, err = results.Open(im.results, conn.organization, j.started); err != nil {
		return exitError{exitWrongUse, err}
	}
	if err := j.resume(); err != nil {
		return errors.Join(exitError{exitWrongUse, err}, j.journal.Discard())
	}
	j.announce(organization)
	if open := j.total - j.journal.Decided(); open > 0 {
		j.display = quietly(im.quiet, func() progress.Display {
			return progress.New(im.errOut, progress.Options{Clock: conn.clock, Started: j.started, Color: useColor()})
		})
		conn.log.to(j.display)
		err = j.send(ctx, open)
		conn.log.to(im.errOut)
		j.display.Close()
	}
	return j.conclude(ctx, err)
}

// look surveys the file.
func (j *job) look(ctx context.Context) error {
	look, err := j.newSurveyor(j.list, told)
	if err != nil {
		return err
	}
	for row, err := range j.list.All() {
		if err != nil {
			return exitError{exitWrongUse, fmt.Errorf("%s: %w", j.path, err)}
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		look.look(ctx, &row)
		if role := string(row.Params.Role); j.demo && strings.HasPrefix(role, "org:") {
			j.server.AddRole(role, role)
		}
	}
	look.conclude()
	j.total = look.rows
	return nil
}

// resume compares the file with the outcomes of earlier runs.
func (j *job) resume() error {
	if j.journal.Decided() == 0 {
		return nil
	}
	if more := j.journal.Rows() - j.total; more > 0 {
		return fmt.Errorf("%s has results for %s more than %s has: has the file changed? Give another file with --results", j.results, count(more, "row"), j.path)
	}
	for row, err := range j.list.All() {
		if err != nil {
			return err
		}
		if !j.journal.Has(row.Index) {
			continue
		}
		record, err := j.journal.Lookup(row.Index)
		switch rejected := record.Outcome == clerkorg.OutcomeRejected; {
		case err != nil:
			return err
		case rejected && (j.retryRejected || record.Key != row.Key):
			j.journal.Forget(record)
		case record.Key != row.Key:
			return fmt.Errorf("%s %d is not what it was when it got the outcome %s: has the file changed, or --role? Give another file with --results", j.list.Unit, row.Line, record.Outcome)
		}
	}
	return nil
}

// announce tells what is going to happen.
func (j *job) announce(organization *clerkorg.Organization) {
	where := j.organization
	if organization != nil {
		where = fmt.Sprintf("%q (%s)", organization.Name, organization.ID)
	}
	j.tell("%s, %d decided by earlier runs, into %s. Results go to %s.", count(j.total, "row"), j.journal.Decided(), where, j.results)
	if organization != nil && organization.MaxAllowedMemberships > 0 {
		room := max(0, organization.MaxAllowedMemberships-organization.MembersCount-organization.PendingInvitationsCount)
		if open := j.total - j.journal.Decided(); room < open {
			j.tell("The organization has room for %d more, and %s have no outcome yet.", room, count(open, "row"))
		}
	}
	if j.demo {
		j.tell("This is an in-memory Clerk: no e-mail is sent. Its clock is %.0f times as fast as a real one, and all times below are by it.", j.clock.Speed())
	}
}

// send invites the people who have no outcome yet.
func (j *job) send(ctx context.Context, open int) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer func() {
		j.mu.Lock()
		defer j.mu.Unlock()
		j.over = true
	}()
	j.written = j.started
	options := &clerkorg.InviteAllOptions{
		Since:             j.journal.Since(),
		BulkOnly:          j.bulkOnly,
		StopAfterRejected: j.maxRejected,
		Total:             open,
		OnProgress:        j.report,
	}
	for result, err := range j.client.Organizations.InviteAll(ctx, j.organization, j.open(cancel), options) {
		if err == nil {
			err = j.decide(&result)
		}
		if err == nil {
			j.refresh()
		} else {
			if broken, ok := errors.AsType[fileError](context.Cause(ctx)); ok {
				return broken
			}
			return err
		}
	}
	return context.Cause(ctx)
}

// fileError is why the file, or the journal, could not be used any more.
type fileError struct{ error }

func (e fileError) Unwrap() error { return e.error }

// open yields the rows that have no outcome. Those that are not to be sent it
// decides. A failure ends the run.
func (j *job) open(fail context.CancelCauseFunc) iter.Seq[clerkorg.CreateInvitationParams] {
	return func(yield func(clerkorg.CreateInvitationParams) bool) {
		for row, err := range j.list.All() {
			if err == nil && j.journal.Has(row.Index) {
				continue
			}
			if err == nil && row.Fault != "" {
				if err = j.reject(&row); err == nil {
					continue
				}
			}
			if err != nil {
				fail(fileError{err})
				return
			}
			j.mu.Lock()
			j.inputs = append(j.inputs, place{uint32(row.Index), uint32(row.Line), row.Key}) //nolint:gosec // no file has so many lines
			j.mu.Unlock()
			if !yield(row.Params) {
				return
			}
		}
	}
}

// reject decides a row of which InviteAll could make nothing.
func (j *job) reject(row *people.Row) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.over {
		return context.Canceled
	}
	return j.journal.Add(results.Record{
		Row: row.Index, Key: row.Key, Outcome: clerkorg.OutcomeRejected, Code: results.CodeInvalid, Message: row.Fault,
	})
}

// decide writes an outcome down.
func (j *job) decide(result *clerkorg.InviteResult) error {
	j.mu.Lock()
	in := j.inputs[result.Index]
	record := results.Record{Row: int(in.row), Key: in.key, Outcome: result.Outcome}
	if result.Outcome == clerkorg.OutcomeDuplicate {
		record.Message = fmt.Sprintf("the same address as in %s %d", j.list.Unit, j.inputs[result.DuplicateOf].line)
	}
	j.mu.Unlock()
	if result.Invitation != nil {
		record.ID = result.Invitation.ID
	}
	if result.Err != nil {
		record.Code, record.Message = describe(j.list, result.Err)
	}
	if record.Outcome == clerkorg.OutcomeRejected && record.Code != results.CodeInvalid {
		if j.told++; j.told <= told {
			fmt.Fprintf(j.display, "%s %d: %s\n", j.list.Unit, in.line, record.Message)
		} else if j.told == told+1 {
			fmt.Fprintln(j.display, "… further ones are in the results alone")
		}
	}
	return j.journal.Add(record)
}

// explainer says in the words of its input what the SDK finds wrong.
type explainer interface {
	Explain(problems []clerkorg.Problem) string
}

// describe says why an invitation was rejected.
func describe(input explainer, err error) (code, message string) {
	if invalid, ok := errors.AsType[*clerkorg.ValidationError](err); ok {
		return results.CodeInvalid, input.Explain(invalid.Problems)
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

// report shows how things stand.
func (j *job) report(p clerkorg.Progress) {
	j.display.Update(progress.Status{
		Progress: p, Done: j.journal.Decided(), Total: j.total, Outcomes: j.journal.Outcomes(), BulkOnly: j.bulkOnly,
	})
}

// refresh writes the results now and then, so that they can be looked at. Where that
// fails, it is for the end of the run to say.
func (j *job) refresh() {
	if time.Since(j.written) >= max(time.Minute, 100*j.cost) {
		_ = j.write()
	}
}

func (j *job) write() error {
	start := time.Now()
	err := j.journal.Write(j.list)
	j.written = time.Now()
	j.cost = j.written.Sub(start)
	return err
}

// conclude writes the results and tells the outcome of the run, and how to go on where
// it ended early.
func (j *job) conclude(ctx context.Context, err error) error {
	outcomes, decided := j.journal.Outcomes(), j.journal.Decided()
	if decided == 0 && isHopeless(err) {
		return errors.Join(err, j.journal.Discard())
	}
	writing := errors.Join(j.write(), j.journal.Close())
	if !j.quiet {
		if err == nil {
			fmt.Fprintf(j.out, "Done in %s: all %s have an outcome.\n", j.clock.Span(time.Since(j.started)), count(j.total, "row"))
		} else {
			fmt.Fprintf(j.out, "Stopped: %d of %s have an outcome.\n", decided, count(j.total, "row"))
		}
		for _, text := range progress.Counts(outcomes) {
			number, name, _ := strings.Cut(text, " ")
			fmt.Fprintf(j.out, "%8s %s\n", number, name)
		}
	}
	if err == nil && writing == nil {
		if outcomes[clerkorg.OutcomeRejected] > 0 {
			return exitError{code: exitRejected}
		}
		return nil
	}
	if !isHopeless(err) && !j.demo {
		fmt.Fprintf(j.errOut, "%s\n  %s\n", howToGoOn(err, j.path), j.commandLine())
	}
	if ctx.Err() != nil {
		err = nil // all has been said
	}
	return exitError{exitEarly, errors.Join(err, writing)}
}

// howToGoOn introduces the command that goes on after an error.
func howToGoOn(err error, path string) string {
	switch {
	case errors.Is(err, clerkorg.ErrTooManyRejected):
		return "When the rows are corrected, go on with:"
	case isFull(err):
		return "When the organization has room, go on with:"
	case path == "-":
		return "To go on, with the same input:"
	}
	return "To go on:"
}

// quietly returns a display that shows nothing, or another one.
func quietly(quiet bool, open func() progress.Display) progress.Display {
	if quiet {
		return progress.None{}
	}
	return open()
}
