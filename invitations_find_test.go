package clerkorg

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/clerkorg/clerkorg-go/clerktest"
)

// find searches, and returns the ids.
func find(t *testing.T, client *Client, org string, since time.Time, addresses ...string) map[string]string {
	t.Helper()
	found, err := client.Organizations.FindInvitations(t.Context(), org, since, addresses)
	require.NoError(t, err)
	require.NotNil(t, found)
	ids := map[string]string{}
	for address, invitation := range found {
		ids[address] = invitation.ID
	}
	return ids
}

func TestFindInvitations(t *testing.T) {
	bubble(t, func(t *testing.T, server *clerktest.Server) {
		org := server.OrganizationID()
		client := inMemory(t, server)
		add := func(address string) string {
			time.Sleep(time.Minute)
			return server.AddInvitation(org, address, "org:member")
		}
		end := func(id string) {
			_, err := client.Organizations.RevokeInvitation(t.Context(), org, id, nil)
			require.NoError(t, err)
		}
		first := add("ada@example.com")
		end(first)
		since := time.Now()
		second := server.AddInvitation(org, "Ada@Example.com", "org:member")
		end(second)
		revoked := add("grace@example.com")
		end(revoked)
		third := add("ada@example.com")
		accepted := add("charles@example.com")
		require.NoError(t, server.AcceptInvitation(accepted))
		other := add("somebody@example.com")

		all := []string{"ADA@example.com", "ada@example.com", "grace@example.com", "charles@example.com", "nobody@example.com"}
		want := map[string]string{"ADA@example.com": third, "ada@example.com": third, "grace@example.com": revoked, "charles@example.com": accepted}
		assert.Equal(t, want, find(t, client, org, time.Time{}, all...))
		assert.Equal(t, want, find(t, client, org, since, all...))
		for _, address := range all { // one by one
			ids := find(t, client, org, since, address)
			assert.Equal(t, want[address], ids[address])
			assert.LessOrEqual(t, len(ids), 1)
		}
		end(third)
		assert.Equal(t, third, find(t, client, org, since, "ada@example.com")["ada@example.com"], "the newest")
		assert.Equal(t, third, find(t, client, org, since, all...)["ada@example.com"], "the newest")

		now := time.Now()
		assert.Empty(t, find(t, client, org, now, all...))
		assert.Empty(t, find(t, client, org, now, "ada@example.com"))
		assert.Empty(t, find(t, client, org, now.Add(time.Hour), all...))
		found, err := client.Organizations.FindInvitations(t.Context(), org, since, []string{"somebody@example.com"})
		require.NoError(t, err)
		made := found["somebody@example.com"].CreatedAt.Time
		assert.Equal(t, InvitationPending, found["somebody@example.com"].Status)
		for _, addresses := range [][]string{{"somebody@example.com"}, {"somebody@example.com", "nobody@example.com"}} {
			assert.Equal(t, map[string]string{"somebody@example.com": other}, find(t, client, org, made.Add(time.Millisecond-1), addresses...), "at that moment or after")
			assert.Empty(t, find(t, client, org, made.Add(time.Millisecond), addresses...))
		}
		before := server.CallCount(clerktest.OpAny)
		assert.Empty(t, find(t, client, org, since))
		assert.Equal(t, before, server.CallCount(clerktest.OpAny), "there is nothing to ask")
	})
}

// TestFindInvitationsCost: the cheaper way is taken, and what it costs at most.
func TestFindInvitationsCost(t *testing.T) {
	bubble(t, func(t *testing.T, server *clerktest.Server) {
		org := server.OrganizationID()
		var addresses []string
		for i := range 6000 {
			addresses = append(addresses, fmt.Sprintf("person%04d@example.com", i))
			server.AddInvitation(org, addresses[i], "org:member")
		}
		time.Sleep(time.Hour)
		since := time.Now()
		var recent []string
		for i := range 10 {
			recent = append(recent, fmt.Sprintf("recent%d@example.com", i))
			server.AddInvitation(org, recent[i], "org:member")
		}
		slices.Reverse(addresses)
		client := inMemory(t, server)
		for name, test := range map[string]struct {
			since       time.Time
			addresses   []string
			found, most int
		}{
			"one":                     {since, recent[:1], 1, 1},
			"an old one":              {time.Time{}, addresses[5999:], 1, 1},
			"one that is not there":   {since, []string{"nobody@example.com"}, 0, 1},
			"in capitals":             {since, []string{"NOBODY@example.com"}, 0, 2},
			"a batch":                 {since, recent, 10, 2},
			"a batch, half of it":     {since, append([]string{"a@x.io", "b@x.io", "c@x.io"}, recent[:5]...), 5, 2},
			"a batch that never was":  {since, []string{"a@x.io", "b@x.io", "c@x.io"}, 0, 2},
			"newest ones, any time":   {time.Time{}, addresses[:20], 20, 2},
			"oldest ones, any time":   {time.Time{}, addresses[5997:], 3, 3 + 1 + 3},
			"all":                     {time.Time{}, addresses, 6000, 13},
			"many that are not there": {time.Time{}, append([]string{"a@x.io", "b@x.io"}, addresses...), 6000, 13},
		} {
			before := server.CallCount(clerktest.OpAny)
			assert.Len(t, find(t, client, org, test.since, test.addresses...), test.found, name)
			time.Sleep(time.Hour) // for what was read ahead
			assert.LessOrEqual(t, server.CallCount(clerktest.OpAny)-before, test.most, name)
		}
	})
}

// A list that is behind tells later.
func TestFindInvitationsInALateList(t *testing.T) {
	bubble(t, func(t *testing.T, server *clerktest.Server) {
		client := inMemory(t, server)
		start := time.Now()
		server.Inject(clerktest.Fault{Operation: clerktest.OpBulk, Kind: clerktest.FaultResetAfter})
		_, err := client.Organizations.CreateInvitationBulk(t.Context(), server.OrganizationID(), two())
		require.ErrorIs(t, err, ErrOutcomeUnknown)
		addresses := []string{two()[0].EmailAddress, two()[1].EmailAddress}
		since := start.Add(-5 * time.Minute)
		assert.Empty(t, find(t, client, server.OrganizationID(), since, addresses...))
		time.Sleep(LateArrival)
		assert.Len(t, find(t, client, server.OrganizationID(), since, addresses...), 2)
	}, clerktest.WithListLag(30*time.Second))
}

// archive answers with its invitations, newest first, and minds the case.
type archive []OrganizationInvitation

func (a archive) RoundTrip(req *http.Request) (*http.Response, error) {
	query := req.URL.Query()
	all := slices.DeleteFunc(slices.Clone(a), func(i OrganizationInvitation) bool {
		return query.Has("email_address") && query.Get("email_address") != i.EmailAddress
	})
	offset, _ := strconv.Atoi(query.Get("offset"))
	limit, _ := strconv.Atoi(query.Get("limit"))
	from := min(offset, len(all))
	body, err := json.Marshal(InvitationList{Data: append([]OrganizationInvitation{}, all[from:min(len(all), from+limit)]...), TotalCount: len(all)})
	return canned(req, 200, string(body)), err
}

// TestFindInvitationsOnOddServers: an older invitation that is pending although there
// is a newer one, one without a time, and a filter that minds the case.
func TestFindInvitationsOnOddServers(t *testing.T) {
	t.Parallel()
	at := func(minute int) Timestamp { return Timestamp{time.Date(2026, 1, 1, 12, minute, 0, 0, time.UTC)} }
	client := newTestClient(t, archive{
		{ID: "4", EmailAddress: "ada@example.com", Status: InvitationRevoked, CreatedAt: at(4)},
		{ID: "undated", EmailAddress: "grace@example.com", Status: InvitationPending},
		{ID: "3", EmailAddress: "ada@example.com", Status: InvitationPending, CreatedAt: at(3)},
		{ID: "2", EmailAddress: "grace@example.com", Status: InvitationAccepted, CreatedAt: at(2)},
		{ID: "1", EmailAddress: "charles@example.com", Status: InvitationPending, CreatedAt: at(1)},
	})
	for _, others := range [][]string{nil, {"x@example.com"}, {"Charles@example.com", "y@example.com"}} {
		for address, want := range map[string][2]string{ // at any time, and since minute 2
			"Ada@example.com":     {"3", "3"},
			"GRACE@example.com":   {"undated", "2"},
			"charles@EXAMPLE.com": {"1", ""},
		} {
			addresses := append([]string{address}, others...)
			assert.Equal(t, want[0], find(t, client, "org_1", time.Time{}, addresses...)[address])
			assert.Equal(t, want[1], find(t, client, "org_1", at(2).Time, addresses...)[address])
		}
	}
}

func TestFindInvitationsFails(t *testing.T) {
	bubble(t, func(t *testing.T, server *clerktest.Server) {
		org := server.OrganizationID()
		client := inMemory(t, server)
		orgs := client.Organizations
		found, err := orgs.FindInvitations(t.Context(), "", time.Time{}, []string{"ada@example.com", "", "ADA@example.com", "no address"})
		assert.Nil(t, found)
		var invalid *ValidationError
		require.ErrorAs(t, err, &invalid)
		assert.Equal(t, []Problem{
			{-1, "organization_id", "must not be empty"},
			{1, "email_address", "must not be empty"},
			{3, "email_address", "must be a bare e-mail address, as in name@example.com"},
		}, invalid.Problems)
		assert.Zero(t, server.CallCount(clerktest.OpAny))

		for _, addresses := range [][]string{{"a@x.io"}, {"a@x.io", "b@x.io"}} {
			found, err = orgs.FindInvitations(t.Context(), "org_unknown", time.Time{}, addresses)
			assert.Nil(t, found)
			assert.ErrorIs(t, err, ErrNotFound)
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			found, err = orgs.FindInvitations(ctx, org, time.Time{}, addresses)
			assert.Nil(t, found)
			assert.ErrorIs(t, err, context.Canceled)
		}
		// The walk and each question can fail.
		for i := range 600 {
			server.AddInvitation(org, fmt.Sprintf("person%d@example.com", i), "org:member")
		}
		for call := range 3 {
			remove := server.Inject(clerktest.Fault{Operation: clerktest.OpList, Kind: clerktest.FaultStatus, Status: 403, Calls: []int{call + 1}})
			found, err = orgs.FindInvitations(t.Context(), org, time.Time{}, []string{"a@x.io"})
			assert.Equal(t, call > 0, err == nil)
			assert.Equal(t, call > 0, found != nil)
			remove()
		}
	})
}
