// Package results keeps the outcome of every row of an import.
//
// A journal beside the results file takes each outcome when it is known. It is a
// file of lines of JSON, to which lines are added: what a crash leaves of the last
// one is cut off. The results file itself is written from the journal and the input,
// in the order of the input, and takes the place of the one before in one step.
package results

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/clerkorg/clerkorg-go"
)

// Record is the outcome of one row of the input.
type Record struct {
	Row     int                    `json:"row"` // from 0
	Key     uint64                 `json:"key,string"`
	Outcome clerkorg.InviteOutcome `json:"outcome"`
	ID      string                 `json:"id,omitempty"`      // of the invitation
	Code    string                 `json:"code,omitempty"`    // Clerk's, or CodeInvalid
	Message string                 `json:"message,omitempty"` // why
}

// CodeInvalid is the code of what was never sent.
const CodeInvalid = "invalid"

// ErrRunning says that another process is at work on the same results.
var ErrRunning = errors.New("another import with these results is running")

// header is the first line of a journal: what has to be known of the first run. It
// is on the disk before anything is sent.
type header struct {
	Version      int       `json:"clerkorg_journal"`
	Organization string    `json:"organization"`
	Since        time.Time `json:"since"`
}

const version = 1

// clockMargin is how far Clerk's clock may be behind ours.
const clockMargin = time.Minute

// Journal has the outcomes of the runs of one import. Its methods may be called by
// several goroutines at once.
type Journal struct {
	path   string // of the results file
	lock   *lock
	header header

	mu       sync.Mutex
	file     *os.File // nil where there is no journal yet
	begun    int64    // where the first record is
	end      int64    // where the next one goes
	offsets  []int64  // of the record of each row; 0 is none, since the header is there
	decided  int
	outcomes map[clerkorg.InviteOutcome]int
	buffer   []byte
}

// journalOf is where the journal of a results file is.
func journalOf(path string) string { return path + ".run" }

// Open opens the journal of a results file for an organization, and begins it where
// there is none. No other process can open it until it is closed: that is
// [ErrRunning].
func Open(path, organization string, now time.Time) (*Journal, error) {
	lock, err := acquire(path + ".lock")
	if err != nil {
		return nil, err
	}
	j, err := load(path, os.O_RDWR)
	if err == nil {
		j.lock = lock
		if err = j.begin(organization, now); err == nil {
			return j, nil
		}
		_ = j.closeFile()
	}
	lock.release()
	return nil, err
}

// Peek reads the journal of a results file, as far as there is one, without locking
// or changing anything.
func Peek(path string) (*Journal, error) { return load(path, os.O_RDONLY) }

// load reads a journal.
func load(path string, flag int) (*Journal, error) {
	j := &Journal{path: path, outcomes: map[clerkorg.InviteOutcome]int{}}
	file, err := os.OpenFile(journalOf(path), flag, 0) //nolint:gosec // beside the user's own choice
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Lstat(path); err == nil {
			return nil, fmt.Errorf("%s exists, and no import has written it (there is no %s): remove it, or give another file with --results", path, journalOf(path))
		}
		return j, nil
	}
	if err != nil {
		return nil, err
	}
	j.file = file
	if err := j.read(); err != nil {
		_ = j.closeFile()
		return nil, fmt.Errorf("%s is no journal of an import, or was changed: %w", journalOf(path), err)
	}
	return j, nil
}

// read reads the header and the records. A last line without an end does not count.
func (j *Journal) read() error {
	in := newLines(j.file)
	for {
		text, at, err := in.next()
		if errors.Is(err, io.EOF) {
			j.end = in.offset
			return nil
		}
		if err != nil {
			return err
		}
		if at == 0 {
			if err := json.Unmarshal(text, &j.header); err != nil {
				return err
			}
			if j.header.Version != version {
				return fmt.Errorf("its version is %d, not %d", j.header.Version, version)
			}
			j.begun = in.offset
			continue
		}
		var record Record
		if err := json.Unmarshal(text, &record); err != nil {
			return err
		}
		if record.Row < 0 || record.Row > 1<<30 || record.Outcome == "" {
			return fmt.Errorf("no record is %q", text)
		}
		j.note(&record, at)
	}
}

// note takes a record into account, in place of an earlier one of the row.
func (j *Journal) note(record *Record, at int64) {
	for len(j.offsets) <= record.Row {
		j.offsets = append(j.offsets, 0)
	}
	if j.offsets[record.Row] != 0 {
		if before, err := j.at(j.offsets[record.Row]); err == nil {
			j.outcomes[before.Outcome]--
			j.decided--
		}
	}
	j.offsets[record.Row] = at
	j.outcomes[record.Outcome]++
	j.decided++
}

// begin makes the journal one for an organization.
func (j *Journal) begin(organization string, now time.Time) error {
	switch {
	case j.end > 0 && j.header.Organization == organization:
		return j.file.Truncate(j.end)
	case j.decided > 0:
		return fmt.Errorf("%s has the results of organization %s: give another file with --results for %s", j.path, j.header.Organization, organization)
	}
	j.header = header{Version: version, Organization: organization, Since: now.Add(-clockMargin).UTC().Truncate(time.Second)}
	text, err := json.Marshal(j.header)
	if err != nil {
		return err
	}
	text = append(text, '\n')
	// Whole or not at all: a crash leaves no half of it.
	err = replace(journalOf(j.path), func(w io.Writer) error {
		_, err := w.Write(text)
		return err
	})
	if err != nil {
		return err
	}
	_ = j.closeFile()
	j.begun, j.end = int64(len(text)), int64(len(text))
	j.file, err = os.OpenFile(journalOf(j.path), os.O_RDWR, 0) //nolint:gosec // the file just written
	return err
}

// Since is the start of the first run.
func (j *Journal) Since() time.Time { return j.header.Since }

// Add writes a record down. It is with the operating system when Add returns, and
// outlives the process.
func (j *Journal) Add(record Record) error {
	text, err := json.Marshal(record)
	if err != nil {
		return err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	at := j.end
	n, err := j.file.WriteAt(append(text, '\n'), at)
	if err != nil {
		return err
	}
	j.end += int64(n)
	j.note(&record, at)
	return nil
}

// Has reports whether a row has an outcome.
func (j *Journal) Has(row int) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return row < len(j.offsets) && j.offsets[row] != 0
}

// Lookup returns the record of a row that has one.
func (j *Journal) Lookup(row int) (Record, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if row >= len(j.offsets) || j.offsets[row] == 0 {
		return Record{}, fmt.Errorf("row %d has no outcome", row)
	}
	return j.at(j.offsets[row])
}

// at reads the record at an offset.
func (j *Journal) at(offset int64) (Record, error) {
	if j.buffer == nil {
		j.buffer = make([]byte, 1024)
	}
	for {
		n, err := j.file.ReadAt(j.buffer, offset)
		if end := bytes.IndexByte(j.buffer[:n], '\n'); end >= 0 {
			var record Record
			err := json.Unmarshal(j.buffer[:end], &record)
			return record, err
		}
		if err != nil {
			return Record{}, err
		}
		j.buffer = make([]byte, 2*len(j.buffer))
	}
}

// Forget makes a row one without an outcome, until a record of it is added.
func (j *Journal) Forget(record Record) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.offsets[record.Row] = 0
	j.outcomes[record.Outcome]--
	j.decided--
}

// Decided is how many rows have an outcome.
func (j *Journal) Decided() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.decided
}

// Rows is the number of the last row with an outcome, and one more.
func (j *Journal) Rows() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return len(j.offsets)
}

// Outcomes returns how many rows have which outcome.
func (j *Journal) Outcomes() map[clerkorg.InviteOutcome]int {
	j.mu.Lock()
	defer j.mu.Unlock()
	outcomes := make(map[clerkorg.InviteOutcome]int, len(j.outcomes))
	for outcome, n := range j.outcomes {
		if n > 0 {
			outcomes[outcome] = n
		}
	}
	return outcomes
}

// Close brings the journal to the disk and lets go of it.
func (j *Journal) Close() error {
	var err error
	if j.file != nil && j.lock != nil {
		err = j.file.Sync()
	}
	if closing := j.closeFile(); err == nil {
		err = closing
	}
	if j.lock != nil {
		j.lock.release()
	}
	return err
}

// Discard is Close, and removes a journal to which nothing was ever added.
func (j *Journal) Discard() error {
	if j.end == j.begun && j.lock != nil {
		if err := os.Remove(journalOf(j.path)); err != nil {
			return errors.Join(err, j.Close())
		}
	}
	return j.Close()
}

func (j *Journal) closeFile() error {
	if j.file == nil {
		return nil
	}
	err := j.file.Close()
	j.file = nil
	return err
}

// oneLine makes text fit into one line.
func oneLine(text string) string {
	return strings.TrimSpace(strings.Join(strings.FieldsFunc(text, func(r rune) bool { return r < ' ' }), " "))
}
