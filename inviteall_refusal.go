package clerkorg

import (
	"net/http"
	"slices"
)

// refused acts on a call that the server refused. A batch may have created some
// of its invitations all the same.
func (r *inviteRun) refused(a *attempt, api *APIError) {
	if api.HasCode(CodeMembershipQuotaExceeded) && len(a.rows) > 1 {
		// Ten do not fit, fewer may: go on one by one, or by halves, until none does.
		r.bulk.full = !r.opts.BulkOnly
	} else if endsRun(api, a.rows) {
		r.stop(api)
		return
	}
	if len(a.rows) == 1 && api.StatusCode != http.StatusNotFound {
		r.decideRefused(a.rows[0], api, api.Code())
		return
	}
	// The list also tells an unknown organization, for which there is none, from an
	// unknown role.
	r.findCreated(a, settleDelay, func(missing []*row) { r.splitRefused(a, missing, api) })
}

// splitRefused acts on the rows that a refused call has not created.
func (r *inviteRun) splitRefused(a *attempt, missing []*row, api *APIError) {
	if len(a.rows) == 1 {
		for _, in := range missing {
			r.decideRefused(in, api, api.Code())
		}
		return
	}
	named := namedBy(api, missing)
	var others []*row
	for _, in := range missing {
		if code, ok := named[in]; ok {
			r.decideRefused(in, api, code)
		} else {
			others = append(others, in)
		}
	}
	switch half := len(others) / 2; {
	case len(others) == 0:
	case len(named) > 0:
		r.queue(&r.survivors, others...)
	case !r.opts.BulkOnly && (r.bulk.full || len(r.apart)+len(others) <= r.maxApart()):
		r.queue(&r.apart, others...)
	case half == 0:
		r.halves = append(r.halves, others)
	default:
		r.halves = slices.Insert(r.halves, 0, others[:half:half], others[half:])
	}
}

// maxApart is how many rows of refused batches may wait for the single lane:
// what it takes an hour for. Beyond that, batches are halved instead.
func (r *inviteRun) maxApart() int { return r.single.quota.Limit - r.opts.ReserveSingle }

// decideRefused decides a row that the server has refused with a code.
func (r *inviteRun) decideRefused(in *row, api *APIError, code ErrorCode) {
	switch code {
	case CodeInvitationNotUnique, CodeDuplicateRecord:
		r.known = append(r.known, in) // by whom and when is to be looked up
	case CodeAlreadyMember:
		r.decide(in, InviteResult{Outcome: OutcomeAlreadyMember})
	default:
		r.decide(in, InviteResult{Outcome: OutcomeRejected, Err: api})
	}
}

// endsRun reports whether a refusal is one that no other call could escape.
func endsRun(api *APIError, rows []*row) bool {
	switch code := api.Code(); {
	case api.StatusCode == http.StatusUnauthorized, api.StatusCode == http.StatusPaymentRequired:
		return true
	case api.StatusCode >= 300 && api.StatusCode < 400, api.StatusCode == http.StatusMethodNotAllowed, api.StatusCode == http.StatusGone:
		return true // not the API that this package knows
	case api.StatusCode == http.StatusForbidden:
		switch code {
		case CodeNotAllowedAccess:
			return false
		case CodeNotAMember, CodeMissingPermission, CodeAuthorizationInvalid:
			// That may be the inviter, who differs from row to row.
			return !slices.ContainsFunc(rows, func(in *row) bool { return in.params.InviterUserID != "" })
		}
		return true
	default:
		switch code {
		case CodeMembershipQuotaExceeded, CodeDevEmailLimitExceeded, CodeInvitationsNotSupported, CodeAPIVersionInvalid, CodeOrganizationNotFound:
			return true
		}
		return false
	}
}

// namedBy finds the rows whose addresses an error names, with the code it has for
// them.
func namedBy(api *APIError, rows []*row) map[*row]ErrorCode {
	named := map[*row]ErrorCode{}
	for i := range api.Errors {
		detail := &api.Errors[i]
		names := detail.names()
		for _, in := range rows {
			if _, known := named[in]; !known && names(in.params.EmailAddress) {
				named[in] = detail.Code
			}
		}
	}
	return named
}
