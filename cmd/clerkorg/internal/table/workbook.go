package table

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"

	"github.com/xuri/excelize/v2"
)

// Limits of a workbook: how large its parts may be together when they are unpacked, and how
// much of one is unpacked into memory, not into a temporary file.
const maxUnpacked, maxInMemory = 4 << 30, 1 << 20

// recognizeWorkbook reads a sheet into a temporary file, so that all of it need not
// be in memory, nor be decoded more than once.
func (f *File) recognizeWorkbook(o Options) error {
	book, err := excelize.OpenReader(f.bytes(), excelize.Options{UnzipSizeLimit: maxUnpacked, UnzipXMLSizeLimit: maxInMemory})
	if err != nil {
		return fmt.Errorf("this is a zip file, but no .xlsx workbook that can be read: %w", err)
	}
	defer book.Close()
	sheets := book.GetSheetList()
	if len(sheets) == 0 {
		return errors.New("the workbook has no sheets")
	}
	sheet := sheets[0]
	if o.Sheet != "" {
		if i, err := book.GetSheetIndex(o.Sheet); err != nil || i < 0 {
			return fmt.Errorf("the workbook has no sheet %q; it has %q", o.Sheet, sheets)
		}
		sheet = o.Sheet
	}
	err = f.spool(func(w io.Writer) error { return encodeSheet(w, book, sheet) })
	if err != nil {
		return fmt.Errorf("sheet %q: %w", sheet, err)
	}
	f.Format = fmt.Sprintf(".xlsx, sheet %q", sheet)
	if others := len(sheets) - 1; others > 0 && o.Sheet == "" {
		f.Format += fmt.Sprintf(" (the first of %d; --sheet chooses another)", len(sheets))
	}
	f.Comma, f.Unit, f.WantsBOM = ',', "row", true
	f.rows = decodeRows
	return nil
}

// encodeSheet writes the rows that are not blank: the number of each, how many cells
// it has, and each of those behind its length.
func encodeSheet(w io.Writer, book *excelize.File, sheet string) error {
	rows, err := book.Rows(sheet)
	if err != nil {
		return err
	}
	defer rows.Close()
	out := bufio.NewWriterSize(w, 64<<10)
	var number []byte
	put := func(n int) {
		number = binary.AppendUvarint(number[:0], uint64(n)) //nolint:gosec // no number here is negative
		_, _ = out.Write(number)                             // Flush returns its error
	}
	for line := 1; rows.Next(); line++ {
		cells, err := rows.Columns()
		if err != nil {
			return err
		}
		if blank(cells) {
			continue
		}
		put(line)
		put(len(cells))
		for _, cell := range cells {
			put(len(cell))
			_, _ = out.WriteString(cell)
		}
	}
	if err := rows.Error(); err != nil {
		return err
	}
	return out.Flush()
}

// decodeRows yields what encodeSheet has written.
func decodeRows(r io.Reader) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		in := bufio.NewReaderSize(r, 64<<10)
		var cells []string
		for {
			line, err := binary.ReadUvarint(in)
			if errors.Is(err, io.EOF) {
				return
			}
			var n uint64
			if err == nil {
				n, err = binary.ReadUvarint(in)
			}
			cells = cells[:0]
			for range n {
				var size uint64
				if size, err = binary.ReadUvarint(in); err != nil {
					break
				}
				var cell strings.Builder
				if _, err = io.CopyN(&cell, in, int64(size)); err != nil { //nolint:gosec // the length of a string
					break
				}
				cells = append(cells, cell.String())
			}
			if err != nil {
				yield(Row{}, err)
				return
			}
			if !yield(Row{Line: int(line), Cells: cells}, nil) { //nolint:gosec // a sheet has a million rows at most
				return
			}
		}
	}
}
