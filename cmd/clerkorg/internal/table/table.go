// Package table reads tables as spreadsheets and other programs write them: CSV in
// its dialects and encodings, and .xlsx.
package table

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
)

// Options say how a table is to be read.
type Options struct {
	Sheet string // of an .xlsx file; the first one if empty
}

// File is a table that is read row by row, as often as needed, also by several
// goroutines at once.
type File struct {
	// Format says in words what the file was found to be.
	Format string

	// Comma separates the cells of a CSV file. It is a comma for .xlsx.
	Comma rune

	// WantsBOM is set where the program that wrote the file takes UTF-8 without a
	// byte order mark for something else.
	WantsBOM bool

	// Unit is what the number of a row counts: "line" or "row".
	Unit string

	file      *os.File
	temporary bool
	size      int64
	rows      func(io.Reader) iter.Seq2[Row, error]
}

// Row is one row of a table.
type Row struct {
	// Line is where the row begins: the line of a text file, or the row of a sheet,
	// from 1.
	Line int

	// Cells are valid until the next row. Of a row with a Fault, there is one cell
	// with the text of its line.
	Cells []string

	// Fault says why the text is no row; it is empty where it is one.
	Fault string
}

// Open opens a table.
func Open(path string, o Options) (*File, error) {
	file, err := os.Open(path) //nolint:gosec // the user's own choice
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	switch {
	case err != nil:
	case info.IsDir():
		err = fmt.Errorf("%s is a directory", path)
	case !info.Mode().IsRegular(): // a pipe can be read only once
		defer file.Close()
		return Read(file, o)
	default:
		f := &File{file: file, size: info.Size()}
		if err = f.recognize(o); err == nil {
			return f, nil
		}
	}
	_ = file.Close()
	return nil, err
}

// Read reads a table from a stream, all of which it keeps in a temporary file.
func Read(r io.Reader, o Options) (*File, error) {
	f := &File{}
	err := f.spool(func(w io.Writer) error {
		_, err := io.Copy(w, r)
		return err
	})
	if err == nil {
		err = f.recognize(o)
	}
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}

// spool makes a temporary file the one that is read.
func (f *File) spool(write func(io.Writer) error) error {
	file, err := os.CreateTemp("", "clerkorg-*")
	if err != nil {
		return err
	}
	// Where an open file can be removed, a killed process leaves nothing behind.
	_ = os.Remove(file.Name())
	if err := write(file); err != nil {
		_ = file.Close()
		_ = os.Remove(file.Name())
		return err
	}
	_ = f.Close()
	f.file, f.temporary = file, true
	f.size, err = file.Seek(0, io.SeekEnd)
	return err
}

// Close closes the file, and removes it where it is temporary.
func (f *File) Close() error {
	if f.file == nil { // it was never opened
		return nil
	}
	err := f.file.Close()
	if f.temporary {
		_ = os.Remove(f.file.Name())
	}
	return err
}

func (f *File) bytes() io.Reader { return io.NewSectionReader(f.file, 0, f.size) }

// Rows yields the rows that are not blank. An error is the last element.
func (f *File) Rows() iter.Seq2[Row, error] { return f.rows(f.bytes()) }

// recognize finds out what the file is.
func (f *File) recognize(o Options) error {
	start := make([]byte, 8)
	n, err := io.ReadFull(f.bytes(), start)
	if errors.Is(err, io.EOF) {
		return errors.New("the file is empty")
	}
	start = start[:n]
	switch {
	case bytes.HasPrefix(start, []byte("PK\x03\x04")):
		return f.recognizeWorkbook(o)
	case bytes.HasPrefix(start, []byte("\xD0\xCF\x11\xE0")):
		return errors.New("this is an .xls file, or a workbook with a password: save it as .xlsx without a password, or as CSV")
	case bytes.HasPrefix(start, []byte("%PDF")):
		return errors.New("this is a PDF file: export the table as .xlsx or CSV")
	case o.Sheet != "":
		return errors.New("there are sheets in .xlsx files only, and this is none")
	case err != nil && !errors.Is(err, io.ErrUnexpectedEOF):
		return err
	}
	return f.recognizeText()
}
