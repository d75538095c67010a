package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/clerkorg/clerkorg-go/clerktest"
)

const motley = "\xEF\xBB\xBFemail,role,expires_in_days,redirect_url\r\n" +
	"a@x.de,,,\r\n" +
	"\r\n" +
	"b@x.de,,thirty,\r\n" +
	"A@x.de,,,\r\n" +
	"c@x.de\r\n" +
	"nobody,,400,nowhere\r\n" +
	"d@x.de,Boss,7,/in\r\n" +
	"\xE2\x80\x8Be@x.de,,,\r\n" +
	"e\xE2\x80\x8B@x.de,,,\r\n"

func TestDryRun(t *testing.T) {
	t.Chdir(filepath.Dir(writeFile(t, "people.csv", motley)))
	got := run(t, "import", "people.csv", "--dry-run")
	assert.Equal(t, exitRejected, got.code)
	assert.Equal(t, `people.csv: CSV with commas, UTF-8 with a byte order mark; taken: email (email_address), role, expires_in_days, redirect_url
line 4: column expires_in_days: must be a number of days, 1 to 365, or empty
line 5: the same address as in line 2
line 7: column email: must be a bare e-mail address, as in name@example.com; column redirect_url: must be an absolute http or https URL, or a path that begins with a slash; column expires_in_days: must be 1 to 365, or 0 for the server's default; is 400
line 9: column email: removed U+200B (zero width space) around the text
line 10: column email: must not hold U+200B (zero width space), at byte offset 1
Roles look wrong where they do not begin with org: as in org:member: "Boss" (1 row)
`, got.err)
	assert.Equal(t, `people.csv: 8 rows
       3 would be rejected
       1 given twice
       4 to be invited
About 1 bulk call of up to ten people and 0 calls of one; at 750 people an hour that takes a few minutes, if nothing was sent in the last hour.
Who is there already was not looked up: that takes a secret key and --org.
Nothing was sent.
`, got.out)
	assert.Equal(t, []string{"people.csv"}, entries(t, "."))
}

func TestDryRunWithAKey(t *testing.T) {
	server := clerktest.NewServer()
	options := against(t, server)
	organization := server.OrganizationID()
	server.AddMember(organization, "D@x.de", "org:member")
	server.AddInvitation(organization, "e@x.de", "org:member")
	path := writeFile(t, "people.csv", "email\na@x.de\n")
	require.Equal(t, exitDone, runWith(t.Context(), options, "", "import", path).code)
	require.NoError(t, os.WriteFile(path, []byte("email\na@x.de\nd@x.de\ne@x.de\nf@x.de\n"), 0o600))
	before := server.CallCount(clerktest.OpBulk)
	got := runWith(t.Context(), options, "", "import", path, "--dry-run", "--bulk-only")
	assert.Equal(t, exitDone, got.code, got.err)
	assert.Equal(t, path+`: 4 rows
       1 decided by earlier runs
       1 invited already
       1 in the organization already
       1 to be invited
About 1 bulk call of up to ten people and 0 calls of one; at 500 people an hour that takes a few minutes, if nothing was sent in the last hour.
Nothing was sent.
`, got.out)
	assert.Equal(t, before, server.CallCount(clerktest.OpBulk))
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
		{100_000, true, "About 10000 bulk calls of up to ten people and 0 calls of one; at 500 people an hour that takes about 8d 7h."},
	} {
		assert.Equal(t, tt.want, forecast(tt.people, tt.bulkOnly))
	}
}
