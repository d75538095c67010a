package main

import (
	"context"
	"fmt"
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

var clockTime = regexp.MustCompile(`\((\w+ )?\d\d:\d\d\)|until (\w+ )?\d\d:\d\d`)

// TestImport is a run of two hours, to the last word.
func TestImport(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := clerktest.NewServer(clerktest.WithLiveKey(), clerktest.WithBlocked(func(email string) bool {
			return strings.HasSuffix(email, "@blocked.example")
		}))
		options := against(t, server)
		path := filepath.Join(t.TempDir(), "people.csv")
		require.NoError(t, writeCrowd(path, 1700, server))

		got := runWith(t.Context(), options, "", "import", path)
		assert.Equal(t, exitRejected, got.code)
		text := clockTime.ReplaceAllString(strings.ReplaceAll(got.err, filepath.Dir(path)+"/", ""), "hh:mm")
		text = strings.ReplaceAll(text, server.OrganizationID(), "org_1")
		assert.Equal(t, `people.csv: CSV with commas, UTF-8 with a byte order mark; taken: Email (email_address), Role (role), Expires_In_Days (expires_in_days), public.team, private.seat:json (private.seat)
line 452: column Email: must be a bare e-mail address, as in name@example.com
line 552: column Expires_In_Days: must be a number of days, 1 to 365, or empty
line 652: a quotation mark opens cell 2 and none closes it where a cell ends: add it, or double those within the cell
line 1453: column Email: must be a bare e-mail address, as in name@example.com
line 1553: column Expires_In_Days: must be a number of days, 1 to 365, or empty
line 1653: a quotation mark opens cell 2 and none closes it where a cell ends: add it, or double those within the cell
1700 rows, 0 decided by earlier runs, into "Test Organization" (org_1). Results go to people.results.csv.
`, text[:strings.Index(text, "csv.\n")+len("csv.\n")])
		assert.Regexp(t, `(?m)^\[\w+\] 7\d\d of 1700 done: 7\d\d invited, .*; waiting for the quota hh:mm; quota left: 0 bulk \+ 0 single; next slot in \w+ hh:mm; ends in \w+ hh:mm$`, text)
		assert.Equal(t, `Done in 2h00m: all 1700 rows have an outcome.
    1677 invited
       5 invited already
       5 in the organization already
       6 given twice
       7 rejected
`, got.out)
		assert.Contains(t, text, "\nline 752: This instance admits no such address.\n")
		assert.Zero(t, server.RateLimited())
		assertResults(t, path, filepath.Join(filepath.Dir(path), "people.results.csv"))
		assert.Equal(t, []string{"people.csv", "people.results.csv", "people.results.csv.run"}, entries(t, filepath.Dir(path)))

		calls := server.CallCount(clerktest.OpBulk) + server.CallCount(clerktest.OpCreate)
		got = runWith(t.Context(), options, "", "import", path)
		assert.Equal(t, exitRejected, got.code)
		assert.Contains(t, got.err, "1700 rows, 1700 decided by earlier runs")
		assert.Equal(t, calls, server.CallCount(clerktest.OpBulk)+server.CallCount(clerktest.OpCreate))
	})
}

// assertResults compares results with their input, line by line.
func assertResults(t *testing.T, input, results string) {
	t.Helper()
	in := strings.FieldsFunc(readFile(t, input), func(r rune) bool { return r == '\r' || r == '\n' })
	out := strings.Split(strings.TrimSuffix(readFile(t, results), "\n"), "\n")
	require.Len(t, out, len(in))
	assert.Equal(t, in[0]+",outcome,invitation_id,code,message", out[0])
	for i := range in[1:] {
		address, _, _ := strings.Cut(in[i+1], ",")
		line := strings.TrimPrefix(out[i+1], `"`) // a broken row is one cell
		assert.True(t, strings.HasPrefix(line, address+","), "%s\n%s", in[i+1], out[i+1])
		assert.Regexp(t, `,(invited,orginv_\w+,,|already_invited,orginv_\w+,,|already_member,,,|duplicate,,,the same address as in line \d+|rejected,,\w+,.+)$`, out[i+1])
	}
}

func addresses(n int) string {
	var all strings.Builder
	for i := range n {
		fmt.Fprintf(&all, "p%d@example.com\n", i)
	}
	return all.String()
}

func TestInterruptedAndGoingOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := clerktest.NewServer(clerktest.WithLiveKey())
		options := against(t, server)
		path := writeFile(t, "people.csv", "email\n"+addresses(1000)+"nobody\n")
		results := strings.TrimSuffix(path, ".csv") + ".results.csv"

		ctx, interrupt := context.WithTimeout(t.Context(), 30*time.Minute)
		defer interrupt()
		got := runWith(ctx, options, "", "import", path)
		assert.Equal(t, exitEarly, got.code)
		assert.Equal(t, "Stopped: 751 of 1001 rows have an outcome.\n     750 invited\n       1 rejected\n", got.out)
		assert.True(t, strings.HasSuffix(got.err, "\nTo go on:\n  clerkorg import "+path+"\n"), got.err)
		assert.Equal(t, 250, strings.Count(readFile(t, results), ",,,,\n"), "rows without an outcome")

		// Those who left no trace among the pending ones are known from the journal.
		for i, invitation := range server.Invitations(server.OrganizationID()) {
			if i%10 == 0 {
				require.NoError(t, server.ExpireInvitation(invitation.ID))
			}
		}
		got = runWith(t.Context(), options, "", "import", path)
		assert.Equal(t, exitRejected, got.code)
		assert.Contains(t, got.err, "1001 rows, 751 decided by earlier runs")
		assert.Contains(t, got.out, "all 1001 rows have an outcome.\n    1000 invited\n       1 rejected\n")
		for address, times := range server.InvitedAddresses(server.OrganizationID()) {
			assert.Equal(t, 1, times, address)
		}
	})
}

// TestJournalLost has nothing but the server to tell who was invited.
func TestJournalLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := clerktest.NewServer()
		options := against(t, server)
		path := writeFile(t, "people.csv", "email\n"+addresses(100))
		require.Equal(t, exitDone, runWith(t.Context(), options, "", "import", path).code)
		require.NoError(t, os.Remove(strings.TrimSuffix(path, ".csv")+".results.csv.run"))
		got := runWith(t.Context(), options, "", "import", path)
		assert.Equal(t, exitWrongUse, got.code)
		assert.Contains(t, got.err, "no import has written it")
		got = runWith(t.Context(), options, "", "import", path, "--results", path+".2.csv")
		assert.Equal(t, exitDone, got.code)
		assert.Contains(t, got.out, "     100 invited already\n")
	})
}

// TestOutage says at once why nothing moves, and ends when it has lasted.
func TestOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := clerktest.NewServer()
		options := against(t, server)
		start := time.Now()
		server.Inject(clerktest.Fault{Kind: clerktest.FaultRefuse, While: func(now time.Time) bool { return now.Sub(start) < 20*time.Minute }})
		path := writeFile(t, "people.csv", "email\n"+addresses(20))
		got := runWith(t.Context(), options, "", "import", path)
		assert.Equal(t, exitDone, got.code)
		since := start.Local().Format("15:04")
		assert.Contains(t, got.err, "0 of 20 done; Clerk cannot be reached since "+since+": connection refused\n")

		server.Inject(clerktest.Fault{Kind: clerktest.FaultStatus, Status: 503})
		path = writeFile(t, "others.csv", "email\nq1@x.de\nq2@x.de\n")
		got = runWith(t.Context(), options, "", "import", path)
		assert.Equal(t, exitEarly, got.code)
		assert.Contains(t, got.err, "Clerk answers 503 Service Unavailable since ")
		assert.Contains(t, got.err, "no call has succeeded for 1h")
		assert.Contains(t, got.err, "To go on:\n")
	})
}

// TestHopeless ends before anything is begun, and does not say how to go on.
func TestHopeless(t *testing.T) {
	server := clerktest.NewServer()
	for name, tt := range map[string]struct{ key, organization, want string }{
		"key":          {"sk_test_wrong", server.OrganizationID(), "Clerk does not accept the secret key"},
		"organization": {server.SecretKey(), "org_unknown", "Clerk knows nothing by this name"},
		"no id":        {server.SecretKey(), "org 1", "organization_id: must not hold U+0020"},
	} {
		t.Run(name, func(t *testing.T) {
			options := against(t, server)
			t.Setenv("CLERK_SECRET_KEY", tt.key)
			path := writeFile(t, "people.csv", "email\na@x.de\n\"broken\n")
			got := runWith(t.Context(), options, "", "import", "--org", tt.organization, path)
			assert.Equal(t, exitEarly, got.code)
			assert.Contains(t, got.err, tt.want)
			assert.NotContains(t, got.err, "To go on")
			assert.Equal(t, []string{"people.csv"}, entries(t, filepath.Dir(path)))
		})
	}
}

// TestSlug has an organization that is named by its slug.
func TestSlug(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := clerktest.NewServer()
		options := against(t, server)
		id := server.AddOrganization(clerktest.Organization{Name: "Acme", MaxAllowedMemberships: 2})
		path := writeFile(t, "people.csv", addresses(3))
		got := runWith(t.Context(), options, "", "import", "--org", "acme", path)
		assert.Equal(t, exitEarly, got.code)
		assert.Contains(t, got.err, `into "Acme" (`+id+`)`)
		assert.Contains(t, got.err, "The organization has room for 2 more, and 3 rows have no outcome yet.")
		assert.Contains(t, got.err, "When the organization has room, go on with:")
		assert.Len(t, server.InvitedAddresses(id), 2)
	})
}

// TestFileChanged has another file in the place of the one that was begun.
func TestFileChanged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := clerktest.NewServer()
		options := against(t, server)
		path := writeFile(t, "people.csv", "email,role,name\na@x.de,,A\nb@x.de,Boss,B\nc@x.de,,C\n")
		got := runWith(t.Context(), options, "", "import", path)
		require.Equal(t, exitRejected, got.code, got.err)
		assert.Contains(t, got.err, `Roles look wrong where they do not begin with org: as in org:member: "Boss" (1 row)`)
		assert.Contains(t, got.out, "2 invited\n       1 rejected")

		rewrite := func(content string) output {
			require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
			return runWith(t.Context(), options, "", "import", path)
		}
		for content, want := range map[string]string{
			"email,role,name\nb@x.de,,A\na@x.de,,B\nc@x.de,,C\n": "line 2 is not what it was when it got the outcome invited",
			"email,role,name\na@x.de,,A\n":                       "has results for 2 rows more than",
			"email\n\n":                                          "has results for 3 rows more than",
		} {
			got := rewrite(content)
			assert.Equal(t, exitWrongUse, got.code)
			assert.Contains(t, got.err, want)
		}
		before := server.CallCount(clerktest.OpAny)
		got = rewrite("name;email;role\nA. A.;a@x.de;\nB. B.;b@x.de;Boss\nC;c@x.de;\n")
		assert.Equal(t, exitRejected, got.code, "what is sent is the same")
		assert.Equal(t, before+1, server.CallCount(clerktest.OpAny), "the organization was asked for, and nothing else")

		// A rejected row that is corrected is tried again, and so are rows that were added.
		got = rewrite("email,role,name\na@x.de,,\"A, A.\"\nb@x.de,org:admin,B\nc@x.de,,C\nd@x.de,,D\n")
		assert.Equal(t, exitDone, got.code, got.err)
		assert.Contains(t, got.out, "4 invited\n")
		assert.Contains(t, readFile(t, strings.TrimSuffix(path, ".csv")+".results.csv"), "a@x.de,,\"A, A.\",invited,orginv_")
	})
}

func TestRetryRejected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		blocked := true
		server := clerktest.NewServer(clerktest.WithBlocked(func(email string) bool { return blocked && email == "b@x.de" }))
		options := against(t, server)
		path := writeFile(t, "people.csv", "a@x.de\nb@x.de\n")
		got := runWith(t.Context(), options, "", "import", path)
		assert.Equal(t, exitRejected, got.code)
		blocked = false
		assert.Equal(t, exitRejected, runWith(t.Context(), options, "", "import", path).code)
		got = runWith(t.Context(), options, "", "import", path, "--retry-rejected")
		assert.Equal(t, exitDone, got.code, got.err)
		assert.Contains(t, got.out, "2 invited\n")
	})
}

// TestMaxRejected has a column of roles that Clerk does not know.
func TestMaxRejected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := clerktest.NewServer()
		options := against(t, server)
		path := writeFile(t, "people.csv", "email,role\na@x.de,Boss\nb@x.de,Chief\nc@x.de,Head\n")
		got := runWith(t.Context(), options, "", "import", path, "--max-rejected", "2")
		assert.Equal(t, exitEarly, got.code)
		assert.Contains(t, got.err, "too many inputs were rejected: 2")
		assert.Contains(t, got.err, "When the rows are corrected, go on with:\n  clerkorg import "+path+" --max-rejected 2\n")
		got = runWith(t.Context(), options, "", "import", path, "--role-column=")
		assert.Equal(t, exitDone, got.code, got.err)
		assert.Len(t, server.InvitedAddresses(server.OrganizationID()), 3)
	})
}

func TestStandardInput(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := clerktest.NewServer()
		options := against(t, server)
		t.Chdir(t.TempDir())
		got := runWith(t.Context(), options, "Email;Name\na@x.de;A\n", "import", "-", "-q")
		assert.Equal(t, output{}, got)
		assert.Contains(t, readFile(t, "stdin.results.csv"), "Email;Name;outcome;invitation_id;code;message\na@x.de;A;invited;orginv_")
	})
}

func TestVerbose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := clerktest.NewServer()
		options := against(t, server)
		got := runWith(t.Context(), options, "a@x.de\n", "import", "-", "--results", filepath.Join(t.TempDir(), "r.csv"), "--verbose")
		assert.Equal(t, exitDone, got.code)
		assert.Contains(t, got.err, "level=DEBUG")
		assert.NotContains(t, got.err, server.SecretKey())
		assert.NotContains(t, got.err, "a@x.de")
	})
}

func TestKeyFile(t *testing.T) {
	server := clerktest.NewServer()
	options := against(t, server)
	t.Setenv("CLERK_SECRET_KEY", "sk_test_another")
	key := writeFile(t, "key", server.SecretKey()+"\n")
	assert.Equal(t, exitDone, runWith(t.Context(), options, "", "list", "--key-file", key).code)
}

// TestDemo is the demo of a file that is made up.
func TestDemo(t *testing.T) {
	t.Setenv("CLERK_SECRET_KEY", "sk_live_not_to_be_used")
	synctest.Test(t, func(t *testing.T) {
		got := run(t, "import", "--demo")
		assert.Equal(t, exitRejected, got.code)
		assert.Contains(t, got.err, "This is an in-memory Clerk: no e-mail is sent. Its clock is 601 times as fast as a real one")
		assert.Regexp(t, `Done in [34]h\d\dm: all 3000 rows have an outcome.\n    2961 invited\n`, got.out)
	})
	t.Chdir(t.TempDir())
	require.NoError(t, os.WriteFile("people.csv", []byte("email,role\na@x.de,org:editor\nb@x.de,Boss\n"), 0o600))
	synctest.Test(t, func(t *testing.T) {
		got := run(t, "import", "--demo", "people.csv")
		assert.Equal(t, exitRejected, got.code)
		assert.Contains(t, got.out, "1 invited\n       1 rejected\n", "a role that does not look like one is unknown to the demo too")
		assert.Equal(t, []string{"people.csv"}, entries(t, "."))
		got = run(t, "import", "--demo", "people.csv", "--results", "out.csv")
		assert.Equal(t, exitRejected, got.code)
		assert.True(t, slices.Contains(entries(t, "."), "out.csv"))
	})
}
