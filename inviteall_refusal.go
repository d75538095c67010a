package clerkorg

import (
	"net/http"
	"slices"
	"time"
)

// refusedBy acts on a call that the server refused. A batch may have created some
// of its invitations all the same.
func (r *inviteRun) refusedBy(a *attempt, api *APIError) {
	full := isFull(api) && len(a.rows) > 1
	if !full && endsRun(api, a.rows) {
		r.stop(api)
		return
	}
	if len(a.rows) == 1 && api.StatusCode != http.StatusNotFound {
		r.decideRefused(a.rows[0], api, api.Code())
		r.backlog.refused(a.batch, nil, false, api)
		return
	}
	named := namedBy(api, a.rows)
	a.refused = true
	a.taken = len(named) == 0 && api.Is(ErrAlreadyInvited)
	for _, in := range a.rows {
		if _, ok := named[in]; !ok && len(a.rows) > 1 {
			in.maybeCreated = true
		}
	}
	// The list also tells an unknown organization, for which there is none, from an
	// unknown role.
	r.findCreated(a, settleDelay, func(missing []*row) {
		if full {
			r.backlog.noRoom(a.batch, missing)
			return
		}
		r.splitRefused(a, missing, named, api)
	})
}

// splitRefused acts on the rows that a refused call has not created.
func (r *inviteRun) splitRefused(a *attempt, missing []*row, named map[*row]ErrorCode, api *APIError) {
	if len(a.rows) == 1 {
		for _, in := range missing {
			r.decideRefused(in, api, api.Code())
		}
		r.backlog.refused(a.batch, nil, false, api)
		return
	}
	var others []*row
	for _, in := range missing {
		if code, ok := named[in]; ok {
			r.decideRefused(in, api, code)
		} else {
			others = append(others, in)
		}
	}
	switch created := len(a.rows) - len(missing); {
	case len(named) == 0 && r.mayBeMembers(others, api):
		r.asked = append(r.asked, others...)
		r.backlog.refused(a.batch, nil, false, api)
	case len(named) == 0 && created > 0 && len(others) > 1:
		// The server carries a call out from the first row on: the one at which it
		// stopped is the reason.
		r.backlog.add(queueSingle, others[0])
		r.backlog.refused(a.batch, others[1:], true, api)
	default:
		r.backlog.refused(a.batch, others, len(named) > 0, api)
	}
}

// mayBeMembers reports whether a refusal may be about rows that are members, of
// which nothing is known: a small run asks only now.
func (r *inviteRun) mayBeMembers(rows []*row, api *APIError) bool {
	switch api.Code() {
	case CodeAlreadyMember, "":
		return slices.ContainsFunc(rows, func(in *row) bool { return !in.checked })
	}
	return false
}

// decideRefused decides a row that the server has refused with a code.
func (r *inviteRun) decideRefused(in *row, api *APIError, code ErrorCode) {
	switch code {
	case CodeInvitationNotUnique, CodeDuplicateRecord:
		in.lookFrom = time.Now() // by whom and when is to be looked up
		in.lookEnd = in.lookFrom.Add(lagPatience)
		r.taken = append(r.taken, in)
	case CodeAlreadyMember:
		r.decide(in, InviteResult{Outcome: OutcomeAlreadyMember})
	default:
		r.decide(in, InviteResult{Outcome: OutcomeRejected, Err: api})
		r.learn(in, api)
	}
}

// isFull reports whether the organization has no room for an invitation more.
func isFull(api *APIError) bool {
	return api.HasCode(CodeMembershipQuotaExceeded) || api.HasCode(CodeInsufficientSeats)
}

// endsRun reports whether a refusal is one that no other call could escape.
func endsRun(api *APIError, rows []*row) bool {
	switch code := api.Code(); {
	case isFull(api):
		return true
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
			return !slices.ContainsFunc(rows, func(in *row) bool { return in.wire.InviterUserID != "" })
		}
		return true
	default:
		switch code {
		case CodeDevEmailLimitExceeded, CodeInvitationsNotSupported, CodeAPIVersionInvalid, CodeOrganizationNotFound:
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
			if _, known := named[in]; !known && names(in.wire.EmailAddress) {
				named[in] = detail.Code
			}
		}
	}
	return named
}
