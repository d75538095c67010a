package desk_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/clerkorg/clerkorg-go/clerktest"
	"github.com/clerkorg/clerkorg-go/clerktest/desk"
)

// local is a server with a desk, asked without a socket from its own machine.
type local struct {
	*clerktest.Server
	t    *testing.T
	from string
}

func newLocal(t *testing.T, opts ...desk.Option) *local {
	t.Helper()
	server := clerktest.NewServer(clerktest.WithRateLimits(clerktest.SlidingLog))
	t.Cleanup(server.Close)
	desk.Attach(server, opts...)
	return &local{server, t, "127.0.0.1:5555"}
}

// do returns the status and the body of an answer.
func (l *local) do(method, path, body string, header ...string) (int, string) {
	l.t.Helper()
	req := httptest.NewRequestWithContext(l.t.Context(), method, "http://127.0.0.1:4010"+path, strings.NewReader(body))
	req.RemoteAddr = l.from
	req.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
		if header[i] == "Host" {
			req.Host = header[i+1]
		}
	}
	recorder := httptest.NewRecorder()
	l.ServeHTTP(recorder, req)
	return recorder.Code, recorder.Body.String()
}

// ok decodes an answer that has to be a success.
func (l *local) ok(method, path, body string) map[string]any {
	l.t.Helper()
	status, text := l.do(method, "/_clerktest/"+path, body)
	require.Equal(l.t, 200, status, text)
	var v map[string]any
	require.NoError(l.t, json.Unmarshal([]byte(text), &v))
	return v
}

// api makes a call of Clerk's API, and returns its status.
func (l *local) api(method, path, body string) int {
	l.t.Helper()
	status, _ := l.do(method, "/v1/organizations/"+l.OrganizationID()+path, body, "Authorization", "Bearer "+l.SecretKey())
	return status
}

func TestSteering(t *testing.T) {
	t.Parallel()
	l := newLocal(t)
	status, body := l.do("GET", "/healthz", "")
	assert.Equal(t, 200, status)
	assert.JSONEq(t, `{"status":"ok"}`, body)

	other := l.ok("POST", "organizations", `{"name":"Other","slug":"other","max_allowed_memberships":5}`)["id"].(string)
	require.NotEmpty(t, l.ok("POST", "members", `{"email_address":"m@example.com","role":"org:admin","organization_id":"`+other+`"}`)["user_id"])
	assert.Equal(t, "org:admin", l.Members(other)[0].Role)
	invite := func(address string) string {
		return l.ok("POST", "invitations", `{"email_address":"`+address+`"}`)["id"].(string)
	}
	a, b, c := invite("a@example.com"), invite("b@example.com"), invite("c@example.com")
	l.ok("POST", "invitations/"+a+"/accept", "")
	l.ok("POST", "invitations/"+b+"/expire", "")
	l.ok("POST", "invitations/"+c+"/revoke", "")
	var statuses []string
	for _, inv := range l.Invitations(l.OrganizationID()) {
		statuses = append(statuses, inv.Status)
	}
	assert.Equal(t, []string{"accepted", "expired", "revoked"}, statuses)

	one := l.ok("POST", "faults", `{"operation":"invitations.list","kind":"status","status":503,"retry_after":3}`)["id"]
	l.ok("POST", "faults", `{"operation":"invitations.get","kind":"status","status":418}`)
	assert.Equal(t, 503, l.api("GET", "/invitations", ""))
	assert.InDelta(t, 1, one, 0)
	l.ok("DELETE", "faults/1", "")
	assert.Equal(t, 200, l.api("GET", "/invitations", ""))
	assert.Equal(t, 418, l.api("GET", "/invitations/"+a, ""))
	l.ok("DELETE", "faults", "")
	assert.Equal(t, 200, l.api("GET", "/invitations/"+a, ""))

	l.ok("POST", "quotas", `{"operation":"invitations.bulk","limit":1,"window":"1m"}`)
	bulk := func(address string) int {
		return l.api("POST", "/invitations/bulk", `[{"email_address":"`+address+`","role":"org:member"}]`)
	}
	assert.Equal(t, 200, bulk("d@example.com"))
	assert.Equal(t, 429, bulk("e@example.com"))
	now := l.ok("POST", "clock", `{"advance":"1m"}`)["now"].(string)
	at, err := time.Parse(time.RFC3339Nano, now)
	require.NoError(t, err)
	assert.InDelta(t, time.Minute, time.Until(at), float64(10*time.Second))
	assert.Equal(t, 200, bulk("e@example.com"))
	l.ok("POST", "quotas", `{"counting":"gcra"}`)
	l.ok("POST", "quotas", `{"operation":"invitations.bulk","limit":0}`)
	assert.Equal(t, 200, bulk("f@example.com"))

	state := l.ok("GET", "state", "")
	assert.Equal(t, l.SecretKey(), state["secret_key"])
	assert.Len(t, state["organizations"], 2)
	assert.InDelta(t, 1, state["rate_limited"], 0)
	calls := state["calls"].([]any)
	assert.Equal(t, "invitations.bulk", calls[0].(map[string]any)["operation"], "the newest first")
	assert.Equal(t, "too_many_requests", calls[2].(map[string]any)["code"])
	assert.Len(t, state["quotas"], 4)

	l.ok("POST", "faults", `{"kind":"html"}`)
	l.ok("POST", "reset", "")
	assert.Empty(t, l.ok("GET", "state", "")["calls"])
	assert.Empty(t, l.ok("GET", "state", "")["faults"])
	assert.Equal(t, 200, bulk("a@example.com"))
}

// TestWrongSteering has one error for what is wrong, with the field.
func TestWrongSteering(t *testing.T) {
	t.Parallel()
	l := newLocal(t)
	for body, want := range map[string]struct {
		path   string
		status int
		param  string
	}{
		`{"name":7}`:                     {"organizations", 400, "name"},
		`{"colour":"red"}`:               {"organizations", 400, "colour"},
		`{"max_allowed_memberships":-1}`: {"organizations", 422, "max_allowed_memberships"},
		`{"email_address":"a"}`:          {"members", 422, "email_address"},
		`{"email_address":"a@example.com","organization_id":"org_none"}`: {"invitations", 404, "organization_id"},
		`{"kind":"flood"}`:                                   {"faults", 422, "kind"},
		`{"kind":"status","operation":"lunch"}`:              {"faults", 422, "operation"},
		`{"kind":"status","status":99}`:                      {"faults", 422, "status"},
		`{"kind":"delay","delay":"soon"}`:                    {"faults", 422, "delay"},
		`{"kind":"status","probability":2}`:                  {"faults", 422, "probability"},
		`{"operation":"lunch","limit":1,"window":"1s"}`:      {"quotas", 422, "operation"},
		`{"operation":"instance","limit":1,"window":"soon"}`: {"quotas", 422, "window"},
		`{"counting":"moon-phase"}`:                          {"quotas", 422, "counting"},
		`{"advance":"-1h"}`:                                  {"clock", 422, "advance"},
		`{"advance":"1h"} x`:                                 {"clock", 400, ""},
		`[]`:                                                 {"clock", 400, ""},
		``:                                                   {"clock", 400, ""},
		`{}`:                                                 {"invitations/orginv_none/accept", 400, ""},
	} {
		status, text := l.do("POST", "/_clerktest/"+want.path, body)
		assert.Equal(t, want.status, status, "%s %s", body, text)
		var answer struct {
			Errors []struct {
				LongMessage string            `json:"long_message"`
				Meta        map[string]string `json:"meta"`
			} `json:"errors"`
		}
		require.NoError(t, json.Unmarshal([]byte(text), &answer), text)
		require.Len(t, answer.Errors, 1)
		assert.Equal(t, want.param, answer.Errors[0].Meta["param_name"], text)
		assert.NotEmpty(t, answer.Errors[0].LongMessage)
	}
	for path, want := range map[string]int{"faults/7": 404, "faults/x": 404} {
		status, _ := l.do("DELETE", "/_clerktest/"+path, "")
		assert.Equal(t, want, status, path)
	}
	status, _ := l.do("POST", "/_clerktest/clock", `{"advance":"1h"}`, "Content-Type", "text/plain")
	assert.Equal(t, http.StatusUnsupportedMediaType, status, "what a form of another site could send")
	assert.WithinDuration(t, time.Now(), l.Now(), time.Minute)
}

// TestGuards: other machines, other names and other sites are refused.
func TestGuards(t *testing.T) {
	t.Parallel()
	l := newLocal(t)
	for host, want := range map[string]int{
		"127.0.0.1:4010": 200, "[::1]:4010": 200, "localhost": 200, "LOCALHOST:1": 200, "192.0.2.7": 200,
		"evil.example": 421, "localhost.evil.example:4010": 421, "127.0.0.1.evil.example": 421, "": 421,
	} {
		status, _ := l.do("GET", "/_clerktest/state", "", "Host", host)
		assert.Equal(t, want, status, host)
	}
	status, _ := l.do("POST", "/_clerktest/reset", "", "Origin", "https://evil.example", "Sec-Fetch-Site", "cross-site")
	assert.Equal(t, http.StatusForbidden, status)
	for from, want := range map[string]int{"192.0.2.7:1": 403, "[::1]:1": 200, "[::ffff:127.0.0.1]:1": 200} {
		l.from = from
		status, _ := l.do("GET", "/_clerktest/state", "")
		assert.Equal(t, want, status, from)
	}
	open := newLocal(t, desk.Anywhere())
	open.from = "192.0.2.7:1"
	status, _ = open.do("GET", "/_clerktest/state", "")
	assert.Equal(t, 200, status)
}

var tokenShape = regexp.MustCompile(`name="token" value="([^"]+)"`)

// TestForms: they work with the token of the page, and only so.
func TestForms(t *testing.T) {
	t.Parallel()
	l := newLocal(t)
	evil := l.AddInvitation(l.OrganizationID(), "<script>@example.com", "org:member")
	status, html := l.do("GET", "/_clerktest/", "")
	require.Equal(t, 200, status)
	assert.NotContains(t, html, "<script>@")
	token := tokenShape.FindStringSubmatch(html)[1]
	post := func(token, do, to string) int {
		status, _ := l.do("POST", "/_clerktest/do", url.Values{"token": {token}, "do": {do}, "to": {to}}.Encode(), "Content-Type", "application/x-www-form-urlencoded")
		return status
	}
	for _, wrong := range []string{"", "x", token[1:]} {
		assert.Equal(t, http.StatusForbidden, post(wrong, "accept", evil))
	}
	assert.Equal(t, http.StatusSeeOther, post(token, "accept", evil))
	assert.Equal(t, http.StatusConflict, post(token, "decline", evil))
	assert.Equal(t, http.StatusConflict, post(token, "dance", ""))
	assert.Equal(t, http.StatusConflict, post(token, "advance", "soon"))
	assert.Equal(t, http.StatusConflict, post(token, "switch", "lights"))
	for _, state := range []int{503, 200} {
		assert.Equal(t, http.StatusSeeOther, post(token, "switch", "down"))
		assert.Equal(t, state, l.api("GET", "/invitations", ""))
	}
	l.ok("POST", "faults", `{"kind":"html"}`)
	_, html = l.do("GET", "/_clerktest/", "")
	assert.Contains(t, html, "html of all calls")
	assert.Equal(t, http.StatusSeeOther, post(token, "remove", "2"))
	assert.Equal(t, 200, l.api("GET", "/invitations", ""))
	assert.Equal(t, http.StatusSeeOther, post(token, "advance", "1h"))
	assert.Equal(t, http.StatusSeeOther, post(token, "reset", ""))
	assert.Empty(t, l.Invitations(l.OrganizationID()))
	for path, want := range map[string]string{"page.css": "text/css", "page.js": "text/javascript"} {
		status, _ := l.do("GET", "/_clerktest/"+path, "")
		assert.Equal(t, 200, status, want)
	}
	status, _ = l.do("GET", "/_clerktest", "")
	assert.Equal(t, http.StatusSeeOther, status)
	status, _ = l.do("GET", "/_clerktest/page.html", "")
	assert.Equal(t, 404, status)
}

// TestEvents sends all at first, and then what changes.
func TestEvents(t *testing.T) {
	t.Parallel()
	server := clerktest.NewServer()
	t.Cleanup(server.Close)
	home := desk.Attach(server).URL()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, home+"events", nil)
	require.NoError(t, err)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	assert.Equal(t, "text/event-stream", resp.Header.Get("Content-Type"))
	lines := bufio.NewReader(resp.Body)
	next := func() map[string]string {
		line, err := lines.ReadString('\n')
		require.NoError(t, err)
		data, ok := strings.CutPrefix(line, "data: ")
		require.True(t, ok, line)
		var changed map[string]string
		require.NoError(t, json.Unmarshal([]byte(data), &changed))
		_, err = lines.ReadString('\n')
		require.NoError(t, err)
		return changed
	}
	assert.Len(t, next(), 7)
	server.AddInvitation(server.OrganizationID(), "ada@example.com", "org:member")
	for {
		changed := next()
		assert.NotContains(t, changed, "calls")
		if html, ok := changed["inbox"]; ok {
			assert.Contains(t, html, "ada@example.com")
			break
		}
	}
	server.Close() // ends the stream
	_, err = io.Copy(io.Discard, lines)
	require.Error(t, err)
}
