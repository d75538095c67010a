package jsonwire

import (
	"encoding/binary"
	"math/bits"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// maxDepth is how deep arrays and objects may nest, the limit of encoding/json.
const maxDepth = 10000

// lessNesting is what is expected in place of an array or object deeper than that.
const lessNesting = "less nesting"

// A scanner goes through a document and checks its syntax. Each method moves past
// what it is named after. If that is not there, it sets err and reports false.
type scanner struct {
	data   []byte
	i      int  // the offset of the next byte
	plain  bool // whether all of the last string stands for itself
	spaced bool // whether there was white space between tokens
	err    *DecodeError
}

//go:noinline so that what never fails stays small
func (s *scanner) fail(expected string) bool {
	s.err = &DecodeError{Offset: s.i, Expected: expected}
	return false
}

// at returns the byte at i. After the end that is 0, which is not valid anywhere,
// so that hardly anything else has to know about the end.
func (s *scanner) at(i int) byte {
	if uint(i) < uint(len(s.data)) {
		return s.data[i]
	}
	return 0
}

func (s *scanner) space() {
	if uint(s.i) >= uint(len(s.data)) || s.data[s.i] <= ' ' { // hardly ever
		s.skipSpace()
	}
}

//go:noinline so that space can be inlined
func (s *scanner) skipSpace() {
	for c := s.at(s.i); c == ' ' || c == '\n' || c == '\r' || c == '\t'; c = s.at(s.i) {
		s.spaced = true
		s.i++
	}
}

// end is the end of the document.
func (s *scanner) end() bool {
	s.space()
	return s.i == len(s.data) || s.fail("nothing more")
}

// skip moves past any value, around which there are depth arrays and objects.
func (s *scanner) skip(depth int) bool {
	switch c := s.at(s.i); {
	case c == '"':
		return s.str()
	case c == '{' || c == '[':
		return s.skipMembers(c, depth+1)
	case c == 't':
		return s.literal("true")
	case c == 'f':
		return s.literal("false")
	case c == 'n':
		return s.literal("null")
	case c == '-' || isDigit(c):
		return s.number()
	}
	return s.fail("a value")
}

func (s *scanner) skipMembers(opening byte, depth int) bool {
	for more := s.open(opening, depth); more; more = s.next(opening) {
		if opening == '{' && !(s.str() && s.colon()) || !s.skip(depth) {
			return false
		}
	}
	return s.err == nil
}

// open moves to the first member of an array or object. If there is none, it moves
// past the whole and reports false.
func (s *scanner) open(opening byte, depth int) bool {
	if s.at(s.i) != opening {
		return s.fail(string(opening))
	}
	if depth > maxDepth {
		return s.fail(lessNesting)
	}
	s.i++
	if s.space(); s.at(s.i) != opening+2 { // ASCII is kind: [\] and {|}
		return true
	}
	s.i++
	return false
}

// next moves from the end of a member to the next one. If there is none, it leaves
// the array or object and reports false.
func (s *scanner) next(opening byte) bool {
	if i := s.i; i+1 < len(s.data) && s.data[i] == ',' && s.data[i+1] > ' ' {
		s.i = i + 1 // the usual case, in few steps
		return true
	}
	s.space()
	switch s.at(s.i) {
	case ',':
		s.i++
		s.space()
		return true
	case opening + 2:
		s.i++
		return false
	}
	return s.fail(", or " + string(opening+2))
}

func (s *scanner) colon() bool {
	if s.space(); s.at(s.i) != ':' {
		return s.fail(":")
	}
	s.i++
	s.space()
	return true
}

func (s *scanner) literal(want string) bool {
	return s.exactly(want) || s.fail(want)
}

// exactly moves past text, if it is there.
func (s *scanner) exactly(text string) bool {
	end := s.i + len(text)
	if end > len(s.data) || string(s.data[s.i:end]) != text {
		return false
	}
	s.i = end
	return true
}

func (s *scanner) number() bool {
	if s.at(s.i) == '-' {
		s.i++
	}
	if s.at(s.i) == '0' {
		s.i++
	} else if !s.digits() {
		return false
	}
	if s.at(s.i) == '.' {
		if s.i++; !s.digits() {
			return false
		}
	}
	if s.at(s.i)|0x20 == 'e' {
		if s.i++; s.at(s.i) == '+' || s.at(s.i) == '-' {
			s.i++
		}
		return s.digits()
	}
	return true
}

func (s *scanner) digits() bool {
	n, rest := 0, s.data[s.i:]
	for n < len(rest) && isDigit(rest[n]) {
		n++
	}
	s.i += n
	return n > 0 || s.fail("a number")
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func (s *scanner) str() bool {
	if s.at(s.i) != '"' {
		return s.fail("a string")
	}
	i := s.i + 1
	i += plainLen(s.data[i:])
	if s.plain = s.at(i) == '"'; s.plain {
		s.i = i + 1
		return true
	}
	return s.oddStr(i)
}

// oddStr is the rest of a string from something at i that does not stand for itself.
func (s *scanner) oddStr(i int) bool {
	for ; ; i += plainLen(s.data[i:]) {
		switch c := s.at(i); {
		case c == '"':
			s.i = i + 1
			return true
		case c >= utf8.RuneSelf:
			i++
		case c == '\\' && s.at(i+1) == 'u' && unicodeEscape(s.data[i:]) >= 0:
			i += 6
		case c == '\\' && strings.IndexByte(escapes, s.at(i+1)) >= 0:
			i += 2
		default:
			s.i = i
			return s.fail("a valid string")
		}
	}
}

// A backslash and one of escapes stand for the byte of escaped in the same place.
const (
	escapes = `"\/bfnrt`
	escaped = "\"\\/\b\f\n\r\t"
)

// unicodeEscape returns the value of the escape of four hexadecimal digits that b begins with, or -1.
func unicodeEscape(b []byte) rune {
	if len(b) < 6 || b[0] != '\\' || b[1] != 'u' {
		return -1
	}
	n, err := strconv.ParseUint(string(b[2:6]), 16, 16)
	if err != nil {
		return -1
	}
	return rune(n)
}

// notPlain looks at the first eight bytes of b for one that is not a plain part of
// a string: a quote, a backslash, a control character or not ASCII. If there is
// any, the lowest bit it returns is the highest bit of the first.
func notPlain(b []byte) uint64 {
	const (
		ones  = 0x0101010101010101
		highs = 0x80 * ones
	)
	// A subtraction sets the highest bit of a byte that was smaller. It may borrow
	// from the bytes above, but these do not matter any more. With its second bit
	// flipped, a quote is next to the control characters, and a space is not.
	w := binary.LittleEndian.Uint64(b)
	quoteOrControl := (w ^ 2*ones) - ('"'^2+1)*ones
	backslash := (w ^ '\\'*ones) - ones
	return (w | quoteOrControl | backslash) & highs
}

// plainLen returns how many bytes of b come before the first that is not plain.
func plainLen(b []byte) int {
	rest := b
	for len(rest) >= 16 {
		mask := notPlain(rest)
		if mask == 0 {
			if mask = notPlain(rest[8:]); mask == 0 {
				rest = rest[16:]
				continue
			}
			rest = rest[8:]
		}
		return len(b) - len(rest) + bits.TrailingZeros64(mask)/8
	}
	for i, c := range rest {
		if c < ' ' || c >= utf8.RuneSelf || c == '"' || c == '\\' {
			return len(b) - len(rest) + i
		}
	}
	return len(b)
}

// appendUnquoted appends what b stands for, a valid string without its quotes.
// What is not valid Unicode becomes U+FFFD.
func appendUnquoted(dst, b []byte) []byte {
	for {
		n := plainLen(b)
		dst = append(dst, b[:n]...)
		if b = b[n:]; len(b) == 0 {
			return dst
		}
		var r rune
		var size int
		if b[0] != '\\' {
			r, size = utf8.DecodeRune(b)
		} else if b[1] != 'u' {
			r, size = rune(escaped[strings.IndexByte(escapes, b[1])]), 2
		} else if r, size = unicodeEscape(b), 6; utf16.IsSurrogate(r) {
			// Half of a pair. Without the other half it stands for nothing.
			if r = utf16.DecodeRune(r, unicodeEscape(b[6:])); r != unicode.ReplacementChar {
				size = 12
			}
		}
		dst = utf8.AppendRune(dst, r)
		b = b[size:]
	}
}
