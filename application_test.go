package clerkorg

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/clerkorg/clerkorg-go/clerktest"
)

func twoToSignUp() []CreateApplicationInvitationParams {
	return []CreateApplicationInvitationParams{{EmailAddress: "ada@example.com"}, {EmailAddress: "grace@example.com"}}
}

var applicationCalls = []apiCall{
	{
		name: "bulk of the application", method: "POST", path: "/v1/invitations/bulk", template: "/invitations/bulk", fixture: "application_bulk.json", quotaKey: QuotaApplicationBulk,
		body: `[{"email_address":"ada@example.com"},{"email_address":"grace@example.com"}]`,
		do: func(ctx context.Context, s *OrganizationsService) (any, error) {
			return boxed(s.client.Invitations.CreateBulk(ctx, twoToSignUp()))
		},
	},
	{
		name: "create of the application", method: "POST", path: "/v1/invitations", template: "/invitations", fixture: "application_invitation.json", quotaKey: QuotaApplicationCreate,
		body: `{"email_address":"ada@example.com","redirect_url":"/welcome","public_metadata":{"plan":"pro"},"expires_in_days":7,"notify":false,"ignore_existing":true,"template_slug":"waitlist_invitation"}`,
		do: func(ctx context.Context, s *OrganizationsService) (any, error) {
			return boxed(s.client.Invitations.Create(ctx, CreateApplicationInvitationParams{
				EmailAddress: "ada@example.com", RedirectURL: "/welcome", PublicMetadata: map[string]string{"plan": "pro"},
				ExpiresInDays: 7, Notify: new(false), IgnoreExisting: true, Template: TemplateWaitlistInvitation,
			}))
		},
	},
	{
		name: "list of the application", method: "GET", path: "/v1/invitations", template: "/invitations", fixture: "application_list.json", quotaKey: QuotaInstance,
		query: "limit=2&offset=1&order_by=-expires_at&paginated=true&query=canary%40example.com&status=pending",
		do: func(ctx context.Context, s *OrganizationsService) (any, error) {
			return boxed(s.client.Invitations.List(ctx, &ListApplicationInvitationsParams{
				Status: InvitationPending, Query: "canary@example.com", OrderBy: "-expires_at", Limit: 2, Offset: 1,
			}))
		},
	},
	{
		name: "list of the application, bare", method: "GET", path: "/v1/invitations", template: "/invitations", fixture: "application_bulk.json", quotaKey: QuotaInstance,
		query: "paginated=true",
		do: func(ctx context.Context, s *OrganizationsService) (any, error) {
			return boxed(s.client.Invitations.List(ctx, nil))
		},
	},
	{
		name: "revoke of the application", method: "POST", path: "/v1/invitations/inv_1/revoke", template: "/invitations/{invitation_id}/revoke", fixture: "application_revoked.json", quotaKey: QuotaInstance,
		body: `{}`,
		do: func(ctx context.Context, s *OrganizationsService) (any, error) {
			return boxed(s.client.Invitations.Revoke(ctx, "inv_1"))
		},
	},
}

// TestApplicationInvitations is their life.
func TestApplicationInvitations(t *testing.T) {
	bubble(t, func(t *testing.T, server *clerktest.Server) {
		client := inMemory(t, server)
		s := client.Invitations
		created, err := s.CreateBulk(t.Context(), twoToSignUp())
		require.NoError(t, err)
		require.Len(t, created, 2)
		assert.Equal(t, "grace@example.com", created[1].EmailAddress)
		assert.NotEmpty(t, created[1].URL)

		_, err = s.CreateBulk(t.Context(), append(twoToSignUp(), CreateApplicationInvitationParams{EmailAddress: "new@example.com"}))
		require.ErrorIs(t, err, ErrAlreadyInvited)
		refusal, ok := asAPIError(err)
		require.True(t, ok)
		assert.Equal(t, []string{"ada@example.com", "grace@example.com"}, refusal.EmailAddresses(), "all of them")

		again, err := s.Create(t.Context(), CreateApplicationInvitationParams{EmailAddress: "ada@example.com", IgnoreExisting: true, ExpiresInDays: 1})
		require.NoError(t, err)
		assert.NotEqual(t, created[0].ID, again.ID)

		require.NoError(t, server.AcceptInvitation(created[1].ID))
		_, err = s.Revoke(t.Context(), created[1].ID)
		assert.True(t, hasCode(err, CodeApplicationInvitationAccepted))
		_, err = s.Create(t.Context(), CreateApplicationInvitationParams{EmailAddress: "GRACE@example.com"})
		assert.True(t, hasCode(err, CodeIdentifierExists))
		revoked, err := s.Revoke(t.Context(), created[0].ID)
		require.NoError(t, err)
		assert.True(t, revoked.Revoked)
		assert.Equal(t, InvitationRevoked, revoked.Status)
		_, err = s.Revoke(t.Context(), created[0].ID)
		assert.True(t, hasCode(err, CodeApplicationInvitationRevoked))
		_, err = s.Revoke(t.Context(), "inv_none")
		require.ErrorIs(t, err, ErrNotFound)

		time.Sleep(25 * time.Hour)
		for status, want := range map[InvitationStatus][]string{
			"":                 {again.ID, created[1].ID},
			InvitationRevoked:  {created[0].ID},
			InvitationAccepted: {created[1].ID},
			InvitationExpired:  {again.ID},
			InvitationPending:  nil,
		} {
			var ids []string
			for invitation, err := range s.All(t.Context(), &ListApplicationInvitationsParams{Status: status}) {
				require.NoError(t, err)
				ids = append(ids, invitation.ID)
			}
			assert.Equal(t, want, ids, string(status))
		}
	})
}

// TestApplicationInvitationsAll pages through many, and through those of a query.
func TestApplicationInvitationsAll(t *testing.T) {
	bubble(t, func(t *testing.T, server *clerktest.Server) {
		const people = 1234
		for i := range people {
			server.AddApplicationInvitation(fmt.Sprintf("person%d@example.com", i))
		}
		client := inMemory(t, server)
		seen := map[string]bool{}
		for invitation, err := range client.Invitations.All(t.Context(), nil) {
			require.NoError(t, err)
			seen[invitation.EmailAddress] = true
		}
		assert.Len(t, seen, people)
		assert.Equal(t, 3, server.CallCount(clerktest.OpApplicationList))

		n := 0
		for invitation, err := range client.Invitations.All(t.Context(), &ListApplicationInvitationsParams{Query: "Person12", OrderBy: OrderByEmailAddress, Limit: 7, Offset: 3}) {
			require.NoError(t, err)
			assert.Contains(t, invitation.EmailAddress, "person12")
			n++
		}
		assert.Equal(t, 1+10+34-3, n, "12, 12x and 120x to 123x, without the first three")
	})
}

// TestApplicationQuotas: each call has one of its own, and 429 is never met.
func TestApplicationQuotas(t *testing.T) {
	bubble(t, func(t *testing.T, server *clerktest.Server) {
		client := inMemory(t, server, WithMaxRateLimitWait(0))
		for i := range 101 {
			_, err := client.Invitations.Create(t.Context(), CreateApplicationInvitationParams{EmailAddress: fmt.Sprintf("a%d@example.com", i)})
			assertSpent(t, err, i == 100, QuotaApplicationCreate)
			time.Sleep(time.Second)
		}
		for i := range 26 {
			_, err := client.Invitations.CreateBulk(t.Context(), []CreateApplicationInvitationParams{{EmailAddress: fmt.Sprintf("b%d@example.com", i)}})
			assertSpent(t, err, i == 25, QuotaApplicationBulk)
		}
		assert.Zero(t, server.RateLimited())
		_, err := client.Organizations.CreateInvitation(t.Context(), server.OrganizationID(), person("ada@example.com"))
		require.NoError(t, err, "organizations have quotas of their own")
	})
}

func assertSpent(t *testing.T, err error, spent bool, quota string) {
	t.Helper()
	if !spent {
		require.NoError(t, err)
		return
	}
	var limited *RateLimitError
	require.ErrorAs(t, err, &limited)
	assert.Equal(t, quota, limited.Quota.Name)
}

func TestApplicationInvitationArguments(t *testing.T) {
	t.Parallel()
	recorder := newRecorder(reply(200, "{}"))
	client := newTestClient(t, recorder)
	bad := CreateApplicationInvitationParams{
		EmailAddress: "ada", RedirectURL: "javascript:x", PublicMetadata: 7, ExpiresInDays: 366, Template: "letter",
	}
	_, err := client.Invitations.CreateBulk(t.Context(), []CreateApplicationInvitationParams{{EmailAddress: "a@example.com"}, bad, {EmailAddress: "A@example.com"}})
	var invalid *ValidationError
	require.ErrorAs(t, err, &invalid)
	fields := map[string]int{}
	for _, problem := range invalid.Problems {
		fields[fmt.Sprintf("%d %s", problem.Index, problem.Field)]++
	}
	assert.Equal(t, map[string]int{
		"1 email_address": 1, "1 redirect_url": 1, "1 public_metadata": 1, "1 expires_in_days": 1, "1 template_slug": 1, "2 email_address": 1,
	}, fields)
	for name, err := range map[string]error{
		"none":      second(client.Invitations.CreateBulk(t.Context(), nil)),
		"eleven":    second(client.Invitations.CreateBulk(t.Context(), make([]CreateApplicationInvitationParams, 11))),
		"single":    second(client.Invitations.Create(t.Context(), bad)),
		"no id":     second(client.Invitations.Revoke(t.Context(), "")),
		"dots":      second(client.Invitations.Revoke(t.Context(), "..")),
		"status":    second(client.Invitations.List(t.Context(), &ListApplicationInvitationsParams{Status: "open"})),
		"order":     second(client.Invitations.List(t.Context(), &ListApplicationInvitationsParams{OrderBy: "role"})),
		"limit":     second(client.Invitations.List(t.Context(), &ListApplicationInvitationsParams{Limit: 501})),
		"long text": second(client.Invitations.List(t.Context(), &ListApplicationInvitationsParams{Query: strings.Repeat("a", 2049)})),
	} {
		assert.ErrorAs(t, err, &invalid, name)
	}
	assert.Zero(t, recorder.count())
}

func hasCode(err error, code ErrorCode) bool {
	api, ok := asAPIError(err)
	return ok && api.HasCode(code)
}

func second[T any](_ T, err error) error { return err }

// TestApplicationBulkInAnObject: an answer may hold its list as that of organizations does.
func TestApplicationBulkInAnObject(t *testing.T) {
	t.Parallel()
	client := newTestClient(t, newRecorder(reply(200, `{"data":`+fixture(t, "application_bulk.json")+`,"total_count":2}`)))
	created, err := client.Invitations.CreateBulk(t.Context(), twoToSignUp())
	require.NoError(t, err)
	assert.Len(t, created, 2)
}

func TestEndpointQuota(t *testing.T) {
	t.Parallel()
	for request, want := range map[string]string{
		"POST /organizations/org_1/invitations/bulk":                   QuotaBulk,
		"POST /organizations/org_1/invitations":                        QuotaCreate,
		"POST /organizations/a%2Fb/invitations/":                       QuotaCreate,
		"POST /organizations/{organization_id}/invitations":            QuotaCreate,
		"POST /invitations":                                            QuotaApplicationCreate,
		"POST /invitations/bulk":                                       QuotaApplicationBulk,
		"GET /invitations":                                             "",
		"PUT /invitations/bulk":                                        "",
		"POST /invitations/inv_1/revoke":                               "",
		"POST /organizations//invitations":                             "",
		"POST /organizations/org_1/invitations/orginv_1/revoke":        "",
		"POST /organizations/org_1":                                    "",
		"POST /":                                                       "",
		"POST ":                                                        "",
		"POST /invitations/bulk/more":                                  "",
		"POST /organizations/org_1/invitations/bulk/../../invitations": "",
	} {
		method, path, _ := strings.Cut(request, " ")
		assert.Equal(t, want, endpointQuota(method, path), request)
	}
	for _, call := range apiCalls {
		want := call.quotaKey
		if want == QuotaInstance {
			want = ""
		}
		assert.Equal(t, want, endpointQuota(call.method, strings.TrimPrefix(call.path, "/v1")), call.name)
		assert.Equal(t, want, endpointQuota(call.method, call.template), call.name)
	}
}
