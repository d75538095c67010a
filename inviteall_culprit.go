package clerkorg

import (
	"context"
	"errors"
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

	accepted map[Role]bool // roles with which rows were invited
	failures map[Role]int  // rows with a role that were refused alone, and nothing tells why
}

// blameAfter is how many rows with a role, and without an inviter, have to be refused
// as unknown before the role is taken for the reason where the roles cannot be read.
const blameAfter = 3

// culprit is what of a row other rows can have too.
type culprit struct {
	role    Role
	inviter string
}

func newCulprits() culprits {
	return culprits{map[Role]*APIError{}, map[string]*APIError{}, map[culprit]bool{}, map[Role]bool{}, map[Role]int{}}
}

// reason is why a row will be refused, nil where that is not known.
func (c *culprits) reason(in *row) error {
	if api := c.roles[in.wire.Role]; api != nil {
		return &runError{text: fmt.Sprintf("clerkorg: not sent: the role %q was refused before", in.wire.Role), err: api}
	}
	if api := c.inviters[in.wire.InviterUserID]; api != nil {
		return &runError{text: fmt.Sprintf("clerkorg: not sent: the inviter %q was refused before", in.wire.InviterUserID), err: api}
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
// unknown, and whether its inviter is a member.
func (r *inviteRun) findCulprit(in *row, api *APIError) {
	suspect := culprit{in.wire.Role, in.wire.InviterUserID}
	if r.culprits.searched[suspect] {
		r.blame(suspect, api)
		return
	}
	r.culprits.searched[suspect] = true
	r.start(func() func() {
		known, err := r.hasRole(r.ctx, suspect.role)
		noInviter := suspect.inviter != "" && r.isNoMember(r.ctx, suspect.inviter)
		return func() {
			switch {
			case err != nil:
				r.blame(suspect, api)
			case known:
				r.culprits.accepted[suspect.role] = true
			default:
				r.culprits.roles[suspect.role] = api
			}
			if noInviter {
				r.culprits.inviters[suspect.inviter] = api
			}
			r.rejectCulprits()
		}
	})
}

// blame counts a row that was refused as unknown. Of what it names, only the role is
// in question where it names no inviter: the organization is known.
func (r *inviteRun) blame(suspect culprit, api *APIError) {
	c := &r.culprits
	if suspect.inviter != "" || c.accepted[suspect.role] {
		return
	}
	c.failures[suspect.role]++
	if c.failures[suspect.role] >= blameAfter {
		c.roles[suspect.role] = api
		r.rejectCulprits()
	}
}

// hasRole reports whether the instance has a role.
//
// Clerk: https://clerk.com/docs/reference/backend-api/tag/Organization-Roles#operation/ListOrganizationRoles
// (GET /organization_roles)
func (r *inviteRun) hasRole(ctx context.Context, role Role) (bool, error) {
	type roleList struct {
		Data []struct {
			Key Role `json:"key"`
		} `json:"data"`
		TotalCount int `json:"total_count"`
	}
	roles, err := send(ctx, r.reader, &call{
		operation: "Roles.List",
		method:    http.MethodGet,
		template:  "/organization_roles",
		query:     url.Values{"limit": {strconv.Itoa(maxPageSize)}}.Encode(),
	}, decode[roleList])
	if err != nil {
		return false, err
	}
	for _, known := range roles.Data {
		if known.Key == role {
			return true, nil
		}
	}
	if len(roles.Data) == 0 || roles.TotalCount > len(roles.Data) {
		return false, errors.New("the list of roles is not whole")
	}
	return false, nil
}

// isNoMember reports whether a user is certainly no member of the organization.
func (r *inviteRun) isNoMember(ctx context.Context, user string) bool {
	members, err := send(ctx, r.reader, &call{
		operation: "Organizations.ListMemberships",
		method:    http.MethodGet,
		template:  "/organizations/{organization_id}/memberships",
		ids:       [2]string{r.org},
		query:     url.Values{"limit": {strconv.Itoa(maxPageSize)}, "user_id": {user}}.Encode(),
	}, decode[MembershipList])
	return err == nil && members.isPage() && len(members.Data) == 0
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
