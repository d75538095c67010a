package clerkorg

import (
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestWithBaseURL(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ base, want string }{
		{"https://api.clerk.com", "https://api.clerk.com/v1"},
		{"https://api.clerk.com/", "https://api.clerk.com/v1"},
		{"https://api.clerk.com/v1", "https://api.clerk.com/v1"},
		{"https://api.clerk.com/v1/", "https://api.clerk.com/v1"},
		{"https://api.clerk.com/v1//", "https://api.clerk.com/v1"},
		{"https://proxy.example.com:8443/clerk", "https://proxy.example.com:8443/clerk/v1"},
		{"https://proxy.example.com/cl%2Ferk/v1", "https://proxy.example.com/cl%2Ferk/v1"},
		{"https://proxy.example.com/av1", "https://proxy.example.com/av1/v1"},
		{"HTTPS://api.clerk.com", "https://api.clerk.com/v1"},
		{"http://localhost:4010", "http://localhost:4010/v1"},
		{"http://127.0.0.1:4010/v1", "http://127.0.0.1:4010/v1"},
		{"http://127.8.9.10", "http://127.8.9.10/v1"},
		{"http://[::1]:80", "http://[::1]:80/v1"},
		{"https://[::1]", "https://[::1]/v1"},
		{"http://LOCALHOST:4010", "http://LOCALHOST:4010/v1"},
		{"https://gateway.example.com/v2/v1", "https://gateway.example.com/v2/v1"},

		{"", ""},
		{"api.clerk.com", ""},
		{"//api.clerk.com", ""},
		{"/v1", ""},
		{"https://", ""},
		{"https:///v1", ""},
		{"https://:443", ""},
		{"https:api.clerk.com", ""},
		{"ftp://api.clerk.com", ""},
		{"http://api.clerk.com", ""},
		{"http://canary.example.com", ""},
		{"http://localhost.canary.example.com", ""},
		{"http://10.0.0.1", ""},
		{"http://0.0.0.0", ""},
		{"http://[::]", ""},
		{"https://canary@api.clerk.com", ""},
		{"https://user:canary@api.clerk.com", ""},
		{"https://@api.clerk.com", ""},
		{"https://api.clerk.com?key=canary", ""},
		{"https://api.clerk.com/v1?", ""},
		{"https://api.clerk.com#canary", ""},
		{"https://api.clerk.com/%zz", ""},
		{"https://api.clerk.com:canary", ""},
		{"https://api.clerk.com\ncanary", ""},
		{"https://api.clerk.com:99999", ""},
		{"https://api.clerk.com:0", ""},
		{"https://api.clerk.com//canary", ""},
		{"https://api.clerk.com/../v1", ""},
		{"https://api.clerk.com/canary/./v1", ""},
	} {
		client, err := NewClient(newKey(), WithBaseURL(test.base))
		if test.want == "" {
			assert.Nil(t, client, "%q", test.base)
			require.Error(t, err, "%q", test.base)
			assert.Contains(t, err.Error(), "base URL")
			assert.NotContains(t, err.Error(), "canary")
			continue
		}
		require.NoError(t, err, "%q", test.base)
		assert.Equal(t, test.want, client.baseURL)
	}
}

func TestOptions(t *testing.T) {
	t.Parallel()
	limiter, logger := NewTokenBucket(), slog.New(slog.DiscardHandler)
	hourlyBulk := Quota{QuotaBulk, 70, 2 * time.Hour}
	for name, test := range map[string]struct {
		opt   Option
		fault string // part of the error
		check func(*Client) bool
	}{
		"http client":               {WithHTTPClient(&http.Client{Timeout: time.Second}), "", func(c *Client) bool { return c.http.Timeout == time.Second }},
		"no http client":            {WithHTTPClient(nil), "HTTP client", nil},
		"user agent":                {WithUserAgent("importer/1.2 (a; b)"), "", func(c *Client) bool { return c.userAgent == "clerkorg-go/"+Version+" importer/1.2 (a; b)" }},
		"empty user agent":          {WithUserAgent(""), "user agent", nil},
		"user agent with a line":    {WithUserAgent("a\r\nX-Evil: 1"), "user agent", nil},
		"user agent not ASCII":      {WithUserAgent("importér"), "user agent", nil},
		"api version":               {WithAPIVersion("2025-04-10"), "", func(c *Client) bool { return c.apiVersion == "2025-04-10" }},
		"api version v1":            {WithAPIVersion("v1"), "API version", nil},
		"api version with a line":   {WithAPIVersion("2025-04-10\n"), "API version", nil},
		"no api version":            {WithAPIVersion(""), "API version", nil},
		"limiter":                   {WithRateLimiter(limiter), "", func(c *Client) bool { return c.limiter == RateLimiter(limiter) }},
		"no limiter":                {WithRateLimiter(nil), "rate limiter", nil},
		"quota":                     {WithQuotas(hourlyBulk), "", func(c *Client) bool { return c.quotas[QuotaBulk] == hourlyBulk && c.quotas[QuotaCreate].Limit == 250 }},
		"no quotas":                 {WithQuotas(), "", func(c *Client) bool { return c.quotas[QuotaBulk].Limit == 50 }},
		"unknown quota":             {WithQuotas(Quota{"nonsense", 1, time.Hour}), `"nonsense"`, nil},
		"quota without a name":      {WithQuotas(Quota{"", 1, time.Hour}), "name", nil},
		"quota without a limit":     {WithQuotas(Quota{QuotaBulk, 0, time.Hour}), "limit", nil},
		"quota with less than none": {WithQuotas(Quota{QuotaBulk, -1, time.Hour}), "limit", nil},
		"quota without a window":    {WithQuotas(Quota{QuotaBulk, 1, 0}), "window", nil},
		"one bad quota of two":      {WithQuotas(hourlyBulk, Quota{QuotaBulk, 1, -1}), "window", nil},
		"wait":                      {WithMaxRateLimitWait(time.Minute), "", func(c *Client) bool { return c.maxWait == time.Minute }},
		"no wait":                   {WithMaxRateLimitWait(0), "", func(c *Client) bool { return c.maxWait == 0 }},
		"negative wait":             {WithMaxRateLimitWait(-1), "wait", nil},
		"retries":                   {WithMaxRetries(7), "", func(c *Client) bool { return c.maxRetries == 7 }},
		"no retries":                {WithMaxRetries(0), "", func(c *Client) bool { return c.maxRetries == 0 }},
		"negative retries":          {WithMaxRetries(-1), "retries", nil},
		"logger":                    {WithLogger(logger), "", func(c *Client) bool { return c.logger == logger }},
		"no logger":                 {WithLogger(nil), "logger", nil},
		"no observer":               {WithObserver(nil), "observer", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client, err := NewClient(newKey(), test.opt)
			if test.fault != "" {
				assert.Nil(t, client)
				assert.ErrorContains(t, err, "clerkorg: ")
				assert.ErrorContains(t, err, test.fault)
				return
			}
			require.NoError(t, err)
			assert.True(t, test.check(client))
		})
	}
}

// The quotas of one client are not those of another.
func TestWithQuotasKeepsToItsClient(t *testing.T) {
	t.Parallel()
	opt := WithQuotas(Quota{QuotaBulk, 1, time.Minute})
	one, err := NewClient(newKey(), opt)
	require.NoError(t, err)
	other, err := NewClient(newKey())
	require.NoError(t, err)
	assert.Equal(t, 1, one.quotas[QuotaBulk].Limit)
	assert.Equal(t, 50, other.quotas[QuotaBulk].Limit)
}

// What the options say is what goes over the wire.
func TestOptionsOnTheWire(t *testing.T) {
	t.Parallel()
	recorder := newRecorder(reply(200, fixture(t, "list_empty.json")))
	client := newTestClient(t, recorder, WithBaseURL("https://proxy.example.com/clerk"), WithAPIVersion("2030-01-02"), WithUserAgent("app/1"))
	_, err := client.Organizations.ListInstanceInvitations(t.Context(), nil)
	require.NoError(t, err)
	req := recorder.requests[0]
	assert.Equal(t, "https://proxy.example.com/clerk/v1/organization_invitations", req.URL.String())
	assert.Equal(t, "2030-01-02", req.Header.Get("Clerk-API-Version"))
	assert.Equal(t, "clerkorg-go/"+Version+" app/1", req.Header.Get("User-Agent"))
}

// Clients of one key share what they know of its quota, unless told otherwise.
func TestClientsShareTheirQuota(t *testing.T) {
	t.Parallel()
	key := newKey()
	recorder := newRecorder(reply(200, fixture(t, "list_empty.json")))
	through := WithHTTPClient(&http.Client{Transport: recorder})
	first, err := NewClient(key, through)
	require.NoError(t, err)
	second, err := NewClient(key, through)
	require.NoError(t, err)
	own, err := NewClient(key, through, WithRateLimiter(NewTokenBucket()))
	require.NoError(t, err)
	_, err = first.Organizations.ListInstanceInvitations(t.Context(), nil)
	require.NoError(t, err)
	for client, left := range map[*Client]int{first: 99, second: 99, own: 100} {
		state, err := client.Quota(t.Context(), QuotaInstance)
		require.NoError(t, err)
		assert.Equal(t, left, state.Available)
	}
}

// A logger that is not interested in debug lines is not asked for any.
func TestWithLoggerAboveDebug(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	recorder := newRecorder(reply(200, fixture(t, "list_empty.json")))
	client := newTestClient(t, recorder, WithLogger(slog.New(slog.NewTextHandler(io.Writer(&b), nil))))
	_, err := client.Organizations.ListInstanceInvitations(t.Context(), nil)
	require.NoError(t, err)
	assert.Empty(t, b.String())
}

// TestWithBaseURLSaysWhy is about what is in a URL that was read from a file, and
// about paths that the calls would not reach.
func TestWithBaseURLSaysWhy(t *testing.T) {
	t.Parallel()
	const (
		beyond  = "must not go on after the version: calls add their own paths"
		version = "must end in /v1, the only version that this package speaks, or have none"
	)
	for base, fault := range map[string]string{
		"https://api.clerk.com\n":                     "ends with a line break",
		"https://api.clerk.com/v1\r\n":                "ends with a line break",
		" https://api.clerk.com":                      "begins with U+0020 (space)",
		"https://api.clerk.com/v1 ":                   "ends with U+0020 (space)",
		"\ufeffhttps://api.clerk.com":                 "begins with U+FEFF (byte order mark)",
		`"https://api.clerk.com"`:                     "has quotation marks around it",
		"https://api.clerk\u200b.com":                 "must not hold U+200B (zero width space), at byte offset 17",
		"https://api.clerk%E2%80%8B.com":              "must not hold U+200B (zero width space), at byte offset 9 of its host",
		"https://api.clerk.com/\xff":                  "is not UTF-8",
		"https://api.clerk.com:99999/v1":              "must have a port from 1 to 65535, or none",
		"https://api.clerk.com/v1/organizations":      beyond,
		"https://api.clerk.com/V1/organizations":      beyond,
		"https://proxy.example.com/v1/organizations/": beyond,
		"https://api.clerk.com/V1":                    version,
		"https://api.clerk.com/V1/":                   version,
		"https://api.clerk.com/v2":                    version,
		"https://api.clerk.com//v1":                   "must not have empty or dot segments in its path",
	} {
		client, err := NewClient(newKey(), WithBaseURL(base))
		assert.Nil(t, client)
		assert.EqualError(t, err, "clerkorg: base URL: "+fault, "%q", base)
	}
}
