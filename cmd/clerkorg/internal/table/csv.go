package table

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"iter"
	"regexp"
	"strings"
)

// maxRecord is how long a record of several lines may be, in bytes: a quote that was
// never closed would take in the whole file. maxLine is how long a line may be.
const maxRecord, maxLine = 256 << 10, 1 << 20

// dialect is how a text holds a table.
type dialect struct {
	charset
	comma   byte
	lineEnd byte // '\n', or '\r' as on very old Macs
	sepLine bool // the first line names the separator
}

var commaNames = map[byte]string{',': "commas", ';': "semicolons", '\t': "tabs"}

// recognizeText makes f read CSV.
func (f *File) recognizeText() error {
	set, err := detect(f.bytes())
	if err != nil {
		return err
	}
	d := dialect{charset: set, lineEnd: '\n', comma: ','}
	sample := make([]byte, 64<<10)
	n, err := io.ReadFull(set.decode(f.bytes()), sample)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return err
	}
	d.inspect(string(sample[:n]))
	name, ok := commaNames[d.comma]
	if !ok {
		name = fmt.Sprintf("%q", d.comma)
	}
	f.Format = "CSV with " + name + ", " + set.name
	f.Comma, f.Unit = rune(d.comma), "line"
	f.WantsBOM = set.bom > 0 || set.encoding != nil
	f.rows = d.rows
	return nil
}

var (
	sepShape     = regexp.MustCompile(`(?i)^"?sep=([^\r\n"])"?$`)
	addressShape = regexp.MustCompile(`^[^\s@,;"<>]+@[^\s@,;"<>]+$`)
)

// inspect finds the separators in the beginning of a text.
func (d *dialect) inspect(sample string) {
	if strings.Contains(sample, "\r") && !strings.Contains(sample, "\n") {
		d.lineEnd = '\r'
	}
	first, _, _ := strings.Cut(sample, string(d.lineEnd))
	if named := sepShape.FindStringSubmatch(strings.TrimRight(first, "\r")); named != nil && len(named[1]) == 1 {
		d.comma, d.sepLine = named[1][0], true
		return
	}
	// The right separator is the one by which most cells are addresses, and then the
	// one that divides the first row into most cells.
	most := -1
	for _, comma := range []byte{',', ';', '\t'} {
		tried := *d
		tried.charset, tried.comma = charset{}, comma
		score, rows := 0, 0
		for row, err := range tried.rows(strings.NewReader(sample)) {
			if err != nil {
				break // it comes again when the file is read
			}
			if rows == 0 {
				score += len(row.Cells)
			}
			for _, cell := range row.Cells {
				if addressShape.MatchString(strings.TrimSpace(cell)) {
					score += 1000
				}
			}
			if rows++; rows == 50 {
				break
			}
		}
		if score > most {
			most, d.comma = score, comma
		}
	}
}

// rows yields the rows of a text.
func (d *dialect) rows(r io.Reader) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		in := &csvReader{dialect: *d, separator: string(rune(d.comma)), in: bufio.NewReaderSize(d.decode(r), 64<<10)}
		if d.sepLine {
			if _, err := in.readLine(); err != nil {
				return
			}
		}
		for {
			row, err := in.next()
			switch {
			case errors.Is(err, io.EOF):
				return
			case err != nil:
				yield(Row{}, err)
				return
			case blank(row.Cells):
				continue
			}
			if !yield(row, nil) {
				return
			}
		}
	}
}

func blank(cells []string) bool {
	for _, cell := range cells {
		if strings.TrimSpace(cell) != "" {
			return false
		}
	}
	return true
}

// line is a line of text, with the characters that end it.
type line struct {
	number int
	text   string
}

// csvReader reads records as RFC 4180 has them, and takes a quote in the middle of a
// cell for what it is. Unlike encoding/csv it loses only the row in which a quote is
// not closed: it reads the lines behind that one again.
type csvReader struct {
	dialect
	in        *bufio.Reader
	separator string // comma
	number    int
	again     []line // to be read before the others
	cells     []string
}

func (c *csvReader) readLine() (line, error) {
	if len(c.again) > 0 {
		next := c.again[0]
		c.again = c.again[1:]
		return next, nil
	}
	part, err := c.in.ReadSlice(c.lineEnd)
	text := string(part)
	for errors.Is(err, bufio.ErrBufferFull) {
		if len(text) > maxLine {
			return line{}, fmt.Errorf("line %d has more than %d bytes: is this a table?", c.number+1, maxLine)
		}
		part, err = c.in.ReadSlice(c.lineEnd)
		text += string(part)
	}
	if err != nil && (text == "" || !errors.Is(err, io.EOF)) {
		return line{}, err
	}
	c.number++
	return line{c.number, text}, nil
}

// next reads a record.
func (c *csvReader) next() (Row, error) {
	first, err := c.readLine()
	if err != nil {
		return Row{}, err
	}
	c.cells = c.cells[:0]
	text := first.text
	var more []line // of the record, behind the first
	for at := 0; ; {
		begin := at
		for at < len(text) && text[at] == ' ' {
			at++
		}
		if at == len(text) || text[at] != '"' {
			cell, rest, more := strings.Cut(text[begin:], c.separator)
			if !more {
				c.cells = append(c.cells, withoutLineEnd(cell))
				return Row{Line: first.number, Cells: c.cells}, nil
			}
			c.cells = append(c.cells, cell)
			at = len(text) - len(rest)
			continue
		}
		opened := len(more) // the line that has the quote
		at++
		end := at
		for {
			i := strings.IndexByte(text[end:], '"')
			if i >= 0 {
				end += i
				if end+1 < len(text) && text[end+1] == '"' {
					end += 2
					continue
				}
				break
			}
			end = len(text)
			rest, err := c.untilQuote(len(text))
			more = append(more, rest...)
			if errors.Is(err, errNoQuote) {
				return c.unclosed(first, more, opened), nil
			}
			if err != nil {
				return Row{}, err
			}
			text += textOf(rest)
		}
		cell := strings.ReplaceAll(text[at:end], `""`, `"`)
		at = end + 1
		for at < len(text) && text[at] == ' ' {
			at++
		}
		switch {
		case at == len(text), isLineEnd(text[at:]):
			c.cells = append(c.cells, cell)
			return Row{Line: first.number, Cells: c.cells}, nil
		case text[at] != c.comma:
			return c.unclosed(first, more, opened), nil
		}
		c.cells = append(c.cells, cell)
		at++
	}
}

var errNoQuote = errors.New("no quotation mark follows")

// untilQuote reads lines up to one with a quotation mark. Where there is none within
// what a record may hold, the error is errNoQuote.
func (c *csvReader) untilQuote(length int) (rest []line, err error) {
	for length <= maxRecord {
		next, err := c.readLine()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		rest = append(rest, next)
		if strings.Contains(next.text, `"`) {
			return rest, nil
		}
		length += len(next.text)
	}
	return rest, errNoQuote
}

// unclosed is the row of a record in which a quote is opened and not closed where a
// cell ends. The lines behind it are read again.
func (c *csvReader) unclosed(first line, more []line, opened int) Row {
	fault := fmt.Sprintf("a quotation mark opens cell %d and none closes it where a cell ends: add it, or double those within the cell", len(c.cells)+1)
	text := first.text + textOf(more[:opened])
	c.again = append(more[opened:], c.again...)
	c.cells = append(c.cells[:0], withoutLineEnd(text))
	return Row{Line: first.number, Cells: c.cells, Fault: fault}
}

func textOf(lines []line) string {
	var b strings.Builder
	for _, l := range lines {
		b.WriteString(l.text)
	}
	return b.String()
}

func isLineEnd(text string) bool { return text == "\n" || text == "\r\n" || text == "\r" }

func withoutLineEnd(text string) string { return strings.TrimRight(text, "\r\n") }
