package clerkorg

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/clerkorg/clerkorg-go/internal/jsonwire"
)

// Role is the key of an organization role, such as "org:admin". An instance may
// define roles of its own.
type Role string

// The roles that every instance has.
const (
	RoleAdmin  Role = "org:admin"
	RoleMember Role = "org:member"
)

// InvitationStatus is the state of an invitation. Values that are not listed here
// are kept as the server wrote them.
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
	InviterID              string                  `json:"inviter_id"` // empty where no user is named as the inviter
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

func (i *OrganizationInvitation) id() string { return i.ID }

// MarshalJSON writes the invitation as Clerk does: a field that Clerk calls
// nullable is null where it has no value.
func (i OrganizationInvitation) MarshalJSON() ([]byte, error) {
	type plain OrganizationInvitation
	return json.Marshal(struct {
		plain
		InviterID nullable `json:"inviter_id"`
		URL       nullable `json:"url"`
	}{plain(i), nullable(i.InviterID), nullable(i.URL)})
}

// PublicInviterData is the public part of the user who invited.
type PublicInviterData struct {
	UserID     string `json:"user_id"`
	FirstName  string `json:"first_name"`
	LastName   string `json:"last_name"`
	ImageURL   string `json:"image_url"`
	HasImage   bool   `json:"has_image"`
	Identifier string `json:"identifier"`
}

// MarshalJSON writes unknown names as null, as Clerk does.
func (d PublicInviterData) MarshalJSON() ([]byte, error) {
	type plain PublicInviterData
	return json.Marshal(struct {
		plain
		FirstName nullable `json:"first_name"`
		LastName  nullable `json:"last_name"`
	}{plain(d), nullable(d.FirstName), nullable(d.LastName)})
}

// PublicOrganizationData is the public part of an organization.
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

	// TotalCount is the number of entries on all pages together.
	TotalCount int `json:"total_count"`
}

func (l *InvitationList) isPage() bool { return l.Data != nil }

// OrderBy is the field by which a list is sorted, with "-" in front for
// descending order.
type OrderBy string

// Orders of invitation lists.
const (
	OrderByNewest       OrderBy = "-created_at" // the server's default
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

// Timestamp is a time as Clerk writes it: whole milliseconds since 1970, or null,
// which is its zero value. Some answers hold seconds; they are recognized by their
// size, since as milliseconds they would lie before March 1973.
type Timestamp struct {
	time.Time
}

// Numbers from leastSeconds to mostSeconds are read as seconds: those are the years
// 2001 to 5138, which as milliseconds would be 1970 to 1973.
const leastSeconds, mostSeconds = 1_000_000_000, 100_000_000_000

func init() {
	jsonwire.Verbatim[Metadata]()
	jsonwire.Integer((*Timestamp).set)
}

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
	t.set(n)
	return nil
}

// set reads n as it stands on the wire.
func (t *Timestamp) set(n int64) {
	switch {
	case n == 0:
		*t = Timestamp{}
	case n >= leastSeconds && n < mostSeconds:
		*t = Timestamp{time.Unix(n, 0).UTC()}
	default:
		*t = Timestamp{time.UnixMilli(n).UTC()}
	}
}

// MarshalJSON writes milliseconds, or null for the zero time.
func (t Timestamp) MarshalJSON() ([]byte, error) {
	if t.IsZero() {
		return []byte("null"), nil
	}
	return strconv.AppendInt(nil, t.UnixMilli(), 10), nil
}

// Metadata is a JSON object as the server wrote it, so that big integers stay
// exact. It can be passed on as the metadata of another call.
type Metadata []byte

// Decode decodes the metadata into v, a non-nil pointer, as encoding/json does.
// Absent metadata leaves v unchanged. Metadata that does not fit into v is an error
// that wraps the one of encoding/json.
func (m Metadata) Decode(v any) error {
	if len(m) == 0 {
		return nil
	}
	if err := json.Unmarshal(m, v); err != nil {
		return fmt.Errorf("clerkorg: metadata does not fit into %T: %w", v, err)
	}
	return nil
}

// MarshalJSON returns m unchanged, and null where it is absent.
func (m Metadata) MarshalJSON() ([]byte, error) {
	if len(m) == 0 {
		return []byte("null"), nil
	}
	return m, nil
}

// UnmarshalJSON keeps a copy of data. Null makes the metadata absent.
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
	// bytes: at most 64 before the @, and at most 63 in each part of the domain, none
	// of which begins or ends with a hyphen. Names in other scripts than Latin count
	// with their UTF-8 bytes. Quotes around the part before the @ are allowed; spaces,
	// and characters that show nothing (zero width, soft hyphens, direction marks,
	// variation selectors, private use), are not.
	EmailAddress string `json:"email_address"`

	// Role is the role of the invitee in the organization, of at most 2048 bytes.
	Role Role `json:"role"`

	// InviterUserID is a user with administrator rights in the organization, in
	// whose name the invitation is sent. It has at most 2048 bytes.
	InviterUserID string `json:"inviter_user_id,omitzero"`

	// RedirectURL is where the invitee lands on accepting: an absolute http(s) URL
	// without a user or password, or a path that begins with one slash, of at most
	// 2048 bytes. Two slashes and backslashes, behind which browsers look for a host,
	// are refused.
	RedirectURL string `json:"redirect_url,omitzero"`

	// PublicMetadata and PrivateMetadata become those of the membership. They are
	// anything that encodes to a JSON object of at most 8192 bytes of UTF-8: a map, a
	// struct, the Metadata of an answer. The frontend can read PublicMetadata only.
	PublicMetadata  any `json:"public_metadata,omitzero"`
	PrivateMetadata any `json:"private_metadata,omitzero"`

	// ExpiresInDays is 1 to 365; zero is the server's default, 30.
	ExpiresInDays int `json:"expires_in_days,omitzero"`

	// Notify says whether an e-mail is sent; nil is the server's default, true. Set
	// it with new(false).
	Notify *bool `json:"notify,omitzero"`
}

// UnmarshalJSON reads params from JSON. Metadata become [Metadata], so that big
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

	// MissingMemberWithElevatedPermissions is set where no member could administer
	// the organization.
	MissingMemberWithElevatedPermissions bool `json:"missing_member_with_elevated_permissions,omitempty"`
}

// OrganizationMembership is the membership of a user in an organization.
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

// PublicUserData is the public part of a member.
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

	// TotalCount is the number of entries on all pages together.
	TotalCount int `json:"total_count"`
}

func (l *MembershipList) isPage() bool { return l.Data != nil }
