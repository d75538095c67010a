package clerkorg

import (
	"bytes"
	"context"
	"errors"
	"html"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// withoutKey takes the secret key out of everything that comes back, before it
// becomes part of an error, a field or a log line: a server, a proxy or a transport may
// repeat what it was sent.
func (c *Client) withoutKey(next handler) handler {
	return func(ctx context.Context, call *call) (*answer, error) {
		key := c.secret()
		got, err := next(ctx, call)
		if failed, ok := errors.AsType[*callError](err); ok {
			failed.err = key.cleanError(failed.err)
		}
		if got != nil {
			got.header = key.cleanHeader(got.header)
			key.cleanBody(got)
		}
		return got, err
	}
}

// keyRedactor knows the key in the spellings that encoders give it.
type keyRedactor struct {
	text  string
	lower []byte // text in lower case
	// plain is its longest part that no encoder has a reason to escape.
	plain []byte
}

const (
	// redacted stands where the key was. It is the same inside JSON, HTML and a header.
	redacted = "[secret key]"

	// enough is how many characters of a key, which may have been cut off, are too many
	// to be shown: its prefix, and a few of those that are secret.
	enough = len("sk_test_") + 8
)

func newKeyRedactor(text string) keyRedactor {
	k := keyRedactor{text: text, lower: []byte(strings.ToLower(text))}
	for part := range strings.FieldsFuncSeq(text[min(len(text), len("sk_test_")):], isPunctuation) {
		if len(part) > len(k.plain) {
			k.plain = []byte(part)
		}
	}
	// Capitals are rare in answers: a search for one hardly ever stops.
	if at := bytes.IndexFunc(k.plain, unicode.IsUpper); at > 0 && len(k.plain)-at >= enough {
		k.plain = k.plain[at:]
	}
	return k
}

func isPunctuation(r rune) bool {
	return (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
}

func (k keyRedactor) cleanHeader(header http.Header) http.Header {
	var clean http.Header // a copy: the transport may keep its own
	for name, values := range header {
		for i, value := range values {
			safe := redact(k, value)
			if safe == value {
				continue
			}
			if clean == nil {
				clean = header.Clone()
			}
			clean[name][i] = safe
		}
	}
	if clean == nil {
		return header
	}
	return clean
}

func (k keyRedactor) cleanBody(got *answer) {
	body := got.body.Bytes()
	// A long list is searched only where it can hold the key, plain or escaped.
	if isSuccess(got.status) && !bytes.Contains(body, k.plain) &&
		!k.mayBeEscaped(body) {
		return
	}
	if clean := redact(k, body); !bytes.Equal(clean, body) {
		got.body.Reset()
		got.body.Write(clean)
	}
}

// mayBeEscaped reports whether text holds an escape that stands for a character of the
// key.
func (k keyRedactor) mayBeEscaped(text []byte) bool {
	for _, sign := range []byte{'\\', '%', '&'} {
		for at := bytes.IndexByte(text, sign); at >= 0; {
			if c, length := unescape(text, at); length > 0 && bytes.IndexByte(k.lower, lower(c)) >= 0 {
				return true
			}
			next := bytes.IndexByte(text[at+1:], sign)
			if next < 0 {
				break
			}
			at += 1 + next
		}
	}
	return false
}

// cleanError returns err, or what can be kept of one that shows the key.
func (k keyRedactor) cleanError(err error) error {
	if !k.shownBy(err) {
		return err
	}
	timeout, ok := errors.AsType[net.Error](err)
	return &redactedError{
		text:    redact(k, err.Error()),
		kept:    k.clean(nil, err),
		matches: func(target error) bool { return errors.Is(err, target) },
		timeout: ok && timeout.Timeout(),
	}
}

// shownBy reports whether err, or an error within it, shows the key.
func (k keyRedactor) shownBy(err error) bool {
	if text := err.Error(); redact(k, text) != text {
		return true
	}
	return slices.ContainsFunc(unwrapped(err), k.shownBy)
}

// clean appends the errors within err that do not show the key.
func (k keyRedactor) clean(kept []error, err error) []error {
	if !k.shownBy(err) {
		return append(kept, err)
	}
	for _, inner := range unwrapped(err) {
		kept = k.clean(kept, inner)
	}
	return kept
}

func unwrapped(err error) []error {
	var inner []error
	switch err := err.(type) { //nolint:errorlint // This is the one error, not those within.
	case interface{ Unwrap() error }:
		inner = []error{err.Unwrap()}
	case interface{ Unwrap() []error }:
		inner = err.Unwrap()
	}
	for i, err := range inner {
		if err == nil {
			return inner[:i]
		}
	}
	return inner
}

// redactedError stands for an error that shows the secret key. It matches what that
// matches, and unwraps to those within it that do not show the key.
type redactedError struct {
	text    string
	kept    []error
	matches func(target error) bool // a function: no printer looks into it
	timeout bool
}

func (e *redactedError) Error() string { return e.text }

func (e *redactedError) Is(target error) bool { return e.matches(target) }

func (e *redactedError) Unwrap() []error { return e.kept }

// Timeout and Temporary make it a [net.Error].
func (e *redactedError) Timeout() bool { return e.timeout }

func (e *redactedError) Temporary() bool { return e.timeout }

// redact returns text without the key, the same text where it holds none.
func redact[T string | []byte](k keyRedactor, text T) T {
	var clean []byte
	last := 0
	for at := 0; at < len(text); at++ {
		switch text[at] {
		case 's', 'S', '\\', '%', '&': // all that a key can begin with
		default:
			continue
		}
		matched, end := match(text, at, k.text)
		if matched < min(enough, len(k.text)) {
			continue
		}
		clean = append(append(clean, text[last:at]...), redacted...)
		last, at = end, end-1
	}
	if last == 0 {
		return text
	}
	return T(append(clean, text[last:]...))
}

// match tells how many characters of key there are at a place of text, in either case
// and any spelling, and where they end.
func match[T string | []byte](text T, at int, key string) (matched, end int) {
	for matched < len(key) && at < len(text) {
		want := lower(key[matched])
		if c, length := unescape(text, at); length > 0 && lower(c) == want {
			at += length
		} else if lower(text[at]) == want {
			at++
		} else {
			break
		}
		matched++
	}
	return matched, at
}

func lower(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		c += 'a' - 'A'
	}
	return c
}

// unescape reads an escaped character, as JSON, URLs, HTML and Go write it, escaped
// once or several times over. The length is 0 where there is none.
func unescape[T string | []byte](text T, at int) (c byte, length int) {
	const mostTimes = 8
	rest := text[at:min(len(text), at+24)]
	switch rest[0] {
	case '\\':
		n := 1
		for n < len(rest) && n < mostTimes && rest[n] == '\\' {
			n++
		}
		if n == len(rest) {
			return 0, 0
		}
		switch rest[n] {
		case 'u':
			return hexadecimal(rest, n+1, 4)
		case 'x':
			return hexadecimal(rest, n+1, 2)
		}
		return rest[n], n + 1 // as in \/
	case '%':
		n := 1
		for n < mostTimes && len(rest) > n+2 && rest[n] == '2' && rest[n+1] == '5' {
			n += 2
		}
		if c, length = hexadecimal(rest, n, 2); length == 0 && n > 1 {
			return '%', n
		}
		return c, length
	case '&':
		for n := range len(rest) {
			if rest[n] == ';' {
				if one := html.UnescapeString(string(rest[:n+1])); len(one) == 1 {
					return one[0], n + 1
				}
				break
			}
		}
	}
	return 0, 0
}

// hexadecimal reads digits of text from a place on; length counts from its beginning.
func hexadecimal[T string | []byte](text T, from, digits int) (c byte, length int) {
	if len(text) < from+digits {
		return 0, 0
	}
	value, err := strconv.ParseUint(string(text[from:from+digits]), 16, 8)
	if err != nil {
		return 0, 0
	}
	return byte(value), from + digits
}
