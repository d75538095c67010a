package table

import (
	"bufio"
	"errors"
	"io"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"
)

// charset is how a text is encoded.
type charset struct {
	name     string
	encoding encoding.Encoding // nil is UTF-8
	bom      int               // bytes of the byte order mark
}

// decode returns the text as UTF-8, without a byte order mark.
func (c charset) decode(r io.Reader) io.Reader {
	if c.bom > 0 {
		_, _ = io.CopyN(io.Discard, r, int64(c.bom))
	}
	if c.encoding == nil {
		return r
	}
	return transform.NewReader(r, c.encoding.NewDecoder())
}

var (
	utf16LE = unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM)
	utf16BE = unicode.UTF16(unicode.BigEndian, unicode.IgnoreBOM)
)

// detect finds the encoding of a text: by its byte order mark, by the zeros that
// UTF-16 has in Latin text, and otherwise by reading all of it. What is mostly
// UTF-8 is UTF-8, some of whose rows are broken; the rest is Windows-1252, which
// Excel saves CSV in where it is not told otherwise.
func detect(r io.Reader) (charset, error) {
	in := bufio.NewReaderSize(r, 64<<10)
	start, err := in.Peek(4096)
	if err != nil && !errors.Is(err, io.EOF) {
		return charset{}, err
	}
	switch {
	case hasPrefix(start, "\xEF\xBB\xBF"):
		return charset{name: "UTF-8 with a byte order mark", bom: 3}, nil
	case hasPrefix(start, "\xFF\xFE"):
		return charset{name: "UTF-16 LE", encoding: utf16LE, bom: 2}, nil
	case hasPrefix(start, "\xFE\xFF"):
		return charset{name: "UTF-16 BE", encoding: utf16BE, bom: 2}, nil
	}
	var zeros [2]int
	for i, b := range start {
		if b == 0 {
			zeros[i%2]++
		}
	}
	switch most := len(start) / 4; {
	case zeros[1] > most && 8*zeros[0] < zeros[1]:
		return charset{name: "UTF-16 LE", encoding: utf16LE}, nil
	case zeros[0] > most && 8*zeros[1] < zeros[0]:
		return charset{name: "UTF-16 BE", encoding: utf16BE}, nil
	}
	good, bad, err := countRunes(in)
	if err != nil {
		return charset{}, err
	}
	if bad > good {
		return charset{name: "Windows-1252", encoding: charmap.Windows1252}, nil
	}
	return charset{name: "UTF-8"}, nil
}

func hasPrefix(b []byte, prefix string) bool {
	return len(b) >= len(prefix) && string(b[:len(prefix)]) == prefix
}

// countRunes counts the characters beyond ASCII that are UTF-8, and the bytes that
// are not.
func countRunes(r io.Reader) (good, bad int, err error) {
	buffer := make([]byte, 64<<10)
	kept := 0
	for {
		n, err := r.Read(buffer[kept:])
		text := buffer[:kept+n]
		for len(text) > 0 {
			if text[0] < utf8.RuneSelf {
				text = text[1:]
				continue
			}
			if err == nil && !utf8.FullRune(text) {
				break
			}
			char, size := utf8.DecodeRune(text)
			if char == utf8.RuneError && size == 1 {
				bad++
			} else {
				good++
			}
			text = text[size:]
		}
		kept = copy(buffer, text)
		switch {
		case errors.Is(err, io.EOF):
			return good, bad, nil
		case err != nil:
			return 0, 0, err
		}
	}
}
