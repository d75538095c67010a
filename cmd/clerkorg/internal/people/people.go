// Package people reads the people to invite from a table.
package people

import (
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync/atomic"
	"unicode/utf8"

	"github.com/clerkorg/clerkorg-go"
	"github.com/clerkorg/clerkorg-go/cmd/clerkorg/internal/table"
)

// Options say what is what in a table.
type Options struct {
	EmailColumn string // by its name, or its number from 1; found by itself if empty
	RoleColumn  string // the same
	NoRole      bool   // no column has roles
	Strict      bool   // columns that are not known are an error

	// Role is that of rows which name none.
	Role clerkorg.Role
}

// List is a table of people.
type List struct {
	*table.File

	// Names are those of the columns, in the order of the table. A table without a
	// header gets names.
	Names []string

	// Ignored are the names of the columns of which nothing is sent.
	Ignored []string

	header  bool // the first row is one
	columns []*column
	role    clerkorg.Role
	footer  atomic.Pointer[string]
}

// Row is one row of a list.
type Row struct {
	Index int // from 0, without the header and blank rows
	Line  int // where it stands in the file

	// Cells are those of the table, as many as the list has Names. They are valid
	// until the next row.
	Cells []string

	// Params are what is to be sent. They are not complete where there is a Fault.
	Params clerkorg.CreateInvitationParams

	// Fault says why the row cannot be sent and what to do; it is empty where
	// nothing is known against it.
	Fault string

	// Note says what was changed in the row to make it fit to be sent.
	Note string

	// Key stands for everything that is sent: it changes when that does.
	Key uint64
}

// New makes a list of a table.
func New(file *table.File, o Options) (*List, error) {
	l := &List{File: file, role: o.Role}
	for first, err := range file.Rows() {
		if err != nil {
			return nil, err
		}
		if err := l.readHeader(first, o); err != nil {
			return nil, fmt.Errorf("%s %d: %w", file.Unit, first.Line, err)
		}
		return l, nil
	}
	return nil, errors.New("the file is empty")
}

// readHeader finds out what the columns are.
func (l *List) readHeader(first table.Row, o Options) error {
	if first.Fault != "" {
		return errors.New(first.Fault)
	}
	cells := make([]string, len(first.Cells))
	for i, cell := range first.Cells {
		cells[i], _ = trim(strings.Clone(cell))
	}
	for len(cells) > 0 && cells[len(cells)-1] == "" {
		cells = cells[:len(cells)-1]
	}
	email, err := l.findEmail(cells, o.EmailColumn)
	if err != nil {
		return err
	}
	role := -1
	if !o.NoRole && (l.header || o.RoleColumn != "") {
		if role, err = findColumn(cells, "role", o.RoleColumn, roleNames); err != nil {
			return err
		}
	}
	l.Names = cells
	if !l.header {
		for i := range l.Names {
			l.Names[i] = fmt.Sprintf("column %d", i+1)
		}
		l.Names[email] = "email"
	}
	l.columns = make([]*column, len(cells))
	l.columns[email] = addressColumn()
	if role >= 0 {
		l.columns[role] = roleColumn()
	}
	return l.findOthers(o.Strict)
}

// findEmail finds the column with the addresses, and whether there is a header. In a
// table without one, it is the column that has an address in the first row.
func (l *List) findEmail(cells []string, wanted string) (int, error) {
	var addresses []int
	for i, cell := range cells {
		if looksLikeAddress(cell) {
			addresses = append(addresses, i)
		}
	}
	l.header = len(addresses) == 0
	i, err := findColumn(cells, "email", wanted, emailNames)
	switch {
	case err != nil:
		return 0, err
	case i >= 0:
		l.header = l.header || !slices.Contains(addresses, i)
		return i, nil
	case len(addresses) == 1:
		return addresses[0], nil
	case len(addresses) > 1:
		return 0, errors.New("there is no header, and more than one cell is an address: give --email-column and the number of the column")
	}
	return 0, fmt.Errorf("no column is named email, and no cell of the first row is an address; the columns are %s: give --email-column and the name of one", quoted(cells))
}

// findOthers takes the columns that have a name of their own, and notes those that
// have none.
func (l *List) findOthers(strict bool) error {
	seen := map[string]int{}
	for i, name := range l.Names {
		if l.columns[i] == nil && l.header {
			l.columns[i] = namedColumn(name)
		}
		c := l.columns[i]
		if c == nil {
			if name != "" {
				l.Ignored = append(l.Ignored, name)
			}
			continue
		}
		if before, ok := seen[c.field]; ok {
			return fmt.Errorf("columns %d and %d are both for %s", before+1, i+1, c.field)
		}
		seen[c.field] = i
	}
	if strict && len(l.Ignored) > 0 {
		return fmt.Errorf("no column is known by these names: %s; --strict refuses them. There are email, role, inviter_user_id, redirect_url, expires_in_days, notify, public.NAME and private.NAME", quoted(l.Ignored))
	}
	return nil
}

// All yields the rows. An error is the last element. What some programs write below a
// table does not count (see Footer).
func (l *List) All() iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		skip, index := l.header, 0
		cells := make([]string, len(l.Names))
		emit := func(in table.Row) bool {
			clear(cells)
			copy(cells, in.Cells)
			row := Row{Index: index, Line: in.Line, Cells: cells, Fault: in.Fault}
			index++
			l.parse(&row, in)
			return yield(row, nil)
		}
		var held []table.Row // may be the footer
		last := 0            // the line of the row before, or where it ends
		for in, err := range l.Rows() {
			if err != nil {
				yield(Row{}, err)
				return
			}
			if skip {
				skip, last = false, in.Line
				continue
			}
			afterBlank := in.Line > last+1
			last = in.Line
			for _, cell := range in.Cells {
				last += strings.Count(cell, "\n")
			}
			if (len(held) > 0 || afterBlank) && len(held) < maxFooter && l.isRemark(in) {
				in.Cells = slices.Clone(in.Cells)
				held = append(held, in)
				continue
			}
			for _, before := range held {
				if !emit(before) {
					return
				}
			}
			held = held[:0]
			if !emit(in) {
				return
			}
		}
		if len(held) > 0 {
			l.footer.Store(new(fmt.Sprintf("%s %d and what follows, without an address: %q", l.Unit, held[0].Line, held[0].Cells[0])))
		}
	}
}

// maxFooter is how many rows may stand below a table.
const maxFooter = 20

// isRemark reports whether a row is what a program writes below a table, after a blank
// line: the name of a report, who made it and when. Only its first cell is filled, and
// with no address.
func (l *List) isRemark(in table.Row) bool {
	if in.Fault != "" || len(l.Names) < 2 || strings.Contains(in.Cells[0], "@") {
		return false
	}
	for i, cell := range in.Cells {
		if (strings.TrimSpace(cell) != "") != (i == 0) {
			return false
		}
	}
	return true
}

// Footer says what stands below the table and is not one of its rows. It is known once
// all rows have been yielded.
func (l *List) Footer() string {
	if footer := l.footer.Load(); footer != nil {
		return *footer
	}
	return ""
}

// parse makes what is to be sent of the cells.
func (l *List) parse(row *Row, in table.Row) {
	row.Params.Role = l.role
	row.Key = mix(0, string(l.role))
	if row.Fault != "" {
		row.Key = mix(row.Key, row.Cells[0])
		return
	}
	var faults, notes []string
	for i := len(l.Names); i < len(in.Cells); i++ {
		if strings.TrimSpace(in.Cells[i]) != "" {
			faults = append(faults, fmt.Sprintf("has %d cells where the header has %d: put quotation marks around cells with a separator in them", len(in.Cells), len(l.Names)))
			break
		}
	}
	for i, c := range l.columns {
		cell := row.Cells[i]
		if c == nil {
			continue
		}
		row.Key = mix(row.Key, cell)
		fault, note := c.take(&row.Params, cell)
		if fault != "" {
			faults = append(faults, l.name(i)+": "+fault)
		}
		if note != "" {
			notes = append(notes, l.name(i)+": "+note)
		}
	}
	row.Fault, row.Note = strings.Join(faults, "; "), strings.Join(notes, "; ")
}

// mix adds a text to a hash (FNV-1a), and an end to it.
func mix(h uint64, text string) uint64 {
	const offset, prime = 14695981039346656037, 1099511628211
	h ^= offset
	for i := range len(text) {
		h = (h ^ uint64(text[i])) * prime
	}
	return h * prime
}

func (l *List) name(i int) string {
	if !l.header {
		return fmt.Sprintf("column %d", i+1)
	}
	return "column " + l.Names[i]
}

// Explain says in the words of the table what the SDK finds wrong with a row.
func (l *List) Explain(problems []clerkorg.Problem) string {
	texts := make([]string, len(problems))
	for p, problem := range problems {
		field, _, _ := strings.Cut(problem.Field, ".")
		where := field
		for i, c := range l.columns {
			if c != nil && (c.field == field || strings.HasPrefix(c.field, prefixOf(field))) {
				where = l.name(i)
				break
			}
		}
		if where == "role" {
			where = "--role"
		}
		texts[p] = where + ": " + problem.Message
	}
	return strings.Join(texts, "; ")
}

// Describe says what the file is and what is taken from it.
func (l *List) Describe() string {
	var taken []string
	for i, c := range l.columns {
		if c == nil {
			continue
		}
		name := l.Names[i]
		if !l.header {
			name = fmt.Sprintf("column %d", i+1)
		}
		if c.field != name {
			name += " (" + c.field + ")"
		}
		taken = append(taken, name)
	}
	text := l.Format
	if !l.header {
		text += ", no header"
	}
	text += "; taken: " + strings.Join(taken, ", ")
	if len(l.Ignored) > 0 {
		text += "; ignored: " + quoted(l.Ignored)
	}
	return text
}

// quoted lists names, the first ones if they are many.
func quoted(names []string) string {
	const most = 20
	var texts []string
	for _, name := range names[:min(len(names), most)] {
		texts = append(texts, fmt.Sprintf("%q", name))
	}
	if more := len(names) - most; more > 0 {
		texts = append(texts, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(texts, ", ")
}

func looksLikeAddress(cell string) bool {
	local, domain, ok := strings.Cut(cell, "@")
	return ok && local != "" && strings.Contains(domain, ".") && !strings.ContainsAny(cell, " \t[(") && utf8.ValidString(cell)
}
