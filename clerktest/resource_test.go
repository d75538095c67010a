package clerktest_test

import (
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/clerkorg/clerkorg-go/clerktest"
)

func TestGetAndRevoke(t *testing.T) {
	t.Parallel()
	for name, open := range transports {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := open(t)
			for i, body := range []string{"", "{}", "null", `{"requesting_user_id":null}`, fmt.Sprintf(`{"requesting_user_id":%q}`, a.AdminUserID())} {
				id := decode[invitation](t, a.create(fmt.Sprintf("p%d@example.com", i))).ID
				path := a.org("/invitations/" + id)
				require.Equal(t, "pending", decode[invitation](t, a.do("GET", path, "")).Status)
				revoked := decode[invitation](t, a.do("POST", path+"/revoke", body))
				require.Equal(t, id, revoked.ID)
				require.Equal(t, "revoked", revoked.Status)
				require.Nil(t, revoked.URL)
				require.GreaterOrEqual(t, revoked.UpdatedAt, revoked.CreatedAt)
				require.Equal(t, revoked, decode[invitation](t, a.do("GET", path, "")))
				requireError(t, a.do("POST", path+"/revoke", body), 404, "organization_invitation_not_pending")
				require.Equal(t, 200, a.create(fmt.Sprintf("p%d@example.com", i)).status, "it can be invited again")
			}
			require.Equal(t, 10, a.CallCount(clerktest.OpRevoke))
			require.Equal(t, 10, a.CallCount(clerktest.OpGet))
		})
	}
}

func TestGetAndRevokeRefusals(t *testing.T) {
	t.Parallel()
	a := inMemory(t)
	elsewhere := a.AddOrganization(clerktest.Organization{})
	theirs := a.AddInvitation(elsewhere, "x@example.com", "org:member")
	ours := a.AddInvitation(a.OrganizationID(), "x@example.com", "org:member")
	plain := a.AddMember(a.OrganizationID(), "plain@example.com", "org:member")
	for _, path := range []string{
		a.org("/invitations/orginv_0"),
		a.org("/invitations/" + theirs),
		"/organizations/org_0/invitations/" + ours,
	} {
		requireError(t, a.do("GET", path, ""), 404, "resource_not_found")
		requireError(t, a.do("POST", path+"/revoke", "{}"), 404, "resource_not_found")
	}
	revoke := a.org("/invitations/" + ours + "/revoke")
	requireError(t, a.do("POST", revoke, "{"), 400, "request_body_invalid")
	requireError(t, a.do("POST", revoke, "[]"), 400, "malformed_request_parameters")
	requireError(t, a.do("POST", revoke, `{"user":"x"}`), 422, "form_param_unknown")
	requireError(t, a.do("POST", revoke, `{"requesting_user_id":7}`), 422, "form_param_type_invalid")
	requireError(t, a.do("POST", revoke, `{"requesting_user_id":"user_0"}`), 404, "resource_not_found")
	requireError(t, a.do("POST", revoke, fmt.Sprintf(`{"requesting_user_id":%q}`, plain)), 403, "missing_organization_permission")
	require.Equal(t, "pending", a.Invitations(a.OrganizationID())[0].Status)
}

type organization struct {
	ID                      string `json:"id"`
	Name                    string `json:"name"`
	Slug                    string `json:"slug"`
	MembersCount            *int   `json:"members_count"`
	PendingInvitationsCount *int   `json:"pending_invitations_count"`
	MaxAllowedMemberships   int    `json:"max_allowed_memberships"`
	CreatedBy               string `json:"created_by"`
}

func TestGetOrganization(t *testing.T) {
	t.Parallel()
	for name, open := range transports {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := open(t, clerktest.WithMaxMemberships(7))
			a.AddInvitation(a.OrganizationID(), "x@example.com", "org:member")
			got := decode[organization](t, a.do("GET", a.org(""), ""))
			require.Equal(t, organization{
				ID: a.OrganizationID(), Name: "Test Organization", Slug: "test-organization",
				PendingInvitationsCount: new(1), MaxAllowedMemberships: 7, CreatedBy: a.AdminUserID(),
			}, got)
			bySlug := decode[organization](t, a.do("GET", "/organizations/test-organization?include_members_count=true", ""))
			require.Equal(t, got.ID, bySlug.ID)
			require.Equal(t, 1, *bySlug.MembersCount)
			requireError(t, a.do("GET", "/organizations/nobody", ""), 404, "resource_not_found")
		})
	}
}

type membershipList struct {
	Data []struct {
		ID             string       `json:"id"`
		Role           string       `json:"role"`
		RoleName       string       `json:"role_name"`
		Permissions    []string     `json:"permissions"`
		Organization   organization `json:"organization"`
		PublicUserData struct {
			UserID     string `json:"user_id"`
			Identifier string `json:"identifier"`
		} `json:"public_user_data"`
	} `json:"data"`
	TotalCount int `json:"total_count"`
}

func (l membershipList) identifiers() []string {
	all := []string{}
	for _, m := range l.Data {
		all = append(all, m.PublicUserData.Identifier)
	}
	return all
}

func TestMemberships(t *testing.T) {
	t.Parallel()
	for name, open := range transports {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := open(t)
			b := a.AddMember(a.OrganizationID(), "b@example.com", "org:member")
			a.AddMember(a.OrganizationID(), "C@example.com", "org:guide")
			require.NoError(t, a.AcceptInvitation(a.AddInvitation(a.OrganizationID(), "d@example.com", "org:member")))
			list := func(query string) membershipList {
				return decode[membershipList](t, a.do("GET", a.org("/memberships")+query, ""))
			}
			all := list("")
			require.Equal(t, []string{"d@example.com", "C@example.com", "b@example.com", "admin@example.com"}, all.identifiers())
			require.Equal(t, 4, all.TotalCount)
			require.Equal(t, a.AdminUserID(), all.Data[3].PublicUserData.UserID)
			require.Equal(t, "Admin", all.Data[3].RoleName)
			require.Contains(t, all.Data[3].Permissions, "org:sys_memberships:manage")
			require.Equal(t, a.OrganizationID(), all.Data[0].Organization.ID)

			require.Equal(t, []string{"C@example.com", "b@example.com"},
				list("?email_address=B@example.com&email_address=c@example.com&email_address=nobody@example.com").identifiers())
			require.Equal(t, []string{"C@example.com"}, list("?role=org:guide").identifiers())
			require.Equal(t, []string{"b@example.com"}, list("?user_id="+b).identifiers())
			require.Equal(t, []string{"C@example.com"}, list("?query=c@EX").identifiers())
			page := list("?order_by=%2Bemail_address&limit=2&offset=1")
			require.Equal(t, []string{"b@example.com", "C@example.com"}, page.identifiers())
			require.Equal(t, 4, page.TotalCount)
			require.Empty(t, list("?email_address=nobody@example.com").identifiers())

			hundred := make(url.Values)
			hundred["email_address"] = addresses(100, 0)
			require.Zero(t, list("?"+hundred.Encode()).TotalCount)
			hundred.Add("email_address", "b@example.com")
			requireError(t, a.do("GET", a.org("/memberships?")+hundred.Encode(), ""), 422, "form_param_array_size_exceeded")
			requireError(t, a.do("GET", a.org("/memberships?limit=501"), ""), 422, "form_param_value_too_large")
			requireError(t, a.do("GET", "/organizations/org_0/memberships", ""), 404, "resource_not_found")
		})
	}
}

func TestAuthentication(t *testing.T) {
	t.Parallel()
	for name, open := range transports {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := open(t, clerktest.WithQuota(clerktest.QuotaInstance, 1, 1e12))
			for header, code := range map[string]string{
				"":                                 "authorization_header_format_invalid",
				a.SecretKey():                      "authorization_header_format_invalid",
				"Basic " + a.SecretKey():           "authorization_header_format_invalid",
				"Bearer sk_test_of_somebody":       "clerk_key_invalid",
				"Bearer " + a.SecretKey() + "more": "clerk_key_invalid",
			} {
				req := a.request("POST", a.org("/invitations"), person("x@example.com"))
				req.Header.Set("Authorization", header)
				got, err := a.send(req)
				require.NoError(t, err)
				requireError(t, got, 401, code)
			}
			require.Zero(t, a.RateLimited())
			require.Equal(t, 200, a.do("GET", a.org(""), "").status, "no quota was spent")
		})
	}
}

func TestPaths(t *testing.T) {
	t.Parallel()
	for name, open := range transports {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := open(t)
			a.base = strings.TrimSuffix(a.base, "/v1")
			for _, prefix := range []string{"", "/v1"} {
				require.Equal(t, 200, a.do("GET", prefix+a.org(""), "").status)
				for _, path := range []string{"", "/", "/users/", "/organisations", "/organizations/", "/organizations//invitations", a.org("/"), a.org("/invitations/"), a.org("/invitations/x/y"), "/organizations/a%2Fb/c"} {
					requireError(t, a.do("GET", prefix+path, ""), 404, "resource_not_found")
				}
			}
			got := a.do("DELETE", a.org("/invitations"), "")
			requireError(t, got, 405, "bad_request")
			require.Equal(t, "POST, GET", got.header.Get("Allow"))
			requireError(t, a.do("POST", "/organization_invitations", "{}"), 405, "bad_request")
			require.Equal(t, clerktest.OpAny, a.Calls()[len(a.Calls())-1].Operation)
			require.Equal(t, len(a.Calls()), a.CallCount(clerktest.OpAny))

			slashed := a.AddOrganization(clerktest.Organization{ID: "org/with slash"})
			require.Equal(t, slashed, decode[organization](t, a.do("GET", "/organizations/"+url.PathEscape(slashed), "")).ID)
		})
	}
}

func TestSetup(t *testing.T) {
	t.Parallel()
	s := clerktest.NewServer()
	require.Regexp(t, `^org_[0-9A-Za-z]{27}$`, s.OrganizationID())
	require.Regexp(t, `^user_[0-9A-Za-z]{27}$`, s.AdminUserID())
	require.Regexp(t, `^sk_test_[0-9A-Za-z]{20,}$`, s.SecretKey())
	require.NotEqual(t, s.SecretKey(), clerktest.NewServer().SecretKey())
	require.Regexp(t, `^sk_live_`, clerktest.NewServer(clerktest.WithLiveKey()).SecretKey())
	require.Equal(t, "sk_test_mine", clerktest.NewServer(clerktest.WithLiveKey(), clerktest.WithSecretKey("sk_test_mine"), nil).SecretKey())

	require.Equal(t, "org_x", s.AddOrganization(clerktest.Organization{ID: "org_x"}))
	require.Equal(t, "org_x", s.AddOrganization(clerktest.Organization{ID: "org_x", Name: "again"}))
	member := s.AddMember("org_x", "M@example.com", "org:new")
	require.Equal(t, member, s.AddMember("org_x", "m@example.com", "org:admin"), "one address, one user")
	require.Equal(t, member, s.AddMember(s.OrganizationID(), "m@EXAMPLE.com", "org:member"))
	id := s.AddInvitation("org_x", "i@example.com", "org:other")
	require.Equal(t, id, s.AddInvitation("org_x", "I@example.com", "org:other"))
	require.Zero(t, s.TimesInvited("org_x", "i@example.com"))
	require.False(t, s.Invitations("org_x")[0].ByAPI)

	require.NoError(t, s.AcceptInvitation(id))
	require.ErrorContains(t, s.AcceptInvitation(id), "accepted")
	require.ErrorContains(t, s.ExpireInvitation(id), "accepted")
	require.Error(t, s.ExpireInvitation("orginv_0"))

	require.Empty(t, s.AddMember("org_0", "x@example.com", "org:member"))
	require.Empty(t, s.AddInvitation("org_0", "x@example.com", "org:member"))
	require.Nil(t, s.Invitations("org_0"))
	require.Nil(t, s.InvitedAddresses("org_0"))
	require.Zero(t, s.TimesInvited("org_0", "x@example.com"))
}

func TestWithRandom(t *testing.T) {
	t.Parallel()
	one, two := inMemory(t, clerktest.WithRandom(7)), inMemory(t, clerktest.WithRandom(7))
	require.Equal(t, one.OrganizationID(), two.OrganizationID())
	require.Equal(t, decode[invitation](t, one.create("x@example.com")).ID, decode[invitation](t, two.create("x@example.com")).ID)
	require.NotEqual(t, one.SecretKey(), two.SecretKey())
	require.NotEqual(t, one.OrganizationID(), inMemory(t, clerktest.WithRandom(8)).OrganizationID())
}

func TestCreateOrganization(t *testing.T) {
	t.Parallel()
	a := inMemory(t)
	created := decode[struct {
		ID        string `json:"id"`
		Slug      string `json:"slug"`
		CreatedBy string `json:"created_by"`
		Most      int    `json:"max_allowed_memberships"`
		Metadata  any    `json:"public_metadata"`
	}](t, a.do("POST", "/organizations", `{"name":"Acme & Sons","created_by":"`+a.AdminUserID()+`","max_allowed_memberships":7,"public_metadata":{"a":1}}`))
	require.Equal(t, "acme-sons", created.Slug)
	require.Equal(t, a.AdminUserID(), created.CreatedBy)
	require.Equal(t, 7, created.Most)
	require.Equal(t, map[string]any{"a": 1.0}, created.Metadata)
	require.Equal(t, "org:admin", a.Members(created.ID)[0].Role)
	require.Equal(t, 200, a.do("POST", "/organizations/"+created.ID+"/invitations", person("a@example.com")).status)
	require.Empty(t, a.Members(decode[struct{ ID string }](t, a.do("POST", "/organizations", `{"name":"Empty"}`)).ID))

	for code, body := range map[string]string{
		"form_param_missing":       `{}`,
		"form_param_unknown":       `{"name":"A","colour":"red"}`,
		"form_identifier_exists":   `{"name":"A","slug":"acme-sons"}`,
		"form_param_value_invalid": `{"name":"A","max_allowed_memberships":-1}`,
		"form_param_type_invalid":  `{"name":7}`,
	} {
		requireError(t, a.do("POST", "/organizations", body), 422, code)
	}
	requireError(t, a.do("POST", "/organizations", `{"name":"A","created_by":"user_none"}`), 404, "resource_not_found")
	requireError(t, a.do("POST", "/organizations", `[]`), 400, "malformed_request_parameters")
}
