package clerktest_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/clerkorg/clerkorg-go/clerktest"
)

func TestBulk(t *testing.T) {
	t.Parallel()
	for name, open := range transports {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := open(t)
			before := time.Now().Add(-time.Second)
			got := decode[invitationList](t, a.bulk("a@example.com", "C@example.com", "b@example.com"))
			require.Equal(t, []string{"a@example.com", "C@example.com", "b@example.com"}, got.emails(), "in the order of the call")
			require.Equal(t, 3, got.TotalCount)
			first := got.Data[0]
			require.Equal(t, "organization_invitation", first.Object)
			require.Regexp(t, `^orginv_[0-9A-Za-z]{27}$`, first.ID)
			require.Equal(t, "org:member", first.Role)
			require.Equal(t, "Member", first.RoleName)
			require.Equal(t, "pending", first.Status)
			require.NotNil(t, first.URL)
			require.Regexp(t, `^https://.*ticket=`, *first.URL)
			created := time.UnixMilli(first.CreatedAt)
			require.True(t, created.After(before) && !created.After(time.Now()))
			require.Equal(t, created.Add(30*24*time.Hour).UnixMilli(), first.ExpiresAt)
			require.Equal(t, first.CreatedAt, first.UpdatedAt)

			require.Equal(t, 1, a.TimesInvited(a.OrganizationID(), "c@EXAMPLE.com"))
			require.Equal(t, map[string]int{"a@example.com": 1, "b@example.com": 1, "c@example.com": 1}, a.InvitedAddresses(a.OrganizationID()))
			calls := a.Calls()
			require.Len(t, calls, 1)
			require.Equal(t, clerktest.Call{Time: calls[0].Time, Operation: clerktest.OpBulk, Method: "POST", Path: calls[0].Path, Status: 200, Duration: calls[0].Duration, Invited: 3}, calls[0])
			require.Contains(t, calls[0].Path, a.OrganizationID()+"/invitations/bulk")
		})
	}
}

func TestBulkBareArrays(t *testing.T) {
	t.Parallel()
	a := inMemory(t, clerktest.WithBareArrays())
	got := decode[[]invitation](t, a.bulk("a@example.com"))
	require.Len(t, got, 1)
	decode[invitationList](t, a.do("GET", a.org("/invitations"), ""))
}

func TestInvitationFields(t *testing.T) {
	t.Parallel()
	a := inMemory(t)
	a.AddRole("org:guide", "Guide")
	meta := `{"big":9007199254740993,"text":"<a&b>","deep":{"x":[1,2.50]}}`
	body := fmt.Sprintf(`[{"email_address":"x@example.com","role":"org:guide","inviter_user_id":%q,
		"public_metadata":%s, "private_metadata":{"n":12345678901234567890123},
		"redirect_url":"/welcome?to=1","expires_in_days":365,"notify":false}]`, a.AdminUserID(), meta)
	got := a.do("POST", a.org("/invitations/bulk"), body)
	require.Equal(t, 200, got.status, got.body)
	require.Contains(t, got.body, `"public_metadata":`+meta, "byte for byte")
	require.Contains(t, got.body, `"private_metadata":{"n":12345678901234567890123}`)
	require.Contains(t, got.body, `"role_name":"Guide"`)
	require.Contains(t, got.body, `"inviter_id":"`+a.AdminUserID()+`"`)
	require.Contains(t, got.body, `"identifier":"admin@example.com"`)

	inv := a.Invitations(a.OrganizationID())[0]
	require.Equal(t, "/welcome?to=1", inv.RedirectURL)
	require.False(t, inv.Notify)
	require.True(t, inv.ByAPI)
	require.Equal(t, a.AdminUserID(), inv.InviterUserID)
	require.JSONEq(t, meta, string(inv.PublicMetadata))
	require.Equal(t, 365*24*time.Hour, inv.ExpiresAt.Sub(inv.CreatedAt))
}

func TestNullsAreAbsent(t *testing.T) {
	t.Parallel()
	a := inMemory(t)
	got := a.do("POST", a.org("/invitations/bulk"), `[{"email_address":"x@example.com","role":"org:member","inviter_user_id":null,
		"public_metadata":null,"private_metadata":null,"redirect_url":null,"expires_in_days":null,"notify":null}]`)
	require.Equal(t, 200, got.status, got.body)
	require.Contains(t, got.body, `"public_metadata":{},"private_metadata":{}`)
	require.Contains(t, got.body, `"inviter_id":null,"public_inviter_data":null`)
	require.True(t, a.Invitations(a.OrganizationID())[0].Notify)
}

// refusals are what one item can be refused for, in either call.
var refusals = []struct {
	name, item string
	status     int
	code       string
	param      string
}{
	{"no address", `{"role":"org:member"}`, 422, "form_param_missing", "email_address"},
	{"null address", `{"email_address":null,"role":"org:member"}`, 422, "form_param_missing", "email_address"},
	{"empty address", `{"email_address":"","role":"org:member"}`, 422, "form_param_missing", "email_address"},
	{"address of the wrong type", `{"email_address":5,"role":"org:member"}`, 422, "form_param_type_invalid", "email_address"},
	{"no at", person("example.com"), 422, "form_param_format_invalid", "email_address"},
	{"space", person(" x@example.com"), 422, "form_param_format_invalid", "email_address"},
	{"quoted space", person(`"john doe"@example.com`), 422, "form_param_format_invalid", "email_address"},
	{"display name", `{"email_address":"X <x@example.com>","role":"org:member"}`, 422, "form_param_format_invalid", "email_address"},
	{"two dots", person("x@example..com"), 422, "form_param_format_invalid", "email_address"},
	{"rejected by the server", person("rejected@example.com"), 422, "form_param_format_invalid", "email_address"},
	{"no role", `{"email_address":"x@example.com"}`, 422, "form_param_missing", "role"},
	{"unknown role", `{"email_address":"x@example.com","role":"org:nobody"}`, 404, "resource_not_found", "role"},
	{"unknown parameter", `{"email_address":"x@example.com","role":"org:member","emailAddress":"x"}`, 422, "form_param_unknown", "emailAddress"},
	{"no days", `{"email_address":"x@example.com","role":"org:member","expires_in_days":0}`, 422, "form_param_value_invalid", "expires_in_days"},
	{"too many days", `{"email_address":"x@example.com","role":"org:member","expires_in_days":366}`, 422, "form_param_value_invalid", "expires_in_days"},
	{"half a day", `{"email_address":"x@example.com","role":"org:member","expires_in_days":0.5}`, 422, "form_param_type_invalid", "expires_in_days"},
	{"notify text", `{"email_address":"x@example.com","role":"org:member","notify":"yes"}`, 422, "form_param_type_invalid", "notify"},
	{"metadata list", `{"email_address":"x@example.com","role":"org:member","public_metadata":[]}`, 422, "form_param_type_invalid", "public_metadata"},
	{"metadata text", `{"email_address":"x@example.com","role":"org:member","private_metadata":"{}"}`, 422, "form_param_type_invalid", "private_metadata"},
	{"large metadata", `{"email_address":"x@example.com","role":"org:member","public_metadata":{"a":"` + strings.Repeat("x", 8192-7) + `"}}`, 422, "form_param_exceeds_allowed_size", "public_metadata"},
	{"relative redirect", `{"email_address":"x@example.com","role":"org:member","redirect_url":"welcome"}`, 422, "form_param_format_invalid", "redirect_url"},
	{"broken redirect", `{"email_address":"x@example.com","role":"org:member","redirect_url":"https://%zz"}`, 422, "form_param_format_invalid", "redirect_url"},
	{"redirect of the wrong type", `{"email_address":"x@example.com","role":"org:member","redirect_url":1}`, 422, "form_param_type_invalid", "redirect_url"},
	{"unknown inviter", `{"email_address":"x@example.com","role":"org:member","inviter_user_id":"user_0"}`, 404, "resource_not_found", ""},
	{"member", person("MEMBER@example.com"), 400, "already_a_member_in_organization", ""},
	{"invited", person("Invited@example.com"), 400, "organization_invitation_not_unique", ""},
	{"blocked", person("blocked@example.com"), 403, "not_allowed_access", ""},
}

func refusing(tb testing.TB, opts ...clerktest.Option) *api {
	tb.Helper()
	is := func(email string) func(string) bool { return func(e string) bool { return e == email } }
	a := inMemory(tb, append(opts, clerktest.WithoutRateLimits(),
		clerktest.WithBlocked(is("blocked@example.com")), clerktest.WithRejected(is("rejected@example.com")))...)
	a.AddMember(a.OrganizationID(), "member@example.com", "org:member")
	a.AddInvitation(a.OrganizationID(), "invited@example.com", "org:member")
	return a
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	for _, tt := range refusals {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			a := refusing(t)
			for _, call := range []struct{ path, body string }{
				{"/invitations", tt.item},
				{"/invitations/bulk", "[" + person("good@example.com") + "," + tt.item + "]"},
			} {
				_, meta := requireError(t, a.do("POST", a.org(call.path), call.body), tt.status, tt.code)
				if tt.param != "" {
					require.Equal(t, tt.param, meta["param_name"])
				} else {
					require.Empty(t, meta, "nobody is named")
				}
			}
			require.Empty(t, a.InvitedAddresses(a.OrganizationID()), "nothing was created")
			require.Len(t, a.Invitations(a.OrganizationID()), 1)
		})
	}
}

func TestMetadataOf8KB(t *testing.T) {
	t.Parallel()
	a := inMemory(t)
	meta := `{"a":"` + strings.Repeat("x", 8192-8) + `"}`
	require.Len(t, meta, 8192)
	got := a.do("POST", a.org("/invitations"), `{"email_address":"x@example.com","role":"org:member","public_metadata":`+meta+`}`)
	require.Equal(t, 200, got.status, got.body)
}

func TestInviterHasToBeAdmin(t *testing.T) {
	t.Parallel()
	a := inMemory(t)
	plain := a.AddMember(a.OrganizationID(), "plain@example.com", "org:member")
	elsewhere := a.AddMember(a.AddOrganization(clerktest.Organization{}), "elsewhere@example.com", "org:admin")
	invite := func(inviter string) answer {
		return a.do("POST", a.org("/invitations"), fmt.Sprintf(`{"email_address":"x@example.com","role":"org:member","inviter_user_id":%q}`, inviter))
	}
	_, meta := requireError(t, invite(plain), 403, "missing_organization_permission")
	require.Contains(t, meta, "permissions")
	requireError(t, invite(elsewhere), 403, "not_a_member_in_organization")
	require.Equal(t, 200, invite(a.AdminUserID()).status)
}

func TestBulkBodies(t *testing.T) {
	t.Parallel()
	a := inMemory(t)
	for _, tt := range []struct {
		name, body string
		status     int
		code       string
	}{
		{"none", "", 400, "request_body_invalid"},
		{"not JSON", "[{", 400, "request_body_invalid"},
		{"two values", "[] []", 400, "request_body_invalid"},
		{"not UTF-8", "[\"\xff\"]", 400, "request_body_invalid"},
		{"object", person("x@example.com"), 400, "malformed_request_parameters"},
		{"null", "null", 400, "malformed_request_parameters"},
		{"texts", `["x@example.com"]`, 400, "malformed_request_parameters"},
		{"empty", "[]", 422, "form_param_missing"},
		{"eleven", people(addresses(11, 0)...), 400, "bulk_size_exceeded"},
		{"too large", "[" + strings.Repeat(" ", 1<<20) + "]", 413, "request_body_too_large"},
	} {
		requireError(t, a.do("POST", a.org("/invitations/bulk"), tt.body), tt.status, tt.code)
	}
	for _, tt := range []struct{ body, code string }{
		{"", "request_body_invalid"},
		{"{", "request_body_invalid"},
		{"[]", "malformed_request_parameters"},
		{`"x"`, "malformed_request_parameters"},
	} {
		requireError(t, a.do("POST", a.org("/invitations"), tt.body), 400, tt.code)
	}
	require.Empty(t, a.Invitations(a.OrganizationID()))
	require.Len(t, decode[invitationList](t, a.bulk(addresses(10, 0)...)).Data, 10)
}

func TestBulkTwiceTheSame(t *testing.T) {
	t.Parallel()
	a := inMemory(t)
	requireError(t, a.bulk("x@example.com", "y@example.com", "X@Example.com"), 400, "organization_invitation_not_unique")
	require.Empty(t, a.Invitations(a.OrganizationID()))
}

func TestPartialBulk(t *testing.T) {
	t.Parallel()
	for _, tt := range refusals {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			a := refusing(t, clerktest.WithPartialBulk(true))
			body := "[" + person("one@example.com") + "," + person("two@example.com") + "," + tt.item + "," + person("after@example.com") + "]"
			requireError(t, a.do("POST", a.org("/invitations/bulk"), body), tt.status, tt.code)
			require.Equal(t, map[string]int{"one@example.com": 1, "two@example.com": 1}, a.InvitedAddresses(a.OrganizationID()))
			require.Equal(t, 2, a.Calls()[0].Invited)
			require.Equal(t, tt.status, a.Calls()[0].Status)
		})
	}
	a := inMemory(t, clerktest.WithPartialBulk(true))
	requireError(t, a.bulk(addresses(11, 0)...), 400, "bulk_size_exceeded")
	requireError(t, a.bulk("x@example.com", "x@example.com"), 400, "organization_invitation_not_unique")
	require.Equal(t, map[string]int{"x@example.com": 1}, a.InvitedAddresses(a.OrganizationID()))
}

func TestNamedRefusals(t *testing.T) {
	t.Parallel()
	const good = "good@example.com"
	pairs := map[string][2]string{
		"duplicate": {"invited@example.com", "invited2@example.com"},
		"member":    {"member@example.com", "member2@example.com"},
		"blocked":   {"blocked@example.com", "blocked2@example.com"},
	}
	tests := []struct {
		naming      clerktest.Naming
		kind        string
		status      int
		code        string
		list        string // where in meta
		named, text bool
	}{
		{clerktest.NameNone, "duplicate", 400, "organization_invitation_not_unique", "", false, false},
		{clerktest.NameNone, "member", 400, "already_a_member_in_organization", "", false, false},
		{clerktest.NameNone, "blocked", 403, "not_allowed_access", "", false, false},
		{clerktest.NameInMeta, "duplicate", 400, "duplicate_record", "email_addresses", true, false},
		{clerktest.NameInMeta, "member", 400, "already_a_member_in_organization", "", true, true},
		{clerktest.NameInMeta, "blocked", 403, "not_allowed_access", "identifiers", true, false},
		{clerktest.NameInText, "duplicate", 400, "duplicate_record", "", true, true},
		{clerktest.NameInText, "member", 400, "already_a_member_in_organization", "", true, true},
		{clerktest.NameInText, "blocked", 403, "not_allowed_access", "", true, true},
	}
	for _, tt := range tests {
		a := inMemory(t, clerktest.WithNamedRefusals(tt.naming),
			clerktest.WithBlocked(func(email string) bool { return strings.HasPrefix(email, "blocked") }))
		for _, suffix := range []string{"", "2"} {
			a.AddMember(a.OrganizationID(), "member"+suffix+"@example.com", "org:member")
			a.AddInvitation(a.OrganizationID(), "invited"+suffix+"@example.com", "org:member")
		}
		who := pairs[tt.kind]
		long, meta := requireError(t, a.bulk(who[0], good, who[1]), tt.status, tt.code)
		for _, email := range who {
			assert.Equal(t, tt.text, strings.Contains(long, email), long)
		}
		assert.NotContains(t, long, good)
		if tt.list == "" {
			assert.Empty(t, meta)
		} else {
			assert.Equal(t, map[string]any{tt.list: []any{who[0], who[1]}}, meta)
		}
	}
}

func TestMembershipQuota(t *testing.T) {
	t.Parallel()
	a := inMemory(t, clerktest.WithMaxMemberships(4)) // the admin is one
	requireError(t, a.bulk(addresses(4, 0)...), 403, "organization_membership_quota_exceeded")
	require.Equal(t, 200, a.bulk(addresses(3, 0)...).status)
	requireError(t, a.create("late@example.com"), 403, "organization_membership_quota_exceeded")
	requireError(t, a.create("p000000@example.com"), 400, "organization_invitation_not_unique")
	inv := a.Invitations(a.OrganizationID())[0]
	require.NoError(t, a.AcceptInvitation(inv.ID))
	requireError(t, a.create("late@example.com"), 403, "organization_membership_quota_exceeded")
	require.NoError(t, a.ExpireInvitation(a.Invitations(a.OrganizationID())[1].ID))
	require.Equal(t, 200, a.create("late@example.com").status)

	unlimited := inMemory(t, clerktest.WithMaxMemberships(0))
	require.Equal(t, 200, unlimited.bulk(addresses(10, 0)...).status)
}

func TestCreate(t *testing.T) {
	t.Parallel()
	for name, open := range transports {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := open(t)
			inv := decode[invitation](t, a.create("x@example.com"))
			require.Equal(t, "x@example.com", inv.EmailAddress)
			require.Equal(t, 1, a.CallCount(clerktest.OpCreate))
			require.Equal(t, inv.ID, a.Invitations(a.OrganizationID())[0].ID)
		})
	}
}

// TestExpiry: a pending invitation ends by itself, and then the address can be
// invited again.
func TestExpiry(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := inMemory(t)
		org := a.OrganizationID()
		a.do("POST", a.org("/invitations"), `{"email_address":"day@example.com","role":"org:member","expires_in_days":1}`)
		a.create("month@example.com")
		time.Sleep(24*time.Hour - time.Millisecond)
		requireError(t, a.create("day@example.com"), 400, "organization_invitation_not_unique")
		time.Sleep(time.Millisecond)
		require.Equal(t, map[string]string{"day@example.com": "expired", "month@example.com": "pending"}, statuses(a.Server, org))
		old := a.Invitations(org)[0]
		require.Equal(t, old.ExpiresAt, old.UpdatedAt)
		requireError(t, a.do("POST", a.org("/invitations/"+old.ID+"/revoke"), ""), 404, "organization_invitation_not_pending")
		require.Error(t, a.AcceptInvitation(old.ID))

		require.Equal(t, 200, a.create("day@example.com").status)
		require.Equal(t, 2, a.TimesInvited(org, "day@example.com"))
		time.Sleep(29 * 24 * time.Hour)
		require.Equal(t, "expired", statuses(a.Server, org)["month@example.com"])
		require.Equal(t, 1, decode[invitationList](t, a.do("GET", a.org("/invitations?status=pending"), "")).TotalCount)
	})
}

func TestContentTypeAndVersion(t *testing.T) {
	t.Parallel()
	a := inMemory(t)
	for i, contentType := range []string{"", "application/json", "Application/JSON; charset=utf-8"} {
		req := a.request("POST", a.org("/invitations"), person(addresses(1, i)[0]))
		req.Header.Set("Content-Type", contentType)
		req.Header.Set("Clerk-API-Version", []string{"", "2026-05-12", "of-the-future"}[i])
		got, err := a.send(req)
		require.NoError(t, err)
		require.Equal(t, 200, got.status, got.body)
	}
	req := a.request("POST", a.org("/invitations"), person("x@example.com"))
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	got, err := a.send(req)
	require.NoError(t, err)
	requireError(t, got, 415, "unsupported_content_type")
}

func TestChunkedBody(t *testing.T) {
	t.Parallel()
	for name, open := range transports {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := open(t)
			req := a.request("POST", a.org("/invitations"), "")
			req.Body = readCloser{strings.NewReader(person("x@example.com"))}
			req.ContentLength = -1
			got, err := a.send(req)
			require.NoError(t, err)
			require.Equal(t, 200, got.status, got.body)
		})
	}
}

type readCloser struct{ *strings.Reader }

func (readCloser) Close() error { return nil }

func TestRawJSONSurvivesListing(t *testing.T) {
	t.Parallel()
	a := inMemory(t)
	a.do("POST", a.org("/invitations"), `{"email_address":"x@example.com","role":"org:member","public_metadata":{"id":18446744073709551617}}`)
	got := a.do("GET", a.org("/invitations"), "")
	var list struct {
		Data []struct {
			PublicMetadata map[string]json.Number `json:"public_metadata"`
		} `json:"data"`
	}
	require.NoError(t, json.Unmarshal([]byte(got.body), &list))
	require.Equal(t, json.Number("18446744073709551617"), list.Data[0].PublicMetadata["id"])
}
