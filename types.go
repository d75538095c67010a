package clerkorg

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"
)

// Role is the key of an organization role, such as "org:admin". Instances may
// have roles of their own.
type Role string

// The roles that every instance has.
const (
	RoleAdmin  Role = "org:admin"
	RoleMember Role = "org:member"
)

// InvitationStatus is where an invitation stands. Values that are not listed
// here are kept as they came.
type InvitationStatus string

// The known states of an invitation. Only a pending one can be revoked, and an
// address can have only one pending invitation to an organization.
const (
	InvitationPending  InvitationStatus = "pending"
	InvitationAccepted InvitationStatus = "accepted"
	InvitationRevoked  InvitationStatus = "revoked"
	InvitationExpired  InvitationStatus = "expired"
)

// OrganizationInvitation is an invitation of an e-mail address into an
// organization.
type OrganizationInvitation struct {
	Object                 string                  `json:"object"` // "organization_invitation"
	ID                     string                  `json:"id"`
	EmailAddress           string                  `json:"email_address"`
	Role                   Role                    `json:"role"`
	RoleName               string                  `json:"role_name"`
	OrganizationID         string                  `json:"organization_id,omitempty"`
	InviterID              string                  `json:"inviter_id"` // empty where nobody in particular invited
	PublicInviterData      *PublicInviterData      `json:"public_inviter_data"`
	PublicOrganizationData *PublicOrganizationData `json:"public_organization_data,omitempty"` // only in lists of the whole instance
	Status                 InvitationStatus        `json:"status,omitempty"`
	PublicMetadata         Metadata                `json:"public_metadata"`
	PrivateMetadata        Metadata                `json:"private_metadata,omitempty"`
	URL                    string                  `json:"url"`        // where the invitee accepts; may be empty
	ExpiresAt              Timestamp               `json:"expires_at"` // zero where it does not expire
	CreatedAt              Timestamp               `json:"created_at"`
	UpdatedAt              Timestamp               `json:"updated_at"`
}

// MarshalJSON writes the invitation as Clerk would: what Clerk calls nullable
// and has no value becomes null.
func (i OrganizationInvitation) MarshalJSON() ([]byte, error) {
	type plain OrganizationInvitation
	return json.Marshal(struct {
		plain
		InviterID nullable `json:"inviter_id"`
		URL       nullable `json:"url"`
	}{plain(i), nullable(i.InviterID), nullable(i.URL)})
}

// PublicInviterData is what anybody may know of the user who invited.
type PublicInviterData struct {
	UserID     string `json:"user_id"`
	FirstName  string `json:"first_name"`
	LastName   string `json:"last_name"`
	ImageURL   string `json:"image_url"`
	HasImage   bool   `json:"has_image"`
	Identifier string `json:"identifier"`
}

// MarshalJSON writes names that are not known as null, as Clerk does.
func (d PublicInviterData) MarshalJSON() ([]byte, error) {
	type plain PublicInviterData
	return json.Marshal(struct {
		plain
		FirstName nullable `json:"first_name"`
		LastName  nullable `json:"last_name"`
	}{plain(d), nullable(d.FirstName), nullable(d.LastName)})
}

// PublicOrganizationData is what anybody may know of an organization.
type PublicOrganizationData struct {
	ID       string `json:"id"`
	Name     string `json:"name"`
	Slug     string `json:"slug"`
	ImageURL string `json:"image_url,omitempty"`
	HasImage bool   `json:"has_image"`
}

// InvitationList is a page of invitations.
type InvitationList struct {
	Data []OrganizationInvitation `json:"data"`

	// TotalCount is how many there are on all pages together.
	TotalCount int `json:"total_count"`
}

func (l *InvitationList) isPage() bool { return l.Data != nil }

// OrderBy is the field by which a list is sorted, with "-" in front for
// descending order.
type OrderBy string

// Orders of invitation lists.
const (
	OrderByNewest       OrderBy = "-created_at" // what the server does when nothing is said
	OrderByOldest       OrderBy = "+created_at"
	OrderByEmailAddress OrderBy = "+email_address"
)

// nullable is a string that is null on the wire when it is empty.
type nullable string

func (n nullable) MarshalJSON() ([]byte, error) {
	if n == "" {
		return []byte("null"), nil
	}
	return json.Marshal(string(n))
}

// Timestamp is a moment as Clerk writes it: whole milliseconds since 1970, null
// where there is none. Its zero value is null. Where an answer holds seconds (old
// ones do), they are told apart by their size: as milliseconds they would lie
// before March 1973.
type Timestamp struct {
	time.Time
}

// Numbers from leastSeconds to mostSeconds are read as seconds: as such they are
// in the years 2001 to 5138, as milliseconds in the first three of the 1970s.
const leastSeconds, mostSeconds = 1_000_000_000, 100_000_000_000

// UnmarshalJSON reads a number of milliseconds (or seconds), or null.
func (t *Timestamp) UnmarshalJSON(data []byte) error {
	if string(data) == "null" {
		*t = Timestamp{}
		return nil
	}
	n, err := strconv.ParseInt(string(data), 10, 64)
	if err != nil {
		f, err := strconv.ParseFloat(string(data), 64)
		if err != nil || !json.Valid(data) || math.Abs(f) > math.MaxInt64/2 { // NaN is not JSON
			return errors.New("a timestamp is not a number")
		}
		n = int64(f)
	}
	switch {
	case n == 0:
		*t = Timestamp{}
	case n >= leastSeconds && n < mostSeconds:
		*t = Timestamp{time.Unix(n, 0).UTC()}
	default:
		*t = Timestamp{time.UnixMilli(n).UTC()}
	}
	return nil
}

// MarshalJSON writes milliseconds, or null for the zero time.
func (t Timestamp) MarshalJSON() ([]byte, error) {
	if t.IsZero() {
		return []byte("null"), nil
	}
	return strconv.AppendInt(nil, t.UnixMilli(), 10), nil
}

// Metadata is a JSON object as it came, so that nothing in it is lost: big
// integers stay exact. It can be given back as the metadata of another call.
type Metadata []byte

// Decode decodes the metadata into v, a non-nil pointer, as encoding/json does.
// Absent metadata leaves v as it is.
func (m Metadata) Decode(v any) error {
	if len(m) == 0 {
		return nil
	}
	if err := json.Unmarshal(m, v); err != nil {
		return fmt.Errorf("clerkorg: metadata does not fit into %T: %w", v, err)
	}
	return nil
}

// MarshalJSON returns m as it is, null where it is absent.
func (m Metadata) MarshalJSON() ([]byte, error) {
	if len(m) == 0 {
		return []byte("null"), nil
	}
	return m, nil
}

// UnmarshalJSON keeps a copy of data; null is absent.
func (m *Metadata) UnmarshalJSON(data []byte) error {
	if string(data) == "null" {
		*m = nil
		return nil
	}
	*m = bytes.Clone(data)
	return nil
}

// String returns the JSON.
func (m Metadata) String() string { return string(m) }

// CreateInvitationParams describes an invitation to create. Zero values are left
// out of the request; only EmailAddress and Role are required.
type CreateInvitationParams struct {
	// EmailAddress is a bare RFC 5322 address ("ada@example.com") of at most 254
	// bytes.
	EmailAddress string `json:"email_address"`

	// Role is what the invitee will be in the organization.
	Role Role `json:"role"`

	// InviterUserID is a user with administrator rights in the organization, in
	// whose name the invitation is sent.
	InviterUserID string `json:"inviter_user_id,omitzero"`

	// RedirectURL is where the invitee lands on accepting: an absolute http(s) URL
	// or a path that begins with a slash.
	RedirectURL string `json:"redirect_url,omitzero"`

	// PublicMetadata and PrivateMetadata become those of the membership. They are
	// anything that encodes to a JSON object of at most 8192 bytes: a map, a
	// struct, the Metadata of an answer. The private ones never reach the frontend.
	PublicMetadata  any `json:"public_metadata,omitzero"`
	PrivateMetadata any `json:"private_metadata,omitzero"`

	// ExpiresInDays is 1 to 365; zero leaves it to the server, which takes 30.
	ExpiresInDays int `json:"expires_in_days,omitzero"`

	// Notify says whether an e-mail is sent; nil leaves it to the server, which
	// sends one. Set it with new(false).
	Notify *bool `json:"notify,omitzero"`
}

// UnmarshalJSON reads params from JSON, metadata as [Metadata], so that big
// integers in them stay exact.
func (p *CreateInvitationParams) UnmarshalJSON(data []byte) error {
	type plain CreateInvitationParams
	read := struct {
		*plain
		PublicMetadata  Metadata `json:"public_metadata"`
		PrivateMetadata Metadata `json:"private_metadata"`
	}{plain: (*plain)(p)}
	if err := json.Unmarshal(data, &read); err != nil {
		return err
	}
	p.PublicMetadata, p.PrivateMetadata = nil, nil
	if read.PublicMetadata != nil {
		p.PublicMetadata = read.PublicMetadata
	}
	if read.PrivateMetadata != nil {
		p.PrivateMetadata = read.PrivateMetadata
	}
	return nil
}

// Organization is a group of users of an instance.
type Organization struct {
	Object                  string    `json:"object"` // "organization"
	ID                      string    `json:"id"`
	Name                    string    `json:"name"`
	Slug                    string    `json:"slug"`
	ImageURL                string    `json:"image_url,omitempty"`
	HasImage                bool      `json:"has_image"`
	MembersCount            int       `json:"members_count,omitempty"`
	PendingInvitationsCount int       `json:"pending_invitations_count,omitempty"`
	MaxAllowedMemberships   int       `json:"max_allowed_memberships"` // members and pending invitations together; 0 is no limit
	AdminDeleteEnabled      bool      `json:"admin_delete_enabled"`
	PublicMetadata          Metadata  `json:"public_metadata"`
	PrivateMetadata         Metadata  `json:"private_metadata,omitempty"`
	CreatedBy               string    `json:"created_by,omitempty"`
	RoleSetKey              string    `json:"role_set_key,omitempty"`
	CreatedAt               Timestamp `json:"created_at"`
	UpdatedAt               Timestamp `json:"updated_at"`
	LastActiveAt            Timestamp `json:"last_active_at,omitzero"`

	// MissingMemberWithElevatedPermissions is set where nobody could administer
	// the organization.
	MissingMemberWithElevatedPermissions bool `json:"missing_member_with_elevated_permissions,omitempty"`
}

// OrganizationMembership is a user's place in an organization.
type OrganizationMembership struct {
	Object          string          `json:"object"` // "organization_membership"
	ID              string          `json:"id"`
	Role            Role            `json:"role"`
	RoleName        string          `json:"role_name,omitempty"`
	Permissions     []string        `json:"permissions"`
	PublicMetadata  Metadata        `json:"public_metadata"`
	PrivateMetadata Metadata        `json:"private_metadata,omitempty"`
	Organization    *Organization   `json:"organization"`
	PublicUserData  *PublicUserData `json:"public_user_data,omitempty"`
	CreatedAt       Timestamp       `json:"created_at"`
	UpdatedAt       Timestamp       `json:"updated_at"`
}

// PublicUserData is what anybody may know of a member.
type PublicUserData struct {
	UserID        string `json:"user_id"`
	FirstName     string `json:"first_name"`
	LastName      string `json:"last_name"`
	ImageURL      string `json:"image_url"`
	HasImage      bool   `json:"has_image"`
	Identifier    string `json:"identifier"` // an e-mail address, a phone number or a user name
	Username      string `json:"username,omitempty"`
	Banned        bool   `json:"banned,omitempty"`
	Deprovisioned bool   `json:"deprovisioned,omitempty"`
}

// MembershipList is a page of memberships.
type MembershipList struct {
	Data []OrganizationMembership `json:"data"`

	// TotalCount is how many there are on all pages together.
	TotalCount int `json:"total_count"`
}

func (l *MembershipList) isPage() bool { return l.Data != nil }
