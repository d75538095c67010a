package main

import (
	"errors"
	"net/http"

	"github.com/riverqueue/river"

	"github.com/clerkorg/clerkorg-go"
)

// refusalOf returns what Clerk has against the people of a call, nil for errors
// that have nothing to do with them: those end well if the job is worked again,
// perhaps after somebody has mended the key or the instance.
func refusalOf(err error) *clerkorg.APIError {
	api, ok := errors.AsType[*clerkorg.APIError](err)
	if !ok || errors.Is(err, clerkorg.ErrOutcomeUnknown) {
		return nil
	}
	switch api.StatusCode {
	case http.StatusBadRequest, http.StatusNotFound, http.StatusConflict, http.StatusUnprocessableEntity:
		return api
	case http.StatusForbidden: // also what a key may not do
		if api.HasCode(clerkorg.CodeNotAllowedAccess) || api.HasCode(clerkorg.CodeMembershipQuotaExceeded) {
			return api
		}
	}
	return nil
}

func codeOf(refusal *clerkorg.APIError) clerkorg.ErrorCode {
	if len(refusal.Errors) == 0 {
		return clerkorg.ErrorCode(http.StatusText(refusal.StatusCode))
	}
	return refusal.Errors[0].Code
}

// setAside decides those whom a refused batch names, and returns how many. Not
// every refusal names anybody.
func (r *record) setAside(refusal *clerkorg.APIError) (named int) {
	for _, detail := range refusal.Errors {
		var meta struct {
			EmailAddresses []string `json:"email_addresses"`
			Identifiers    []string `json:"identifiers"`
		}
		if detail.Meta.Decode(&meta) != nil {
			continue
		}
		addresses := map[string]bool{}
		for _, address := range append(meta.EmailAddresses, meta.Identifiers...) {
			addresses[fold(address)] = true
		}
		for _, i := range r.waiting() {
			if addresses[fold(r.People[i].EmailAddress)] {
				r.refused(i, detail.Code)
				named++
			}
		}
	}
	return named
}

// invalid decides those of a batch that was not sent because of them.
func (r *record) invalid(waiting []int, invalid *clerkorg.ValidationError) error {
	for _, problem := range invalid.Problems {
		if problem.Index < 0 || problem.Index >= len(waiting) {
			return river.JobCancel(invalid) // nobody's fault in particular: the organization's id
		}
		p := &r.People[waiting[problem.Index]]
		p.Outcome, p.Invalid = clerkorg.OutcomeRejected, problem.Field+" "+problem.Message
	}
	return nil
}
