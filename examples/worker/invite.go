package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/riverqueue/river"

	"github.com/clerkorg/clerkorg-go"
)

// inviter works InviteBatch jobs.
type inviter struct {
	river.WorkerDefaults[InviteBatch]

	client *clerkorg.Client
	pace   pace
	log    *slog.Logger
	outage outage // of the rate limiter
}

// Work invites the people of the batch who are not decided yet. It may be cut off at
// any point, also between a call and its record: the next run looks first.
func (w *inviter) Work(ctx context.Context, job *river.Job[InviteBatch]) error {
	r := recall(job)
	cause := w.invite(ctx, job, r)
	err := w.later(ctx, cause)
	// River writes it together with what err makes of the job.
	if err := river.RecordOutput(ctx, r); err != nil {
		return err
	}
	w.tell(ctx, job.ID, r, cause, err)
	return err
}

func (w *inviter) invite(ctx context.Context, job *river.Job[InviteBatch], r *record) error {
	// Attempt does not tell whether there was a run before this one: snoozes and stops
	// give theirs back. AttemptedBy only grows.
	if len(job.AttemptedBy) > 1 {
		if err := w.quotaLeft(ctx, r); err != nil { // a look would be in vain
			return err
		}
		if err := w.look(ctx, job, r); err != nil {
			return err
		}
	}
	for !r.Apart && len(r.waiting()) > 0 {
		if err := w.together(ctx, job, r); err != nil {
			return err
		}
	}
	for _, i := range r.waiting() {
		if err := w.alone(ctx, job, r, i); err != nil {
			return err
		}
	}
	return nil
}

// quotaLeft returns an error where the next call cannot be made yet: a hundred jobs that
// wake up at once need not all ask Clerk for its lists first.
func (w *inviter) quotaLeft(ctx context.Context, r *record) error {
	name := clerkorg.QuotaBulk
	if r.Apart {
		name = clerkorg.QuotaCreate
	}
	state, err := w.client.Quota(ctx, name)
	if err == nil && state.Available == 0 {
		return &clerkorg.RateLimitError{Quota: state.Quota, RetryAfter: time.Until(state.NextAt)}
	}
	return err
}

// look finds the people who were invited since the job was enqueued: by a run that was
// killed before it was recorded, by a call that was not answered, or by the part of a
// batch that Clerk carried out before it refused the rest. A person who has accepted or
// been revoked since is not invited again.
func (w *inviter) look(ctx context.Context, job *river.Job[InviteBatch], r *record) error {
	for len(r.waiting()) > 0 {
		waiting := r.waiting()
		addresses := make([]string, len(waiting))
		for k, i := range waiting {
			addresses[k] = r.People[i].EmailAddress
		}
		found, err := w.client.Organizations.FindInvitations(ctx, job.Args.OrganizationID, job.CreatedAt.Add(-w.pace.skew), addresses)
		if invalid, ok := errors.AsType[*clerkorg.ValidationError](err); ok {
			if err := r.invalid(waiting, invalid); err != nil {
				return err
			}
			continue // with the others
		}
		if errors.Is(err, clerkorg.ErrNotFound) {
			return river.JobCancel(errors.New("there is no such organization"))
		}
		for _, i := range waiting {
			if invitation, ok := found[r.People[i].EmailAddress]; ok {
				r.invited(i, invitation.ID)
			}
		}
		return err
	}
	return nil
}

// timeLeft returns an error where too little time is left of a run for another call
// that creates.
func (w *inviter) timeLeft(ctx context.Context) error {
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) < w.pace.call {
		return river.JobSnooze(0) // another run goes on at once
	}
	return nil
}

// together sends the people left with one call. Without an error it has decided some of
// them, or set Apart.
func (w *inviter) together(ctx context.Context, job *river.Job[InviteBatch], r *record) error {
	if err := w.timeLeft(ctx); err != nil {
		return err
	}
	waiting := r.waiting()
	params := make([]clerkorg.CreateInvitationParams, len(waiting))
	for k, i := range waiting {
		params[k] = paramsOf(job.Args.People[i])
	}
	created, err := w.client.Organizations.CreateInvitationBulk(ctx, job.Args.OrganizationID, params)
	if err == nil {
		for k, i := range waiting {
			r.invited(i, created[k].ID)
		}
		return nil
	}
	if invalid, ok := errors.AsType[*clerkorg.ValidationError](err); ok {
		return r.invalid(waiting, invalid)
	}
	refusal := refusalOf(err)
	if refusal == nil {
		return err
	}
	// Clerk does not say whether it created the others.
	if err := w.look(ctx, job, r); err != nil {
		return err
	}
	r.Apart = r.setAside(refusal) == 0
	return nil
}

// alone sends one person: what Clerk refuses then is about that person.
func (w *inviter) alone(ctx context.Context, job *river.Job[InviteBatch], r *record, i int) error {
	if err := w.timeLeft(ctx); err != nil {
		return err
	}
	created, err := w.client.Organizations.CreateInvitation(ctx, job.Args.OrganizationID, paramsOf(job.Args.People[i]))
	if err == nil {
		r.invited(i, created.ID)
		return nil
	}
	refusal := refusalOf(err)
	if refusal == nil {
		return err
	}
	r.refused(i, refusal)
	return nil
}

func paramsOf(p Person) clerkorg.CreateInvitationParams {
	return clerkorg.CreateInvitationParams{EmailAddress: p.EmailAddress, Role: p.Role}
}

// later says what becomes of the job after invite: a failure uses up an attempt, a wait
// for quota, for the limiter or for another worker does not.
func (w *inviter) later(ctx context.Context, err error) error {
	if errors.Is(err, clerkorg.ErrLimiterUnavailable) {
		wait, begun := w.outage.noted()
		if begun {
			w.log.ErrorContext(ctx, "the rate limiter is unavailable: jobs wait for it", "err", err)
		}
		return river.JobSnooze(wait)
	}
	w.recovered(ctx)
	if limited, ok := errors.AsType[*clerkorg.RateLimitError](err); ok {
		return river.JobSnooze(max(limited.RetryAfter, time.Second))
	}
	if errors.Is(err, clerkorg.ErrOutcomeUnknown) && errors.Is(err, context.Canceled) {
		// This worker is stopping. River would give the job to another one at once,
		// which might look before the call has arrived.
		return river.JobSnooze(w.pace.settle)
	}
	return plainly(err)
}

// recovered ends an outage of the limiter, if it answers. That a job ended without
// meeting the outage is no proof: it may have begun before.
func (w *inviter) recovered(ctx context.Context) {
	if !w.outage.lasts() {
		return
	}
	if _, err := w.client.Quota(ctx, clerkorg.QuotaBulk); err != nil {
		return
	}
	if lasted, ended := w.outage.ended(); ended {
		w.log.InfoContext(ctx, "the rate limiter is available again", "after", lasted.Round(time.Second))
	}
}

// NextRetry is when a job is worked again after a failure, or after the death of its
// worker: not before a look can tell what a call did that was not answered.
func (w *inviter) NextRetry(job *river.Job[InviteBatch]) time.Time {
	now := time.Now()
	if started := job.AttemptedAt; started != nil && now.Sub(*started) >= w.pace.rescueAfter {
		// The worker has died, at the latest when its run would have timed out. The job
		// has not failed: it need not back off.
		return latest(now, started.Add(w.pace.jobTimeout+w.pace.settle))
	}
	return latest(now.Add(w.pace.settle), new(river.DefaultClientRetryPolicy).NextRetry(job.JobRow))
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// tell logs how a run ended, and of the people only how many they are. Jobs that wait
// for the limiter are many: the log has the cause once.
func (w *inviter) tell(ctx context.Context, id int64, r *record, cause, err error) {
	attrs := []slog.Attr{slog.Int64("job", id)}
	for outcome, n := range r.counts() {
		if outcome == "" {
			outcome = "waiting"
		}
		attrs = append(attrs, slog.Int(string(outcome), n))
	}
	level, text := slog.LevelInfo, "batch done"
	if snoozed, ok := errors.AsType[*river.JobSnoozeError](err); ok {
		text, attrs = "batch snoozed", append(attrs, slog.Duration("for", snoozed.Duration.Round(time.Millisecond)))
		if errors.Is(cause, clerkorg.ErrLimiterUnavailable) {
			level = slog.LevelDebug
		}
	} else if err != nil {
		level, text, attrs = slog.LevelWarn, "batch failed", append(attrs, slog.String("err", err.Error()))
	}
	w.log.LogAttrs(ctx, level, text, attrs...)
}

// plainError says of an error what may be kept. Clerk's sentences may name an
// address, and River keeps the text of an error with the job and logs it.
type plainError struct {
	text string
	err  error
}

// Error returns the text.
func (e *plainError) Error() string { return e.text }

// Unwrap returns the error that it is about.
func (e *plainError) Unwrap() error { return e.err }

func plainly(err error) error {
	api, ok := errors.AsType[*clerkorg.APIError](err)
	if !ok {
		return err
	}
	codes := make([]string, len(api.Errors))
	for i, detail := range api.Errors {
		codes[i] = string(detail.Code)
	}
	text := fmt.Sprintf("Clerk answered %d %s %s [trace %s]", api.StatusCode, http.StatusText(api.StatusCode), strings.Join(codes, ","), api.TraceID)
	if errors.Is(err, clerkorg.ErrOutcomeUnknown) {
		text += "; outcome unknown"
	}
	return &plainError{text: text, err: err}
}
