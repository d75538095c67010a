package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/clerkorg/clerkorg-go/clerktest"
)

func TestRun(t *testing.T) {
	t.Parallel()
	server := clerktest.NewServer()
	defer server.Close()
	const table = "ada@example.com,org:admin\nalan,\ngrace@example.com,\nADA@example.com,\n"
	var out strings.Builder
	require.NoError(t, run(t.Context(), server.SecretKey(), server.URL(), server.OrganizationID(), strings.NewReader(table), &out))
	assert.ElementsMatch(t, []string{
		"1 ada@example.com invited <nil>",
		"2 alan rejected clerkorg: invalid call: [1].email_address: must be a bare e-mail address, as in name@example.com",
		"3 grace@example.com invited <nil>",
		"4 ADA@example.com duplicate <nil>",
	}, strings.Split(strings.TrimSpace(out.String()), "\n"))
	assert.Equal(t, "org:admin", server.Invitations(server.OrganizationID())[0].Role)
	err := run(t.Context(), "sk_test_wrong", server.URL(), server.OrganizationID(), strings.NewReader(table), &strings.Builder{})
	assert.ErrorContains(t, err, "401")
	err = run(t.Context(), server.SecretKey(), server.URL(), "org_1", strings.NewReader("a,b\nc\n"), &strings.Builder{})
	assert.ErrorContains(t, err, "wrong number of fields")
}
