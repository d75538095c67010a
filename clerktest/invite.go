package clerktest

import (
	"fmt"
	"net/http"
	"strings"
	"time"
)

// bulk answers OpBulk.
func (s *Server) bulk(v *visit) (any, *apiError) {
	items, err := parseBulk(v.body, s.parseItem)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	created, err := s.invite(v, items, s.config.partialBulk)
	if err != nil {
		return nil, err
	}
	data := s.invitationsJSON(created)
	return listJSON[invitationJSON]{data, len(data)}, nil
}

// create answers OpCreate.
func (s *Server) create(v *visit) (any, *apiError) {
	single, err := parseSingle(v.body, s.parseItem)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	created, err := s.invite(v, []item{single}, false)
	if err != nil {
		return nil, err
	}
	return s.invitationJSON(created[0]), nil
}

// invite creates all of items, or returns why not. With partial, those before
// the refused one are created nevertheless. The caller holds s.mu.
func (s *Server) invite(v *visit, items []item, partial bool) ([]*invitation, *apiError) {
	now := s.now()
	o := s.state.organization(v.route.organization, now)
	if o == nil {
		return nil, notFound("organization")
	}
	reasons := s.check(o, items)
	for i, reason := range reasons {
		if reason == admitted {
			continue
		}
		refusal := s.explain(o, items, reasons, i)
		if partial {
			s.createAll(v, o, items[:i], now)
		}
		return nil, refusal
	}
	return s.createAll(v, o, items, now), nil
}

func (s *Server) createAll(v *visit, o *organization, items []item, now time.Time) []*invitation {
	created := make([]*invitation, len(items))
	for i, it := range items {
		inv := &invitation{
			org: o, email: it.email, folded: it.folded, role: it.role,
			redirect: it.redirect, notify: it.notify, byAPI: true,
			publicMetadata: it.publicMetadata, privateMetadata: it.privateMetadata,
			created: now, updated: now, expires: now.Add(it.validFor),
		}
		if it.inviter != nil {
			inv.inviter = s.state.users[*it.inviter]
		}
		s.state.add(inv)
		s.tellInvitation("created", inv)
		o.timesInvited[it.folded]++
		created[i] = inv
	}
	v.call.Invited += len(items)
	return created
}

// reason is why an item cannot become an invitation.
type reason int

const (
	admitted reason = iota
	badParameter
	unknownRole
	unknownInviter
	inviterNotMember
	inviterNotAdmin
	blockedAddress
	alreadyMember
	alreadyInvited
	noRoom
	noSeat
)

// check judges every item as if those before it had been created.
func (s *Server) check(o *organization, items []item) []reason {
	seen := make(map[string]bool, len(items))
	taken := len(o.members) + o.pending
	reasons := make([]reason, len(items))
	for i := range items {
		it := &items[i]
		switch {
		case it.err != nil:
			reasons[i] = badParameter
		case !s.hasRole(it.role):
			reasons[i] = unknownRole
		case it.inviter != nil && s.inviterProblem(o, *it.inviter) != admitted:
			reasons[i] = s.inviterProblem(o, *it.inviter)
		case it.blocked:
			reasons[i] = blockedAddress
		case s.state.memberWith(o, it.folded) != nil:
			reasons[i] = alreadyMember
		case seen[it.folded] || o.pendingFor(it.folded) != nil:
			reasons[i] = alreadyInvited
		case o.maxMemberships > 0 && taken+i >= o.maxMemberships:
			reasons[i] = noRoom
		case s.config.seats > 0 && taken+i >= s.config.seats:
			reasons[i] = noSeat
		}
		seen[it.folded] = true
	}
	return reasons
}

func (s *Server) hasRole(key string) bool {
	_, ok := s.state.roles[key]
	return ok
}

// inviterProblem is also what keeps a user from revoking invitations.
func (s *Server) inviterProblem(o *organization, userID string) reason {
	m := o.memberByUser[userID]
	switch {
	case m != nil && m.role == roleAdmin:
		return admitted
	case m != nil:
		return inviterNotAdmin
	case s.state.users[userID] != nil:
		return inviterNotMember
	default:
		return unknownInviter
	}
}

// explain turns the reason of the refused item into an answer.
func (s *Server) explain(o *organization, items []item, reasons []reason, refused int) *apiError {
	switch reasons[refused] {
	case badParameter:
		return items[refused].err
	case unknownRole:
		e := notFound("role")
		e.Meta = map[string]any{"param_name": "role"}
		return e
	case noRoom:
		return newError(http.StatusForbidden, "organization_membership_quota_exceeded", "organization is full",
			fmt.Sprintf("Members and pending invitations together may not be more than %d.", o.maxMemberships))
	case noSeat:
		e := newError(http.StatusPaymentRequired, "insufficient_seats", "too few seats",
			fmt.Sprintf("The plan of the organization has %d seats, for members and pending invitations.", s.config.seats))
		e.Meta = map[string]any{"seats_quantity": len(o.members) + o.pending + len(items)}
		return e
	case blockedAddress, alreadyMember, alreadyInvited:
		var who []string
		for i, r := range reasons {
			if r == reasons[refused] {
				who = append(who, items[i].email)
			}
		}
		return s.naming(reasons[refused], who)
	default:
		return userError(reasons[refused])
	}
}

// userError refuses a request of a user who lacks the permission for it.
func userError(r reason) *apiError {
	switch r {
	case unknownInviter:
		return notFound("user")
	case inviterNotMember:
		return newError(http.StatusForbidden, "not_a_member_in_organization", "user is not a member",
			"Only members of the organization may do this.")
	default:
		e := newError(http.StatusForbidden, "missing_organization_permission", "user lacks a permission",
			"Only admins of the organization may do this.")
		e.Meta = map[string]any{"permissions": []string{permissionManage}}
		return e
	}
}

// naming refuses addresses and says whose, as far as it was told to.
func (s *Server) naming(r reason, who []string) *apiError {
	mode := s.config.naming
	inMeta, inText := mode == NameInMeta, mode == NameInText
	var e *apiError
	var list, about string
	switch {
	case r == blockedAddress:
		e = newError(http.StatusForbidden, "not_allowed_access", "address is blocked", "This instance admits no such address.")
		list, about = "identifiers", "These are blocked: "
	case r == alreadyInvited && mode == NameNone:
		return newError(http.StatusBadRequest, "organization_invitation_not_unique", "address is invited already",
			"An address can have one pending invitation to an organization, not two.")
	case r == alreadyInvited:
		e = newError(http.StatusBadRequest, "duplicate_record", "addresses are invited already",
			"Some addresses have a pending invitation.")
		list, about = "email_addresses", "These have a pending invitation: "
	default:
		e = newError(http.StatusBadRequest, "already_a_member_in_organization", "already a member",
			"A person of the call is a member of the organization.")
		// The text is the only place Clerk has for them.
		inMeta, inText = false, mode != NameNone
		about = "These are members of the organization: "
	}
	if inMeta {
		e.Meta = map[string]any{list: who}
	}
	if inText {
		e.LongMessage = about + strings.Join(who, ", ") + "."
	}
	return e
}
