package clerkorg

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// EmailAddresses returns the e-mail addresses that the answer names, in the order
// in which it names them, each once regardless of case. A refusal may name all, some
// or none of the addresses that it is about, and its sentences may name an address
// that was not sent: compare the result with the addresses of the call.
func (e *APIError) EmailAddresses() []string {
	if e == nil {
		return nil
	}
	var all []string
	for i := range e.Errors {
		all = append(all, e.Errors[i].EmailAddresses()...)
	}
	return distinct(all)
}

// EmailAddresses returns the e-mail addresses that the error names, as
// [APIError.EmailAddresses] does for all errors of an answer: those in its meta
// (email_addresses and identifiers), and then those in its sentence.
func (d *ErrorDetail) EmailAddresses() []string {
	if d == nil {
		return nil
	}
	all := d.metaAddresses()
	sentence := d.sentence()
	for _, found := range addressShape.FindAllString(sentence, -1) {
		found = strings.TrimLeft(found, ".'`")
		var p problems
		if p.address(0, "", found); len(p) == 0 && mentions(sentence, found) {
			all = append(all, found)
		}
	}
	return distinct(all)
}

// addressShape finds what may be an address in a sentence.
var addressShape = regexp.MustCompile("[\\pL\\pN.!#$%&'*+/=?^_`{|}~-]+@[\\pL\\pN](?:[\\pL\\pN.-]*[\\pL\\pN])?")

// names returns a function that reports whether the error names an address. It also
// finds addresses in the sentence that addressShape does not describe.
func (d *ErrorDetail) names() func(address string) bool {
	inMeta := map[string]bool{}
	for _, address := range d.metaAddresses() {
		inMeta[AddressKey(address)] = true
	}
	return func(address string) bool {
		return inMeta[AddressKey(address)] || mentions(d.sentence(), address)
	}
}

// metaAddresses are the addresses in the meta of the error. Identifiers may be
// telephone numbers and user names too.
func (d *ErrorDetail) metaAddresses() []string {
	var meta struct {
		EmailAddresses anyStrings `json:"email_addresses"`
		Identifiers    anyStrings `json:"identifiers"`
	}
	_ = d.Meta.Decode(&meta) // a meta of another shape names none
	all := append(meta.EmailAddresses, meta.Identifiers...)
	for i := range all {
		all[i] = strings.TrimSpace(all[i])
	}
	return slices.DeleteFunc(all, func(s string) bool { return !strings.Contains(s, "@") })
}

// anyStrings decodes from a string, or from a list of them.
type anyStrings []string

// UnmarshalJSON takes what it can; of other shapes nothing.
func (s *anyStrings) UnmarshalJSON(data []byte) error {
	var one string
	var many []string
	switch {
	case json.Unmarshal(data, &many) == nil:
		*s = many
	case json.Unmarshal(data, &one) == nil:
		*s = anyStrings{one}
	}
	return nil
}

// distinct keeps the first spelling of each address.
func distinct(addresses []string) []string {
	seen := make(map[string]bool, len(addresses))
	return slices.DeleteFunc(addresses, func(address string) bool {
		key := AddressKey(address)
		known := seen[key]
		seen[key] = true
		return known
	})
}

// mentions reports whether text holds the address, and not merely as a part of
// another one.
func mentions(text, address string) bool {
	text, address = AddressKey(text), AddressKey(address)
	for from := 0; ; {
		i := strings.Index(text[from:], address)
		if i < 0 {
			return false
		}
		start, end := from+i, from+i+len(address)
		if !endsInAddress(text[:start]) && !beginsInAddress(text[end:]) {
			return true
		}
		from = start + 1
	}
}

// endsInAddress reports whether an address that follows the text begins before its
// end. An apostrophe belongs to it only after a letter or a digit: otherwise it is a
// quotation mark.
func endsInAddress(before string) bool {
	r, size := utf8.DecodeLastRuneInString(before)
	if r == '\'' {
		r, _ = utf8.DecodeLastRuneInString(before[:len(before)-size])
		return unicode.IsLetter(r) || unicode.IsDigit(r)
	}
	return size > 0 && (unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune("!#$%&*+-/=?^_{|}~@.", r))
}

// beginsInAddress looks past a full stop, which may end the sentence.
func beginsInAddress(after string) bool {
	for _, r := range after {
		switch {
		case r == '.':
			continue
		case unicode.IsLetter(r), unicode.IsDigit(r), r == '-', r == '@', r == '_':
			return true
		}
		return false
	}
	return false
}
