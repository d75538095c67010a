package clerktest_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

type application struct {
	Object         string `json:"object"`
	ID             string `json:"id"`
	EmailAddress   string `json:"email_address"`
	Status         string `json:"status"`
	Revoked        bool   `json:"revoked"`
	URL            string `json:"url"`
	ExpiresAt      int64  `json:"expires_at"`
	CreatedAt      int64  `json:"created_at"`
	PublicMetadata any    `json:"public_metadata"`
}

func TestApplicationInvitations(t *testing.T) {
	t.Parallel()
	for name, open := range transports {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := open(t)
			created := decode[[]application](t, a.do("POST", "/invitations/bulk",
				`[{"email_address":"Ada@example.com","expires_in_days":1,"public_metadata":{"n":1}},{"email_address":"b@example.com","notify":null,"redirect_url":null}]`))
			require.Len(t, created, 2, "a bare array")
			ada := created[0]
			assert.Equal(t, "invitation", ada.Object)
			assert.Equal(t, "Ada@example.com", ada.EmailAddress)
			assert.Equal(t, "pending", ada.Status)
			assert.NotEmpty(t, ada.URL)
			assert.EqualValues(t, 24*60*60*1000, ada.ExpiresAt-ada.CreatedAt)
			assert.Equal(t, map[string]any{"n": 1.0}, ada.PublicMetadata)

			_, meta := requireError(t, a.do("POST", "/invitations/bulk", `[{"email_address":"ada@EXAMPLE.com"},{"email_address":"c@example.com"},{"email_address":"b@example.com"}]`), 400, "duplicate_record")
			assert.Equal(t, []any{"ada@EXAMPLE.com", "b@example.com"}, meta["email_addresses"])
			again := decode[application](t, a.do("POST", "/invitations", `{"email_address":"b@example.com","ignore_existing":true,"template_slug":"waitlist_invitation"}`))
			_, meta = requireError(t, a.do("POST", "/invitations", `{"email_address":"admin@example.com"}`), 422, "form_identifier_exists")
			assert.Equal(t, "email_address", meta["param_name"])

			revoked := decode[application](t, a.do("POST", "/invitations/"+ada.ID+"/revoke", ""))
			assert.True(t, revoked.Revoked)
			assert.Empty(t, revoked.URL)
			requireError(t, a.do("POST", "/invitations/"+ada.ID+"/revoke", "{}"), 400, "invitation_already_revoked")
			requireError(t, a.do("POST", "/invitations/inv_none/revoke", ""), 404, "resource_not_found")
			require.NoError(t, a.AcceptInvitation(created[1].ID))
			require.Error(t, a.AcceptInvitation(created[1].ID))
			require.Error(t, a.AcceptInvitation("inv_none"))
			requireError(t, a.do("POST", "/invitations/"+created[1].ID+"/revoke", ""), 400, "invitation_already_accepted")

			all := a.ApplicationInvitations()
			require.Len(t, all, 3)
			assert.Equal(t, []string{"revoked", "accepted", "pending"}, []string{all[0].Status, all[1].Status, all[2].Status})
			gone := a.AddApplicationInvitation("gone@example.com")
			require.NoError(t, a.ExpireInvitation(gone))
			require.Error(t, a.RevokeInvitation(gone))
			other := a.AddApplicationInvitation("other@example.com")
			require.NoError(t, a.RevokeInvitation(other))
			require.Error(t, a.ExpireInvitation(other))

			list := func(query string) (ids []string) {
				for _, inv := range decode[[]application](t, a.do("GET", "/invitations"+query, "")) {
					ids = append(ids, inv.ID)
				}
				return ids
			}
			b := created[1]
			assert.Equal(t, []string{gone, again.ID, b.ID}, list(""), "without those that are revoked")
			assert.Equal(t, []string{other, ada.ID}, list("?status=revoked"))
			assert.Equal(t, []string{other, b.ID, ada.ID}, list("?status=accepted&status=revoked"))
			assert.Equal(t, []string{gone, b.ID, again.ID}, list("?order_by=%2Bexpires_at"))
			assert.Equal(t, []string{again.ID}, list("?query="+again.ID))
			assert.Equal(t, []string{b.ID}, list("?query=B@&limit=1&offset=1"))
			page := decode[struct {
				Data       []application `json:"data"`
				TotalCount int           `json:"total_count"`
			}](t, a.do("GET", "/invitations?paginated=true&limit=1", ""))
			assert.Len(t, page.Data, 1)
			assert.Equal(t, 3, page.TotalCount)
		})
	}
}

func TestApplicationInvitationArguments(t *testing.T) {
	t.Parallel()
	a := inMemory(t)
	for name, test := range map[string]struct{ method, path, body, code, param string }{
		"no address":    {"POST", "/invitations", `{}`, "form_param_missing", "email_address"},
		"bad address":   {"POST", "/invitations", `{"email_address":"ada"}`, "form_param_format_invalid", "email_address"},
		"a role":        {"POST", "/invitations", `{"email_address":"a@example.com","role":"org:member"}`, "form_param_unknown", "role"},
		"another form":  {"POST", "/invitations", `{"email_address":"a@example.com","template_slug":"letter"}`, "form_param_value_invalid", "template_slug"},
		"days":          {"POST", "/invitations/bulk", `[{"email_address":"a@example.com","expires_in_days":0}]`, "form_param_value_invalid", "expires_in_days"},
		"paginated how": {"GET", "/invitations?paginated=perhaps", "", "form_param_type_invalid", "paginated"},
		"another order": {"GET", "/invitations?order_by=role", "", "form_param_value_invalid", "order_by"},
	} {
		_, meta := requireError(t, a.do(test.method, test.path, test.body), 422, test.code)
		assert.Equal(t, test.param, meta["param_name"], name)
	}
	requireError(t, a.do("POST", "/invitations", `[]`), 400, "malformed_request_parameters")
	requireError(t, a.do("POST", "/invitations/bulk", `{}`), 400, "malformed_request_parameters")
	requireError(t, a.do("POST", "/invitations/bulk", people(addresses(11, 0)...)), 400, "bulk_size_exceeded")
	requireError(t, a.do("DELETE", "/invitations", ""), 405, "bad_request")
}
