package officialsdk_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"testing"

	"github.com/clerk/clerk-sdk-go/v2"
	"github.com/clerk/clerk-sdk-go/v2/invitation"
	"github.com/clerk/clerk-sdk-go/v2/organization"
	"github.com/clerk/clerk-sdk-go/v2/organizationinvitation"
	"github.com/clerk/clerk-sdk-go/v2/organizationmembership"
	"github.com/clerk/clerk-sdk-go/v2/user"
	"github.com/stretchr/testify/require"

	"github.com/clerkorg/clerkorg-go/clerktest"
)

// sdk is Clerk's SDK for Go, unchanged, talking to a server of its own.
type sdk struct {
	*clerktest.Server
	invitations   *organizationinvitation.Client
	organizations *organization.Client
	memberships   *organizationmembership.Client
}

func newSDK(t *testing.T, opts ...clerktest.Option) *sdk {
	t.Helper()
	server := clerktest.NewServer(opts...)
	t.Cleanup(server.Close)
	config := &clerk.ClientConfig{}
	config.Key = new(server.SecretKey())
	config.URL = new(server.URL() + "/v1")
	return &sdk{server, organizationinvitation.NewClient(config), organization.NewClient(config), organizationmembership.NewClient(config)}
}

func (s *sdk) create(t *testing.T, email string) *clerk.OrganizationInvitation {
	t.Helper()
	inv, err := s.invitations.Create(t.Context(), &organizationinvitation.CreateParams{
		OrganizationID: s.OrganizationID(),
		EmailAddress:   new(email),
		Role:           new("org:member"),
	})
	if err != nil {
		t.Fatal(err)
	}
	return inv
}

// requireAPIError checks that the SDK understood an error, and returns the
// headers of the answer.
func requireAPIError(t *testing.T, err error, status int, code string) http.Header {
	t.Helper()
	apiErr, ok := errors.AsType[*clerk.APIErrorResponse](err)
	if !ok {
		t.Fatalf("%v is not an API error", err)
	}
	if apiErr.HTTPStatusCode != status || len(apiErr.Errors) != 1 || apiErr.Errors[0].Code != code || apiErr.TraceID == "" {
		t.Fatalf("got %v, want %d %s", err, status, code)
	}
	return apiErr.Response.Header
}

func TestGoCreate(t *testing.T) {
	t.Parallel()
	s := newSDK(t)
	inv, err := s.invitations.Create(t.Context(), &organizationinvitation.CreateParams{
		OrganizationID: s.OrganizationID(),
		EmailAddress:   new("ann@example.com"),
		Role:           new("org:admin"),
		RedirectURL:    new("https://example.com/welcome"),
		InviterUserID:  new(s.AdminUserID()),
		PublicMetadata: new(json.RawMessage(`{"id":9007199254740993}`)),
		ExpiresInDays:  new(int64(7)),
	})
	if err != nil {
		t.Fatal(err)
	}
	if inv.Object != "organization_invitation" || inv.EmailAddress != "ann@example.com" || inv.Role != "org:admin" || inv.RoleName != "Admin" ||
		inv.Status != "pending" || inv.OrganizationID != s.OrganizationID() || inv.URL == "" || *inv.ExpiresAt-inv.CreatedAt != 7*86400000 {
		t.Errorf("unexpected invitation %+v", inv)
	}
	if string(inv.PublicMetadata) != `{"id":9007199254740993}` || string(inv.PrivateMetadata) != `{}` {
		t.Errorf("unexpected metadata %s, %s", inv.PublicMetadata, inv.PrivateMetadata)
	}
	if got := s.TimesInvited(s.OrganizationID(), "ann@example.com"); got != 1 {
		t.Errorf("invited %d times", got)
	}
}

func TestGoListGetRevoke(t *testing.T) {
	t.Parallel()
	s := newSDK(t)
	ctx := t.Context()
	ann, bob := s.create(t, "ann@example.com"), s.create(t, "bob@example.com")
	revoked, err := s.invitations.Revoke(ctx, &organizationinvitation.RevokeParams{OrganizationID: s.OrganizationID(), ID: ann.ID})
	if err != nil || revoked.Status != "revoked" {
		t.Fatal(revoked, err)
	}
	revoked, err = s.invitations.Revoke(ctx, &organizationinvitation.RevokeParams{OrganizationID: s.OrganizationID(), ID: bob.ID, RequestingUserID: new(s.AdminUserID())})
	if err != nil || revoked.Status != "revoked" {
		t.Fatal(revoked, err)
	}
	cyd := s.create(t, "cyd@example.com")

	got, err := s.invitations.Get(ctx, &organizationinvitation.GetParams{OrganizationID: s.OrganizationID(), ID: cyd.ID})
	if err != nil || got.EmailAddress != "cyd@example.com" || got.Status != "pending" {
		t.Fatal(got, err)
	}
	list, err := s.invitations.List(ctx, &organizationinvitation.ListParams{
		ListParams:     clerk.ListParams{Limit: new(int64(2)), Offset: new(int64(0))},
		OrganizationID: s.OrganizationID(),
		Statuses:       &[]string{"pending", "revoked"},
		OrderBy:        new("+email_address"),
	})
	if err != nil {
		t.Fatal(err)
	}
	if list.TotalCount != 3 || len(list.OrganizationInvitations) != 2 || list.OrganizationInvitations[0].ID != ann.ID {
		t.Errorf("unexpected list %+v", list)
	}
	list, err = s.invitations.List(ctx, &organizationinvitation.ListParams{OrganizationID: s.OrganizationID(), EmailAddress: new("BOB@example.com")})
	if err != nil || list.TotalCount != 1 || list.OrganizationInvitations[0].ID != bob.ID {
		t.Fatal(list, err)
	}
	instance, err := s.invitations.ListFromInstance(ctx, &organizationinvitation.ListFromInstanceParams{Query: new("cyd"), Statuses: &[]string{"pending"}})
	if err != nil {
		t.Fatal(err)
	}
	if instance.TotalCount != 1 || instance.OrganizationInvitations[0].PublicOrganizationData.ID != s.OrganizationID() {
		t.Errorf("unexpected list %+v", instance)
	}
}

func TestGoOrganizationAndMemberships(t *testing.T) {
	t.Parallel()
	s := newSDK(t)
	s.create(t, "ann@example.com")
	s.AddMember(s.OrganizationID(), "bob@example.com", "org:member")
	org, err := s.organizations.GetWithParams(t.Context(), s.OrganizationID(), &organization.GetParams{IncludeMembersCount: new(true)})
	if err != nil {
		t.Fatal(err)
	}
	if org.Name == "" || *org.MembersCount != 2 || *org.PendingInvitationsCount != 1 || org.CreatedBy != s.AdminUserID() {
		t.Errorf("unexpected organization %+v", org)
	}
	bySlug, err := s.organizations.Get(t.Context(), org.Slug)
	if err != nil || bySlug.ID != org.ID || bySlug.MembersCount != nil {
		t.Fatal(bySlug, err)
	}
	members, err := s.memberships.List(t.Context(), &organizationmembership.ListParams{
		OrganizationID: s.OrganizationID(),
		EmailAddresses: []string{"admin@example.com", "bob@example.com", "nobody@example.com"},
		OrderBy:        new("-created_at"),
	})
	if err != nil {
		t.Fatal(err)
	}
	if members.TotalCount != 2 || members.OrganizationMemberships[1].PublicUserData.UserID != s.AdminUserID() ||
		members.OrganizationMemberships[0].PublicUserData.Identifier != "bob@example.com" || members.OrganizationMemberships[0].Organization.ID != org.ID {
		t.Errorf("unexpected members %+v", members)
	}
}

func TestGoErrors(t *testing.T) {
	t.Parallel()
	s := newSDK(t, clerktest.WithQuota(clerktest.OpGet, 1, 3600e9))
	ctx := t.Context()
	s.create(t, "ann@example.com")
	create := func(orgID, email, role string) error {
		_, err := s.invitations.Create(ctx, &organizationinvitation.CreateParams{OrganizationID: orgID, EmailAddress: new(email), Role: new(role)})
		return err
	}
	requireAPIError(t, create(s.OrganizationID(), "ann@example.com", "org:member"), 400, "organization_invitation_not_unique")
	requireAPIError(t, create(s.OrganizationID(), "admin@example.com", "org:member"), 400, "already_a_member_in_organization")
	requireAPIError(t, create(s.OrganizationID(), "bob", "org:member"), 422, "form_param_format_invalid")
	requireAPIError(t, create(s.OrganizationID(), "bob@example.com", "org:none"), 404, "resource_not_found")
	requireAPIError(t, create("org_none", "bob@example.com", "org:member"), 404, "resource_not_found")

	get := func() error {
		_, err := s.invitations.Get(ctx, &organizationinvitation.GetParams{OrganizationID: s.OrganizationID(), ID: "orginv_none"})
		return err
	}
	requireAPIError(t, get(), 404, "resource_not_found")
	limited := requireAPIError(t, get(), 429, "too_many_requests")
	if limited.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}

	config := &clerk.ClientConfig{}
	config.Key, config.URL = new("sk_test_of_somebody"), new(s.URL()+"/v1")
	_, err := organization.NewClient(config).Get(ctx, s.OrganizationID())
	requireAPIError(t, err, 401, "clerk_key_invalid")
}

// TestGoApplication invites to the application, in all the ways of the SDK.
func TestGoApplication(t *testing.T) {
	t.Parallel()
	server := clerktest.NewServer()
	t.Cleanup(server.Close)
	config := &clerk.ClientConfig{}
	config.Key, config.URL = new(server.SecretKey()), new(server.URL()+"/v1")
	client := invitation.NewClient(config)
	ann, err := client.Create(t.Context(), &invitation.CreateParams{EmailAddress: "ann@example.com", ExpiresInDays: new(int64(7))})
	require.NoError(t, err)
	require.Equal(t, "ann@example.com", ann.EmailAddress)
	more, err := client.BulkCreate(t.Context(), &invitation.BulkCreateParams{Invitations: []*invitation.CreateParams{
		{EmailAddress: "bob@example.com"}, {EmailAddress: "cyd@example.com", IgnoreExisting: new(true)},
	}})
	require.NoError(t, err)
	require.Len(t, more.Invitations, 2)
	revoked, err := client.Revoke(t.Context(), ann.ID)
	require.NoError(t, err)
	require.True(t, revoked.Revoked)
	list, err := client.List(t.Context(), &invitation.ListParams{Statuses: []string{"pending", "revoked"}})
	require.NoError(t, err)
	require.EqualValues(t, 3, list.TotalCount)
	_, err = client.Create(t.Context(), &invitation.CreateParams{EmailAddress: "bob@example.com"})
	requireAPIError(t, err, 400, "duplicate_record")
}

// TestGoOnboarding is how a customer begins: an organization, its first admin, the
// colleagues who have an account already, and those who have none.
func TestGoOnboarding(t *testing.T) {
	t.Parallel()
	s := newSDK(t)
	config := &clerk.ClientConfig{}
	config.Key, config.URL = new(s.SecretKey()), new(s.URL()+"/v1")
	acme, err := s.organizations.Create(t.Context(), &organization.CreateParams{Name: new("Acme"), CreatedBy: new(s.AdminUserID()), MaxAllowedMemberships: new(int64(5))})
	require.NoError(t, err)
	require.Equal(t, "acme", acme.Slug)
	known, err := user.NewClient(config).List(t.Context(), &user.ListParams{EmailAddresses: []string{"admin@example.com", "new@example.com"}})
	require.NoError(t, err)
	require.EqualValues(t, 1, known.TotalCount)
	require.Equal(t, s.AdminUserID(), known.Users[0].ID)
	invited, err := s.invitations.Create(t.Context(), &organizationinvitation.CreateParams{
		OrganizationID: acme.ID, EmailAddress: new("new@example.com"), Role: new("org:member"), InviterUserID: new(s.AdminUserID()),
	})
	require.NoError(t, err)
	require.NoError(t, s.AcceptInvitation(invited.ID))
	members, err := s.memberships.List(t.Context(), &organizationmembership.ListParams{OrganizationID: acme.ID})
	require.NoError(t, err)
	require.EqualValues(t, 2, members.TotalCount)
}
