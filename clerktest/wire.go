package clerktest

import (
	"bytes"
	"encoding/json"
	"slices"
	"time"
)

// The shapes of what travels on the wire, field by field as in Clerk's OpenAPI
// description. A pointer without omitempty is a field that may be null.

type listJSON[T any] struct {
	Data       []T `json:"data"`
	TotalCount int `json:"total_count"`
}

// list is a listJSON of anything.
type list interface {
	bare() any
	of(count int) list
}

// bare is the list without the object around it.
func (l listJSON[T]) bare() any { return l.Data }

// of is a list of another length: the last item is left out, or repeated. An empty list
// has nothing to repeat.
func (l listJSON[T]) of(count int) list {
	data := slices.Clone(l.Data[:min(count, len(l.Data))])
	for len(data) > 0 && len(data) < count {
		data = append(data, data[len(data)-1])
	}
	return listJSON[T]{data, l.TotalCount}
}

type invitationJSON struct {
	Object                 string                  `json:"object"`
	ID                     string                  `json:"id"`
	EmailAddress           string                  `json:"email_address"`
	Role                   string                  `json:"role"`
	RoleName               string                  `json:"role_name"`
	OrganizationID         string                  `json:"organization_id"`
	InviterID              *string                 `json:"inviter_id"`
	PublicInviterData      *inviterJSON            `json:"public_inviter_data"`
	Status                 string                  `json:"status"`
	PublicMetadata         json.RawMessage         `json:"public_metadata"`
	PrivateMetadata        json.RawMessage         `json:"private_metadata"`
	URL                    *string                 `json:"url"`
	ExpiresAt              int64                   `json:"expires_at"`
	CreatedAt              int64                   `json:"created_at"`
	UpdatedAt              int64                   `json:"updated_at"`
	PublicOrganizationData *publicOrganizationJSON `json:"public_organization_data,omitempty"`
}

type inviterJSON struct {
	UserID     string  `json:"user_id"`
	FirstName  *string `json:"first_name"`
	LastName   *string `json:"last_name"`
	ImageURL   string  `json:"image_url"`
	HasImage   bool    `json:"has_image"`
	Identifier string  `json:"identifier"`
}

type publicOrganizationJSON struct {
	ID       string `json:"id"`
	Name     string `json:"name"`
	Slug     string `json:"slug"`
	ImageURL string `json:"image_url"`
	HasImage bool   `json:"has_image"`
}

type organizationJSON struct {
	Object                  string          `json:"object"`
	ID                      string          `json:"id"`
	Name                    string          `json:"name"`
	Slug                    string          `json:"slug"`
	ImageURL                string          `json:"image_url"`
	HasImage                bool            `json:"has_image"`
	MembersCount            *int            `json:"members_count,omitempty"`
	PendingInvitationsCount *int            `json:"pending_invitations_count,omitempty"`
	MaxAllowedMemberships   int             `json:"max_allowed_memberships"`
	AdminDeleteEnabled      bool            `json:"admin_delete_enabled"`
	PublicMetadata          json.RawMessage `json:"public_metadata"`
	PrivateMetadata         json.RawMessage `json:"private_metadata"`
	CreatedBy               string          `json:"created_by,omitempty"`
	CreatedAt               int64           `json:"created_at"`
	UpdatedAt               int64           `json:"updated_at"`
}

type membershipJSON struct {
	Object          string           `json:"object"`
	ID              string           `json:"id"`
	Role            string           `json:"role"`
	RoleName        string           `json:"role_name"`
	Permissions     []string         `json:"permissions"`
	PublicMetadata  json.RawMessage  `json:"public_metadata"`
	PrivateMetadata json.RawMessage  `json:"private_metadata"`
	Organization    organizationJSON `json:"organization"`
	PublicUserData  memberUserJSON   `json:"public_user_data"`
	CreatedAt       int64            `json:"created_at"`
	UpdatedAt       int64            `json:"updated_at"`
}

type memberUserJSON struct {
	UserID          string  `json:"user_id"`
	FirstName       *string `json:"first_name"`
	LastName        *string `json:"last_name"`
	ProfileImageURL *string `json:"profile_image_url"`
	ImageURL        string  `json:"image_url"`
	HasImage        bool    `json:"has_image"`
	Identifier      string  `json:"identifier"`
	Username        *string `json:"username"`
	Banned          bool    `json:"banned"`
	Deprovisioned   bool    `json:"deprovisioned"`
}

type userJSON struct {
	Object                string             `json:"object"`
	ID                    string             `json:"id"`
	Username              *string            `json:"username"`
	FirstName             *string            `json:"first_name"`
	LastName              *string            `json:"last_name"`
	ImageURL              string             `json:"image_url"`
	HasImage              bool               `json:"has_image"`
	PrimaryEmailAddressID string             `json:"primary_email_address_id"`
	PrimaryPhoneNumberID  *string            `json:"primary_phone_number_id"`
	PrimaryWeb3WalletID   *string            `json:"primary_web3_wallet_id"`
	EmailAddresses        []emailAddressJSON `json:"email_addresses"`
	PhoneNumbers          []struct{}         `json:"phone_numbers"`
	Web3Wallets           []struct{}         `json:"web3_wallets"`
	ExternalAccounts      []struct{}         `json:"external_accounts"`
	PublicMetadata        json.RawMessage    `json:"public_metadata"`
	PrivateMetadata       json.RawMessage    `json:"private_metadata"`
	UnsafeMetadata        json.RawMessage    `json:"unsafe_metadata"`
	ExternalID            *string            `json:"external_id"`
	LastSignInAt          *int64             `json:"last_sign_in_at"`
	Banned                bool               `json:"banned"`
	Locked                bool               `json:"locked"`
	CreatedAt             int64              `json:"created_at"`
	UpdatedAt             int64              `json:"updated_at"`
}

type emailAddressJSON struct {
	ID           string     `json:"id"`
	Object       string     `json:"object"`
	EmailAddress string     `json:"email_address"`
	Reserved     bool       `json:"reserved"`
	Verification *struct{}  `json:"verification"`
	LinkedTo     []struct{} `json:"linked_to"`
}

const (
	imageURL  = "https://img.clerk.example/default.png"
	acceptURL = "https://clerk.example/v1/tickets/accept?ticket="
)

var emptyObject = json.RawMessage("{}")

func object(raw json.RawMessage) json.RawMessage {
	if raw == nil {
		return emptyObject
	}
	return raw
}

func millis(t time.Time) int64 { return t.UnixMilli() }

// The caller of any of the following holds s.mu.

func (s *Server) invitationJSON(inv *invitation) invitationJSON {
	wire := invitationJSON{
		Object:          "organization_invitation",
		ID:              inv.id,
		EmailAddress:    inv.email,
		Role:            inv.role,
		RoleName:        s.state.roles[inv.role],
		OrganizationID:  inv.org.id,
		Status:          inv.status,
		PublicMetadata:  object(inv.publicMetadata),
		PrivateMetadata: object(inv.privateMetadata),
		ExpiresAt:       millis(inv.expires),
		CreatedAt:       millis(inv.created),
		UpdatedAt:       millis(inv.updated),
	}
	if inv.inviter != nil {
		wire.InviterID = &inv.inviter.id
		wire.PublicInviterData = &inviterJSON{UserID: inv.inviter.id, ImageURL: imageURL, Identifier: inv.inviter.email()}
	}
	if inv.status == statusPending {
		wire.URL = new(acceptURL + inv.ticket)
	}
	return wire
}

func (s *Server) invitationsJSON(invs []*invitation) []invitationJSON {
	wire := make([]invitationJSON, len(invs))
	for i, inv := range invs {
		wire[i] = s.invitationJSON(inv)
	}
	return wire
}

func (o *organization) publicJSON() *publicOrganizationJSON {
	return &publicOrganizationJSON{ID: o.id, Name: o.name, Slug: o.slug, ImageURL: imageURL}
}

func (o *organization) json() organizationJSON {
	return organizationJSON{
		Object:                "organization",
		ID:                    o.id,
		Name:                  o.name,
		Slug:                  o.slug,
		ImageURL:              imageURL,
		MaxAllowedMemberships: o.maxMemberships,
		AdminDeleteEnabled:    true,
		PublicMetadata:        object(o.publicMetadata),
		PrivateMetadata:       object(o.privateMetadata),
		CreatedBy:             o.createdBy,
		CreatedAt:             millis(o.created),
		UpdatedAt:             millis(o.created),
	}
}

func (s *Server) membershipJSON(m *member) membershipJSON {
	return membershipJSON{
		Object:          "organization_membership",
		ID:              m.id,
		Role:            m.role,
		RoleName:        s.state.roles[m.role],
		Permissions:     permissions(m.role),
		PublicMetadata:  object(m.publicMetadata),
		PrivateMetadata: object(m.privateMetadata),
		Organization:    m.org.json(),
		PublicUserData:  memberUserJSON{UserID: m.user.id, ImageURL: imageURL, Identifier: m.user.email()},
		CreatedAt:       millis(m.created),
		UpdatedAt:       millis(m.created),
	}
}

func (u *user) json() userJSON {
	wire := userJSON{
		Object:                "user",
		ID:                    u.id,
		ImageURL:              imageURL,
		PrimaryEmailAddressID: u.addresses[0].id,
		PhoneNumbers:          []struct{}{},
		Web3Wallets:           []struct{}{},
		ExternalAccounts:      []struct{}{},
		PublicMetadata:        emptyObject,
		PrivateMetadata:       emptyObject,
		UnsafeMetadata:        emptyObject,
		CreatedAt:             millis(u.created),
		UpdatedAt:             millis(u.updated),
	}
	for _, a := range u.addresses {
		wire.EmailAddresses = append(wire.EmailAddresses, emailAddressJSON{
			ID: a.id, Object: "email_address", EmailAddress: a.email, LinkedTo: []struct{}{},
		})
	}
	return wire
}

// permissionManage is what a member needs to invite others.
const permissionManage = "org:sys_memberships:manage"

// permissions are those Clerk gives its two built-in roles; custom roles have
// none here.
func permissions(role string) []string {
	switch role {
	case roleAdmin:
		return []string{
			"org:sys_profile:manage", "org:sys_profile:delete", "org:sys_memberships:read", permissionManage,
			"org:sys_domains:read", "org:sys_domains:manage",
		}
	case "org:member":
		return []string{"org:sys_memberships:read"}
	default:
		return []string{}
	}
}

// encode leaves &, < and > as they are, so that metadata comes back as it was sent.
func encode(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		// Only invalid raw JSON could cause this, and none is ever stored.
		return []byte(`{"errors":[]}`)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}
