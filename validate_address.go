package clerkorg

import (
	"fmt"
	"net/mail"
	"strings"
)

// Limits of an address, in bytes (RFC 5321 and 1035).
const (
	maxAddressBytes = 254
	maxLocalBytes   = 64
	maxLabelBytes   = 63
)

// AddressKey returns the text that all spellings of one e-mail address share: the
// address in lower case, letter by letter. Two addresses with the same key are one
// person to every part of this package. Clerk returns addresses in lower case, so
// maps of its answers are best keyed by it.
//
// It is [strings.ToLower], not Unicode case folding: folding also makes one of
// letters that lower-casing keeps apart ("ſ" and "s", "ς" and "σ"), whereby a
// person could pass for another one and not be invited.
func AddressKey(address string) string { return strings.ToLower(address) }

// address checks that text is an address and nothing else: no name, no angle
// brackets, no comment.
func (p *problems) address(i int, field, text string) {
	if isPlainAddress(text) && len(text) <= maxAddressBytes {
		return
	}
	if fault := addressFault(text); fault != "" {
		p.add(i, field, "%s", fault)
	}
}

// isPlainAddress reports whether text is an address of the most common form, on
// which net/mail need not spend its time: words of letters, digits and a few signs,
// separated by single dots, on both sides of one @.
func isPlainAddress(text string) bool {
	at, word := 0, 0 // offsets of the @, and of the word that i is in
	for i := range len(text) {
		switch c := text[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_' && at == 0, c == '+' && at == 0:
		case c == '.' && i > word && (at == 0 || isLabel(text[word:i])):
			word = i + 1
		case c == '@' && at == 0 && i > word && i <= maxLocalBytes:
			at, word = i, i+1
		default:
			return false
		}
	}
	return at > 0 && isLabel(text[word:])
}

// isLabel reports whether a domain may have label between its dots.
func isLabel(label string) bool {
	return label != "" && len(label) <= maxLabelBytes && label[0] != '-' && label[len(label)-1] != '-'
}

// addressFault says what is wrong with an address. It is empty where nothing is.
func addressFault(text string) string {
	const bare = "must be a bare e-mail address, as in name@example.com"
	at := strings.LastIndexByte(text, '@')
	switch {
	case text == "":
		return "must not be empty"
	case len(text) > maxAddressBytes:
		return fmt.Sprintf("must be at most %d bytes long, is %d", maxAddressBytes, len(text))
	case at < 0, strings.HasSuffix(text, ">"): // the latter as in "Ada <ada@example.com>"
		return bare
	}
	if fault := invisibleFault(text); fault != "" {
		return fault
	}
	local, domain := text[:at], text[at+1:]
	parsed, err := mail.ParseAddress(text)
	// Of a quoted local part net/mail returns what it stands for.
	quoted := strings.HasPrefix(local, `"`) && strings.HasSuffix(local, `"`)
	if err != nil || parsed.Name != "" || parsed.Address != text && !quoted {
		return bare
	}
	if len(local) > maxLocalBytes {
		return fmt.Sprintf("must have at most %d bytes before the @, has %d", maxLocalBytes, len(local))
	}
	if strings.HasPrefix(domain, "[") { // an IP address
		return ""
	}
	for label := range strings.SplitSeq(domain, ".") {
		switch {
		case len(label) > maxLabelBytes:
			return fmt.Sprintf("must have at most %d bytes between two dots of its domain, has %d", maxLabelBytes, len(label))
		case !isLabel(label):
			return "must not have a hyphen at the beginning or end of a part of its domain"
		}
	}
	return ""
}
