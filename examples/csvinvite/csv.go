package main

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/clerkorg/clerkorg-go"
)

// row is one row of the CSV file.
type row struct {
	line   int
	params clerkorg.CreateInvitationParams // the address is there even if err is
	err    error                           // why it cannot be sent
}

// column is one column of the CSV file, and what its cells are for. Empty cells
// are never set.
type column struct {
	name string
	set  func(p *clerkorg.CreateInvitationParams, cell string) error
}

// readFile reads the rows of a file.
func readFile(path string, role clerkorg.Role) iter.Seq2[row, error] {
	return func(yield func(row, error) bool) {
		file, err := os.Open(path) //nolint:gosec // the user's own choice
		if err != nil {
			yield(row{}, err)
			return
		}
		defer file.Close()
		for in, err := range readRows(file, role) {
			if err != nil {
				err = fmt.Errorf("%s: %w", path, err)
			}
			if !yield(in, err) {
				return
			}
		}
	}
}

// readRows reads rows, one at a time. Rows in which something is wrong are yielded
// with an err of their own; an error of the sequence ends it: the header is wrong,
// or what follows cannot be told apart into rows.
func readRows(r io.Reader, role clerkorg.Role) iter.Seq2[row, error] {
	return func(yield func(row, error) bool) {
		in := csv.NewReader(withoutBOM(r))
		in.FieldsPerRecord = -1
		in.ReuseRecord = true
		columns, err := readHeader(in)
		if err != nil {
			yield(row{}, err)
			return
		}
		for {
			cells, err := in.Read()
			bad, _ := errors.AsType[*csv.ParseError](err)
			var next row
			switch {
			case errors.Is(err, io.EOF):
				return
			case bad != nil && bad.Line != bad.StartLine:
				// More than this row may have been swallowed.
				yield(row{}, fmt.Errorf("line %d: a quote is opened here and not closed where a cell ends (line %d)", bad.StartLine, bad.Line))
				return
			case bad != nil:
				next = row{line: bad.StartLine, err: fmt.Errorf("not CSV: %w", bad.Err)}
			case err != nil:
				yield(row{}, err)
				return
			case blank(cells):
				continue
			default:
				next = parseRow(columns, cells, role)
				next.line, _ = in.FieldPos(0)
			}
			if !yield(next, nil) {
				return
			}
		}
	}
}

// withoutBOM skips the mark with which some programs begin UTF-8.
func withoutBOM(r io.Reader) io.Reader {
	buffered := bufio.NewReader(r)
	if start, _ := buffered.Peek(3); bytes.Equal(start, []byte("\xEF\xBB\xBF")) {
		_, _ = buffered.Discard(3)
	}
	return buffered
}

func blank(cells []string) bool {
	for _, cell := range cells {
		if strings.TrimSpace(cell) != "" {
			return false
		}
	}
	return true
}

func readHeader(in *csv.Reader) ([]column, error) {
	names, err := in.Read()
	switch {
	case errors.Is(err, io.EOF):
		return nil, errors.New("the file is empty: its first row must name the columns")
	case err != nil:
		return nil, err
	case len(names) == 1 && strings.ContainsAny(names[0], ";\t"):
		return nil, errors.New("cells must be separated by commas")
	}
	columns := make([]column, len(names))
	seen := map[string]bool{}
	for i, name := range names {
		c, err := newColumn(strings.TrimSpace(name))
		switch {
		case err != nil:
			return nil, fmt.Errorf("column %d: %w", i+1, err)
		case seen[c.name]:
			return nil, fmt.Errorf("column %d: there are two columns for %s", i+1, c.name)
		}
		columns[i], seen[c.name] = c, true
	}
	if !seen["email"] {
		return nil, errors.New("there is no column named email")
	}
	return columns, nil
}

// newColumn makes a column of its name in the header.
func newColumn(name string) (column, error) {
	plain := strings.ToLower(name)
	switch plain {
	case "email", "email_address":
		return text("email", func(p *clerkorg.CreateInvitationParams) *string { return &p.EmailAddress }), nil
	case "role":
		return column{plain, func(p *clerkorg.CreateInvitationParams, cell string) error {
			p.Role = clerkorg.Role(strings.TrimSpace(cell))
			return nil
		}}, nil
	case "inviter_user_id":
		return text(plain, func(p *clerkorg.CreateInvitationParams) *string { return &p.InviterUserID }), nil
	case "redirect_url":
		return text(plain, func(p *clerkorg.CreateInvitationParams) *string { return &p.RedirectURL }), nil
	case "expires_in_days":
		return column{plain, func(p *clerkorg.CreateInvitationParams, cell string) error {
			days, err := strconv.Atoi(strings.TrimSpace(cell))
			if err != nil || days < 1 {
				return errors.New("must be a number of days, 1 to 365, or empty")
			}
			p.ExpiresInDays = days
			return nil
		}}, nil
	case "notify":
		return column{plain, func(p *clerkorg.CreateInvitationParams, cell string) error {
			notify, err := strconv.ParseBool(strings.ToLower(strings.TrimSpace(cell)))
			if err != nil {
				return errors.New("must be true, false or empty")
			}
			p.Notify = &notify
			return nil
		}}, nil
	}
	if key, ok := metadataKey(name, "public."); ok {
		return metadata("public.", key, func(p *clerkorg.CreateInvitationParams) *any { return &p.PublicMetadata }), nil
	}
	if key, ok := metadataKey(name, "private."); ok {
		return metadata("private.", key, func(p *clerkorg.CreateInvitationParams) *any { return &p.PrivateMetadata }), nil
	}
	if name == "" {
		return column{}, errors.New("it has no name")
	}
	return column{}, fmt.Errorf("%q is not known: there are email, role, inviter_user_id, redirect_url, expires_in_days, notify, public.NAME and private.NAME", name)
}

func text(name string, field func(*clerkorg.CreateInvitationParams) *string) column {
	return column{name, func(p *clerkorg.CreateInvitationParams, cell string) error {
		*field(p) = strings.TrimSpace(cell)
		return nil
	}}
}

// metadataKey is what follows the prefix, in the case in which it is written.
func metadataKey(name, prefix string) (key string, ok bool) {
	if len(name) <= len(prefix) || !strings.EqualFold(name[:len(prefix)], prefix) {
		return "", false
	}
	return name[len(prefix):], true
}

func metadata(prefix, key string, field func(*clerkorg.CreateInvitationParams) *any) column {
	key, isJSON := strings.CutSuffix(key, ":json")
	return column{prefix + key, func(p *clerkorg.CreateInvitationParams, cell string) error {
		var value any = cell
		if isJSON {
			if !json.Valid([]byte(cell)) {
				return errors.New("must be JSON or empty")
			}
			value = json.RawMessage(cell)
		}
		object, _ := (*field(p)).(map[string]any)
		if object == nil {
			object = map[string]any{}
			*field(p) = object
		}
		object[key] = value
		return nil
	}}
}

// parseRow makes a row of cells, with everything that is wrong with them.
func parseRow(columns []column, cells []string, role clerkorg.Role) row {
	in := row{params: clerkorg.CreateInvitationParams{Role: role}}
	var faults []string
	for i := range min(len(columns), len(cells)) {
		// ReuseRecord reuses the slice, not the strings in it.
		if cells[i] == "" {
			continue
		}
		if !utf8.ValidString(cells[i]) {
			faults = append(faults, columns[i].name+": is not UTF-8")
		} else if err := columns[i].set(&in.params, cells[i]); err != nil {
			faults = append(faults, columns[i].name+": "+err.Error())
		}
	}
	if len(cells) != len(columns) {
		faults = []string{fmt.Sprintf("has %d columns, the header %d", len(cells), len(columns))}
	}
	if len(faults) > 0 {
		in.err = errors.New(strings.Join(faults, "; "))
	}
	return in
}
