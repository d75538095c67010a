package clerktest_test

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/clerkorg/clerkorg-go/clerktest"
)

func (a *api) list(query string) invitationList {
	a.t.Helper()
	return decode[invitationList](a.t, a.do("GET", a.org("/invitations")+query, ""))
}

func TestListPages(t *testing.T) {
	t.Parallel()
	for name, open := range transports {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := open(t)
			emails := addresses(25, 0)
			for part := range slices.Chunk(emails, 10) {
				require.Equal(t, 200, a.bulk(part...).status)
			}
			slices.Reverse(emails) // newest first, also within one call
			got := a.list("")
			require.Equal(t, 25, got.TotalCount)
			require.Equal(t, emails[:10], got.emails())
			require.Nil(t, got.Data[0].PublicOrganizationData)
			require.Equal(t, emails[20:], a.list("?offset=20").emails())
			require.Equal(t, emails, a.list("?limit=500").emails())
			require.Equal(t, emails[3:5], a.list("?limit=2&offset=3&order_by=-created_at").emails())

			beyond := a.do("GET", a.org("/invitations?offset=25"), "")
			require.JSONEq(t, `{"data":[],"total_count":25}`, beyond.body)

			slices.Reverse(emails)
			for _, order := range []string{"created_at", "+created_at", url.QueryEscape("+created_at"), "email_address"} {
				require.Equal(t, emails[:10], a.list("?order_by="+order).emails(), order)
			}
			slices.Reverse(emails)
			require.Equal(t, emails[:10], a.list("?order_by=-email_address").emails())
		})
	}
}

func TestListFilters(t *testing.T) {
	t.Parallel()
	a := inMemory(t)
	org := a.OrganizationID()
	accepted := a.AddInvitation(org, "accepted@example.com", "org:member")
	require.NoError(t, a.AcceptInvitation(accepted))
	require.NoError(t, a.ExpireInvitation(a.AddInvitation(org, "twice@example.com", "org:member")))
	a.AddInvitation(org, "Twice@example.com", "org:member")
	revoked := a.AddInvitation(org, "revoked@example.com", "org:member")
	require.Equal(t, 200, a.do("POST", a.org("/invitations/"+revoked+"/revoke"), "").status)

	require.Equal(t, []string{"accepted@example.com"}, a.list("?status=accepted").emails())
	require.Equal(t, []string{"Twice@example.com", "twice@example.com"}, a.list("?status=pending&status=expired").emails())
	require.Equal(t, 4, a.list("?status=pending&status=expired&status=revoked&status=accepted").TotalCount)
	require.Equal(t, []string{"Twice@example.com", "twice@example.com"}, a.list("?email_address=TWICE@example.com").emails())
	require.Equal(t, []string{"twice@example.com"}, a.list("?email_address=twice@example.com&status=expired").emails())
	require.Empty(t, a.list("?email_address=twice").emails(), "the whole address")
	require.Equal(t, 1, a.list("?status=revoked&limit=1").TotalCount)
	for _, inv := range a.list("").Data {
		require.Equal(t, inv.Status == "pending", inv.URL != nil)
	}
}

func TestListRefusals(t *testing.T) {
	t.Parallel()
	a := inMemory(t)
	for query, code := range map[string]string{
		"?limit=0":            "form_param_value_invalid",
		"?limit=501":          "form_param_value_too_large",
		"?limit=ten":          "form_param_type_invalid",
		"?offset=-1":          "form_param_value_invalid",
		"?status=open":        "form_param_value_invalid",
		"?order_by=role":      "form_param_value_invalid",
		"?order_by=--created": "form_param_value_invalid",
		"?order_by=%2B":       "form_param_value_invalid",
	} {
		for _, path := range []string{a.org("/invitations"), "/organization_invitations"} {
			_, meta := requireError(t, a.do("GET", path+query, ""), 422, code)
			name, _, _ := strings.Cut(query[1:], "=")
			require.Equal(t, name, meta["param_name"])
		}
	}
	requireError(t, a.do("GET", "/organizations/org_0/invitations", ""), 404, "resource_not_found")
}

func TestListInstance(t *testing.T) {
	t.Parallel()
	for name, open := range transports {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := open(t)
			other := a.AddOrganization(clerktest.Organization{Name: "Other One"})
			a.AddInvitation(a.OrganizationID(), "one@example.com", "org:member")
			a.AddInvitation(other, "Two@example.com", "org:member")
			a.AddInvitation(a.OrganizationID(), "three@example.org", "org:member")

			all := decode[invitationList](t, a.do("GET", "/organization_invitations", ""))
			require.Equal(t, []string{"three@example.org", "Two@example.com", "one@example.com"}, all.emails())
			require.JSONEq(t, fmt.Sprintf(`{"id":%q,"name":"Other One","slug":"other-one","image_url":"https://img.clerk.example/default.png","has_image":false}`, other),
				string(*all.Data[1].PublicOrganizationData))
			some := decode[invitationList](t, a.do("GET", "/organization_invitations?query=EXAMPLE.COM&status=pending&order_by=email_address&limit=1&offset=1", ""))
			require.Equal(t, []string{"Two@example.com"}, some.emails())
			require.Equal(t, 2, some.TotalCount)
			require.Equal(t, 2, a.CallCount(clerktest.OpListInstance))
		})
	}
}

func TestListLag(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := inMemory(t, clerktest.WithListLag(5*time.Second))
		id := decode[invitation](t, a.create("x@example.com")).ID
		time.Sleep(4 * time.Second)
		a.create("y@example.com")
		require.Zero(t, a.list("").TotalCount)
		require.Zero(t, a.list("?email_address=x@example.com").TotalCount)
		require.Equal(t, 200, a.do("GET", a.org("/invitations/"+id), "").status, "by its id at once")
		requireError(t, a.create("x@example.com"), 400, "organization_invitation_not_unique")
		require.Len(t, a.Invitations(a.OrganizationID()), 2)
		time.Sleep(time.Second)
		require.Equal(t, []string{"x@example.com"}, a.list("?status=pending").emails())
		time.Sleep(4 * time.Second)
		require.Equal(t, 2, decode[invitationList](t, a.do("GET", "/organization_invitations", "")).TotalCount)
	})
}

// BenchmarkListPending pages through the pending ones of 100,000 invitations.
func BenchmarkListPending(b *testing.B) {
	a := inMemory(b, clerktest.WithoutRateLimits())
	for i := range 100_000 {
		a.AddInvitation(a.OrganizationID(), fmt.Sprintf("p%d@example.com", i), "org:member")
	}
	for b.Loop() {
		a.do("GET", a.org("/invitations?status=pending&limit=500&offset=50000"), "")
	}
}
