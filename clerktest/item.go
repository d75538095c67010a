package clerktest

import (
	"bytes"
	"encoding/json"
	"net/mail"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

const (
	defaultExpiry   = 30 * 24 * time.Hour
	maxExpiryDays   = 365
	maxMetadataSize = 8 << 10
	maxBulkItems    = 10
)

// item is one person to be invited, as a call asks for it.
type item struct {
	err *apiError // the first thing wrong with its parameters, if any

	email    string
	folded   string
	role     string
	inviter  *string // id; nil if none
	redirect string
	notify   bool
	validFor time.Duration
	blocked  bool

	publicMetadata, privateMetadata json.RawMessage
}

// parseBulk reads the body of a bulk call. The error concerns the call as a
// whole; what is wrong with one item is noted there.
func parseBulk[T any](body []byte, parse func(map[string]json.RawMessage) T) ([]T, *apiError) {
	if !validJSON(body) {
		return nil, bodyInvalid()
	}
	var objects []map[string]json.RawMessage
	err := json.Unmarshal(body, &objects)
	switch {
	case objects == nil:
		return nil, bodyMalformed("an array of invitations")
	case err != nil || slices.ContainsFunc(objects, func(o map[string]json.RawMessage) bool { return o == nil }):
		return nil, bodyMalformed("an array of objects")
	case len(objects) == 0:
		return nil, missing("email_address")
	case len(objects) > maxBulkItems:
		return nil, newError(400, "bulk_size_exceeded", "too many invitations", "One call takes at most 10 invitations.")
	}
	items := make([]T, len(objects))
	for i, object := range objects {
		items[i] = parse(object)
	}
	return items, nil
}

// parseSingle reads the body of a call that creates one invitation.
func parseSingle[T any](body []byte, parse func(map[string]json.RawMessage) T) (T, *apiError) {
	var none T
	if !validJSON(body) {
		return none, bodyInvalid()
	}
	var object map[string]json.RawMessage
	if json.Unmarshal(body, &object) != nil || object == nil {
		return none, bodyMalformed("an object")
	}
	return parse(object), nil
}

// parseFields reads the body of a call whose parameters are an object.
func parseFields(body []byte) (*fields, *apiError) {
	return parseSingle(body, func(object map[string]json.RawMessage) *fields { return &fields{raw: object} })
}

func validJSON(body []byte) bool { return utf8.Valid(body) && json.Valid(body) }

func (s *Server) parseItem(object map[string]json.RawMessage) item {
	f := fields{raw: object}
	it := item{
		email:           f.text("email_address", true),
		role:            f.text("role", true),
		inviter:         f.optionalText("inviter_user_id"),
		publicMetadata:  f.metadata("public_metadata"),
		privateMetadata: f.metadata("private_metadata"),
		redirect:        f.redirect("redirect_url"),
		validFor:        f.days("expires_in_days"),
		notify:          f.flag("notify", true),
	}
	f.checkUnknown()
	it.folded = fold(it.email)
	if f.err == nil && (!validAddress(it.email) || s.config.rejected != nil && s.config.rejected(it.email)) {
		f.err = wrongFormat("email_address", "an e-mail address")
	}
	it.blocked = s.config.blocked != nil && s.config.blocked(it.email)
	it.err = f.err
	return it
}

// fields reads the parameters of an object one by one and remembers the first
// thing that is wrong.
type fields struct {
	raw map[string]json.RawMessage
	err *apiError
}

// take returns the value of a parameter, nil if it is absent or null, and
// removes it, so that what remains in the end is unknown.
func (f *fields) take(name string) json.RawMessage {
	raw := f.raw[name]
	delete(f.raw, name)
	if string(raw) == "null" {
		return nil
	}
	return raw
}

func (f *fields) fail(e *apiError) {
	if f.err == nil {
		f.err = e
	}
}

func (f *fields) checkUnknown() {
	first := ""
	for name := range f.raw {
		if first == "" || name < first {
			first = name
		}
	}
	if len(f.raw) > 0 {
		f.fail(paramError("form_param_unknown", first, "This call has no parameter of that name."))
	}
}

func (f *fields) text(name string, required bool) string {
	text := f.optionalText(name)
	if text != nil && *text != "" {
		return *text
	}
	if required {
		f.fail(missing(name))
	}
	return ""
}

func (f *fields) optionalText(name string) *string {
	raw := f.take(name)
	if raw == nil {
		return nil
	}
	var text string
	switch {
	case raw[0] != '"':
		f.fail(wrongType(name, "a string"))
	case bytes.IndexByte(raw, '\\') < 0:
		text = string(raw[1 : len(raw)-1])
	default:
		_ = json.Unmarshal(raw, &text) // it is valid
	}
	return &text
}

func (f *fields) flag(name string, absent bool) bool {
	raw := f.take(name)
	if raw == nil {
		return absent
	}
	value := absent
	if json.Unmarshal(raw, &value) != nil {
		f.fail(wrongType(name, "a boolean"))
	}
	return value
}

// number reads an integer that is not negative; 0 if it is absent.
func (f *fields) number(name string) int {
	raw := f.take(name)
	if raw == nil {
		return 0
	}
	var n int
	if json.Unmarshal(raw, &n) != nil {
		f.fail(wrongType(name, "an integer"))
	} else if n < 0 {
		f.fail(wrongValue(name, "0 or more"))
	}
	return n
}

func (f *fields) days(name string) time.Duration {
	raw := f.take(name)
	if raw == nil {
		return defaultExpiry
	}
	var days int
	if json.Unmarshal(raw, &days) != nil {
		f.fail(wrongType(name, "an integer"))
	} else if days < 1 || days > maxExpiryDays {
		f.fail(wrongValue(name, "between 1 and 365"))
	}
	return time.Duration(days) * 24 * time.Hour
}

// metadata is kept as it came, so that large integers stay exact.
func (f *fields) metadata(name string) json.RawMessage {
	raw := f.take(name)
	if raw == nil {
		return emptyObject
	}
	if raw[0] != '{' {
		f.fail(wrongType(name, "an object"))
		return emptyObject
	}
	var compact bytes.Buffer
	if json.Compact(&compact, raw) != nil {
		f.fail(bodyInvalid())
		return emptyObject
	}
	if compact.Len() > maxMetadataSize {
		f.fail(paramError("form_param_exceeds_allowed_size", name, name+" may hold 8 KB at most."))
	}
	return compact.Bytes()
}

func (f *fields) redirect(name string) string {
	text := f.optionalText(name)
	if text == nil {
		return ""
	}
	u, err := url.Parse(*text)
	absolute := err == nil && u.Scheme != "" && u.Host != ""
	path := err == nil && u.Scheme == "" && strings.HasPrefix(*text, "/")
	if !absolute && !path {
		f.fail(wrongFormat(name, "a full URL or a path that starts with a slash"))
	}
	return *text
}

// validAddress accepts a bare RFC 5322 address of at most 254 bytes, as net/mail
// reads it, with or without needless quotes around its local part; no spaces.
func validAddress(email string) bool {
	parsed, err := mail.ParseAddress(email)
	if err != nil || parsed.Name != "" || len(email) > 254 || strings.ContainsFunc(email, unicode.IsSpace) {
		return false
	}
	domain := parsed.Address[strings.LastIndexByte(parsed.Address, '@'):]
	return parsed.Address == email || email[0] == '"' && strings.HasSuffix(email, `"`+domain)
}
