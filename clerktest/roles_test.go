package clerktest_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestRoles(t *testing.T) {
	t.Parallel()
	a := inMemory(t)
	a.AddRole("org:guest", "Guest")
	type list struct {
		Data []struct {
			Key  string `json:"key"`
			Name string `json:"name"`
		} `json:"data"`
		TotalCount int `json:"total_count"`
	}
	keys := func(query string) (keys []string, total int) {
		got := decode[list](t, a.do(http.MethodGet, "/organization_roles"+query, ""))
		for _, role := range got.Data {
			keys = append(keys, role.Key)
		}
		return keys, got.TotalCount
	}
	all, total := keys("")
	require.Equal(t, []string{"org:admin", "org:guest", "org:member"}, all)
	require.Equal(t, 3, total)
	some, total := keys("?limit=1&offset=1")
	require.Equal(t, []string{"org:guest"}, some)
	require.Equal(t, 3, total)
	some, _ = keys("?query=Member")
	require.Equal(t, []string{"org:member"}, some)
}
