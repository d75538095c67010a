package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/clerkorg/clerkorg-go/clerktest"
)

const motley = "\xEF\xBB\xBFemail,expires_in_days,redirect_url\r\n" +
	"a@x.de,,\r\n" +
	"\r\n" +
	"b@x.de,thirty,\r\n" +
	"A@x.de,,\r\n" +
	"c@x.de\r\n" +
	"nobody,400,nowhere\r\n" +
	"d@x.de,7,/in\r\n" +
	"e@x.de,,\r\n"

func TestDryRun(t *testing.T) {
	people := writePeople(t, motley)
	t.Chdir(filepath.Dir(people))
	var out, stderr bytes.Buffer
	require.Equal(t, exitDone, run(t.Context(), []string{"-dry-run", "people.csv"}, &out, &stderr), stderr.String())
	assert.Equal(t, `line 4: expires_in_days: must be a number of days, 1 to 365, or empty
line 5: the same address as in line 2
line 6: has 1 columns, the header 3
line 7: email_address: must be a bare e-mail address, as in name@example.com; redirect_url: must be an absolute http or https URL, or a path that begins with a slash; expires_in_days: must be 1 to 365, or 0 for the server's default; is 400
people.csv: 7 rows
       3 would be rejected
       1 duplicates
       3 to be invited
About 1 bulk call of up to ten people and 0 calls of one; at 750 people an hour that takes a few minutes, if nothing was sent in the last hour.
Who is there already was not looked up: that takes CLERK_SECRET_KEY and -org.
Nothing was sent.
`, out.String())
	entries, err := os.ReadDir(".")
	require.NoError(t, err)
	assert.Len(t, entries, 1, "no results file")
}

func TestDryRunWithAKey(t *testing.T) {
	server := clerktest.NewServer()
	defer server.Close()
	organization := server.OrganizationID()
	server.AddMember(organization, "D@x.de", "org:member")
	server.AddInvitation(organization, "e@x.de", "org:member")
	t.Setenv("CLERK_SECRET_KEY", server.SecretKey())
	t.Setenv("CLERK_API_URL", server.URL())
	people := writePeople(t, motley)
	results, err := openResults(people+".out", organization, start, start)
	require.NoError(t, err)
	require.NoError(t, results.add(result{line: 2, email: "a@x.de", outcome: "invited"}))
	require.NoError(t, results.close())

	var out bytes.Buffer
	require.Equal(t, exitDone, run(t.Context(), []string{"-dry-run", "-bulk-only", "-org", organization, "-results", people + ".out", people}, &out, &out), out.String())
	assert.Contains(t, out.String(), `people.csv: 7 rows
       1 decided by earlier runs
       3 would be rejected
       1 invited already
       1 members already
       1 to be invited
About 1 bulk call of up to ten people and 0 calls of one; at 500 people an hour`)
	assert.Empty(t, server.InvitedAddresses(organization))
}

func TestForecast(t *testing.T) {
	t.Parallel()
	const soon = "a few minutes, if nothing was sent in the last hour."
	for _, tt := range []struct {
		people   int
		bulkOnly bool
		want     string
	}{
		{0, false, "About 0 bulk calls of up to ten people and 0 calls of one; at 750 people an hour that takes " + soon},
		{501, false, "About 50 bulk calls of up to ten people and 1 call of one; at 750 people an hour that takes " + soon},
		{750, false, "About 50 bulk calls of up to ten people and 250 calls of one; at 750 people an hour that takes " + soon},
		{751, false, "About 51 bulk calls of up to ten people and 250 calls of one; at 750 people an hour that takes about 1h01m."},
		{10_000, false, "About 675 bulk calls of up to ten people and 3250 calls of one; at 750 people an hour that takes about 13h02m."},
		{10_000, true, "About 1000 bulk calls of up to ten people and 0 calls of one; at 500 people an hour that takes about 19h02m."},
	} {
		assert.Equal(t, tt.want, forecast(tt.people, tt.bulkOnly))
	}
}
