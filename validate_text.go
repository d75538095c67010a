package clerkorg

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxTextBytes is the longest id, role, redirect URL or filter of a list.
const maxTextBytes = 2048

// text checks an id, a role or another text that holds no spaces.
func (p *problems) text(i int, field, text string) {
	if fault := textFault(text); fault != "" {
		p.add(i, field, "%s", fault)
	}
}

func textFault(text string) string {
	if len(text) > maxTextBytes {
		return fmt.Sprintf("must be at most %d bytes long, is %d", maxTextBytes, len(text))
	}
	return invisibleFault(text)
}

// invisibleFault says which character of text shows nothing and where it is. It is
// empty where all of text is visible UTF-8.
func invisibleFault(text string) string {
	for i := range len(text) {
		switch c := text[i]; {
		case c <= ' ' || c == 0x7f:
			return invisibleAt(text, i)
		case c >= utf8.RuneSelf:
			if at := strings.IndexFunc(text[i:], isInvisible); at >= 0 {
				return invisibleAt(text, i+at)
			}
			return ""
		}
	}
	return ""
}

func invisibleAt(text string, at int) string {
	r, size := utf8.DecodeRuneInString(text[at:])
	if r == utf8.RuneError && size == 1 {
		return fmt.Sprintf("must be UTF-8, which it is not at byte offset %d", at)
	}
	return fmt.Sprintf("must not hold %s, at byte offset %d", describeInvisible(r), at)
}

// describeInvisible names a character by its code point and, in parentheses, by
// its name or kind.
func describeInvisible(r rune) string {
	name := invisibleNames[r]
	switch {
	case name != "":
	case unicode.IsSpace(r):
		name = "a space"
	case unicode.Is(unicode.Cc, r):
		name = "a control character"
	case unicode.Is(unicode.Cf, r):
		name = "a format character"
	case unicode.Is(unicode.Co, r):
		name = "a private-use character"
	case unicode.Is(unicode.Noncharacter_Code_Point, r):
		name = "a noncharacter"
	case unicode.Is(unicode.Variation_Selector, r):
		name = "a variation selector"
	default:
		name = "an invisible character"
	}
	return fmt.Sprintf("%U (%s)", r, name)
}

// invisibleNames has the characters that spreadsheets, word processors and web
// pages leave in what is copied from them.
var invisibleNames = map[rune]string{
	'\t':     "tab",
	'\n':     "line feed",
	'\r':     "carriage return",
	' ':      "space",
	'\u00a0': "no-break space",
	'\u00ad': "soft hyphen",
	'\u200b': "zero width space",
	'\u200c': "zero width non-joiner",
	'\u200d': "zero width joiner",
	'\u200e': "left-to-right mark",
	'\u200f': "right-to-left mark",
	'\u202a': "left-to-right embedding",
	'\u202c': "pop directional formatting",
	'\u202e': "right-to-left override",
	'\u2060': "word joiner",
	'\u3164': "Hangul filler",
	'\ufeff': "byte order mark",
	'\ufffd': "replacement character",
}

// isInvisible reports whether r shows nothing, or nothing that everyone sees
// alike: spaces, control and format characters, private use, noncharacters, and
// letters and marks without a shape. The replacement character counts: it
// stands where a text was read in the wrong encoding.
func isInvisible(r rune) bool {
	return unicode.IsSpace(r) || r == unicode.ReplacementChar || unicode.In(r, invisible...)
}

var invisible = []*unicode.RangeTable{
	unicode.Z, unicode.C, // separators; control, format, private use, surrogates
	unicode.Noncharacter_Code_Point,
	unicode.Variation_Selector,
	unicode.Other_Default_Ignorable_Code_Point, // Hangul fillers, the grapheme joiner, Khmer inherent vowels
	{
		R16: []unicode.Range16{{Lo: 0x2800, Hi: 0x2800, Stride: 1}}, // blank Braille pattern
		R32: []unicode.Range32{
			{Lo: 0x16fe4, Hi: 0x16fe4, Stride: 1}, // Khitan small script filler
			{Lo: 0x1d159, Hi: 0x1d159, Stride: 1}, // musical null notehead
		},
	},
}

// edgeFault says what surrounds a text that was copied or read from a file along
// with it: a line break, blanks, quotation marks. It shows nothing else of the text.
func edgeFault(text string) string {
	first, _ := utf8.DecodeRuneInString(text)
	last, _ := utf8.DecodeLastRuneInString(text)
	const quotes = "\"'`\u2018\u2019\u201c\u201d\u201e"
	switch {
	case text == "":
		return ""
	case last == '\n' || last == '\r':
		return "ends with a line break"
	case !utf8.ValidString(text):
		return "is not UTF-8"
	case isInvisible(first):
		return "begins with " + describeInvisible(first)
	case isInvisible(last):
		return "ends with " + describeInvisible(last)
	case strings.ContainsRune(quotes, first) || strings.ContainsRune(quotes, last):
		return "has quotation marks around it"
	}
	return ""
}
