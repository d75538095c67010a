package clerkorg

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/mail"
	"net/url"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

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
	case hasUnprintable(id):
		p.add(-1, field, "must not hold spaces or control characters")
	}
}

// invitations checks what a call would create, and gives it in the form in which
// it is sent.
func (p *problems) invitations(params []CreateInvitationParams) []wireInvitation {
	wire := make([]wireInvitation, len(params))
	size := 0
	for i := range params {
		size += rawSize(params[i].PublicMetadata) + rawSize(params[i].PrivateMetadata)
	}
	metadata := make([]byte, 0, size)
	for i := range params {
		wire[i], metadata = p.invitation(i, &params[i], metadata)
		// More than one call can carry are refused anyway, and not worth n² comparisons.
		for j := range min(i, MaxBulkInvitations) {
			if params[i].EmailAddress != "" && sameAddress(params[i].EmailAddress, params[j].EmailAddress) {
				p.add(i, "email_address", "is the same address as that of the invitation at index %d", j)
				break
			}
		}
	}
	return wire
}

// sizeOnWire is about how long the JSON of an invitation is, at least.
func (w *wireInvitation) sizeOnWire() int {
	const names = 170 // of the fields, with quotes and colons, and the small values
	return names + len(w.EmailAddress) + len(w.Role) + len(w.InviterUserID) + len(w.RedirectURL) +
		len(w.PublicMetadata) + len(w.PrivateMetadata)
}

// addressKey is what two spellings of one address have in common.
func addressKey(address string) string { return strings.ToLower(address) }

func sameAddress(a, b string) bool {
	return a == b || strings.EqualFold(a, b)
}

// invitation checks one of them. Its metadata is encoded at the end of buf.
func (p *problems) invitation(i int, params *CreateInvitationParams, buf []byte) (wireInvitation, []byte) {
	p.address(i, "email_address", params.EmailAddress)
	switch {
	case params.Role == "":
		p.add(i, "role", "must not be empty")
	case hasUnprintable(string(params.Role)):
		p.add(i, "role", "must not hold spaces or control characters")
	}
	if hasUnprintable(params.InviterUserID) {
		p.add(i, "inviter_user_id", "must not hold spaces or control characters")
	}
	if params.RedirectURL != "" && !isRedirect(params.RedirectURL) {
		p.add(i, "redirect_url", "must be an absolute http or https URL, or a path that begins with a slash")
	}
	if days := params.ExpiresInDays; days < 0 || days > maxExpiresInDays {
		p.add(i, "expires_in_days", "must be 1 to %d, or 0 for the server's default; is %d", maxExpiresInDays, days)
	}
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
	if isPlainAddress(text) {
		return
	}
	parsed, err := mail.ParseAddress(text)
	// String puts the quotes back around a local part that needs them.
	if err != nil || parsed.Name != "" || (parsed.Address != text && parsed.String() != "<"+text+">") {
		p.add(i, field, "must be a bare e-mail address, as in name@example.com")
	}
}

// isPlainAddress reports whether text is an address of the most common form, of
// which net/mail has nothing to say that is worth its time: words of letters,
// digits and a few signs, separated by single dots, on both sides of one @.
func isPlainAddress(text string) bool {
	at := 0
	start := true // of a word
	for i := range len(text) {
		switch c := text[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_' && at == 0, c == '+' && at == 0:
			start = false
		case c == '.' && !start:
			start = true
		case c == '@' && !start && at == 0:
			at, start = i, true
		default:
			return false
		}
	}
	return at > 0 && !start
}

// metadata encodes v, at the end of buf. Raw is nil where there is none.
func (p *problems) metadata(i int, field string, v any, buf []byte) (raw jsonwire.Raw, rest []byte) {
	start := len(buf)
	buf, err := appendMetadata(buf, v)
	switch raw = jsonwire.Raw(buf[start:len(buf):len(buf)]); {
	case err != nil:
		p.add(i, field, "must encode to JSON: %s", err)
	case len(raw) == 0 || string(raw) == "null": // a nil map or pointer
	case raw[0] != '{':
		p.add(i, field, "must be a JSON object")
	case len(raw) > maxMetadataBytes:
		p.add(i, field, "must be at most %d bytes of JSON, is %d", maxMetadataBytes, len(raw))
	case !utf8.Valid(raw): // what was given raw is taken as it is
		p.add(i, field, "must be UTF-8")
	default:
		return raw, buf
	}
	return nil, buf
}

// rawOf returns metadata that is JSON already.
func rawOf(v any) (raw []byte, isRaw bool) {
	switch v := v.(type) {
	case Metadata:
		return v, true
	case json.RawMessage:
		return v, true
	}
	return nil, false
}

func rawSize(v any) int {
	raw, _ := rawOf(v)
	return len(raw)
}

func appendMetadata(buf []byte, v any) ([]byte, error) {
	raw, isRaw := rawOf(v)
	switch {
	case v == nil, isRaw && len(raw) == 0:
		return buf, nil
	case isRaw:
		long, err := jsonwire.Compact(buf, raw)
		if err != nil {
			return buf, errors.New("it is no JSON")
		}
		return long, nil
	}
	long, err := jsonwire.Append(buf, v)
	if err != nil {
		return buf, encodingFault(v, err)
	}
	return long, nil
}

// encodingFault says why v did not encode, without repeating any of it.
func encodingFault(v any, err error) error {
	if unsupported, ok := errors.AsType[*json.UnsupportedTypeError](err); ok {
		return fmt.Errorf("type %s cannot", unsupported.Type)
	}
	return fmt.Errorf("%T did not", v)
}

func isRedirect(text string) bool {
	if hasUnprintable(text) {
		return false
	}
	u, err := url.Parse(text)
	if err != nil {
		return false
	}
	if u.IsAbs() {
		return (u.Scheme == "http" || u.Scheme == "https") && u.Hostname() != ""
	}
	return u.Host == "" && strings.HasPrefix(text, "/")
}

// hasUnprintable reports whether text holds white space, control characters, or
// what is no UTF-8.
func hasUnprintable(text string) bool {
	for i := range len(text) {
		switch c := text[i]; {
		case c <= ' ' || c == 0x7f:
			return true
		case c >= utf8.RuneSelf:
			return strings.ContainsFunc(text[i:], func(r rune) bool {
				return unicode.IsSpace(r) || unicode.IsControl(r) || r == unicode.ReplacementChar
			})
		}
	}
	return false
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
	if slices.Contains(fields, field) {
		return
	}
	p.add(-1, "order_by", "must be %s, with + or - in front or without", strings.Join(fields, " or "))
}
