package clerkorg

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/mail"
	"net/url"
	"strings"
	"unicode"

	"github.com/clerkorg/clerkorg-go/internal/jsonwire"
)

// Limits of one invitation call.
const (
	// MaxBulkInvitations is how many invitations one bulk call can carry.
	MaxBulkInvitations = 10

	maxAddressBytes  = 254
	maxMetadataBytes = 8192
	maxExpiresInDays = 365
	maxPageSize      = 500
	maxMemberQueries = 100
)

// wireInvitation is CreateInvitationParams as it is sent. Metadata is encoded
// once, while it is checked.
type wireInvitation struct {
	EmailAddress    string       `json:"email_address"`
	Role            Role         `json:"role"`
	InviterUserID   string       `json:"inviter_user_id,omitempty"`
	RedirectURL     string       `json:"redirect_url,omitempty"`
	PublicMetadata  jsonwire.Raw `json:"public_metadata,omitempty"`
	PrivateMetadata jsonwire.Raw `json:"private_metadata,omitempty"`
	ExpiresInDays   int          `json:"expires_in_days,omitempty"`
	Notify          *bool        `json:"notify,omitempty"`
}

// problems gathers everything that is wrong with a call.
type problems []Problem

func (p *problems) add(index int, field, format string, args ...any) {
	*p = append(*p, Problem{Index: index, Field: field, Message: fmt.Sprintf(format, args...)})
}

// err is nil where nothing is wrong.
func (p problems) err() error {
	if len(p) == 0 {
		return nil
	}
	return &ValidationError{Problems: p}
}

// id checks an id that becomes a part of a path.
func (p *problems) id(field, id string) {
	switch {
	case id == "":
		p.add(-1, field, "must not be empty")
	case id == "." || id == "..":
		p.add(-1, field, "must not be a dot segment")
	case strings.ContainsFunc(id, unprintable):
		p.add(-1, field, "must not hold spaces or control characters")
	}
}

// invitations checks what a call would create, and gives it in the form in which
// it is sent.
func (p *problems) invitations(params []CreateInvitationParams) []wireInvitation {
	first := make(map[string]int, len(params))
	wire := make([]wireInvitation, len(params))
	for i := range params {
		wire[i] = p.invitation(i, &params[i])
		address := addressKey(params[i].EmailAddress)
		if address == "" {
			continue
		}
		if j, seen := first[address]; seen {
			p.add(i, "email_address", "is the same address as that of the invitation at index %d", j)
			continue
		}
		first[address] = i
	}
	return wire
}

// addressKey is what two spellings of one address have in common.
func addressKey(address string) string { return strings.ToLower(address) }

func (p *problems) invitation(i int, params *CreateInvitationParams) wireInvitation {
	p.address(i, "email_address", params.EmailAddress)
	switch {
	case params.Role == "":
		p.add(i, "role", "must not be empty")
	case strings.ContainsFunc(string(params.Role), unprintable):
		p.add(i, "role", "must not hold spaces or control characters")
	}
	if strings.ContainsFunc(params.InviterUserID, unprintable) {
		p.add(i, "inviter_user_id", "must not hold spaces or control characters")
	}
	if params.RedirectURL != "" && !isRedirect(params.RedirectURL) {
		p.add(i, "redirect_url", "must be an absolute http or https URL, or a path that begins with a slash")
	}
	if days := params.ExpiresInDays; days < 0 || days > maxExpiresInDays {
		p.add(i, "expires_in_days", "must be 1 to %d, or 0 for the server's default; is %d", maxExpiresInDays, days)
	}
	return wireInvitation{
		EmailAddress:    params.EmailAddress,
		Role:            params.Role,
		InviterUserID:   params.InviterUserID,
		RedirectURL:     params.RedirectURL,
		PublicMetadata:  p.metadata(i, "public_metadata", params.PublicMetadata),
		PrivateMetadata: p.metadata(i, "private_metadata", params.PrivateMetadata),
		ExpiresInDays:   params.ExpiresInDays,
		Notify:          params.Notify,
	}
}

// address checks that text is an address and nothing else: no name, no angle
// brackets, no comment.
func (p *problems) address(i int, field, text string) {
	switch {
	case text == "":
		p.add(i, field, "must not be empty")
		return
	case len(text) > maxAddressBytes:
		p.add(i, field, "must be at most %d bytes long, is %d", maxAddressBytes, len(text))
		return
	}
	parsed, err := mail.ParseAddress(text)
	// String puts the quotes back around a local part that needs them.
	if err != nil || parsed.Name != "" || (parsed.Address != text && parsed.String() != "<"+text+">") {
		p.add(i, field, "must be a bare e-mail address, as in name@example.com")
	}
}

// metadata encodes v. It is nil where there is none.
func (p *problems) metadata(i int, field string, v any) jsonwire.Raw {
	raw, err := encodeMetadata(v)
	switch {
	case err != nil:
		p.add(i, field, "must encode to JSON: %s", err)
	case len(raw) == 0:
	case raw[0] != '{':
		p.add(i, field, "must be a JSON object")
	case len(raw) > maxMetadataBytes:
		p.add(i, field, "must be at most %d bytes of JSON, is %d", maxMetadataBytes, len(raw))
	default:
		return raw
	}
	return nil
}

func encodeMetadata(v any) (jsonwire.Raw, error) {
	var (
		raw []byte
		err error
	)
	switch v := v.(type) {
	case nil:
		return nil, nil
	case Metadata:
		raw, err = compact(v)
	case json.RawMessage:
		raw, err = compact(v)
	default:
		raw, err = jsonwire.Append(nil, v)
	}
	if err != nil {
		return nil, encodingFault(v, err)
	}
	if string(raw) == "null" { // a nil map or pointer
		return nil, nil
	}
	return raw, nil
}

func compact(raw []byte) ([]byte, error) {
	if len(raw) == 0 {
		return nil, nil
	}
	return jsonwire.Compact(make([]byte, 0, len(raw)), raw)
}

// encodingFault says why v did not encode, without repeating any of it.
func encodingFault(v any, err error) error {
	if unsupported, ok := errors.AsType[*json.UnsupportedTypeError](err); ok {
		return fmt.Errorf("type %s cannot", unsupported.Type)
	}
	return fmt.Errorf("%T did not", v)
}

func isRedirect(text string) bool {
	u, err := url.Parse(text)
	if err != nil || strings.ContainsFunc(text, unprintable) {
		return false
	}
	if u.IsAbs() {
		return (u.Scheme == "http" || u.Scheme == "https") && u.Hostname() != ""
	}
	return u.Host == "" && strings.HasPrefix(text, "/")
}

func unprintable(r rune) bool {
	return unicode.IsSpace(r) || unicode.IsControl(r) || r == unicode.ReplacementChar
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

// order checks a field to sort by, which may have a sign in front.
func (p *problems) order(text OrderBy, fields ...string) {
	if text == "" {
		return
	}
	field := strings.TrimLeft(string(text[:1]), "+-") + string(text[1:])
	for _, known := range fields {
		if field == known {
			return
		}
	}
	p.add(-1, "order_by", "must be %s, with + or - in front or without", strings.Join(fields, " or "))
}
