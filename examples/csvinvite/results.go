package main

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"os"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/clerkorg/clerkorg-go"
)

var resultsHeader = []string{"line", "email", "outcome", "invitation_id", "code", "message"}

// result is one row of the results: the outcome of one row of the input.
type result struct {
	line         int
	email        string
	outcome      clerkorg.InviteOutcome
	invitationID string
	code         string // Clerk's, or "invalid" for what was never sent
	message      string
}

// earlier is what earlier runs have decided.
type earlier struct {
	decided  map[int]uint32 // by line; the value stands for the address
	outcomes map[clerkorg.InviteOutcome]int
	end      int64 // of the last whole row in the file
}

// decisionOf stands for an address, to notice that a file is not what it was.
func decisionOf(email string) uint32 {
	h := fnv.New32a()
	_, _ = io.WriteString(h, oneLine(email))
	return h.Sum32()
}

// has reports whether a row has a result. It is an error if the result is that of
// another person.
func (e *earlier) has(in row) (bool, error) {
	decision, ok := e.decided[in.line]
	if ok && decision != decisionOf(in.params.EmailAddress) {
		return true, fmt.Errorf("line %d is not the one that the results are about: has the file changed? Give another -results", in.line)
	}
	return ok, nil
}

// readResults reads the results of earlier runs; a file that is not there holds
// none. What a crash left of a row at the end is not counted.
func readResults(path string) (*earlier, error) {
	e := &earlier{decided: map[int]uint32{}, outcomes: map[clerkorg.InviteOutcome]int{}}
	file, err := os.Open(path) //nolint:gosec // the user's own choice
	if errors.Is(err, os.ErrNotExist) {
		return e, nil
	}
	if err != nil {
		return nil, err
	}
	defer file.Close()
	if e.end, err = endOfLines(file); err != nil {
		return nil, err
	}
	in := csv.NewReader(io.NewSectionReader(file, 0, e.end))
	in.FieldsPerRecord = len(resultsHeader)
	in.ReuseRecord = true
	for first := true; ; first = false {
		cells, err := in.Read()
		if errors.Is(err, io.EOF) {
			return e, nil
		}
		var line int
		switch {
		case err != nil:
		case first && cells[0] == resultsHeader[0]:
			continue
		case first:
			err = errors.New("it does not begin as a results file")
		default:
			line, err = strconv.Atoi(cells[0])
		}
		if err != nil {
			return nil, fmt.Errorf("%s is not a results file of csvinvite, or was changed: %w", path, err)
		}
		if _, twice := e.decided[line]; twice {
			return nil, fmt.Errorf("%s has two results for line %d", path, line)
		}
		e.decided[line] = decisionOf(cells[1])
		e.outcomes[clerkorg.InviteOutcome(cells[2])]++
	}
}

// endOfLines is how far the last line reaches that ends in a newline. Every row
// is one line.
func endOfLines(file *os.File) (int64, error) {
	info, err := file.Stat()
	if err != nil {
		return 0, err
	}
	chunk := make([]byte, 4096)
	for end := info.Size(); end > 0; {
		start := max(0, end-int64(len(chunk)))
		part := chunk[:end-start]
		if _, err := file.ReadAt(part, start); err != nil {
			return 0, err
		}
		if i := bytes.LastIndexByte(part, '\n'); i >= 0 {
			return start + int64(i) + 1, nil
		}
		end = start
	}
	return 0, nil
}

// resultsFile takes the results of this run, after those of earlier ones.
type resultsFile struct {
	*earlier
	since time.Time // the start of the first run
	file  *os.File
}

// openResults opens the results of an organization to add to them. since is the
// start of the first run if it is known, now where this is it.
func openResults(path, organization string, since, now time.Time) (*resultsFile, error) {
	e, err := readResults(path)
	if err != nil {
		return nil, err
	}
	since, err = openCompanion(path, organization, since, now, len(e.decided) > 0)
	if err != nil {
		return nil, err
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o600) //nolint:gosec // the user's own choice
	if err != nil {
		return nil, err
	}
	r := &resultsFile{earlier: e, since: since, file: file}
	if err = file.Truncate(e.end); err == nil {
		_, err = file.Seek(e.end, io.SeekStart)
	}
	if err == nil && e.end == 0 {
		err = r.write(resultsHeader)
	}
	if err != nil {
		_ = file.Close()
		return nil, err
	}
	return r, nil
}

// add writes a result. It is with the operating system when add returns, and
// outlives the process.
func (r *resultsFile) add(res result) error {
	r.outcomes[res.outcome]++
	return r.write([]string{strconv.Itoa(res.line), oneLine(res.email), string(res.outcome), res.invitationID, res.code, oneLine(res.message)})
}

func (r *resultsFile) write(cells []string) error {
	var line bytes.Buffer
	w := csv.NewWriter(&line)
	_ = w.Write(cells) // a buffer takes everything
	w.Flush()
	_, err := r.file.Write(line.Bytes())
	return err
}

// close brings the results to the disk.
func (r *resultsFile) close() error { return errors.Join(r.file.Sync(), r.file.Close()) }

// companion is what has to be known of the first run besides its results. It is
// written before anything is sent.
type companion struct {
	Organization string    `json:"organization"`
	Since        time.Time `json:"since"`
}

// clockMargin is how far Clerk's clock may be behind ours.
const clockMargin = time.Minute

// openCompanion reads or begins the companion of a results file, and returns the
// start of the first run.
func openCompanion(results, organization string, since, now time.Time, haveResults bool) (time.Time, error) {
	path := results + ".run"
	content, err := os.ReadFile(path) //nolint:gosec // beside the user's own choice
	switch {
	case err == nil:
		var c companion
		if err := json.Unmarshal(content, &c); err != nil {
			return since, fmt.Errorf("%s: %w", path, err)
		}
		if c.Organization != organization {
			return since, fmt.Errorf("%s has the results of organization %s: give another -results for %s", results, c.Organization, organization)
		}
		if !since.IsZero() {
			return since, nil
		}
		return c.Since, nil
	case !errors.Is(err, os.ErrNotExist):
		return since, err
	case haveResults && since.IsZero():
		return since, fmt.Errorf("%s has results, but %s is gone: give -since, the start of the first run", results, path)
	case since.IsZero():
		since = now.Add(-clockMargin).UTC().Truncate(time.Second)
	}
	content, err = json.Marshal(companion{Organization: organization, Since: since})
	if err != nil {
		return since, err
	}
	// Whole or not at all: a crash must not leave half of it.
	if err := os.WriteFile(path+".new", append(content, '\n'), 0o600); err != nil {
		return since, err
	}
	return since, os.Rename(path+".new", path)
}

// oneLine makes text fit into one line.
func oneLine(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, text)
}
