package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/clerkorg/clerkorg-go/clerktest"
)

// TestMain lets the test binary be csvinvite: the demo runs itself again.
func TestMain(m *testing.M) {
	if os.Getenv("CSVINVITE_IS_A_CHILD") != "" {
		main()
	}
	for _, name := range []string{"CLERK_SECRET_KEY", "CLERK_ORGANIZATION_ID", "CLERK_API_URL"} {
		_ = os.Unsetenv(name)
	}
	os.Exit(m.Run())
}

// inHours runs a job against a server in this process, for as long as the context
// says, in the virtual time of a bubble.
func inHours(ctx context.Context, t *testing.T, server *clerktest.Server, people string) (out string, err error) {
	t.Helper()
	o, err := parse([]string{"-org", server.OrganizationID(), people}, io.Discard)
	require.NoError(t, err)
	o.http = &http.Client{Transport: server.Transport()}
	var buffer bytes.Buffer
	err = runJob(ctx, o, &buffer)
	return buffer.String(), err
}

func writePeople(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "people.csv")
	require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	return path
}

func readAll(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(content)
}

var clockTime = regexp.MustCompile(`\(\d\d:\d\d\)`)

// TestPlainOutput is a run of almost two hours.
func TestPlainOutput(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := clerktest.NewServer(clerktest.WithLiveKey())
		t.Setenv("CLERK_SECRET_KEY", server.SecretKey())
		path := filepath.Join(t.TempDir(), "people.csv")
		require.NoError(t, writeCrowd(path, 1700, server))

		out, err := inHours(t.Context(), t, server, path)
		require.NoError(t, err)
		out = clockTime.ReplaceAllString(strings.ReplaceAll(out, filepath.Dir(path)+"/", ""), "(hh:mm)")
		// The program reads ahead of what InviteAll decides: the lines have no certain order.
		lines := strings.SplitAfter(out, "\n")
		slices.Sort(lines[1:min(7, len(lines))])
		assert.Equal(t, `people.csv: 1700 rows, 0 decided by earlier runs. Results go to people.results.csv.
line 1453: email_address: must be a bare e-mail address, as in name@example.com
line 1553: expires_in_days: must be a number of days, 1 to 365, or empty
line 1653: has 2 columns, the header 5
line 452: email_address: must be a bare e-mail address, as in name@example.com
line 552: expires_in_days: must be a number of days, 1 to 365, or empty
line 652: has 2 columns, the header 5
[10m] 772 of 1700 done, 6 failed; quota left: 0 bulk, 0 single; next slot in 50m (hh:mm); ends in 1h50m (hh:mm)
[20m] 772 of 1700 done, 6 failed; quota left: 0 bulk, 0 single; next slot in 40m (hh:mm); ends in 1h40m (hh:mm)
`, firstLines(strings.Join(lines, ""), 9))
		assert.Contains(t, out, "\n[1h00m] 772 of 1700 done, 6 failed; quota left: 0 bulk, 0 single; next slot in ")
		assert.Contains(t, out, "\n[1h10m] 1522 of 1700 done, 6 failed; ")
		assert.True(t, strings.HasSuffix(out, `Done in 2h00m: all 1700 rows have a result.
    1678 invited
       5 already_invited
       5 already_member
       6 duplicate
       6 rejected
`), out)
		assert.Zero(t, server.RateLimited())
	})
}

func firstLines(text string, n int) string {
	return strings.Join(strings.SplitAfterN(text, "\n", n+1)[:n], "")
}

func TestInterruptedAndGoingOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := clerktest.NewServer(clerktest.WithLiveKey())
		t.Setenv("CLERK_SECRET_KEY", server.SecretKey())
		people := writePeople(t, "email\n"+addresses(1000)+"nobody\n")
		since := time.Now().Add(-clockMargin).UTC().Format(time.RFC3339)

		ctx, interrupt := context.WithTimeout(t.Context(), 30*time.Minute)
		defer interrupt()
		out, err := inHours(ctx, t, server, people)
		assert.Equal(t, exitError{code: exitInterrupted}, err)
		assert.Contains(t, out, "Stopped: 751 of 1001 rows have a result.\n     750 invited\n       1 rejected\nTo go on, run:\n")
		assert.Contains(t, out, fmt.Sprintf(" -org %s -results %s -since %s %s\n", server.OrganizationID(), strings.Replace(people, ".csv", ".results.csv", 1), since, people))

		// Those who left no trace among the pending ones are known from -since.
		for i, invitation := range server.Invitations(server.OrganizationID()) {
			if i%10 == 0 {
				require.NoError(t, server.ExpireInvitation(invitation.ID))
			}
		}
		out, err = inHours(t.Context(), t, server, people)
		require.NoError(t, err)
		assert.Contains(t, out, "1001 rows, 751 decided by earlier runs.")
		assert.Contains(t, out, "all 1001 rows have a result.\n    1000 invited\n       1 rejected\n")
		for address, times := range server.InvitedAddresses(server.OrganizationID()) {
			assert.Equal(t, 1, times, address)
		}

		before := server.CallCount(clerktest.OpAny)
		out, err = inHours(t.Context(), t, server, people)
		require.NoError(t, err)
		assert.Contains(t, out, "1001 rows, 1001 decided by earlier runs.")
		assert.Equal(t, before, server.CallCount(clerktest.OpAny), "there is nothing to ask")
	})
}

func addresses(n int) string {
	var all strings.Builder
	for i := range n {
		fmt.Fprintf(&all, "p%d@example.com\n", i)
	}
	return all.String()
}

func TestCutShort(t *testing.T) {
	server := clerktest.NewServer()
	defer server.Close()
	t.Setenv("CLERK_SECRET_KEY", server.SecretKey())
	t.Setenv("CLERK_API_URL", server.URL())
	people := writePeople(t, "email,notify\na@x.de,no idea\nb@x.de,\n")
	var stdout, stderr bytes.Buffer
	assert.Equal(t, exitCutShort, run(t.Context(), []string{"-org", "org_unknown", people}, &stdout, &stderr))
	assert.Contains(t, stderr.String(), "404")
	assert.Contains(t, stdout.String(), "To go on, run:")
}

// TestFileChanged has another file in the place of the one that was begun.
func TestFileChanged(t *testing.T) {
	server := clerktest.NewServer()
	defer server.Close()
	t.Setenv("CLERK_SECRET_KEY", server.SecretKey())
	t.Setenv("CLERK_API_URL", server.URL())
	t.Setenv("CLERK_ORGANIZATION_ID", server.OrganizationID())
	people := writePeople(t, "email\na@x.de\nb@x.de\n")
	require.Equal(t, exitDone, run(t.Context(), []string{people}, io.Discard, io.Discard))

	for content, want := range map[string]string{
		"email\nb@x.de\na@x.de\n":         "line 2 is not the one that the results are about",
		"email\na@x.de\n":                 "has results for 1 line that are not in",
		"email,x\na@x.de,\n":              `"x" is not known`,
		"email\na@x.de\n\"b@x.de\nc@x.de": "line 3: a quote is opened",
	} {
		require.NoError(t, os.WriteFile(people, []byte(content), 0o600))
		var stderr bytes.Buffer
		assert.Equal(t, exitWrongUse, run(t.Context(), []string{people}, io.Discard, &stderr))
		assert.Contains(t, stderr.String(), want)
	}
	assert.Len(t, server.InvitedAddresses(server.OrganizationID()), 2)
}

func TestWrongUse(t *testing.T) {
	for _, tt := range []struct {
		key, args, want string
		code            int
	}{
		{"", "-org org_1 people.csv", "CLERK_SECRET_KEY is not set", exitWrongUse},
		{"", "-dry-run", "which file?", exitWrongUse},
		{"", "-dry-run nowhere.csv", "nowhere.csv", exitWrongUse},
		{"", "-demo -since 2026-01-01T00:00:00Z", "neither -dry-run nor -since", exitWrongUse},
		{"", "-demo=0", "want a number of people", exitWrongUse},
		{"", "-demo nowhere.csv", "nowhere.csv", exitWrongUse},
		{"", "-since yesterday x.csv", "yesterday", exitWrongUse},
		{"", "-help", "Usage of csvinvite", exitDone},
		{"sk_test_1", "people.csv", "which organization?", exitWrongUse},
		{"sk_test_1", "", "which file?", exitWrongUse},
		{"sk_test_1", "-org org_1", "which file?", exitWrongUse},
		{"sk_test_1", "-org org_1 a.csv b.csv", `"b.csv" is too many`, exitWrongUse},
		{"sk_test_1", "-org org_1 -quota-window 1s a.csv", "the real one's is an hour", exitWrongUse},
		{"sk_test_1", "-org org_1 -quota-window 0s a.csv", "must be positive", exitWrongUse},
		{"nonsense", "-org org_1 a.csv", "must begin with sk_test_", exitWrongUse},
	} {
		t.Run(tt.key+" "+tt.args, func(t *testing.T) {
			t.Setenv("CLERK_SECRET_KEY", tt.key)
			var stderr bytes.Buffer
			assert.Equal(t, tt.code, run(t.Context(), strings.Fields(tt.args), io.Discard, &stderr))
			assert.Contains(t, stderr.String(), tt.want)
		})
	}
}

func TestCommandToGoOn(t *testing.T) {
	t.Parallel()
	o := options{organization: "org_1", role: "org:x", people: "our people's.csv", results: "out.csv", bulkOnly: true, window: time.Second}
	_, args, _ := strings.Cut(o.again(start), " -org ")
	assert.Equal(t, `org_1 -role org:x -results out.csv -since 2026-03-01T12:00:00Z -bulk-only -quota-window 1s 'our people'\''s.csv'`, args)
}
