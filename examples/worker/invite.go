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
}

// Work invites those of the batch who are not decided yet. It may be cut off at
// any point, between a call and its record too: the next run looks first.
func (w *inviter) Work(ctx context.Context, job *river.Job[InviteBatch]) error {
	r := recall(job)
	err := w.invite(ctx, job, r)
	// River writes it together with what err makes of the job.
	if err := river.RecordOutput(ctx, r); err != nil {
		return err
	}
	w.tell(ctx, job.ID, r, err)
	return err
}

func (w *inviter) invite(ctx context.Context, job *river.Job[InviteBatch], r *record) error {
	// Attempt does not tell whether there was a run before this one: snoozes and
	// stops give theirs back. Who worked on the job is never taken back.
	if len(job.AttemptedBy) > 1 {
		if wait := w.untilQuota(ctx, r); wait > 0 {
			return river.JobSnooze(wait) // a look would be for nothing
		}
		if err := w.look(ctx, job, r); err != nil {
			return w.later(err)
		}
	}
	for !r.Apart && len(r.waiting()) > 0 {
		if err := w.together(ctx, job, r); err != nil {
			return w.later(err)
		}
	}
	for _, i := range r.waiting() {
		if err := w.alone(ctx, job, r, i); err != nil {
			return w.later(err)
		}
	}
	return nil
}

// untilQuota is how long it takes until the next call can be made; a hundred jobs
// that wake up at once need not all ask Clerk for its lists first.
func (w *inviter) untilQuota(ctx context.Context, r *record) time.Duration {
	name := clerkorg.QuotaBulk
	if r.Apart {
		name = clerkorg.QuotaCreate
	}
	state, err := w.client.Quota(ctx, name)
	if err != nil || state.Available > 0 {
		return 0 // the call will find out
	}
	return time.Until(state.NextAt)
}

// look finds out who has been invited since the job was enqueued: by a run that
// has not lived to record it, by a call that was not answered, or by the part of
// a batch that Clerk carried out before it refused the rest. Who was invited and
// has accepted or been revoked since is not invited again.
func (w *inviter) look(ctx context.Context, job *river.Job[InviteBatch], r *record) error {
	left := map[string]int{}
	for _, i := range r.waiting() {
		left[fold(r.People[i].EmailAddress)] = i
	}
	since := job.CreatedAt.Add(-w.pace.skew)
	for invitation, err := range w.client.Organizations.Invitations(ctx, job.Args.OrganizationID, nil) { // newest first
		if err != nil {
			return missing(err)
		}
		if len(left) == 0 || invitation.CreatedAt.Before(since) {
			break
		}
		if i, ok := left[fold(invitation.EmailAddress)]; ok {
			r.invited(i, invitation.ID)
			delete(left, fold(invitation.EmailAddress))
		}
	}
	return nil
}

// missing gives a job up whose organization there is not.
func missing(err error) error {
	if errors.Is(err, clerkorg.ErrNotFound) {
		return river.JobCancel(errors.New("there is no such organization"))
	}
	return err
}

// together sends all who are left with one call. Without an error it has decided
// somebody, or set Apart.
func (w *inviter) together(ctx context.Context, job *river.Job[InviteBatch], r *record) error {
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

// alone sends one person, for Clerk to say what it has against whom.
func (w *inviter) alone(ctx context.Context, job *river.Job[InviteBatch], r *record, i int) error {
	created, err := w.client.Organizations.CreateInvitation(ctx, job.Args.OrganizationID, paramsOf(job.Args.People[i]))
	if err == nil {
		r.invited(i, created.ID)
		return nil
	}
	refusal := refusalOf(err)
	if refusal == nil {
		return err
	}
	r.refused(i, codeOf(refusal))
	return nil
}

func paramsOf(p Person) clerkorg.CreateInvitationParams {
	return clerkorg.CreateInvitationParams{EmailAddress: p.EmailAddress, Role: p.Role}
}

// later says when the job runs again after a failure.
func (w *inviter) later(err error) error {
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

// NextRetry is River's own, but not before a look can tell what a call did that
// was not answered.
func (w *inviter) NextRetry(job *river.Job[InviteBatch]) time.Time {
	usual := new(river.DefaultClientRetryPolicy).NextRetry(job.JobRow)
	if soonest := time.Now().Add(w.pace.settle); soonest.After(usual) {
		return soonest
	}
	return usual
}

// tell logs how a run ended, and of whom only how many they are.
func (w *inviter) tell(ctx context.Context, id int64, r *record, err error) {
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
	} else if err != nil {
		level, text, attrs = slog.LevelWarn, "batch failed", append(attrs, slog.String("err", err.Error()))
	}
	w.log.LogAttrs(ctx, level, text, attrs...)
}

// plainError says of an error what may be kept. Clerk's sentences may name an
// address, and River keeps the text of an error with the job, and logs it.
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
