package clerktest

import (
	"cmp"
	"net/url"
	"slices"
	"strings"
	"time"
)

// get answers OpGet.
func (s *Server) get(v *visit) (any, *apiError) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, inv, err := s.find(v, s.now())
	if err != nil {
		return nil, err
	}
	return s.invitationJSON(inv), nil
}

// find looks up the organization and the invitation of the path. The caller
// holds s.mu.
func (s *Server) find(v *visit, now time.Time) (*organization, *invitation, *apiError) {
	o := s.state.organization(v.route.organization, now)
	if o == nil {
		return nil, nil, notFound("organization")
	}
	inv := s.state.invitations[v.route.invitation]
	if inv == nil || inv.org != o {
		return nil, nil, notFound("invitation")
	}
	return o, inv, nil
}

// revoke answers OpRevoke. Its body may be missing, empty or {}.
func (s *Server) revoke(v *visit) (any, *apiError) {
	requester, err := parseRevoke(v.body)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	o, inv, err := s.find(v, now)
	if err != nil {
		return nil, err
	}
	if requester != nil {
		if r := s.inviterProblem(o, *requester); r != admitted {
			return nil, userError(r)
		}
	}
	if inv.status != statusPending {
		return nil, notPending()
	}
	o.end(inv, statusRevoked, now)
	s.tellInvitation("revoked", inv)
	return s.invitationJSON(inv), nil
}

func parseRevoke(body []byte) (requester *string, err *apiError) {
	text := strings.TrimSpace(string(body))
	if text == "" || text == "null" {
		return nil, nil
	}
	f, err := parseFields(body)
	if err != nil {
		return nil, err
	}
	requester = f.optionalText("requesting_user_id")
	f.checkUnknown()
	return requester, f.err
}

// createOrganization answers OpCreateOrganization. The user who creates it, if one is
// named, becomes its admin.
func (s *Server) createOrganization(v *visit) (any, *apiError) {
	f, err := parseFields(v.body)
	if err != nil {
		return nil, err
	}
	name, slugged, creator := f.text("name", true), f.text("slug", false), f.text("created_by", false)
	public, private := f.metadata("public_metadata"), f.metadata("private_metadata")
	most := f.number("max_allowed_memberships")
	f.checkUnknown()
	if f.err != nil {
		return nil, f.err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	u := s.state.users[creator]
	switch {
	case creator != "" && u == nil:
		return nil, notFound("user")
	case slugged != "" && s.state.slugs[slugged] != nil:
		return nil, paramError("form_identifier_exists", "slug", "An organization has this slug.")
	}
	o := s.addOrganization(Organization{Name: name, Slug: slugged, MaxAllowedMemberships: most}, now)
	o.createdBy, o.publicMetadata, o.privateMetadata = creator, public, private
	if u != nil {
		s.tellJoined(s.state.join(o, u, roleAdmin, now))
	}
	return o.json(), nil
}

// getOrganization answers OpOrganization, for an id or a slug.
func (s *Server) getOrganization(v *visit) (any, *apiError) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.state.organization(v.route.organization, s.now())
	if o == nil {
		if o = s.state.slugs[v.route.organization]; o == nil {
			return nil, notFound("organization")
		}
		o.expire(s.now())
	}
	wire := o.json()
	wire.PendingInvitationsCount = new(o.pending)
	if v.query.Get("include_members_count") == "true" {
		wire.MembersCount = new(len(o.members))
	}
	return wire, nil
}

// memberFilter is what the query of OpMemberships says about members. An empty
// list matches every member.
type memberFilter struct {
	addresses, users, roles []string
	part                    []string // of the address
}

func (s *Server) parseMemberFilter(q url.Values) (memberFilter, *apiError) {
	if err := s.checkFilters(q, "email_address", "user_id", "role"); err != nil {
		return memberFilter{}, err
	}
	f := memberFilter{users: q["user_id"], roles: q["role"]}
	for _, email := range q["email_address"] {
		f.addresses = append(f.addresses, fold(email))
	}
	for _, name := range []string{"query", "email_address_query"} {
		if part := q.Get(name); part != "" {
			f.part = append(f.part, fold(part))
		}
	}
	return f, nil
}

// candidates narrows the members down by address, for which there is an index,
// and returns them in a slice of their own.
func (f memberFilter) candidates(st *state, o *organization) []*member {
	if len(f.addresses) == 0 {
		return slices.Clone(o.members)
	}
	var found []*member
	for _, email := range f.addresses {
		if m := st.memberWith(o, email); m != nil && !slices.Contains(found, m) {
			found = append(found, m)
		}
	}
	return found
}

func (f memberFilter) match(m *member) bool {
	if len(f.users) > 0 && !slices.Contains(f.users, m.user.id) {
		return false
	}
	if len(f.roles) > 0 && !slices.Contains(f.roles, m.role) {
		return false
	}
	for _, part := range f.part {
		if !m.user.has(part) {
			return false
		}
	}
	return true
}

// memberships answers OpMemberships. The newest come first unless order_by says
// otherwise; filters Clerk has and this server has not are ignored.
func (s *Server) memberships(v *visit) (any, *apiError) {
	p, err := parsePage(v.query)
	if err != nil {
		return nil, err
	}
	filter, err := s.parseMemberFilter(v.query)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.state.organization(v.route.organization, s.now())
	if o == nil {
		return nil, notFound("organization")
	}
	found := filter.candidates(s.state, o)
	slices.SortFunc(found, func(a, b *member) int {
		byEmail := 0
		if p.byEmail {
			byEmail = cmp.Compare(fold(a.user.email()), fold(b.user.email()))
		}
		return cmp.Or(byEmail, cmp.Compare(a.sequence, b.sequence))
	})
	wanted, total := pick(p, found, filter.match)
	data := make([]membershipJSON, len(wanted))
	for i, m := range wanted {
		data[i] = s.membershipJSON(m)
	}
	return listJSON[membershipJSON]{data, total}, nil
}
