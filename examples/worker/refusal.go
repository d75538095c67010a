package main

import (
	"errors"
	"net/http"

	"github.com/riverqueue/river"

	"github.com/clerkorg/clerkorg-go"
)

// refusalOf returns what Clerk has against the people of a call, nil for errors that
// are not about them: the job is then worked again, perhaps with another key or another
// configuration of the instance.
func refusalOf(err error) *clerkorg.APIError {
	api, ok := errors.AsType[*clerkorg.APIError](err)
	if !ok || errors.Is(err, clerkorg.ErrOutcomeUnknown) {
		return nil
	}
	switch api.StatusCode {
	case http.StatusBadRequest, http.StatusNotFound, http.StatusConflict, http.StatusUnprocessableEntity:
		return api
	case http.StatusForbidden, http.StatusPaymentRequired: // also what a key or a plan does not allow
		if api.HasCode(clerkorg.CodeNotAllowedAccess) || api.HasCode(clerkorg.CodeMembershipQuotaExceeded) || api.HasCode(clerkorg.CodeInsufficientSeats) {
			return api
		}
	}
	return nil
}

// setAside decides the people whom the refusal of a batch names, and returns how many
// they are. Not every refusal names one.
func (r *record) setAside(refusal *clerkorg.APIError) (named int) {
	for k := range refusal.Errors {
		detail := &refusal.Errors[k]
		addresses := map[string]bool{}
		for _, address := range detail.EmailAddresses() {
			addresses[fold(address)] = true
		}
		for _, i := range r.waiting() {
			if addresses[fold(r.People[i].EmailAddress)] {
				r.refused(i, &clerkorg.APIError{StatusCode: refusal.StatusCode, Errors: refusal.Errors[k : k+1]})
				named++
			}
		}
	}
	return named
}

// invalid decides the people whose params kept a call with those waiting from being
// sent.
func (r *record) invalid(waiting []int, invalid *clerkorg.ValidationError) error {
	for _, problem := range invalid.Problems {
		if problem.Index < 0 || problem.Index >= len(waiting) {
			return river.JobCancel(invalid) // the organization's id
		}
		p := &r.People[waiting[problem.Index]]
		p.Outcome, p.Invalid = clerkorg.OutcomeRejected, problem.Field+" "+problem.Message
	}
	return nil
}
