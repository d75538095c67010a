package clerktest_test

import (
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/clerkorg/clerkorg-go/clerktest"
)

type user struct {
	Object                string `json:"object"`
	ID                    string `json:"id"`
	PrimaryEmailAddressID string `json:"primary_email_address_id"`
	EmailAddresses        []struct {
		ID           string `json:"id"`
		Object       string `json:"object"`
		EmailAddress string `json:"email_address"`
	} `json:"email_addresses"`
}

func (a *api) users(query string) []user {
	a.t.Helper()
	return decode[[]user](a.t, a.do("GET", "/users"+query, ""))
}

func ids(users []user) []string {
	all := []string{}
	for _, u := range users {
		all = append(all, u.ID)
	}
	return all
}

func TestUsers(t *testing.T) {
	t.Parallel()
	for name, open := range transports {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := open(t)
			other := a.AddOrganization(clerktest.Organization{Name: "Other"})
			admin := a.AdminUserID()
			c := a.AddMember(other, "C@example.com", "org:member")
			b := a.AddMember(a.OrganizationID(), "b@example.com", "org:member")
			require.NoError(t, a.AddUserAddress(b, "Second@example.com"))
			a.AddInvitation(other, "invited@example.com", "org:member") // no user yet

			require.Equal(t, []string{b, c, admin}, ids(a.users("")), "the newest first, of every organization")
			require.Equal(t, []string{c}, ids(a.users("?limit=1&offset=1")))
			require.Equal(t, []string{admin, c, b}, ids(a.users("?order_by=%2Bcreated_at")))
			require.Equal(t, []string{admin, b, c}, ids(a.users("?order_by=email_address")))
			require.Equal(t, "[]", a.do("GET", "/users?offset=3", "").body)

			require.Equal(t, []string{b, admin}, ids(a.users("?user_id="+admin+"&user_id="+b+"&user_id=user_0&user_id="+b)))
			require.Equal(t, []string{b, c}, ids(a.users("?email_address=c@EXAMPLE.com&email_address=b@example.com&email_address=second@example.com&email_address=invited@example.com")))
			require.Equal(t, []string{c}, ids(a.users("?email_address=c@example.com&email_address=b@example.com&user_id="+c)), "both filters")
			require.Empty(t, a.users("?user_id=user_0"))
			require.JSONEq(t, `{"object":"total_count","total_count":3}`, a.do("GET", "/users/count", "").body)
			require.JSONEq(t, `{"object":"total_count","total_count":1}`, a.do("GET", "/users/count?email_address=c@example.com&limit=1", "").body)

			got := a.users("?email_address=second@example.com")[0]
			require.Equal(t, "user", got.Object)
			require.Len(t, got.EmailAddresses, 2)
			require.Equal(t, "b@example.com", got.EmailAddresses[0].EmailAddress)
			require.Equal(t, "Second@example.com", got.EmailAddresses[1].EmailAddress)
			require.Equal(t, got.EmailAddresses[0].ID, got.PrimaryEmailAddressID)
			require.Regexp(t, `^idn_[0-9A-Za-z]{27}$`, got.EmailAddresses[1].ID)
			require.NotEqual(t, got.EmailAddresses[0].ID, got.EmailAddresses[1].ID)
			require.Equal(t, a.CallCount(clerktest.OpAny)-2, a.CallCount(clerktest.OpUsers))
		})
	}
}

func TestUsersRefusals(t *testing.T) {
	t.Parallel()
	for name, open := range transports {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := open(t)
			for query, code := range map[string]string{
				"limit=0":       "form_param_value_invalid",
				"limit=501":     "form_param_value_too_large",
				"offset=-1":     "form_param_value_invalid",
				"order_by=role": "form_param_value_invalid",
			} {
				requireError(t, a.do("GET", "/users?"+query, ""), 422, code)
			}
			for _, filter := range []string{"email_address", "user_id"} {
				many := url.Values{filter: addresses(100, 0)}
				require.Empty(t, a.users("?limit=500&"+many.Encode()))
				many.Add(filter, "one@example.com")
				_, meta := requireError(t, a.do("GET", "/users?"+many.Encode(), ""), 422, "form_param_array_size_exceeded")
				require.Equal(t, filter, meta["param_name"])
			}
			requireError(t, a.do("POST", "/users", "{}"), 405, "bad_request")
		})
	}
}

func TestUsersQuotaAndFaults(t *testing.T) {
	t.Parallel()
	a := inMemory(t, clerktest.WithQuota(clerktest.OpUsers, 2, time.Hour))
	a.Inject(clerktest.Fault{Operation: clerktest.OpUsers, Calls: []int{1}, Status: 503})
	require.Equal(t, 200, a.do("GET", a.org(""), "").status, "another operation")
	requireError(t, a.do("GET", "/users", ""), 503, "service_unavailable")
	require.Len(t, a.users(""), 1)
	require.Positive(t, retryAfter(t, a.do("GET", "/users", "")))
	require.Equal(t, 200, a.do("GET", a.org(""), "").status)
}

func TestAddUserAddress(t *testing.T) {
	t.Parallel()
	a := inMemory(t)
	id := a.AddMember(a.OrganizationID(), "first@example.com", "org:member")
	require.NoError(t, a.AddUserAddress(id, "Second@example.com"))
	require.NoError(t, a.AddUserAddress(id, "second@EXAMPLE.com"), "again")
	require.NoError(t, a.AddUserAddress(id, "first@example.com"), "the first one")
	require.Len(t, a.users("?user_id=" + id)[0].EmailAddresses, 2)
	require.ErrorContains(t, a.AddUserAddress("user_0", "x@example.com"), "user_0")
	require.ErrorContains(t, a.AddUserAddress(a.AdminUserID(), "SECOND@example.com"), "SECOND@example.com")

	list := func(query string) membershipList {
		return decode[membershipList](t, a.do("GET", a.org("/memberships")+query, ""))
	}
	for _, query := range []string{"?email_address=second@example.com", "?email_address=second@example.com&email_address=first@example.com", "?query=SECOND", "?email_address_query=second"} {
		require.Equal(t, []string{"first@example.com"}, list(query).identifiers(), query)
	}
	requireError(t, a.create("SECOND@example.com"), 400, "already_a_member_in_organization")
	requireError(t, a.bulk("x@example.com", "second@example.com"), 400, "already_a_member_in_organization")
	require.Empty(t, a.Invitations(a.OrganizationID()))

	other := a.AddOrganization(clerktest.Organization{Name: "Other"})
	require.Equal(t, 200, a.do("POST", "/organizations/"+other+"/invitations", person("second@example.com")).status, "not a member there")
	require.NoError(t, a.AcceptInvitation(a.Invitations(other)[0].ID))
	members := decode[membershipList](t, a.do("GET", "/organizations/"+other+"/memberships", ""))
	require.Equal(t, []string{"first@example.com"}, members.identifiers())
	require.Equal(t, id, a.AddMember(other, "second@example.com", "org:member"))
}
