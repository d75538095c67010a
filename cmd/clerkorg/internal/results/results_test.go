package results

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/clerkorg/clerkorg-go"
	"github.com/clerkorg/clerkorg-go/cmd/clerkorg/internal/people"
	"github.com/clerkorg/clerkorg-go/cmd/clerkorg/internal/table"
)

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

const (
	invited  = clerkorg.OutcomeInvited
	rejected = clerkorg.OutcomeRejected
)

func listOf(t *testing.T, text string) *people.List {
	t.Helper()
	file, err := table.Read(strings.NewReader(text), table.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { _ = file.Close() })
	list, err := people.New(file, people.Options{Role: clerkorg.RoleMember})
	require.NoError(t, err)
	return list
}

func readAll(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(content)
}

func names(t *testing.T, dir string) (all []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	for _, entry := range entries {
		all = append(all, entry.Name())
	}
	return all
}

// TestTwoRuns is killed in the middle of a record, and goes on.
func TestTwoRuns(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "out.csv")
	first, err := Open(path, "org_1", start)
	require.NoError(t, err)
	assert.Equal(t, start.Add(-clockMargin), first.Since())
	require.NoError(t, first.Add(Record{Row: 1, Key: 1<<64 - 1, Outcome: invited, ID: "orginv_1"}))
	require.NoError(t, first.Add(Record{Row: 0, Key: 7, Outcome: rejected, Code: CodeInvalid, Message: "no, \"no\"\r\nno"}))
	_, err = Open(path, "org_1", start)
	require.ErrorIs(t, err, ErrRunning)
	peeked, err := Peek(path)
	require.NoError(t, err)
	assert.Equal(t, 2, peeked.Decided())
	require.NoError(t, peeked.Close())
	// What is left of it by kill -9: no lock, and half a record.
	first.lock.release()
	file, err := os.OpenFile(path+".run", os.O_APPEND|os.O_WRONLY, 0)
	require.NoError(t, err)
	_, err = file.WriteString(`{"row":2,"key":"8","outcome":"inv`)
	require.NoError(t, err)
	require.NoError(t, file.Close())

	second, err := Open(path, "org_1", start.Add(3*time.Hour))
	require.NoError(t, err)
	assert.Equal(t, start.Add(-clockMargin), second.Since(), "that of the first run")
	assert.Equal(t, 2, second.Decided())
	assert.Equal(t, 2, second.Rows())
	record, err := second.Lookup(1)
	require.NoError(t, err)
	assert.Equal(t, Record{Row: 1, Key: 1<<64 - 1, Outcome: invited, ID: "orginv_1"}, record)
	assert.False(t, second.Has(2))
	_, err = second.Lookup(2)
	assert.Error(t, err)
	require.NoError(t, second.Add(Record{Row: 3, Outcome: clerkorg.OutcomeDuplicate, Message: strings.Repeat("long ", 1000)}))

	list := listOf(t, "\xEF\xBB\xBFName;E-Mail;\nA;a@x.de;\n;b@x.de\n\n\"c;\nd\";c@x.de\n;a@x.de\n")
	require.NoError(t, second.Write(list))
	require.NoError(t, second.Close())
	assert.Equal(t, "\xEF\xBB\xBFName;E-Mail;outcome;invitation_id;code;message\n"+
		"A;a@x.de;rejected;;invalid;\"no, \"\"no\"\" no\"\n"+
		";b@x.de;invited;orginv_1;;\n"+
		"\"c;\nd\";c@x.de;;;;\n"+
		";a@x.de;duplicate;;;"+strings.TrimSpace(strings.Repeat("long ", 1000))+"\n", readAll(t, path))
	assert.Equal(t, []string{"out.csv", "out.csv.run"}, names(t, filepath.Dir(path)))
}

// TestTriedAgain has a record that takes the place of another one.
func TestTriedAgain(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "out.csv")
	j, err := Open(path, "org_1", start)
	require.NoError(t, err)
	bad := Record{Row: 0, Outcome: rejected}
	require.NoError(t, j.Add(bad))
	require.NoError(t, j.Add(Record{Row: 1, Outcome: rejected}))
	j.Forget(bad)
	assert.False(t, j.Has(0))
	assert.Equal(t, map[clerkorg.InviteOutcome]int{rejected: 1}, j.Outcomes())
	require.NoError(t, j.Add(Record{Row: 0, Outcome: invited}))
	require.NoError(t, j.Close())

	j, err = Open(path, "org_1", start)
	require.NoError(t, err)
	assert.Equal(t, map[clerkorg.InviteOutcome]int{rejected: 1, invited: 1}, j.Outcomes())
	assert.Equal(t, 2, j.Decided())
	require.NoError(t, j.Close())
}

func TestNothingIsLeftBehind(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "out.csv")
	peeked, err := Peek(path)
	require.NoError(t, err)
	require.NoError(t, peeked.Close())
	j, err := Open(path, "org_1", start)
	require.NoError(t, err)
	require.NoError(t, j.Discard())
	assert.Empty(t, names(t, filepath.Dir(path)))
}

func TestResultsOfOthers(t *testing.T) {
	t.Parallel()
	const begun = `{"clerkorg_journal":1,"organization":"org_2","since":"2026-01-01T00:00:00Z"}` + "\n"
	for _, tt := range []struct{ name, run, wrong string }{
		{"another organization", begun + `{"row":0,"key":"1","outcome":"invited"}` + "\n", "has the results of organization org_2"},
		{"another organization, no results", begun, ""},
		{"no journal", "", "no import has written it"},
		{"no header", `{"row":0,"key":"1","outcome":"invited"}` + "\n", "its version is 0"},
		{"a later version", `{"clerkorg_journal":2}` + "\n", "its version is 2"},
		{"not JSON", begun + "hello\n", "is no journal of an import"},
		{"no record", begun + "{}\n", "no record is"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "out.csv")
			require.NoError(t, os.WriteFile(path, []byte("mine"), 0o600))
			if tt.run != "" {
				require.NoError(t, os.WriteFile(path+".run", []byte(tt.run), 0o600))
			}
			j, err := Open(path, "org_1", start)
			if tt.wrong == "" {
				require.NoError(t, err)
				assert.Equal(t, start.Add(-clockMargin), j.Since())
				require.NoError(t, j.Close())
				return
			}
			require.ErrorContains(t, err, tt.wrong)
			assert.Equal(t, "mine", readAll(t, path), "left as it was")
			if tt.run != "" {
				assert.Equal(t, tt.run, readAll(t, path+".run"), "left as it was")
			}
		})
	}
}

// TestWriteFails leaves the results as they were.
func TestWriteFails(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "out.csv")
	j, err := Open(path, "org_1", start)
	require.NoError(t, err)
	require.NoError(t, j.Write(listOf(t, "a@x.de\n")))
	before := readAll(t, path)
	assert.Equal(t, "email,outcome,invitation_id,code,message\na@x.de,,,,\n", before)
	list := listOf(t, "b@x.de\n")
	require.NoError(t, list.Close())
	require.Error(t, j.Write(list))
	assert.Equal(t, before, readAll(t, path))
	require.NoError(t, j.Close())
	assert.Equal(t, []string{"out.csv", "out.csv.run"}, names(t, filepath.Dir(path)))
}
