package clerkorg

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/clerkorg/clerkorg-go/internal/jsonwire"
)

// Limits of one invitation call.
const (
	// MaxBulkInvitations is how many invitations one bulk call can carry.
	MaxBulkInvitations = 10

	maxExpiresInDays = 365
	maxPageSize      = 500
	maxMemberQueries = 100
)

// wireInvitation is CreateInvitationParams as sent. Metadata is encoded once, when
// it is checked. The tags say what appendJSON writes.
type wireInvitation struct {
	EmailAddress    string          `json:"email_address"`
	Role            Role            `json:"role"`
	InviterUserID   string          `json:"inviter_user_id,omitempty"`
	RedirectURL     string          `json:"redirect_url,omitempty"`
	PublicMetadata  json.RawMessage `json:"public_metadata,omitempty"` // valid, and without white space
	PrivateMetadata json.RawMessage `json:"private_metadata,omitempty"`
	ExpiresInDays   int             `json:"expires_in_days,omitempty"`
	Notify          *bool           `json:"notify,omitempty"`
}

// problems collects all that is wrong with the arguments of a call.
type problems []Problem

func (p *problems) add(index int, field, format string, args ...any) {
	*p = append(*p, Problem{Index: index, Field: field, Message: fmt.Sprintf(format, args...)})
}

// err returns a ValidationError, or nil where nothing is wrong.
func (p problems) err() error {
	if len(p) == 0 {
		return nil
	}
	return &ValidationError{Problems: p}
}

// id checks an id that becomes part of a path.
func (p *problems) id(field, id string) {
	switch id {
	case "":
		p.add(-1, field, "must not be empty")
	case ".", "..":
		p.add(-1, field, "must not be a dot segment")
	default:
		p.text(-1, field, id)
	}
}

// invitations checks the params of a call and returns them in the form in which
// they are sent.
func (p *problems) invitations(params []CreateInvitationParams) []wireInvitation {
	wire := make([]wireInvitation, len(params))
	size := 0
	for i := range params {
		size += rawSize(params[i].PublicMetadata) + rawSize(params[i].PrivateMetadata)
	}
	metadata := make([]byte, 0, size)
	var keys [MaxBulkInvitations]string // more than one call can carry are refused in any case
	var like *CreateInvitationParams    // the last in which nothing is wrong
	for i := range params {
		faults := len(*p)
		wire[i], metadata = p.invitation(i, &params[i], like, metadata)
		if len(*p) == faults {
			like = &params[i]
		}
		p.distinct(&keys, i, params[i].EmailAddress)
	}
	return wire
}

// distinct checks that an address is none of the earlier ones of a call, whose keys it
// gathers.
func (p *problems) distinct(keys *[MaxBulkInvitations]string, i int, address string) {
	if i >= len(keys) || address == "" {
		return
	}
	keys[i] = AddressKey(address)
	if first := slices.Index(keys[:], keys[i]); first < i {
		p.add(i, "email_address", "is the same address as that of the invitation at index %d", first)
	}
}

// number checks how many invitations a bulk call carries.
func (p *problems) number(n int) {
	if n < 1 || n > MaxBulkInvitations {
		p.add(-1, "invitations", "must be 1 to %d, are %d", MaxBulkInvitations, n)
	}
}

// sizeOnWire estimates the length of the JSON of an invitation from below.
func (w *wireInvitation) sizeOnWire() int {
	const names = 170 // of the fields, with quotes and colons, and the small values
	return names + len(w.EmailAddress) + len(w.Role) + len(w.InviterUserID) + len(w.RedirectURL) +
		len(w.PublicMetadata) + len(w.PrivateMetadata)
}

func (w *wireInvitation) appendJSON(dst []byte) []byte {
	dst = jsonwire.AppendString(append(dst, `{"email_address":`...), w.EmailAddress)
	dst = jsonwire.AppendString(append(dst, `,"role":`...), string(w.Role))
	if w.InviterUserID != "" {
		dst = jsonwire.AppendString(append(dst, `,"inviter_user_id":`...), w.InviterUserID)
	}
	if w.RedirectURL != "" {
		dst = jsonwire.AppendString(append(dst, `,"redirect_url":`...), w.RedirectURL)
	}
	if len(w.PublicMetadata) > 0 {
		dst = append(append(dst, `,"public_metadata":`...), w.PublicMetadata...)
	}
	if len(w.PrivateMetadata) > 0 {
		dst = append(append(dst, `,"private_metadata":`...), w.PrivateMetadata...)
	}
	if w.ExpiresInDays != 0 {
		dst = strconv.AppendInt(append(dst, `,"expires_in_days":`...), int64(w.ExpiresInDays), 10)
	}
	if w.Notify != nil {
		dst = strconv.AppendBool(append(dst, `,"notify":`...), *w.Notify)
	}
	return append(dst, '}')
}

// wireInvitations is the body of a bulk call.
type wireInvitations []wireInvitation

func (w wireInvitations) sizeOnWire() int { return sizeOfArray(w) }

func (w wireInvitations) appendJSON(dst []byte) []byte { return appendArray(dst, w) }

// params is the invitation as the caller gave it, with its metadata as JSON.
func (w *wireInvitation) params() CreateInvitationParams {
	params := CreateInvitationParams{
		EmailAddress:  w.EmailAddress,
		Role:          w.Role,
		InviterUserID: w.InviterUserID,
		RedirectURL:   w.RedirectURL,
		ExpiresInDays: w.ExpiresInDays,
		Notify:        w.Notify,
	}
	if w.PublicMetadata != nil {
		params.PublicMetadata = Metadata(w.PublicMetadata)
	}
	if w.PrivateMetadata != nil {
		params.PrivateMetadata = Metadata(w.PrivateMetadata)
	}
	return params
}

// invitation checks one of the params, whose texts are mostly those of an earlier one
// in which nothing is wrong. Its metadata is encoded at the end of buf.
func (p *problems) invitation(i int, params, like *CreateInvitationParams, buf []byte) (wireInvitation, []byte) {
	if like == nil {
		like = new(CreateInvitationParams)
	}
	p.address(i, "email_address", params.EmailAddress)
	if params.Role == "" {
		p.add(i, "role", "must not be empty")
	}
	if params.Role != like.Role {
		p.text(i, "role", string(params.Role))
	}
	if params.InviterUserID != like.InviterUserID {
		p.text(i, "inviter_user_id", params.InviterUserID)
	}
	if params.RedirectURL != like.RedirectURL {
		p.redirect(i, params.RedirectURL)
	}
	p.days(i, params.ExpiresInDays)
	wire := wireInvitation{
		EmailAddress:  params.EmailAddress,
		Role:          params.Role,
		InviterUserID: params.InviterUserID,
		RedirectURL:   params.RedirectURL,
		ExpiresInDays: params.ExpiresInDays,
		Notify:        params.Notify,
	}
	wire.PublicMetadata, buf = p.metadata(i, "public_metadata", params.PublicMetadata, buf)
	wire.PrivateMetadata, buf = p.metadata(i, "private_metadata", params.PrivateMetadata, buf)
	return wire, buf
}

func (p *problems) redirect(i int, target string) {
	if target == "" {
		return
	}
	if fault := redirectFault(target); fault != "" {
		p.add(i, "redirect_url", "%s", fault)
	}
}

func (p *problems) days(i, days int) {
	if days < 0 || days > maxExpiresInDays {
		p.add(i, "expires_in_days", "must be 1 to %d, or 0 for the server's default; is %d", maxExpiresInDays, days)
	}
}

// page checks the limit and the offset of a list call.
func (p *problems) page(limit, offset int) {
	if limit < 0 || limit > maxPageSize {
		p.add(-1, "limit", "must be 1 to %d, or 0 for the server's default; is %d", maxPageSize, limit)
	}
	if offset < 0 {
		p.add(-1, "offset", "must not be negative, is %d", offset)
	}
}

func (p *problems) statuses(statuses []InvitationStatus) {
	for _, status := range statuses {
		switch status {
		case InvitationPending, InvitationAccepted, InvitationRevoked, InvitationExpired:
		default:
			p.add(-1, "status", "must be pending, accepted, revoked or expired")
		}
	}
}

// order checks a field to sort by, with or without a sign in front.
func (p *problems) order(text OrderBy, fields ...string) {
	if text == "" {
		return
	}
	field := strings.TrimLeft(string(text[:1]), "+-") + string(text[1:])
	if slices.Contains(fields, field) {
		return
	}
	p.add(-1, "order_by", "must be %s, with + or - in front or without", strings.Join(fields, " or "))
}
