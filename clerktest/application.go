package clerktest

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// applicationInvitation is an invitation to sign up, into no organization.
type applicationInvitation struct {
	sequence int // in order of creation, for stable sorting
	id       string
	email    string
	folded   string
	metadata json.RawMessage
	redirect string
	notify   bool
	status   string
	ticket   string

	created, updated, expires time.Time
}

// statusAt is the status at a moment: time ends what is pending.
func (inv *applicationInvitation) statusAt(now time.Time) string {
	if inv.status == statusPending && !inv.expires.After(now) {
		return statusExpired
	}
	return inv.status
}

type applicationInvitationJSON struct {
	Object         string          `json:"object"`
	ID             string          `json:"id"`
	EmailAddress   string          `json:"email_address"`
	PublicMetadata json.RawMessage `json:"public_metadata"`
	Revoked        bool            `json:"revoked"`
	Status         string          `json:"status"`
	URL            string          `json:"url,omitempty"`
	ExpiresAt      int64           `json:"expires_at"`
	CreatedAt      int64           `json:"created_at"`
	UpdatedAt      int64           `json:"updated_at"`
}

func (inv *applicationInvitation) json(now time.Time) applicationInvitationJSON {
	wire := applicationInvitationJSON{
		Object:         "invitation",
		ID:             inv.id,
		EmailAddress:   inv.email,
		PublicMetadata: object(inv.metadata),
		Revoked:        inv.status == statusRevoked,
		Status:         inv.statusAt(now),
		ExpiresAt:      millis(inv.expires),
		CreatedAt:      millis(inv.created),
		UpdatedAt:      millis(inv.updated),
	}
	if wire.Status == statusPending {
		wire.URL = acceptURL + inv.ticket
	}
	return wire
}

// applicationItem is one person to be invited, as a call asks for it.
type applicationItem struct {
	err            *apiError // the first thing wrong with its parameters, if any
	email          string
	redirect       string
	notify         bool
	metadata       json.RawMessage
	validFor       time.Duration
	ignoreExisting bool
}

func (s *Server) parseApplicationItem(object map[string]json.RawMessage) applicationItem {
	f := fields{raw: object}
	it := applicationItem{
		email:          f.text("email_address", true),
		metadata:       f.metadata("public_metadata"),
		validFor:       f.days("expires_in_days"),
		ignoreExisting: f.flag("ignore_existing", false),
		redirect:       f.redirect("redirect_url"),
		notify:         f.flag("notify", true),
	}
	if slug := f.text("template_slug", false); slug != "" && slug != "invitation" && slug != "waitlist_invitation" {
		f.fail(wrongValue("template_slug", "invitation or waitlist_invitation"))
	}
	f.checkUnknown()
	if f.err == nil && (!validAddress(it.email) || s.config.rejected != nil && s.config.rejected(it.email)) {
		f.err = wrongFormat("email_address", "an e-mail address")
	}
	it.err = f.err
	return it
}

// applicationBulk answers OpApplicationBulk, with a bare array.
func (s *Server) applicationBulk(v *visit) (any, *apiError) {
	items, err := parseBulk(v.body, s.parseApplicationItem)
	if err != nil {
		return nil, err
	}
	created, err := s.inviteToApplication(v, items)
	if err != nil {
		return nil, err
	}
	return listJSON[applicationInvitationJSON]{created, len(created)}, nil
}

// applicationCreate answers OpApplicationCreate.
func (s *Server) applicationCreate(v *visit) (any, *apiError) {
	single, err := parseSingle(v.body, s.parseApplicationItem)
	if err != nil {
		return nil, err
	}
	created, err := s.inviteToApplication(v, []applicationItem{single})
	if err != nil {
		return nil, err
	}
	return created[0], nil
}

// inviteToApplication creates all of items, or returns why not. A refusal for pending
// invitations names all of their addresses, as Clerk's does.
func (s *Server) inviteToApplication(v *visit, items []applicationItem) ([]applicationInvitationJSON, *apiError) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	pending := map[string]bool{}
	for _, inv := range s.state.applications {
		pending[inv.folded] = pending[inv.folded] || inv.statusAt(now) == statusPending
	}
	var known []string
	for i := range items {
		it := &items[i]
		folded := fold(it.email)
		switch {
		case it.err != nil:
			return nil, it.err
		case s.config.blocked != nil && s.config.blocked(it.email):
			return nil, newError(http.StatusForbidden, "not_allowed_access", "address not allowed", "This address may not be invited.")
		case it.ignoreExisting:
		case s.state.addresses[folded] != nil:
			e := paramError("form_identifier_exists", "email_address", "A user has this address.")
			e.Meta["email_addresses"] = []string{it.email}
			return nil, e
		case pending[folded]:
			known = append(known, it.email)
		}
		pending[folded] = true
	}
	if len(known) > 0 {
		e := newError(http.StatusBadRequest, "duplicate_record", "already invited", "There are pending invitations for some of these addresses.")
		e.Meta = map[string]any{"email_addresses": known}
		return nil, e
	}
	created := make([]applicationInvitationJSON, len(items))
	for i := range items {
		created[i] = s.state.addApplicationInvitation(&items[i], now).json(now)
	}
	v.call.Invited += len(items)
	return created, nil
}

func (st *state) addApplicationInvitation(it *applicationItem, now time.Time) *applicationInvitation {
	inv := &applicationInvitation{
		sequence: len(st.applications), id: st.random.id("inv_"), ticket: st.random.id("ticket_"),
		email: it.email, folded: fold(it.email), metadata: it.metadata, redirect: it.redirect, notify: it.notify, status: statusPending,
		created: now, updated: now, expires: now.Add(it.validFor),
	}
	st.applications = append(st.applications, inv)
	return inv
}

// AddApplicationInvitation invites an address to sign up, as an administrator does in the
// dashboard, and returns the id of the invitation. It is pending for 30 days.
func (s *Server) AddApplicationInvitation(email string) (invitationID string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state.addApplicationInvitation(&applicationItem{email: email, notify: true, validFor: defaultExpiry}, s.now()).id
}

// ApplicationInvitations returns all invitations to sign up, whatever their status,
// oldest first. They have no organization, role or inviter.
func (s *Server) ApplicationInvitations() []Invitation {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	all := make([]Invitation, len(s.state.applications))
	for i, inv := range s.state.applications {
		all[i] = Invitation{
			ID: inv.id, EmailAddress: inv.email, Status: inv.statusAt(now), PublicMetadata: slices.Clone(object(inv.metadata)),
			RedirectURL: inv.redirect, Notify: inv.notify, CreatedAt: inv.created, UpdatedAt: inv.updated, ExpiresAt: inv.expires,
		}
	}
	return all
}

// endApplication ends an invitation to sign up. The caller holds s.mu.
func (s *Server) endApplication(inv *applicationInvitation, status string, now time.Time) error {
	if is := inv.statusAt(now); is != statusPending {
		return fmt.Errorf("clerktest: invitation %s is %s, not pending", inv.id, is)
	}
	inv.status, inv.updated = status, now
	if status == statusAccepted {
		s.state.userFor(inv.email, now)
	}
	return nil
}

// applicationInvitation finds one by its id, or returns nil.
func (st *state) applicationInvitation(id string) *applicationInvitation {
	for _, inv := range st.applications {
		if inv.id == id {
			return inv
		}
	}
	return nil
}

// applicationList answers OpApplicationList: with a bare array unless a total is asked
// for. Revoked invitations are left out unless status asks for them.
func (s *Server) applicationList(v *visit) (any, *apiError) {
	query := v.query
	byExpiry := strings.TrimLeft(query.Get("order_by"), "+- ") == "expires_at"
	if byExpiry { // the order of creation, for parsePage
		query.Set("order_by", strings.Replace(query.Get("order_by"), "expires_at", "created_at", 1))
	}
	p, statuses, err := parseListing(query)
	if err != nil {
		return nil, err
	}
	paginated, problem := strconv.ParseBool(cmp.Or(query.Get("paginated"), "false"))
	if problem != nil {
		return nil, wrongType("paginated", "a boolean")
	}
	part := fold(query.Get("query"))
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	all := slices.Clone(s.state.applications)
	slices.SortFunc(all, func(a, b *applicationInvitation) int {
		switch {
		case p.byEmail:
			return cmp.Or(cmp.Compare(a.folded, b.folded), cmp.Compare(a.sequence, b.sequence))
		case byExpiry:
			return cmp.Or(a.expires.Compare(b.expires), cmp.Compare(a.sequence, b.sequence))
		}
		return cmp.Compare(a.sequence, b.sequence)
	})
	wanted, total := pick(p, all, func(inv *applicationInvitation) bool {
		status := inv.statusAt(now)
		asked := len(statuses) == 0 && status != statusRevoked || slices.Contains(statuses, status)
		return asked && (strings.Contains(inv.folded, part) || strings.Contains(fold(inv.id), part))
	})
	data := make([]applicationInvitationJSON, len(wanted))
	for i, inv := range wanted {
		data[i] = inv.json(now)
	}
	if paginated {
		return listJSON[applicationInvitationJSON]{data, total}, nil
	}
	return data, nil
}

// applicationRevoke answers OpApplicationRevoke.
func (s *Server) applicationRevoke(v *visit) (any, *apiError) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	inv := s.state.applicationInvitation(v.route.invitation)
	if inv == nil {
		return nil, notFound("invitation")
	}
	switch inv.statusAt(now) {
	case statusPending:
	case statusAccepted:
		return nil, newError(http.StatusBadRequest, "invitation_already_accepted", "invitation is accepted", "An accepted invitation cannot be revoked.")
	default:
		return nil, newError(http.StatusBadRequest, "invitation_already_revoked", "invitation is not pending", "Only a pending invitation can be revoked.")
	}
	inv.status, inv.updated = statusRevoked, now
	return inv.json(now), nil
}
