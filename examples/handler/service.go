package main

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"github.com/clerkorg/clerkorg-go"
)

const (
	// requestTimeout limits all that is done for a request. A batch that Clerk refuses
	// takes some seconds: what it has done is looked up, and its people go one by one.
	requestTimeout = 20 * time.Second

	// maxOutage is for how long Clerk, or the limiter, may fail during a request.
	maxOutage = time.Second
)

// service answers requests with the help of Clerk.
type service struct {
	client    *clerkorg.Client
	log       *slog.Logger
	authorize authorize
	answers   answers // to requests with an Idempotency-Key
}

// routes returns the routes.
//
// POST /organizations/{id}/invitations invites at most ten people. Its answer is 200
// with an outcome for each person, in the order of the request, when every person has
// one: invited, already_invited, already_member, duplicate (of an address earlier in the
// request) or rejected, with a reason. Any other answer is a [problem]; where people
// had been decided before it occurred, it has their outcomes, and not_invited or
// unknown for the others. The same request can be sent again: people who are
// invited by then have the outcome already_invited. With an Idempotency-Key it has the
// very answer of the first, see once.
//
// A caller who reaches the route can invite any address into any organization: authorize
// decides who does.
func (s *service) routes() *http.ServeMux {
	mux := http.NewServeMux()
	const invitations = "/organizations/{id}/invitations"
	mux.HandleFunc("POST "+invitations, s.authorized(s.once(s.invite)))
	mux.HandleFunc(invitations, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Allow", http.MethodPost)
		s.fail(r.Context(), w, &problem{Status: http.StatusMethodNotAllowed, Code: "method_not_allowed", Detail: "use POST"})
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		s.fail(r.Context(), w, &problem{Status: http.StatusNotFound, Code: "no_such_route", Detail: "there is nothing at this path"})
	})
	return mux
}

// outcome is the outcome of one person.
type outcome struct {
	EmailAddress string                 `json:"email_address"`
	Outcome      clerkorg.InviteOutcome `json:"outcome"`
	InvitationID string                 `json:"invitation_id,omitempty"`

	// Why the person is rejected: what is wrong with the input, or Clerk's code.
	Fields []clerkorg.Problem `json:"fields,omitempty"`
	Code   clerkorg.ErrorCode `json:"code,omitempty"`
}

// Outcomes of people that a run of InviteAll has left undecided.
const (
	notInvited clerkorg.InviteOutcome = "not_invited"
	unknown    clerkorg.InviteOutcome = "unknown" // perhaps invited, perhaps within the next minute
)

func (s *service) invite(w http.ResponseWriter, r *http.Request) {
	// The work ends with the caller's connection too.
	ctx, cancel := context.WithTimeout(r.Context(), requestTimeout)
	defer cancel()
	people, problem := readPeople(w, r)
	if problem != nil {
		s.fail(ctx, w, problem)
		return
	}
	outcomes, err := s.inviteAll(ctx, r.PathValue("id"), people)
	if err != nil {
		problem := problemOf(err)
		problem.Invitations = outcomes
		s.fail(ctx, w, problem)
		return
	}
	counts := map[clerkorg.InviteOutcome]int{}
	for _, o := range outcomes {
		counts[o.Outcome]++
	}
	s.log.InfoContext(ctx, "done", "people", len(people), "outcomes", counts)
	s.reply(ctx, w, http.StatusOK, "application/json", struct {
		Invitations []outcome `json:"invitations"`
	}{outcomes})
}

// inviteAll returns an outcome for each of the people, in their order. With an error it
// returns none where all of them are certainly not invited.
func (s *service) inviteAll(ctx context.Context, organization string, people []clerkorg.CreateInvitationParams) ([]outcome, error) {
	opts := &clerkorg.InviteAllOptions{MaxOutage: maxOutage}
	if len(people) == 1 {
		// One person goes by the single call, of which there are 250 an hour, unless all
		// 50 bulk calls are free.
		opts.ReserveBulk = 49
	}
	sent, doubtful := false, false // whether a call was sent, and whether one has ended with an unknown outcome
	opts.OnProgress = func(p clerkorg.Progress) {
		sent = p.Calls > 0
		doubtful = doubtful || errors.Is(p.Err, clerkorg.ErrOutcomeUnknown)
	}
	outcomes := make([]outcome, len(people))
	decided := 0
	var failed error
	for result, err := range s.client.Organizations.InviteAll(ctx, organization, slices.Values(people), opts) {
		if failed = err; err == nil {
			outcomes[result.Index] = outcomeOf(result)
			decided++
		}
	}
	if failed == nil {
		return outcomes, nil
	}
	left := notInvited
	if sent && (doubtful || ctx.Err() != nil || !certain(failed)) {
		left, failed = unknown, &unknownError{failed}
	}
	if decided == 0 && left == notInvited {
		return nil, failed
	}
	for i := range outcomes {
		if outcomes[i].Outcome == "" {
			outcomes[i] = outcome{EmailAddress: people[i].EmailAddress, Outcome: left}
		}
	}
	return outcomes, failed
}

// certain reports whether a run that ended with err, and met no unknown outcome before,
// has certainly not invited the people it left undecided. Any other error may have kept
// it from looking up what a refused call has done.
func certain(err error) bool {
	if limited, ok := errors.AsType[*clerkorg.RateLimitError](err); ok {
		return limited.Quota.Name != clerkorg.QuotaInstance // which look-ups need too
	}
	api, ok := errors.AsType[*clerkorg.APIError](err)
	return ok && (api.StatusCode == http.StatusNotFound || api.Method == http.MethodPost && api.StatusCode >= 400 && api.StatusCode < 500)
}

func outcomeOf(result clerkorg.InviteResult) outcome {
	o := outcome{EmailAddress: result.Params.EmailAddress, Outcome: result.Outcome}
	if result.Invitation != nil {
		o.InvitationID = result.Invitation.ID
	}
	if invalid, ok := errors.AsType[*clerkorg.ValidationError](result.Err); ok {
		o.Fields = invalid.Problems
	}
	if api, ok := errors.AsType[*clerkorg.APIError](result.Err); ok {
		o.Code = api.Code()
	}
	return o
}

// unknownError is the end of a run that leaves open whether people were invited.
type unknownError struct{ err error }

func (e *unknownError) Error() string { return e.err.Error() + "; outcome unknown" }

// Is matches [clerkorg.ErrOutcomeUnknown].
func (e *unknownError) Is(target error) bool { return target == clerkorg.ErrOutcomeUnknown }

// Unwrap returns the error of the run.
func (e *unknownError) Unwrap() error { return e.err }
