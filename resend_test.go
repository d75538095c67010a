package clerkorg

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/clerkorg/clerkorg-go/clerktest"
)

// resendable invites somebody with everything that an invitation can have.
func resendable(t *testing.T, client *Client, server *clerktest.Server) *OrganizationInvitation {
	t.Helper()
	invitation, err := client.Organizations.CreateInvitation(t.Context(), server.OrganizationID(), CreateInvitationParams{
		EmailAddress: "Ada@example.com", Role: RoleAdmin, InviterUserID: server.AdminUserID(), RedirectURL: "https://example.com/in?a=1&b=2",
		PublicMetadata: Metadata(`{"n":9007199254740993}`), PrivateMetadata: map[string]any{"secret": true}, ExpiresInDays: 12,
	})
	require.NoError(t, err)
	return invitation
}

// withRedirect has the server tell the redirect URL, as the real one does.
func withRedirect(req *http.Request, next http.RoundTripper) (*http.Response, error) {
	resp, err := next.RoundTrip(req)
	if err != nil || req.Method != http.MethodGet {
		return resp, err
	}
	body := bodyOf(&http.Request{Body: resp.Body})
	body = strings.ReplaceAll(body, "accept?ticket=", "accept?redirect_url=https%3A%2F%2Fexample.com%2Fin%3Fa%3D1%26b%3D2&ticket=")
	return canned(req, resp.StatusCode, body), nil
}

func TestResendInvitation(t *testing.T) {
	for _, state := range []string{"pending", "revoked", "expired"} {
		t.Run("state="+state, func(t *testing.T) {
			bubble(t, func(t *testing.T, server *clerktest.Server) {
				client := through(t, server, withRedirect)
				orgs, org := client.Organizations, server.OrganizationID()
				old := resendable(t, client, server)
				switch state {
				case "revoked":
					_, err := orgs.RevokeInvitation(t.Context(), org, old.ID, nil)
					require.NoError(t, err)
				case "expired":
					time.Sleep(13 * 24 * time.Hour)
				}
				created, err := orgs.ResendInvitation(t.Context(), org, old.ID)
				require.NoError(t, err)
				assert.NotEqual(t, old.ID, created.ID)
				assert.Equal(t, InvitationPending, created.Status)

				all := server.Invitations(org)
				require.Len(t, all, 2)
				before, now := all[0], all[1]
				assert.Equal(t, now.ID, created.ID)
				if state == "pending" {
					assert.Equal(t, "revoked", before.Status)
					assert.Equal(t, "https://example.com/in?a=1&b=2", now.RedirectURL)
				} else {
					assert.Equal(t, state, before.Status)
				}
				assert.Equal(t, before.EmailAddress, now.EmailAddress)
				assert.Equal(t, before.Role, now.Role)
				assert.Equal(t, before.InviterUserID, now.InviterUserID)
				assert.Equal(t, `{"n":9007199254740993}`, string(now.PublicMetadata))
				assert.Equal(t, `{"secret":true}`, string(now.PrivateMetadata))
				assert.Equal(t, 12*24*time.Hour, now.ExpiresAt.Sub(now.CreatedAt))
				assert.Equal(t, 2, server.CallCount(clerktest.OpCreate))
			})
		})
	}
}

// TestResendInvitationFails goes through the states in which it can leave things.
func TestResendInvitationFails(t *testing.T) {
	slow := clerktest.Fault{Kind: clerktest.FaultDelay, Delay: 40 * time.Second}
	for name, tt := range map[string]struct {
		faults []clerktest.Fault
		state  ResendState // "" if it succeeds
		left   string      // statuses of the old one and the new one, in the end
	}{
		"revoke refused":       {[]clerktest.Fault{{Operation: clerktest.OpRevoke, Status: 403}}, ResendUnchanged, "pending"},
		"revoke never left":    {[]clerktest.Fault{{Operation: clerktest.OpRevoke, Kind: clerktest.FaultRefuse}}, ResendUnchanged, "pending"},
		"revoke lost before":   {[]clerktest.Fault{{Operation: clerktest.OpRevoke, Kind: clerktest.FaultResetBefore}}, ResendRevokeUnknown, "pending"},
		"revoke lost after":    {[]clerktest.Fault{{Operation: clerktest.OpRevoke, Kind: clerktest.FaultResetAfter}}, "", "revoked pending"},
		"revoke carried out":   {[]clerktest.Fault{{Operation: clerktest.OpRevoke, Kind: clerktest.FaultHTMLAfter}}, "", "revoked pending"},
		"revoke late":          {[]clerktest.Fault{with(slow, clerktest.OpRevoke)}, ResendRevokeUnknown, "revoked"},
		"revoke not looked at": {[]clerktest.Fault{{Operation: clerktest.OpRevoke, Kind: clerktest.FaultResetAfter}, {Operation: clerktest.OpGet, Calls: []int{2, 3, 4, 5}}}, ResendRevokeUnknown, "revoked"},
		"create refused":       {[]clerktest.Fault{{Operation: clerktest.OpCreate, Status: 403}}, ResendRevoked, "revoked"},
		"create never left":    {[]clerktest.Fault{{Operation: clerktest.OpCreate, Kind: clerktest.FaultRefuse}}, ResendRevoked, "revoked"},
		"create lost before":   {[]clerktest.Fault{{Operation: clerktest.OpCreate, Kind: clerktest.FaultResetBefore}}, ResendCreateUnknown, "revoked"},
		"create late":          {[]clerktest.Fault{with(slow, clerktest.OpCreate)}, ResendCreateUnknown, "revoked pending"},
		"create lost after":    {[]clerktest.Fault{{Operation: clerktest.OpCreate, Kind: clerktest.FaultResetAfter}}, "", "revoked pending"},
		"create cut off":       {[]clerktest.Fault{{Operation: clerktest.OpCreate, Kind: clerktest.FaultTruncate}}, "", "revoked pending"},
		"create not looked at": {[]clerktest.Fault{{Operation: clerktest.OpCreate, Kind: clerktest.FaultResetAfter}, {Operation: clerktest.OpList}}, ResendCreateUnknown, "revoked pending"},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, server *clerktest.Server) {
				client := inMemory(t, server)
				old := resendable(t, client, server)
				for _, fault := range tt.faults {
					server.Inject(fault)
				}
				created, err := client.Organizations.ResendInvitation(t.Context(), server.OrganizationID(), old.ID)
				time.Sleep(time.Minute)
				var left []string
				for _, invitation := range server.Invitations(server.OrganizationID()) {
					left = append(left, invitation.Status)
				}
				assert.Equal(t, tt.left, strings.Join(left, " "))
				if tt.state == "" {
					require.NoError(t, err)
					assert.NotEqual(t, old.ID, created.ID)
					return
				}
				assert.Nil(t, created)
				var failed *ResendError
				require.ErrorAs(t, err, &failed)
				assert.Equal(t, tt.state, failed.State)
				assert.Equal(t, old.ID, failed.InvitationID)
				assert.Error(t, failed.Unwrap())
				assert.NotContains(t, err.Error(), "example.com")
				unknown := tt.state == ResendRevokeUnknown || tt.state == ResendCreateUnknown
				assert.Equal(t, unknown, errors.Is(err, ErrOutcomeUnknown))
			})
		})
	}
}

func with(fault clerktest.Fault, op clerktest.Operation) clerktest.Fault {
	fault.Operation = op
	return fault
}

func TestResendInvitationOfAMember(t *testing.T) {
	bubble(t, func(t *testing.T, server *clerktest.Server) {
		client := inMemory(t, server)
		old := resendable(t, client, server)
		require.NoError(t, server.AcceptInvitation(old.ID))
		_, err := client.Organizations.ResendInvitation(t.Context(), server.OrganizationID(), old.ID)
		var failed *ResendError
		require.ErrorAs(t, err, &failed)
		assert.Equal(t, ResendUnchanged, failed.State)
		assert.ErrorContains(t, err, "accepted")
		assert.Equal(t, 1, server.CallCount(clerktest.OpCreate))
		assert.Zero(t, server.CallCount(clerktest.OpRevoke))

		_, err = client.Organizations.ResendInvitation(t.Context(), server.OrganizationID(), "orginv_none")
		assert.ErrorIs(t, err, ErrNotFound)
		_, err = client.Organizations.ResendInvitation(t.Context(), "", "")
		var invalid *ValidationError
		assert.ErrorAs(t, err, &invalid)
	})
}

// TestResendInvitationRaces has somebody revoke, or the invitee accept, between
// the look and the revocation.
func TestResendInvitationRaces(t *testing.T) {
	for _, state := range []string{"revoked", "accepted", "expired"} {
		t.Run("state="+state, func(t *testing.T) {
			bubble(t, func(t *testing.T, server *clerktest.Server) {
				old := resendable(t, inMemory(t, server), server)
				client := through(t, server, func(req *http.Request, next http.RoundTripper) (*http.Response, error) {
					if strings.HasSuffix(req.URL.Path, "/revoke") {
						switch state {
						case "revoked":
							resp, err := next.RoundTrip(req.Clone(req.Context()))
							require.NoError(t, err)
							require.NoError(t, resp.Body.Close())
						case "accepted":
							require.NoError(t, server.AcceptInvitation(old.ID))
						case "expired":
							require.NoError(t, server.ExpireInvitation(old.ID))
						}
						req.Body = http.NoBody
					}
					return next.RoundTrip(req)
				})
				_, err := client.Organizations.ResendInvitation(t.Context(), server.OrganizationID(), old.ID)
				if state != "accepted" {
					require.NoError(t, err)
					assert.Len(t, server.Invitations(server.OrganizationID()), 2)
					return
				}
				var failed *ResendError
				require.ErrorAs(t, err, &failed)
				assert.Equal(t, ResendUnchanged, failed.State)
				assert.Len(t, server.Invitations(server.OrganizationID()), 1)
			})
		})
	}
}

// TestResendInvitationWithoutQuota revokes nothing that cannot be replaced.
func TestResendInvitationWithoutQuota(t *testing.T) {
	bubble(t, func(t *testing.T, server *clerktest.Server) {
		client := inMemory(t, server, WithQuotas(Quota{Name: QuotaCreate, Limit: 1, Window: time.Hour}))
		old := resendable(t, client, server)
		_, err := client.Organizations.ResendInvitation(t.Context(), server.OrganizationID(), old.ID)
		var failed *ResendError
		require.ErrorAs(t, err, &failed)
		assert.Equal(t, ResendUnchanged, failed.State)
		assert.ErrorIs(t, err, ErrRateLimited)
		assert.Zero(t, server.CallCount(clerktest.OpRevoke))
		time.Sleep(time.Hour + time.Minute)
		_, err = client.Organizations.ResendInvitation(t.Context(), server.OrganizationID(), old.ID)
		assert.NoError(t, err)
	})
}

// TestResendInvitationStaleList does not take the old one for the new one.
func TestResendInvitationStaleList(t *testing.T) {
	bubble(t, func(t *testing.T, server *clerktest.Server) {
		old := resendable(t, inMemory(t, server), server)
		client := through(t, server, func(req *http.Request, next http.RoundTripper) (*http.Response, error) {
			if req.Method == http.MethodGet && strings.HasSuffix(req.URL.Path, "/invitations") {
				return canned(req, 200, fmt.Sprintf(`{"data":[{"id":%q,"email_address":"ada@example.com","status":"pending"}],"total_count":1}`, old.ID)), nil
			}
			return next.RoundTrip(req)
		})
		server.Inject(clerktest.Fault{Operation: clerktest.OpCreate, Kind: clerktest.FaultResetAfter})
		_, err := client.Organizations.ResendInvitation(t.Context(), server.OrganizationID(), old.ID)
		var failed *ResendError
		require.ErrorAs(t, err, &failed)
		assert.Equal(t, ResendCreateUnknown, failed.State)
	})
}

func TestResendErrorIsSafe(t *testing.T) {
	t.Parallel()
	var none *ResendError
	assert.Equal(t, "clerkorg: no error", none.Error())
	assert.Equal(t, "clerkorg: no error", (&ResendError{}).Error())
	assert.NoError(t, none.Unwrap())
}

func TestRedirectOf(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]string{
		"": "", "https://x.example/accept?ticket=1": "", "%": "",
		"https://x.example/accept?redirect_url=%2Fin":                 "/in",
		"https://x.example/accept?redirect_url=https%3A%2F%2Fa.b%2Fc": "https://a.b/c",
		"https://x.example/accept?redirect_url=javascript%3A1":        "",
	} {
		assert.Equal(t, want, redirectOf(&OrganizationInvitation{URL: url}), url)
	}
}

func TestDaysToLive(t *testing.T) {
	t.Parallel()
	now := time.Now()
	for lives, want := range map[time.Duration]int{time.Minute: 1, 24 * time.Hour: 1, 30*24*time.Hour - time.Second: 30, 9000 * time.Hour: 365} {
		assert.Equal(t, want, daysToLive(&OrganizationInvitation{CreatedAt: Timestamp{now}, ExpiresAt: Timestamp{now.Add(lives)}}))
	}
	assert.Zero(t, daysToLive(&OrganizationInvitation{CreatedAt: Timestamp{now}}))
}

// An invitation that could not be created again is not revoked.
func TestResendInvitationOfAnInvalidAddress(t *testing.T) {
	t.Parallel()
	old := strings.Replace(fixture(t, "invitation.json"), "Ada.Lovelace@example.com", `\"ada lovelace\"@example.com`, 1)
	recorder := newRecorder(reply(200, old))
	created, err := newTestClient(t, recorder).Organizations.ResendInvitation(t.Context(), "org_1", "orginv_2a")
	assert.Nil(t, created)
	failed, ok := errors.AsType[*ResendError](err)
	require.True(t, ok, "%v", err)
	assert.Equal(t, ResendUnchanged, failed.State)
	assert.Equal(t, []string{"0 email_address"}, found(t, err))
	assert.Equal(t, 1, recorder.count(), "the look-up alone")
}
