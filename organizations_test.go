package clerkorg

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/clerkorg/clerkorg-go/clerktest"
)

func TestGetOrganization(t *testing.T) {
	bubble(t, func(t *testing.T, server *clerktest.Server) {
		orgs := inMemory(t, server).Organizations
		org := server.AddOrganization(clerktest.Organization{Name: "Big Co", Slug: "big-co", MaxAllowedMemberships: 7})
		server.AddMember(org, "member@example.com", "org:member")
		server.AddMember(org, "other@example.com", "org:member")
		server.AddInvitation(org, "invited@example.com", "org:member")
		for _, name := range []string{org, "big-co"} {
			got, err := orgs.Get(t.Context(), name)
			require.NoError(t, err)
			assert.Equal(t, org, got.ID)
			assert.Equal(t, "Big Co", got.Name)
			assert.Equal(t, 2, got.MembersCount)
			assert.Equal(t, 1, got.PendingInvitationsCount)
			assert.Equal(t, 7, got.MaxAllowedMemberships)
		}
		none, err := orgs.Get(t.Context(), "org_none")
		assert.ErrorIs(t, err, ErrNotFound)
		assert.Nil(t, none)
		calls := server.CallCount(clerktest.OpAny)
		_, err = orgs.Get(t.Context(), "")
		var invalid *ValidationError
		assert.ErrorAs(t, err, &invalid)
		assert.Equal(t, calls, server.CallCount(clerktest.OpAny))
	})
}

func TestGetOrganizationOnTheWire(t *testing.T) {
	t.Parallel()
	var asked *http.Request
	client := newTestClient(t, transportFunc(func(req *http.Request) (*http.Response, error) {
		asked = req
		return canned(req, 200, `{"object":"organization","id":"org_1","members_count":3,"pending_invitations_count":2,"max_allowed_memberships":5,"created_at":1700000000000}`), nil
	}))
	got, err := client.Organizations.Get(t.Context(), "a/b")
	require.NoError(t, err)
	assert.Equal(t, "GET", asked.Method)
	assert.Equal(t, "/v1/organizations/a%2Fb", asked.URL.EscapedPath())
	assert.Equal(t, "include_members_count=true", asked.URL.RawQuery)
	assert.Equal(t, []int{3, 2, 5}, []int{got.MembersCount, got.PendingInvitationsCount, got.MaxAllowedMemberships})

	client = newTestClient(t, transportFunc(func(req *http.Request) (*http.Response, error) {
		return canned(req, 200, `{"data":[]}`), nil
	}))
	got, err = client.Organizations.Get(t.Context(), "org_1")
	assert.ErrorContains(t, err, "no organization")
	assert.Nil(t, got)
}

func TestListMemberships(t *testing.T) {
	bubble(t, func(t *testing.T, server *clerktest.Server) {
		orgs, org := inMemory(t, server).Organizations, server.OrganizationID()
		var addresses []string
		for i := range 150 {
			addresses = append(addresses, fmt.Sprintf("member%d@example.com", i))
			server.AddMember(org, addresses[i], "org:member")
		}
		list, err := orgs.ListMemberships(t.Context(), org, &ListMembershipsParams{EmailAddress: append([]string{"nobody@example.com"}, addresses[:99]...), Limit: 500})
		require.NoError(t, err)
		assert.Len(t, list.Data, 99)
		assert.Equal(t, 99, list.TotalCount)
		list, err = orgs.ListMemberships(t.Context(), org, nil)
		require.NoError(t, err)
		assert.Len(t, list.Data, 10)
		assert.Equal(t, 151, list.TotalCount)
		assert.Equal(t, "member149@example.com", list.Data[0].PublicUserData.Identifier)

		calls := server.CallCount(clerktest.OpAny)
		for _, params := range []*ListMembershipsParams{
			{EmailAddress: addresses[:101]}, {EmailAddress: []string{"nobody"}}, {OrderBy: "odd"}, {Limit: 501}, {Offset: -1},
		} {
			list, err = orgs.ListMemberships(t.Context(), org, params)
			var invalid *ValidationError
			assert.ErrorAs(t, err, &invalid)
			assert.Nil(t, list)
		}
		assert.Equal(t, calls, server.CallCount(clerktest.OpAny))
		_, err = orgs.ListMemberships(t.Context(), "org_none", nil)
		assert.ErrorIs(t, err, ErrNotFound)
	})
}

func TestMemberships(t *testing.T) {
	bubble(t, func(t *testing.T, server *clerktest.Server) {
		orgs, org := inMemory(t, server).Organizations, server.OrganizationID()
		for i := range 1200 {
			server.AddMember(org, fmt.Sprintf("member%d@example.com", i), "org:member")
		}
		for _, params := range []*ListMembershipsParams{nil, {OrderBy: "+email_address"}, {OrderBy: "+created_at", Limit: 100}, {EmailAddress: []string{"member7@example.com"}}} {
			seen := map[string]bool{}
			joined := 0
			for membership, err := range orgs.Memberships(t.Context(), org, params) {
				require.NoError(t, err)
				require.False(t, seen[membership.ID])
				seen[membership.ID] = true
				if joined++; joined%300 == 0 { // somebody comes while it is read
					server.AddMember(org, fmt.Sprintf("late%d@example.com", server.CallCount(clerktest.OpAny)), "org:member")
				}
			}
			if params != nil && params.EmailAddress != nil {
				assert.Len(t, seen, 1)
			} else {
				assert.GreaterOrEqual(t, len(seen), 1201)
			}
		}
		for _, err := range orgs.Memberships(t.Context(), "org_none", nil) {
			assert.ErrorIs(t, err, ErrNotFound)
		}
	})
}
