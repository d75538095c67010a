package clerkorg

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/clerkorg/clerkorg-go/clerktest"
)

// apiCall is a call of the API with what has to go over the wire for it.
type apiCall struct {
	name                        string
	do                          func(ctx context.Context, s *OrganizationsService) (any, error)
	method, path, query, body   string
	template, fixture, quotaKey string
}

// creates: not to be repeated blindly.
func (c apiCall) creates() bool { return c.method == http.MethodPost }

const (
	orgPath    = "/v1/organizations/org_1/invitations"
	orgPattern = "/organizations/{organization_id}/invitations"
)

var apiCalls = slices.Concat(organizationCalls, applicationCalls)

var organizationCalls = []apiCall{
	{
		name: "bulk", method: "POST", path: orgPath + "/bulk", template: orgPattern + "/bulk", fixture: "bulk.json", quotaKey: QuotaBulk,
		body: `[{"email_address":"ada@example.com","role":"org:member"},{"email_address":"grace@example.com","role":"org:admin"}]`,
		do: func(ctx context.Context, s *OrganizationsService) (any, error) {
			return boxed(s.CreateInvitationBulk(ctx, "org_1", two()))
		},
	},
	{
		name: "create", method: "POST", path: orgPath, template: orgPattern, fixture: "invitation.json", quotaKey: QuotaCreate,
		body: `{"email_address":"ada@example.com","role":"org:member"}`,
		do: func(ctx context.Context, s *OrganizationsService) (any, error) {
			return boxed(s.CreateInvitation(ctx, "org_1", person("ada@example.com")))
		},
	},
	{
		name: "list", method: "GET", path: orgPath, template: orgPattern, fixture: "list.json", quotaKey: QuotaInstance,
		query: "email_address=canary%2B1%40example.com&limit=500&offset=1000&order_by=-created_at&status=pending&status=expired",
		do: func(ctx context.Context, s *OrganizationsService) (any, error) {
			return boxed(s.ListInvitations(ctx, "org_1", &ListInvitationsParams{
				Status: []InvitationStatus{InvitationPending, InvitationExpired}, EmailAddress: "canary+1@example.com",
				OrderBy: OrderByNewest, Limit: 500, Offset: 1000,
			}))
		},
	},
	{
		name: "list all", method: "GET", path: orgPath, template: orgPattern, fixture: "list_empty.json", quotaKey: QuotaInstance,
		do: func(ctx context.Context, s *OrganizationsService) (any, error) {
			return boxed(s.ListInvitations(ctx, "org_1", nil))
		},
	},
	{
		name: "list nothing in particular", method: "GET", path: orgPath, template: orgPattern, fixture: "list.json", quotaKey: QuotaInstance,
		do: func(ctx context.Context, s *OrganizationsService) (any, error) {
			return boxed(s.ListInvitations(ctx, "org_1", &ListInvitationsParams{}))
		},
	},
	{
		name: "list instance", method: "GET", path: "/v1/organization_invitations", template: "/organization_invitations", fixture: "list_instance.json", quotaKey: QuotaInstance,
		query: "limit=1&offset=2&order_by=%2Bemail_address&query=canary%40example.com&status=accepted&status=revoked",
		do: func(ctx context.Context, s *OrganizationsService) (any, error) {
			return boxed(s.ListInstanceInvitations(ctx, &ListInstanceInvitationsParams{
				Query: "canary@example.com", Status: []InvitationStatus{InvitationAccepted, InvitationRevoked},
				OrderBy: OrderByEmailAddress, Limit: 1, Offset: 2,
			}))
		},
	},
	{
		name: "list all of the instance", method: "GET", path: "/v1/organization_invitations", template: "/organization_invitations", fixture: "list_instance.json", quotaKey: QuotaInstance,
		do: func(ctx context.Context, s *OrganizationsService) (any, error) {
			return boxed(s.ListInstanceInvitations(ctx, nil))
		},
	},
	{
		name: "get", method: "GET", path: orgPath + "/orginv_1", template: orgPattern + "/{invitation_id}", fixture: "invitation_nulls.json", quotaKey: QuotaInstance,
		do: func(ctx context.Context, s *OrganizationsService) (any, error) {
			return boxed(s.GetInvitation(ctx, "org_1", "orginv_1"))
		},
	},
	{
		name: "revoke", method: "POST", path: orgPath + "/orginv_1/revoke", template: orgPattern + "/{invitation_id}/revoke", fixture: "invitation_revoked.json", quotaKey: QuotaInstance,
		body: `{"requesting_user_id":"user_9"}`,
		do: func(ctx context.Context, s *OrganizationsService) (any, error) {
			return boxed(s.RevokeInvitation(ctx, "org_1", "orginv_1", &RevokeInvitationParams{RequestingUserID: "user_9"}))
		},
	},
	{
		name: "revoke without a user", method: "POST", path: orgPath + "/orginv_1/revoke", template: orgPattern + "/{invitation_id}/revoke", fixture: "invitation_revoked.json", quotaKey: QuotaInstance,
		body: `{}`,
		do: func(ctx context.Context, s *OrganizationsService) (any, error) {
			return boxed(s.RevokeInvitation(ctx, "org_1", "orginv_1", nil))
		},
	},
	{
		name: "organization", method: "GET", path: "/v1/organizations/org_1", template: "/organizations/{organization_id}", fixture: "organization.json", quotaKey: QuotaInstance,
		query: "include_members_count=true",
		do: func(ctx context.Context, s *OrganizationsService) (any, error) {
			return boxed(s.Get(ctx, "org_1"))
		},
	},
	{
		name: "memberships", method: "GET", path: "/v1/organizations/org_1/memberships", template: "/organizations/{organization_id}/memberships", fixture: "memberships.json", quotaKey: QuotaInstance,
		query: "email_address=canary%40example.com&email_address=b%40example.com&limit=2&offset=1&order_by=-username",
		do: func(ctx context.Context, s *OrganizationsService) (any, error) {
			return boxed(s.ListMemberships(ctx, "org_1", &ListMembershipsParams{
				EmailAddress: []string{"canary@example.com", "b@example.com"}, OrderBy: "-username", Limit: 2, Offset: 1,
			}))
		},
	},
}

// forEachCall runs a test for every call.
func forEachCall(t *testing.T, test func(t *testing.T, call apiCall)) {
	for _, call := range apiCalls {
		t.Run(call.name, func(t *testing.T) {
			t.Parallel()
			test(t, call)
		})
	}
}

func TestCallsOnTheWire(t *testing.T) {
	t.Parallel()
	forEachCall(t, func(t *testing.T, call apiCall) {
		recorder := newRecorder(reply(200, fixture(t, call.fixture)))
		client := newTestClient(t, recorder)
		got, err := call.do(t.Context(), client.Organizations)
		require.NoError(t, err)
		require.Equal(t, 1, recorder.count())

		req, body := recorder.requests[0], recorder.bodies[0]
		assert.Equal(t, call.method, req.Method)
		assert.Equal(t, "https://api.clerk.com"+call.path, strings.TrimSuffix(req.URL.String(), "?"+req.URL.RawQuery))
		assert.Equal(t, call.query, req.URL.RawQuery)
		assert.Equal(t, call.body, body)
		want := http.Header{}
		want.Set("Authorization", client.header().Get("Authorization"))
		want.Set("Accept", "application/json")
		want.Set("Clerk-Api-Version", "2026-05-12")
		want.Set("User-Agent", "clerkorg-go/"+Version)
		if call.body != "" {
			want.Set("Content-Type", "application/json")
			assert.EqualValues(t, len(body), req.ContentLength, "not chunked")
		}
		assert.Equal(t, want, req.Header)
		assert.Nil(t, req.GetBody, "with it net/http could send the request again on its own")

		// What came is what is told, to the last null; the bulk call tells the list alone.
		encoded, err := json.Marshal(got)
		require.NoError(t, err)
		wire := fixture(t, call.fixture)
		switch call.name {
		case "bulk":
			wire = fixture(t, "bulk_bare.json")
		case "list of the application, bare":
			wire = `{"data":` + wire + `,"total_count":0}`
		case "memberships":
			return // of people more is said than is kept
		}
		assert.JSONEq(t, wire, string(encoded))
	})
}

// TestCallsFail: with every error the result is nil.
func TestCallsFail(t *testing.T) {
	t.Parallel()
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for name, test := range map[string]struct {
		ctx     context.Context
		respond responder
	}{
		"refused":          {t.Context(), reply(422, fixture(t, "error_duplicate.json"))},
		"not found":        {t.Context(), reply(404, `{"errors":[]}`)},
		"html":             {t.Context(), reply(200, "<html>")},
		"empty":            {t.Context(), reply(200, "")},
		"cut off":          {t.Context(), reply(200, `{"data":[{"id":"orginv_1"`)},
		"another type":     {t.Context(), reply(200, `"text"`)},
		"null":             {t.Context(), reply(200, `null`)},
		"nothing in it":    {t.Context(), reply(200, `{}`)},
		"error with a 200": {t.Context(), reply(200, fixture(t, "error_duplicate.json"))},
		"bad time":         {t.Context(), reply(200, `{"id":"orginv_1","created_at":"today","data":[{"created_at":"today"}]}`)},
		"wrong id":         {t.Context(), reply(200, `{"id":7,"data":[{"id":7},{"id":8}]}`)},
		"no answer":        {t.Context(), failing(http.ErrHandlerTimeout)},
		"cancelled":        {ended, reply(200, "{}")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			forEachCall(t, func(t *testing.T, call apiCall) {
				client := newTestClient(t, newRecorder(test.respond), WithMaxRetries(0))
				got, err := call.do(test.ctx, client.Organizations)
				require.Error(t, err)
				assert.True(t, isNil(got), "%v", got)
				assert.NotContains(t, err.Error(), "\n")
				assert.True(t, strings.HasPrefix(err.Error(), "clerkorg: "), err.Error())
				assert.NotContains(t, strings.TrimPrefix(err.Error(), "clerkorg: "), "clerkorg: ")
			})
		})
	}
}

// An answer that cannot be read says nothing about what was done.
func TestUnreadableAnswers(t *testing.T) {
	t.Parallel()
	forEachCall(t, func(t *testing.T, call apiCall) {
		client := newTestClient(t, newRecorder(reply(200, "<html>canary</html>")))
		_, err := call.do(t.Context(), client.Organizations)
		assert.Equal(t, call.creates(), isUnknown(err))
		assert.NotContains(t, err.Error(), "canary")
		_, isAPI := asAPIError(err)
		assert.False(t, isAPI)
	})
}

func TestCreateInvitationBulkAnswers(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"bulk.json", "bulk_bare.json"} {
		client := newTestClient(t, newRecorder(reply(200, "\n "+fixture(t, name)+"\n")))
		got, err := client.Organizations.CreateInvitationBulk(t.Context(), "org_1", two())
		require.NoError(t, err)
		require.Len(t, got, 2)
		assert.Equal(t, "orginv_2a", got[0].ID)
		assert.Equal(t, "grace@example.com", got[1].EmailAddress)
	}
	// Fewer or more than were sent: the outcome of the others is not known.
	for _, body := range []string{fixture(t, "bulk.json"), `{"data":[],"total_count":0}`, `[]`, `{"data":null}`, `{"total_count":1}`} {
		client := newTestClient(t, newRecorder(reply(200, body)))
		got, err := client.Organizations.CreateInvitationBulk(t.Context(), "org_1", someone())
		assert.Nil(t, got)
		assert.ErrorIs(t, err, ErrOutcomeUnknown)
	}
}

// TestRequestBodies: zero values are left out, and metadata goes as it is.
func TestRequestBodies(t *testing.T) {
	t.Parallel()
	type plan struct {
		Name  string `json:"name"`
		Seats int    `json:"seats,omitempty"`
	}
	var noMap map[string]any
	var noStruct *plan
	big := Metadata(`{"big": 9007199254740993, "html": "<&>"}`)
	for name, test := range map[string]struct {
		params CreateInvitationParams
		want   string // what follows the address and the role
	}{
		"nothing":             {CreateInvitationParams{}, ``},
		"notify":              {CreateInvitationParams{Notify: new(true)}, `,"notify":true`},
		"do not notify":       {CreateInvitationParams{Notify: new(false)}, `,"notify":false`},
		"inviter":             {CreateInvitationParams{InviterUserID: "user_9"}, `,"inviter_user_id":"user_9"`},
		"url":                 {CreateInvitationParams{RedirectURL: "https://example.com/a?b=c&d=<e>"}, `,"redirect_url":"https://example.com/a?b=c&d=<e>"`},
		"path":                {CreateInvitationParams{RedirectURL: "/welcome"}, `,"redirect_url":"/welcome"`},
		"days":                {CreateInvitationParams{ExpiresInDays: 365}, `,"expires_in_days":365`},
		"map":                 {CreateInvitationParams{PublicMetadata: map[string]any{"b": 1, "a": []int{2}}}, `,"public_metadata":{"a":[2],"b":1}`},
		"empty map":           {CreateInvitationParams{PublicMetadata: map[string]int{}}, `,"public_metadata":{}`},
		"nil map":             {CreateInvitationParams{PublicMetadata: noMap, PrivateMetadata: noMap}, ``},
		"struct":              {CreateInvitationParams{PrivateMetadata: plan{Name: "pro"}}, `,"private_metadata":{"name":"pro"}`},
		"pointer to a struct": {CreateInvitationParams{PrivateMetadata: &plan{"pro", 3}}, `,"private_metadata":{"name":"pro","seats":3}`},
		"nil pointer":         {CreateInvitationParams{PrivateMetadata: noStruct}, ``},
		"raw":                 {CreateInvitationParams{PublicMetadata: json.RawMessage(" {\"a\" : 18446744073709551616 }\n")}, `,"public_metadata":{"a":18446744073709551616}`},
		"raw nothing":         {CreateInvitationParams{PublicMetadata: json.RawMessage(nil), PrivateMetadata: json.RawMessage("null")}, ``},
		"metadata":            {CreateInvitationParams{PublicMetadata: big, PrivateMetadata: big}, `,"public_metadata":{"big":9007199254740993,"html":"<&>"},"private_metadata":{"big":9007199254740993,"html":"<&>"}`},
		"no metadata":         {CreateInvitationParams{PublicMetadata: Metadata(nil), PrivateMetadata: Metadata("null")}, ``},
		"everything": {CreateInvitationParams{
			InviterUserID: "user_9", RedirectURL: "/", PublicMetadata: plan{Name: "<"}, PrivateMetadata: map[string]bool{"x": true},
			ExpiresInDays: 1, Notify: new(false),
		}, `,"inviter_user_id":"user_9","redirect_url":"/","public_metadata":{"name":"<"},"private_metadata":{"x":true},"expires_in_days":1,"notify":false`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test.params.EmailAddress, test.params.Role = "ada@example.com", "org:billing"
			recorder := newRecorder(reply(200, fixture(t, "invitation.json")), reply(200, "["+fixture(t, "invitation.json")+"]"))
			client := newTestClient(t, recorder)
			want := `{"email_address":"ada@example.com","role":"org:billing"` + test.want + `}`
			_, err := client.Organizations.CreateInvitation(t.Context(), "org_1", test.params)
			require.NoError(t, err)
			assert.Equal(t, want, recorder.bodies[0])
			_, err = client.Organizations.CreateInvitationBulk(t.Context(), "org_1", []CreateInvitationParams{test.params})
			require.NoError(t, err)
			assert.Equal(t, "["+want+"]", recorder.bodies[1])
		})
	}
}

// TestIDsAreEscaped: an id is one segment, whatever it holds.
func TestIDsAreEscaped(t *testing.T) {
	t.Parallel()
	const id, escaped = "a/b?c#d%{invitation_id};é", "a%2Fb%3Fc%23d%25%7Binvitation_id%7D%3B%C3%A9"
	recorder := newRecorder(reply(200, fixture(t, "invitation.json")))
	client := newTestClient(t, recorder)
	_, err := client.Organizations.GetInvitation(t.Context(), id, "%2e%2e")
	require.NoError(t, err)
	u := recorder.requests[0].URL
	assert.Equal(t, "/v1/organizations/"+escaped+"/invitations/%252e%252e", u.EscapedPath())
	assert.Empty(t, u.RawQuery)
	assert.Empty(t, u.Fragment)

	// And the server gets to see the id as it was.
	server := clerktest.NewServer()
	org := server.AddOrganization(clerktest.Organization{ID: id})
	got, err := inMemory(t, server).Organizations.CreateInvitation(t.Context(), org, person("ada@example.com"))
	require.NoError(t, err)
	assert.Equal(t, id, got.OrganizationID)
}

// TestCallsAgainstClerk takes the calls through a life of two invitations.
func TestCallsAgainstClerk(t *testing.T) {
	t.Parallel()
	for name, opts := range map[string][]clerktest.Option{"object": nil, "bare array": {clerktest.WithBareArrays()}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := clerktest.NewServer(opts...)
			orgs, org, ctx := inMemory(t, server).Organizations, server.OrganizationID(), t.Context()
			params := two()
			params[0].InviterUserID = server.AdminUserID()
			params[0].PublicMetadata = Metadata(`{"big":9007199254740993}`)
			created, err := orgs.CreateInvitationBulk(ctx, org, params)
			require.NoError(t, err)
			require.Len(t, created, 2)
			assert.Equal(t, "ada@example.com", created[0].EmailAddress)
			assert.Equal(t, RoleAdmin, created[1].Role)
			assert.Equal(t, InvitationPending, created[0].Status)
			assert.Equal(t, server.AdminUserID(), created[0].PublicInviterData.UserID)
			assert.Equal(t, `{"big":9007199254740993}`, created[0].PublicMetadata.String())
			assert.WithinDuration(t, time.Now(), created[0].CreatedAt.Time, time.Minute)
			assert.Equal(t, 30*24*time.Hour, created[0].ExpiresAt.Sub(created[0].CreatedAt.Time))

			got, err := orgs.GetInvitation(ctx, org, created[0].ID)
			require.NoError(t, err)
			assert.Equal(t, created[0], *got)
			list, err := orgs.ListInvitations(ctx, org, &ListInvitationsParams{OrderBy: OrderByEmailAddress})
			require.NoError(t, err)
			assert.Equal(t, InvitationList{Data: created, TotalCount: 2}, *list)

			revoked, err := orgs.RevokeInvitation(ctx, org, created[1].ID, &RevokeInvitationParams{RequestingUserID: server.AdminUserID()})
			require.NoError(t, err)
			assert.Equal(t, InvitationRevoked, revoked.Status)
			_, err = orgs.RevokeInvitation(ctx, org, created[1].ID, nil)
			api, ok := asAPIError(err)
			require.True(t, ok)
			assert.True(t, api.HasCode(CodeInvitationNotPending))

			all, err := orgs.ListInstanceInvitations(ctx, &ListInstanceInvitationsParams{Query: "grace", Status: []InvitationStatus{InvitationRevoked}})
			require.NoError(t, err)
			require.Len(t, all.Data, 1)
			assert.Equal(t, org, all.Data[0].PublicOrganizationData.ID)
			_, err = orgs.CreateInvitation(ctx, org, params[0])
			api, ok = asAPIError(err)
			require.True(t, ok)
			assert.True(t, api.HasCode(CodeInvitationNotUnique))
			assert.Equal(t, map[string]int{"ada@example.com": 1, "grace@example.com": 1}, server.InvitedAddresses(org))
		})
	}
}
