package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"net/http"

	"github.com/riverqueue/river"

	"github.com/clerkorg/clerkorg-go"
)

// record has the outcomes of the people of a job so far. It is the job's output: it
// stays with the job from run to run, and can be read when the job is over.
type record struct {
	People []outcome `json:"people"` // those of the job, in its order

	// Apart: a batch was refused, and the refusal names no address. The people left go
	// one by one.
	Apart bool `json:"apart,omitempty"`
}

type outcome struct {
	EmailAddress string                 `json:"email_address"`
	Outcome      clerkorg.InviteOutcome `json:"outcome,omitempty"` // empty: not decided yet
	InvitationID string                 `json:"invitation_id,omitempty"`
	Code         clerkorg.ErrorCode     `json:"code,omitempty"` // Clerk's reason
	Invalid      string                 `json:"invalid,omitempty"`
}

// recall reads the record that the last run left.
func recall(job *river.Job[InviteBatch]) *record {
	r := &record{}
	if err := json.Unmarshal(job.Output(), r); err != nil || len(r.People) != len(job.Args.People) {
		r = &record{People: make([]outcome, len(job.Args.People))} // what that loses, a look finds
		for i, p := range job.Args.People {
			r.People[i].EmailAddress = p.EmailAddress
		}
	}
	return r
}

// waiting returns the indexes of the people who are not decided.
func (r *record) waiting() []int {
	var left []int
	for i, p := range r.People {
		if p.Outcome == "" {
			left = append(left, i)
		}
	}
	return left
}

func (r *record) invited(i int, invitationID string) {
	r.People[i].Outcome, r.People[i].InvitationID = clerkorg.OutcomeInvited, invitationID
}

// refused decides a person, by Clerk's reason.
func (r *record) refused(i int, refusal *clerkorg.APIError) {
	p := &r.People[i]
	p.Code = cmp.Or(refusal.Code(), clerkorg.ErrorCode(http.StatusText(refusal.StatusCode)))
	switch {
	case errors.Is(refusal, clerkorg.ErrAlreadyInvited):
		p.Outcome = clerkorg.OutcomeAlreadyInvited
	case errors.Is(refusal, clerkorg.ErrAlreadyMember):
		p.Outcome = clerkorg.OutcomeAlreadyMember
	default:
		p.Outcome = clerkorg.OutcomeRejected
	}
}

func (r *record) counts() map[clerkorg.InviteOutcome]int {
	counts := map[clerkorg.InviteOutcome]int{}
	for _, p := range r.People {
		counts[p.Outcome]++
	}
	return counts
}
