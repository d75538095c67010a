package clerktest_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/clerkorg/clerkorg-go/clerktest"
)

// api is a server and a client that knows its key.
type api struct {
	*clerktest.Server
	t      testing.TB
	client *http.Client
	base   string
}

// inMemory needs no socket, so that it works in a bubble.
func inMemory(tb testing.TB, opts ...clerktest.Option) *api {
	tb.Helper()
	s := clerktest.NewServer(opts...)
	return &api{s, tb, &http.Client{Transport: s.Transport()}, "https://api.example.com/v1"}
}

func overLoopback(tb testing.TB, opts ...clerktest.Option) *api {
	tb.Helper()
	s := clerktest.NewServer(opts...)
	tb.Cleanup(s.Close)
	// A connection for each request, so that net/http repeats none by itself.
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	return &api{s, tb, client, s.URL()}
}

// transports are the ways to a server, for tests that try each.
var transports = map[string]func(testing.TB, ...clerktest.Option) *api{
	"in memory": inMemory,
	"loopback":  overLoopback,
}

// answer is a response that was read to its end.
type answer struct {
	status int
	header http.Header
	body   string
}

func (a *api) request(method, path, body string) *http.Request {
	a.t.Helper()
	var reader io.Reader
	if body != "" {
		reader = strings.NewReader(body)
	}
	req, err := http.NewRequestWithContext(a.t.Context(), method, a.base+path, reader)
	require.NoError(a.t, err)
	req.Header.Set("Authorization", "Bearer "+a.SecretKey())
	req.Header.Set("Content-Type", "application/json")
	return req
}

func (a *api) send(req *http.Request) (answer, error) {
	resp, err := a.client.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Header, string(body)}, err
}

func (a *api) do(method, path, body string) answer {
	a.t.Helper()
	got, err := a.send(a.request(method, path, body))
	require.NoError(a.t, err)
	return got
}

// org is a path below the default organization.
func (a *api) org(rest string) string { return "/organizations/" + a.OrganizationID() + rest }

func (a *api) bulk(emails ...string) answer {
	a.t.Helper()
	return a.do("POST", a.org("/invitations/bulk"), people(emails...))
}

func (a *api) create(email string) answer {
	a.t.Helper()
	return a.do("POST", a.org("/invitations"), person(email))
}

func person(email string) string {
	return fmt.Sprintf(`{"email_address":%q,"role":"org:member"}`, email)
}

func people(emails ...string) string {
	all := make([]string, len(emails))
	for i, email := range emails {
		all[i] = person(email)
	}
	return "[" + strings.Join(all, ",") + "]"
}

type invitation struct {
	Object                 string           `json:"object"`
	ID                     string           `json:"id"`
	EmailAddress           string           `json:"email_address"`
	Role                   string           `json:"role"`
	RoleName               string           `json:"role_name"`
	Status                 string           `json:"status"`
	URL                    *string          `json:"url"`
	ExpiresAt              int64            `json:"expires_at"`
	CreatedAt              int64            `json:"created_at"`
	UpdatedAt              int64            `json:"updated_at"`
	PublicOrganizationData *json.RawMessage `json:"public_organization_data"`
}

type invitationList struct {
	Data       []invitation `json:"data"`
	TotalCount int          `json:"total_count"`
}

func (l invitationList) emails() []string {
	emails := make([]string, len(l.Data))
	for i, inv := range l.Data {
		emails[i] = inv.EmailAddress
	}
	return emails
}

func decode[T any](tb testing.TB, a answer) T {
	tb.Helper()
	require.Equal(tb, 200, a.status, a.body)
	require.Equal(tb, "application/json", a.header.Get("Content-Type"))
	var v T
	require.NoError(tb, json.Unmarshal([]byte(a.body), &v), a.body)
	return v
}

type failure struct {
	Errors []struct {
		Message     string         `json:"message"`
		LongMessage string         `json:"long_message"`
		Code        string         `json:"code"`
		Meta        map[string]any `json:"meta"`
	} `json:"errors"`
	TraceID string `json:"clerk_trace_id"`
}

// requireError checks the shape of an error and returns its long message and meta.
func requireError(tb testing.TB, a answer, status int, code string) (string, map[string]any) {
	tb.Helper()
	require.Equal(tb, status, a.status, a.body)
	require.Equal(tb, "application/json", a.header.Get("Content-Type"))
	var f failure
	require.NoError(tb, json.Unmarshal([]byte(a.body), &f), a.body)
	require.Len(tb, f.Errors, 1)
	require.Equal(tb, code, f.Errors[0].Code, a.body)
	require.NotEmpty(tb, f.Errors[0].Message)
	require.NotEmpty(tb, f.Errors[0].LongMessage)
	require.Equal(tb, a.header.Get("Clerk-Trace-Id"), f.TraceID)
	require.NotEmpty(tb, f.TraceID)
	return f.Errors[0].LongMessage, f.Errors[0].Meta
}

func statuses(s *clerktest.Server, orgID string) map[string]string {
	all := make(map[string]string)
	for _, inv := range s.Invitations(orgID) {
		all[inv.EmailAddress] = inv.Status
	}
	return all
}

func addresses(n int, from int) []string {
	emails := make([]string, n)
	for i := range emails {
		emails[i] = fmt.Sprintf("p%06d@example.com", from+i)
	}
	return emails
}

func constant(d time.Duration) func() time.Duration {
	return func() time.Duration { return d }
}
