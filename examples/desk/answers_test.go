package desk_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/clerkorg/clerkorg-go/clerktest"
)

// TestAnswers compares the answer of every operation with the description in testdata.
func TestAnswers(t *testing.T) {
	t.Parallel()
	loader := openapi3.NewLoader()
	description, err := loader.LoadFromFile("testdata/answers.yml")
	require.NoError(t, err)
	require.NoError(t, description.Validate(loader.Context))

	server := clerktest.NewServer()
	t.Cleanup(server.Close)
	org, admin := "/organizations/"+server.OrganizationID(), server.AdminUserID()
	pending := server.AddInvitation(server.OrganizationID(), "pending@example.com", "org:member")
	application := server.AddApplicationInvitation("pending@example.com")
	server.AddMember(server.OrganizationID(), "member@example.com", "org:member")
	invite := func(address string) string {
		return `{"email_address":"` + address + `","role":"org:member","inviter_user_id":"` + admin + `","redirect_url":"/welcome","public_metadata":{"a":1},"expires_in_days":7,"notify":false}`
	}
	signUp := func(address string) string { return `{"email_address":"` + address + `","public_metadata":{"a":1}}` }

	for _, test := range []struct {
		method, path, body string
		status             int
		schema             string
	}{
		{"POST", org + "/invitations/bulk", "[" + invite("a@example.com") + "," + `{"email_address":"b@example.com","role":"org:admin"}` + "]", 200, "Invitations"},
		{"POST", org + "/invitations", invite("c@example.com"), 200, "Invitation"},
		{"GET", org + "/invitations", "", 200, "Invitations"},
		{"GET", org + "/invitations/" + pending, "", 200, "Invitation"},
		{"POST", org + "/invitations/" + pending + "/revoke", "{}", 200, "Invitation"},
		{"GET", "/organization_invitations", "", 200, "InstanceInvitations"},
		{"GET", org + "/memberships", "", 200, "Memberships"},
		{"GET", org, "", 200, "Organization"},
		{"GET", org + "?include_members_count=true", "", 200, "Organization"},
		{"POST", "/organizations", `{"name":"Acme","created_by":"` + admin + `"}`, 200, "Organization"},
		{"GET", "/users", "", 200, "Users"},
		{"GET", "/users?email_address=member@example.com", "", 200, "Users"},
		{"GET", "/users/count", "", 200, "Count"},
		{"GET", "/organization_roles", "", 200, "Roles"},
		{"POST", "/invitations/bulk", "[" + signUp("a@example.com") + "," + signUp("b@example.com") + "]", 200, "ApplicationInvitations"},
		{"POST", "/invitations", signUp("c@example.com"), 200, "ApplicationInvitation"},
		{"GET", "/invitations", "", 200, "ApplicationInvitations"},
		{"GET", "/invitations?paginated=true", "", 200, "ApplicationInvitationPage"},
		{"POST", "/invitations/" + application + "/revoke", "", 200, "ApplicationInvitation"},

		{"POST", org + "/invitations", invite("c@example.com"), 400, "Errors"},
		{"POST", org + "/invitations", `{"email_address":"c"}`, 422, "Errors"},
		{"POST", "/invitations", signUp("c@example.com"), 400, "Errors"},
		{"GET", "/organizations/org_none", "", 404, "Errors"},
		{"GET", "/nowhere", "", 404, "Errors"},
		{"DELETE", org + "/invitations", "", 405, "Errors"},
	} {
		name := test.method + " " + test.path
		req, err := http.NewRequestWithContext(t.Context(), test.method, server.URL()+"/v1"+test.path, strings.NewReader(test.body))
		require.NoError(t, err)
		req.Header.Set("Authorization", "Bearer "+server.SecretKey())
		req.Header.Set("Content-Type", "application/json")
		resp, err := http.DefaultClient.Do(req)
		require.NoError(t, err, name)
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err, name)
		require.NoError(t, resp.Body.Close())
		require.Equal(t, test.status, resp.StatusCode, "%s: %s", name, body)
		var answer any
		require.NoError(t, json.Unmarshal(body, &answer), name)
		schema := description.Components.Schemas[test.schema]
		require.NotNil(t, schema, test.schema)
		assert.NoError(t, schema.Value.VisitJSON(answer, openapi3.MultiErrors()), "%s: %s", name, body)
	}
	called := map[clerktest.Operation]bool{}
	for _, call := range server.Calls() {
		called[call.Operation] = true
	}
	for _, operation := range clerktest.Operations() {
		assert.True(t, called[operation], operation)
	}
}

// TestAnswersThatAreWrong: the comparison sees what is missing, too much, or null.
func TestAnswersThatAreWrong(t *testing.T) {
	t.Parallel()
	description, err := openapi3.NewLoader().LoadFromFile("testdata/answers.yml")
	require.NoError(t, err)
	for name, body := range map[string]string{
		"missing":  `{"data":[]}`,
		"too much": `{"data":[],"total_count":0,"next":1}`,
		"null":     `{"data":null,"total_count":0}`,
		"within":   `{"data":[{"object":"organization_invitation"}],"total_count":1}`,
	} {
		var answer any
		require.NoError(t, json.Unmarshal([]byte(body), &answer))
		assert.Error(t, description.Components.Schemas["Invitations"].Value.VisitJSON(answer), name)
	}
}
