package clerktest

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Organization describes an organization to [Server.AddOrganization].
type Organization struct {
	ID   string // random if empty
	Name string // "Organization" if empty
	Slug string // made from the name if empty

	// MaxAllowedMemberships is how many members and pending invitations there
	// may be together. Zero means no limit.
	MaxAllowedMemberships int
}

// Invitation is a copy of one invitation, taken at some moment.
type Invitation struct {
	ID              string
	OrganizationID  string
	EmailAddress    string // as it was written when invited
	Role            string
	Status          string // pending, accepted, revoked or expired
	InviterUserID   string // empty if the call named no inviter
	PublicMetadata  json.RawMessage
	PrivateMetadata json.RawMessage
	RedirectURL     string // empty if none was given
	Notify          bool   // whether an e-mail would have been sent
	ByAPI           bool   // whether an API call made it, not AddInvitation
	CreatedAt       time.Time
	UpdatedAt       time.Time
	ExpiresAt       time.Time
}

// AddOrganization adds an organization without members and returns its id. If
// one with that id exists already, nothing changes.
func (s *Server) AddOrganization(o Organization) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.addOrganization(o, s.now()).id
}

func (s *Server) addOrganization(o Organization, now time.Time) *organization {
	if known := s.state.organizations[o.ID]; known != nil {
		return known
	}
	if o.ID == "" {
		o.ID = s.random.id("org_")
	}
	if o.Name == "" {
		o.Name = "Organization"
	}
	if o.Slug == "" {
		o.Slug = slug(o.Name)
	}
	if s.state.slugs[o.Slug] != nil {
		o.Slug += "-" + s.random.hex(8)
	}
	added := &organization{
		sequence:       len(s.state.organizations),
		id:             o.ID,
		name:           o.Name,
		slug:           o.Slug,
		maxMemberships: max(0, o.MaxAllowedMemberships),
		created:        now,
		memberByUser:   make(map[string]*member),
		byAddress:      make(map[string][]*invitation),
		timesInvited:   make(map[string]int),
	}
	s.state.organizations[added.id] = added
	s.state.slugs[added.slug] = added
	return added
}

// slug keeps the letters and digits of a name.
func slug(name string) string {
	words := strings.FieldsFunc(strings.ToLower(name), func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9')
	})
	if len(words) == 0 {
		return "organization"
	}
	return strings.Join(words, "-")
}

// AddRole adds a role that people can be invited to, or renames it. The roles
// org:admin and org:member exist from the start.
func (s *Server) AddRole(key, name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state.roles[key] = name
}

// addRole makes sure that a role exists.
func (s *Server) addRole(key string) {
	if _, ok := s.state.roles[key]; !ok {
		s.state.roles[key] = key
	}
}

// AddMember makes the person with that address a member, past any limit, and
// returns the user's id. One address is one user in all organizations. A role
// that does not exist is added; a member keeps the role they have. The id is
// empty if there is no such organization.
func (s *Server) AddMember(orgID, email, role string) (userID string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	o := s.state.organization(orgID, now)
	if o == nil {
		return ""
	}
	s.addRole(role)
	u := s.state.userFor(email, now)
	if o.memberByUser[u.id] == nil {
		s.tellJoined(s.state.join(o, u, role, now))
	}
	return u.id
}

// AddUserAddress gives the user with that id another e-mail address. Lists keep
// showing the user by the first one, but each of the addresses finds the user,
// and an invitation of any of them is refused where the user is a member. An
// address that the user has already changes nothing. It fails if there is no
// such user, or if the address is that of another one.
func (s *Server) AddUserAddress(userID, email string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.state.users[userID]
	if u == nil {
		return fmt.Errorf("clerktest: no user has the id %q", userID)
	}
	switch s.state.addresses[fold(email)] {
	case nil:
		s.state.addAddress(u, email, s.now())
		return nil
	case u:
		return nil
	default:
		return fmt.Errorf("clerktest: another user than %s has the address %q", userID, email)
	}
}

// AddInvitation adds a pending invitation that no API call made, like one made
// in a dashboard. It lasts 30 days, passes any limit, and
// does not count in [Server.TimesInvited]. A role that does not exist is added.
// If the address has a pending invitation already, its id is returned and
// nothing changes. The id is empty if there is no such organization.
func (s *Server) AddInvitation(orgID, email, role string) (invitationID string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	o := s.state.organization(orgID, now)
	if o == nil {
		return ""
	}
	if known := o.pendingFor(fold(email)); known != nil {
		return known.id
	}
	s.addRole(role)
	inv := &invitation{
		org: o, email: email, folded: fold(email), role: role, notify: true,
		created: now, updated: now, expires: now.Add(defaultExpiry),
		publicMetadata: emptyObject, privateMetadata: emptyObject,
	}
	s.state.add(inv)
	s.tellInvitation("created", inv)
	return inv.id
}

// AcceptInvitation makes the invitee a member, or a user where the invitation is one to
// sign up, as if they had followed the link in their e-mail. It fails if there is no such invitation or if it is not
// pending.
func (s *Server) AcceptInvitation(invitationID string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	if application := s.state.applicationInvitation(invitationID); application != nil {
		return s.endApplication(application, statusAccepted, now)
	}
	inv, err := s.pendingInvitation(invitationID, now)
	if err != nil {
		return err
	}
	inv.org.end(inv, statusAccepted, now)
	u := s.state.userFor(inv.email, now)
	s.tellAccepted(inv, u)
	if inv.org.memberByUser[u.id] == nil {
		m := s.state.join(inv.org, u, inv.role, now)
		m.publicMetadata, m.privateMetadata = inv.publicMetadata, inv.privateMetadata
		s.tellJoined(m)
	}
	return nil
}

// ExpireInvitation ends a pending invitation now, as if its time were over. It
// fails if there is no such invitation or if it is not pending.
func (s *Server) ExpireInvitation(invitationID string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	if application := s.state.applicationInvitation(invitationID); application != nil {
		err := s.endApplication(application, statusExpired, now)
		if err == nil {
			application.expires = now
		}
		return err
	}
	inv, err := s.pendingInvitation(invitationID, now)
	if err != nil {
		return err
	}
	inv.expires = now
	inv.org.end(inv, statusExpired, now)
	return nil
}

func (s *Server) pendingInvitation(id string, now time.Time) (*invitation, error) {
	inv := s.state.invitations[id]
	if inv == nil {
		return nil, fmt.Errorf("clerktest: no invitation has the id %q", id)
	}
	inv.org.expire(now)
	if inv.status != statusPending {
		return nil, fmt.Errorf("clerktest: invitation %s is %s, not pending", id, inv.status)
	}
	return inv, nil
}

// Invitations returns all invitations of an organization, whatever their
// status, oldest first. It knows no list lag.
func (s *Server) Invitations(orgID string) []Invitation {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.state.organization(orgID, s.now())
	if o == nil {
		return nil
	}
	all := make([]Invitation, len(o.invitations))
	for i, inv := range o.invitations {
		all[i] = inv.snapshot()
	}
	return all
}

func (inv *invitation) snapshot() Invitation {
	copied := Invitation{
		ID:              inv.id,
		OrganizationID:  inv.org.id,
		EmailAddress:    inv.email,
		Role:            inv.role,
		Status:          inv.status,
		PublicMetadata:  slices.Clone(inv.publicMetadata),
		PrivateMetadata: slices.Clone(inv.privateMetadata),
		RedirectURL:     inv.redirect,
		Notify:          inv.notify,
		ByAPI:           inv.byAPI,
		CreatedAt:       inv.created,
		UpdatedAt:       inv.updated,
		ExpiresAt:       inv.expires,
	}
	if inv.inviter != nil {
		copied.InviterUserID = inv.inviter.id
	}
	return copied
}

// TimesInvited returns how many invitations API calls have created for an
// address, whatever their status now. Upper and lower case are the same.
func (s *Server) TimesInvited(orgID, email string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if o := s.state.organizations[orgID]; o != nil {
		return o.timesInvited[fold(email)]
	}
	return 0
}

// InvitedAddresses returns [Server.TimesInvited] for every address, in lower
// case, that API calls have invited.
func (s *Server) InvitedAddresses(orgID string) map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if o := s.state.organizations[orgID]; o != nil {
		return maps.Clone(o.timesInvited)
	}
	return nil
}
