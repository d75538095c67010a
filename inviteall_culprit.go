package clerkorg

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
)

// culprits remembers roles and inviters that the server refuses, so that other rows
// with them cost no call.
type culprits struct {
	roles    map[Role]*APIError
	inviters map[string]*APIError
	searched map[culprit]bool // pairs of which a search was begun
}

// culprit is what of a row other rows can have too.
type culprit struct {
	role    Role
	inviter string
}

func newCulprits() culprits {
	return culprits{map[Role]*APIError{}, map[string]*APIError{}, map[culprit]bool{}}
}

// reason is why a row will be refused, nil where that is not known.
func (c *culprits) reason(in *row) error {
	if api := c.roles[in.wire.Role]; api != nil {
		return fmt.Errorf("clerkorg: not sent: the role %q was refused before: %w", in.wire.Role, api)
	}
	if api := c.inviters[in.wire.InviterUserID]; api != nil {
		return fmt.Errorf("clerkorg: not sent: the inviter %q was refused before: %w", in.wire.InviterUserID, api)
	}
	return nil
}

// learn remembers the role or the inviter of a row that was refused alone, if the
// refusal is about one of them. Where it does not tell, it is found out first.
func (r *inviteRun) learn(in *row, api *APIError) {
	switch {
	case api.namesParameter("role"):
		r.culprits.roles[in.wire.Role] = api
	case api.namesParameter("inviter_user_id"):
		r.culprits.inviters[in.wire.InviterUserID] = api
	case api.StatusCode == http.StatusNotFound:
		r.findCulprit(in, api)
		return
	default:
		return
	}
	r.rejectCulprits()
}

// rejectCulprits rejects the rows that wait and will be refused.
func (r *inviteRun) rejectCulprits() {
	for _, in := range r.backlog.remove(func(in *row) bool { return r.culprits.reason(in) != nil }) {
		r.decide(in, InviteResult{Outcome: OutcomeRejected, Err: r.culprits.reason(in)})
	}
}

// findCulprit reads whether the instance has the role of a row that was refused as
// unknown, and whether its inviter is a member. An answer that does not tell is not
// worth another read: such rows are refused one by one.
func (r *inviteRun) findCulprit(in *row, api *APIError) {
	suspect := culprit{in.wire.Role, in.wire.InviterUserID}
	if r.culprits.searched[suspect] {
		return
	}
	r.culprits.searched[suspect] = true
	r.start(func() func() {
		noRole, noInviter := r.missing(r.ctx, suspect)
		return func() {
			if noRole {
				r.culprits.roles[suspect.role] = api
			}
			if noInviter {
				r.culprits.inviters[suspect.inviter] = api
			}
			r.rejectCulprits()
		}
	})
}

// missing reports what the server certainly does not know.
//
// Clerk: https://clerk.com/docs/reference/backend-api/tag/Organization-Roles#operation/ListOrganizationRoles
// (GET /organization_roles)
func (r *inviteRun) missing(ctx context.Context, suspect culprit) (noRole, noInviter bool) {
	type roleList struct {
		Data []struct {
			Key Role `json:"key"`
		} `json:"data"`
		TotalCount int `json:"total_count"`
	}
	page := url.Values{"limit": {strconv.Itoa(maxPageSize)}}
	roles, err := send(ctx, r.reader, &call{method: http.MethodGet, template: "/organization_roles", query: page.Encode()}, decode[roleList])
	if err == nil && len(roles.Data) > 0 && roles.TotalCount <= len(roles.Data) {
		noRole = true
		for _, known := range roles.Data {
			noRole = noRole && known.Key != suspect.role
		}
	}
	if suspect.inviter == "" {
		return noRole, false
	}
	page.Set("user_id", suspect.inviter)
	members, err := send(ctx, r.reader, &call{
		method:   http.MethodGet,
		template: "/organizations/{organization_id}/memberships",
		ids:      [2]string{r.org},
		query:    page.Encode(),
	}, decode[MembershipList])
	return noRole, err == nil && members.isPage() && len(members.Data) == 0
}

// namesParameter reports whether an error is about a parameter of the call.
func (e *APIError) namesParameter(name string) bool {
	for i := range e.Errors {
		var meta struct {
			Name string `json:"param_name"`
		}
		if err := e.Errors[i].Meta.Decode(&meta); err == nil && meta.Name == name {
			return true
		}
	}
	return false
}
