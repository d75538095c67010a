package clerktest_test

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/clerkorg/clerkorg-go/clerktest"
)

// random is every part of an answer that chance decides.
var random = regexp.MustCompile(`(orginv|orgmem|user|ticket|idn)_[0-9A-Za-z]{27}`)

// TestGolden compares whole bodies with files that were written after Clerk's
// API description, so that a field cannot be lost or renamed by accident. In the
// files an id is its prefix alone.
func TestGolden(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 5, 12, 10, 0, 0, 0, time.UTC)
	a := inMemory(t, clerktest.WithClock(func() time.Time { return now }), clerktest.WithNamedRefusals(clerktest.NameInMeta))
	org := a.AddOrganization(clerktest.Organization{ID: "org_golden", Name: "Golden Retrievers", MaxAllowedMemberships: 50})
	admin := a.AddMember(org, "boss@example.com", "org:admin")
	base := "/organizations/" + org

	check := func(name string, got answer) {
		t.Helper()
		want, err := os.ReadFile(filepath.Join("testdata", name+".json")) //nolint:gosec // A name from this file.
		require.NoError(t, err)
		body := random.ReplaceAllString(got.body, "$1")
		body = regexp.MustCompile(`"clerk_trace_id":"[0-9a-f]{32}"`).ReplaceAllString(body, `"clerk_trace_id":"trace"`)
		require.JSONEq(t, string(want), body, name)
	}
	full := `{"email_address":"full@example.com","role":"org:admin","inviter_user_id":"` + admin + `",
		"public_metadata":{"team":"blue","id":9007199254740993},"private_metadata":{"source":"csv"},
		"redirect_url":"https://example.com/welcome","expires_in_days":7,"notify":true}`
	check("bulk", a.do("POST", base+"/invitations/bulk", "["+full+","+person("plain@example.com")+"]"))
	check("bulk_duplicate", a.do("POST", base+"/invitations/bulk", people("plain@example.com", "new@example.com")))
	now = now.Add(time.Minute)
	check("create", a.do("POST", base+"/invitations", person("single@example.com")))
	check("create_invalid", a.do("POST", base+"/invitations", person("single")))
	all := a.Invitations(org)
	check("get", a.do("GET", base+"/invitations/"+all[0].ID, ""))
	now = now.Add(time.Minute)
	check("revoke", a.do("POST", base+"/invitations/"+all[1].ID+"/revoke", ""))
	check("list", a.do("GET", base+"/invitations?status=pending", ""))
	check("list_instance", a.do("GET", "/organization_invitations?query=plain", ""))
	check("memberships", a.do("GET", base+"/memberships", ""))
	require.NoError(t, a.AddUserAddress(admin, "boss@example.org"))
	check("users", a.do("GET", "/users?user_id="+admin, ""))
	check("organization", a.do("GET", base+"?include_members_count=true", ""))
}
