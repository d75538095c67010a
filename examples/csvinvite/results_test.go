package main

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/clerkorg/clerkorg-go"
)

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func rowOf(line int, email string) row {
	return row{line: line, params: clerkorg.CreateInvitationParams{EmailAddress: email}}
}

func TestResultsOverTwoRuns(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "out.csv")
	first, err := openResults(path, "org_1", time.Time{}, start)
	require.NoError(t, err)
	assert.Equal(t, start.Add(-clockMargin), first.since)
	require.NoError(t, first.add(result{line: 3, email: "b@x.de", outcome: clerkorg.OutcomeInvited, invitationID: "orginv_1"}))
	require.NoError(t, first.add(result{line: 2, email: "a\nb", outcome: clerkorg.OutcomeRejected, code: "invalid", message: "email_address: no, \"no\"\r\nno"}))
	// No close: this run is killed, in the middle of a row.
	file, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	require.NoError(t, err)
	_, err = file.WriteString(`4,"c@x.de,inv`)
	require.NoError(t, err)
	require.NoError(t, file.Close())

	second, err := openResults(path, "org_1", time.Time{}, start.Add(3*time.Hour))
	require.NoError(t, err)
	assert.Equal(t, start.Add(-clockMargin), second.since, "that of the first run")
	for _, tt := range []struct {
		in    row
		has   bool
		wrong string
	}{
		{rowOf(2, "a\nb"), true, ""},
		{rowOf(3, "b@x.de"), true, ""},
		{rowOf(3, "B@x.de"), true, "line 3 is not the one"},
		{rowOf(4, "c@x.de"), false, ""},
	} {
		has, err := second.has(tt.in)
		assert.Equal(t, tt.has, has)
		if tt.wrong == "" {
			assert.NoError(t, err)
		} else {
			assert.ErrorContains(t, err, tt.wrong)
		}
	}
	assert.Equal(t, map[clerkorg.InviteOutcome]int{clerkorg.OutcomeInvited: 1, clerkorg.OutcomeRejected: 1}, second.outcomes)
	require.NoError(t, second.add(result{line: 4, email: "c@x.de", outcome: clerkorg.OutcomeDuplicate, message: "the same address as in line 3"}))
	require.NoError(t, second.close())

	content, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Equal(t, `line,email,outcome,invitation_id,code,message
3,b@x.de,invited,orginv_1,,
2,a b,rejected,,invalid,"email_address: no, ""no""  no"
4,c@x.de,duplicate,,,the same address as in line 3
`, string(content))
}

func TestResultsOfSomebodyElse(t *testing.T) {
	t.Parallel()
	write := func(path, content string) { require.NoError(t, os.WriteFile(path, []byte(content), 0o600)) }
	const one = "line,email,outcome,invitation_id,code,message\n2,a@x.de,invited,,,\n"
	for _, tt := range []struct {
		name, content, run string
		since              time.Time
		wrong              string
		want               time.Time
	}{
		{name: "another organization", content: one, run: `{"organization":"org_2"}`, wrong: "has the results of organization org_2"},
		{name: "no companion", content: one, wrong: "give -since"},
		{name: "no companion, but since", content: one, since: start, want: start},
		{name: "since goes before the companion's", content: one, run: `{"organization":"org_1","since":"2026-01-01T00:00:00Z"}`, since: start, want: start},
		{name: "killed before the first result", content: "line,ema", run: `{"organization":"org_1","since":"2026-01-01T00:00:00Z"}`, want: start.AddDate(0, -2, 0).Add(-12 * time.Hour)},
		{name: "broken companion", content: one, run: `{`, wrong: ".run"},
		{name: "another file", content: "name,email\nAda,a@x.de\n", wrong: "is not a results file"},
		{name: "another file of six columns", content: "a,b,c,d,e,f\n1,2,3,4,5,6\n", wrong: "is not a results file"},
		{name: "no number", content: "line,email,outcome,invitation_id,code,message\nx,a@x.de,invited,,,\n", wrong: "is not a results file"},
		{name: "twice", content: one + "2,a@x.de,invited,,,\n", wrong: "two results for line 2"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "out.csv")
			write(path, tt.content)
			if tt.run != "" {
				write(path+".run", tt.run)
			}
			results, err := openResults(path, "org_1", tt.since, start)
			if tt.wrong != "" {
				require.ErrorContains(t, err, tt.wrong)
				content, err := os.ReadFile(path)
				require.NoError(t, err)
				assert.Equal(t, tt.content, string(content), "left as it was")
				return
			}
			require.NoError(t, err)
			assert.True(t, tt.want.Equal(results.since), results.since)
			require.NoError(t, results.close())
		})
	}
}

func TestEndOfLinesFarBack(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "torn")
	long := make([]byte, 10_000)
	require.NoError(t, os.WriteFile(path, append([]byte("a\nb\n"), long...), 0o600))
	file, err := os.Open(path)
	require.NoError(t, err)
	defer file.Close()
	end, err := endOfLines(file)
	require.NoError(t, err)
	assert.EqualValues(t, 4, end)
}
