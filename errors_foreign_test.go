package clerkorg

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// cloudflare is how a page begins that says little at its beginning.
var cloudflare = `<!DOCTYPE html>
<!--[if lt IE 7]> <html class="no-js ie6 oldie" lang="en-US"> <![endif]-->
<!--[if gt IE 8]><!--> <html class="no-js" lang="en-US"> <!--<![endif]-->
<head><style>body{margin:0}` + strings.Repeat(".x{}", 200) + `</style><script>var a = "<b>";</script>
<title>Access denied | api.clerk.com used Cloudflare</title></head><body class="x"><h1>Error
	1020</h1> Ray &amp; trace</body></html>`

func TestTextOfForeignAnswers(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		status     int
		kind, body string
		want       string
	}{
		"a page":              {403, "text/html; charset=UTF-8", cloudflare, `403 Forbidden, not Clerk's JSON (text/html): "Access denied | api.clerk.com used Cloudflare Error 1020 Ray & trace"`},
		"without a type":      {502, "", "<h1>Bad Gateway</h1>", `502 Bad Gateway, not Clerk's JSON: "Bad Gateway"`},
		"with a type of none": {502, "ada@example.com", "oh", `502 Bad Gateway, not Clerk's JSON: "oh"`},
		"text":                {502, "text/plain", "upstream connect error\r\nreset", `502 Bad Gateway, not Clerk's JSON (text/plain): "upstream connect error reset"`},
		"less than":           {400, "text/plain", "1 < 2 > 0", `400 Bad Request, not Clerk's JSON (text/plain): "1 < 2 > 0"`},
		"XML":                 {403, "application/xml", "<Error><Code>AccessDenied</Code></Error>", `403 Forbidden, not Clerk's JSON (application/xml): "AccessDenied"`},
		"other JSON":          {403, "application/json", `{"message":"Forbidden"}`, `403 Forbidden, not Clerk's JSON (application/json): "{\"message\":\"Forbidden\"}"`},
		"no words":            {403, "text/html", "<html><script>x</script", `403 Forbidden, not Clerk's JSON (text/html)`},
		"nothing":             {503, "text/html", "", `503 Service Unavailable, without a body`},
		"a long text":         {502, "text/plain", strings.Repeat("ü", 500), `502 Bad Gateway, not Clerk's JSON (text/plain): "` + strings.Repeat("ü", 120) + `…"`},
		"not UTF-8":           {502, "text/plain", "\xff\x00\x1b[31mred", `502 Bad Gateway, not Clerk's JSON (text/plain): "[31mred"`},
		"Clerk's":             {404, "application/json", `{"errors":[{"code":"resource_not_found"}]}`, `404 Not Found: resource_not_found`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			api := get(t, reply(test.status, test.body, "Content-Type", test.kind, "CF-Ray", "ray_1"))
			assert.Equal(t, "clerkorg: GET /organizations/org_1/invitations/inv_1: "+test.want+" [trace ray_1]", api.Error())
			assert.True(t, utf8.ValidString(api.Error()))
			assert.NotContains(t, api.ContentType, "@")
		})
	}
}

func TestTextOfRedirects(t *testing.T) {
	t.Parallel()
	for location, want := range map[string]string{
		"https://user:secret@login.example.com/a%2Fb?token=secret#secret": ", a redirect to https://login.example.com/a%2Fb",
		"/v2/organizations?query=secret":                                  ", a redirect to /v2/organizations",
		"":                                                                `, not Clerk's JSON (text/html): "Moved"`,
	} {
		api := get(t, reply(307, "<a>Moved</a>", "Location", location, "Content-Type", "text/html"))
		assert.Equal(t, "clerkorg: GET /organizations/org_1/invitations/inv_1: 307 Temporary Redirect"+want, api.Error())
	}
	created := get(t, reply(400, "", "Location", "/elsewhere"))
	assert.NotContains(t, created.Error(), "redirect")
}

// TestTextOfUnreadableAnswers names the answer, and nothing of what it holds or of how
// it was read.
func TestTextOfUnreadableAnswers(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		"<html>canary":     "200 OK (text/html) cannot be read: expected { at offset 0 [trace ray_1]",
		"":                 "200 OK (text/html) cannot be read: expected { at offset 0 [trace ray_1]",
		`{"id":7}`:         "200 OK (text/html) cannot be read: id: expected a string at offset 6 [trace ray_1]",
		`{"name":"canary"`: "200 OK (text/html) cannot be read: ",
		"{}":               "200 OK (text/html) cannot be read: the answer holds no invitation [trace ray_1]",
	} {
		client := newTestClient(t, newRecorder(reply(200, body, "Content-Type", "text/html; charset=utf-8", "CF-Ray", "ray_1")))
		for unknown, call := range map[bool]func() error{
			false: func() error {
				_, err := client.Organizations.GetInvitation(t.Context(), "org_1", "inv_1")
				return err
			},
			true: func() error {
				_, err := client.Organizations.CreateInvitation(t.Context(), "org_1", person("ada@example.com"))
				return err
			},
		} {
			err := call()
			require.Error(t, err)
			assert.Equal(t, unknown, isUnknown(err))
			assert.Contains(t, err.Error(), want)
			for _, never := range []string{"canary", "json:", "wire", "\n"} {
				assert.NotContains(t, err.Error(), never)
			}
		}
	}
}

// A page that spells the key with entities, or takes it apart with tags, must not make
// us put it together.
func TestKeyInForeignAnswers(t *testing.T) {
	t.Parallel()
	const key = "sk_test_canary0123456789"
	for _, body := range []string{
		"<html>Bearer " + key + "</html>",
		"<html>Bearer " + strings.ReplaceAll(key, "_", "&#95;") + "</html>",
		"Bearer " + key,
	} {
		client, err := NewClient(key, WithHTTPClient(&http.Client{Transport: newRecorder(
			reply(302, body, "Location", "https://x.example/"+key), reply(403, body),
		)}))
		require.NoError(t, err)
		for range 2 {
			_, err = client.Organizations.Get(t.Context(), "org_1")
			assert.Regexp(t, `\[secret key\]|%5Bsecret%20key%5D`, err.Error())
			assert.NotContains(t, fmt.Sprintf("%v %+v", err, *errorOf(err)), "canary")
		}
	}
}

func errorOf(err error) *APIError {
	api, _ := asAPIError(err)
	return api
}
