package results

import (
	"bufio"
	"encoding/csv"
	"errors"
	"io"
	"os"

	"github.com/gofrs/flock"

	"github.com/clerkorg/clerkorg-go/cmd/clerkorg/internal/people"
)

// Columns are the columns of a results file behind those of the input.
var Columns = []string{"outcome", "invitation_id", "code", "message"}

// Write writes the results file: every row of the input, with its outcome where it
// has one, in the form of the input.
func (j *Journal) Write(list *people.List) error {
	return replace(j.path, func(w io.Writer) error {
		buffered := bufio.NewWriterSize(w, 64<<10)
		if list.WantsBOM {
			_, _ = buffered.WriteString("\xEF\xBB\xBF") // Flush returns its error
		}
		out := csv.NewWriter(buffered)
		out.Comma = list.Comma
		if err := out.Write(append(append([]string{}, list.Names...), Columns...)); err != nil {
			return err
		}
		var cells []string
		for row, err := range list.All() {
			if err != nil {
				return err
			}
			var record Record
			if j.Has(row.Index) {
				if record, err = j.Lookup(row.Index); err != nil {
					return err
				}
			}
			cells = append(append(cells[:0], row.Cells...), string(record.Outcome), record.ID, record.Code, oneLine(record.Message))
			if err := out.Write(cells); err != nil {
				return err
			}
		}
		out.Flush()
		return errors.Join(out.Error(), buffered.Flush())
	})
}

// replace writes a file beside the one at path and puts it in its place: a crash
// leaves the one or the other.
func replace(path string, write func(io.Writer) error) error {
	fresh := path + ".new"
	file, err := os.OpenFile(fresh, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600) //nolint:gosec // beside the user's own choice
	if err != nil {
		return err
	}
	err = write(file)
	if err == nil {
		err = file.Sync()
	}
	if closing := file.Close(); err == nil {
		err = closing
	}
	if err == nil {
		err = os.Rename(fresh, path)
	}
	if err != nil {
		_ = os.Remove(fresh)
	}
	return err
}

// lines reads lines that end in a newline.
type lines struct {
	in     *bufio.Reader
	offset int64 // of the end of the last line
}

func newLines(r io.Reader) *lines { return &lines{in: bufio.NewReaderSize(r, 64<<10)} }

// next returns a line and its offset. What follows the last newline is not one.
func (l *lines) next() (text []byte, at int64, err error) {
	text, err = l.in.ReadBytes('\n')
	if err != nil {
		return nil, 0, err
	}
	at = l.offset
	l.offset += int64(len(text))
	return text, at, nil
}

// lock is a lock that the operating system lets go of with the process.
type lock struct{ file *flock.Flock }

// acquire takes the lock on a file, which it makes, or returns ErrRunning.
func acquire(path string) (*lock, error) {
	for {
		file := flock.New(path, flock.SetPermissions(0o600))
		locked, err := file.TryLock()
		if err != nil {
			return nil, err
		}
		if !locked {
			return nil, ErrRunning
		}
		// A process that ends removes the file: this may be one that is gone.
		mine, err := file.Stat()
		if err == nil {
			if there, err := os.Stat(path); err == nil && os.SameFile(mine, there) {
				return &lock{file}, nil
			}
		}
		_ = file.Unlock()
	}
}

func (l *lock) release() {
	if l.file.Locked() {
		_ = os.Remove(l.file.Path()) // fails on Windows, where it stays
		_ = l.file.Unlock()
	}
}
