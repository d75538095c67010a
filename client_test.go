package clerkorg

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestNewClientSecretKey(t *testing.T) {
	t.Parallel()
	for _, key := range []string{"sk_test_a", "sk_live_" + strings.Repeat("Z", 500), "sk_live_!~/+="} {
		client, err := NewClient(key)
		require.NoError(t, err, "%q", key)
		assert.NotNil(t, client.Organizations)
	}
	for key, fault := range badKeys {
		client, err := NewClient(key)
		assert.Nil(t, client, "%q", key)
		assert.EqualError(t, err, "clerkorg: the secret key "+fault, "%q", key)
	}
}

// badKeys are keys as they are in files, forms and headers, with what is said of
// them.
var badKeys = map[string]string{
	"":                           "is empty; it must begin with sk_test_ or sk_live_",
	"sk_test_":                   "has nothing behind sk_test_",
	"sk_live_":                   "has nothing behind sk_live_",
	"canary":                     "must begin with sk_test_ or sk_live_",
	"sk_prod_canary":             "must begin with sk_test_ or sk_live_",
	"SK_TEST_canary":             "must begin with sk_test_ or sk_live_",
	"CLERK_SECRET_KEY=canary":    "must begin with sk_test_ or sk_live_",
	"pk_test_canary":             "is a publishable key, as it begins with pk_; secret keys begin with sk_test_ or sk_live_",
	"pk_live_canary":             "is a publishable key, as it begins with pk_; secret keys begin with sk_test_ or sk_live_",
	"Bearer sk_test_canary":      "has Bearer in front; it must begin with sk_test_ or sk_live_",
	"bearer  sk_live_canary":     "has Bearer in front; it must begin with sk_test_ or sk_live_",
	"sk_test_canary\n":           "ends with a line break",
	"sk_test_canary\r\n":         "ends with a line break",
	"\nsk_test_canary":           "begins with U+000A (line feed)",
	" sk_test_canary":            "begins with U+0020 (space)",
	"sk_test_canary ":            "ends with U+0020 (space)",
	"sk_test_canary\t":           "ends with U+0009 (tab)",
	"\ufeffsk_test_canary":       "begins with U+FEFF (byte order mark)",
	"sk_test_canary\u200b":       "ends with U+200B (zero width space)",
	`"sk_test_canary"`:           "has quotation marks around it",
	"'sk_test_canary'":           "has quotation marks around it",
	"\u201csk_test_canary\u201d": "has quotation marks around it",
	"sk_test_ca nary":            "must hold nothing but printable ASCII without spaces",
	"sk_test_ca\nnary":           "must hold nothing but printable ASCII without spaces",
	"sk_test_ca\x00nary":         "must hold nothing but printable ASCII without spaces",
	"sk_test_canary\u00e9":       "must hold nothing but printable ASCII without spaces",
	"sk_test_canary\xffz":        "is not UTF-8",
}

func TestNewClientReportsEverything(t *testing.T) {
	t.Parallel()
	client, err := NewClient("canary", WithBaseURL("http://api.example.com"), nil, WithMaxRetries(-1), WithLogger(nil))
	assert.Nil(t, client)
	require.Error(t, err)
	for _, want := range []string{"secret key", "base URL", "option 1 is nil", "retries", "logger"} {
		assert.Contains(t, err.Error(), want)
	}
	assert.NotContains(t, err.Error(), "canary")
	for line := range strings.Lines(err.Error()) {
		assert.True(t, strings.HasPrefix(line, "clerkorg: "), line)
	}
}

func TestNewClientDefaults(t *testing.T) {
	t.Parallel()
	for prefix, instance := range map[string]int{"sk_test_": 100, "sk_live_": 1000} {
		client, err := NewClient(prefix + rand.Text())
		require.NoError(t, err)
		for name, want := range map[string]Quota{
			QuotaBulk:     {QuotaBulk, 50, time.Hour},
			QuotaCreate:   {QuotaCreate, 250, time.Hour},
			QuotaInstance: {QuotaInstance, instance, 10 * time.Second},
		} {
			state, err := client.Quota(t.Context(), name)
			require.NoError(t, err)
			assert.Equal(t, QuotaState{Quota: want, Available: want.Limit}, state)
		}
		assert.Equal(t, DefaultTimeout, client.http.Timeout)
		transport, ok := client.http.Transport.(*http.Transport)
		require.True(t, ok)
		assert.Greater(t, transport.MaxIdleConnsPerHost, http.DefaultMaxIdleConnsPerHost)
		assert.NotSame(t, http.DefaultTransport, transport, "that of everybody is not ours to change")
		assert.Equal(t, "https://api.clerk.com/v1", client.baseURL)
		assert.Equal(t, 3, client.maxRetries)
		assert.Equal(t, 10*time.Second, client.maxWait)
	}
}

// The default transport of the process may be replaced by a test or a tracer.
func TestNewClientUsesAReplacedDefaultTransport(t *testing.T) {
	given := http.DefaultTransport
	t.Cleanup(func() { http.DefaultTransport = given })
	replaced := newRecorder(reply(200, "{}"))
	http.DefaultTransport = replaced
	client, err := NewClient(newKey())
	require.NoError(t, err)
	assert.Same(t, replaced, client.http.Transport)
}

func TestNewClientFromEnv(t *testing.T) {
	t.Setenv("CLERK_SECRET_KEY", "")
	t.Setenv("CLERK_API_URL", "")
	client, err := NewClientFromEnv()
	assert.Nil(t, client)
	assert.ErrorContains(t, err, "CLERK_SECRET_KEY")

	key := newKey()
	t.Setenv("CLERK_SECRET_KEY", key)
	client, err = NewClientFromEnv()
	require.NoError(t, err)
	assert.Equal(t, DefaultBaseURL, client.baseURL)
	assert.Equal(t, "Bearer "+key, client.header().Get("Authorization"))

	t.Setenv("CLERK_API_URL", "https://clerk.example.com")
	client, err = NewClientFromEnv()
	require.NoError(t, err)
	assert.Equal(t, "https://clerk.example.com/v1", client.baseURL)

	client, err = NewClientFromEnv(WithBaseURL("https://other.example.com/v1"))
	require.NoError(t, err)
	assert.Equal(t, "https://other.example.com/v1", client.baseURL, "options go before the environment")

	t.Setenv("CLERK_API_URL", "http://user:canary@clerk.example.com")
	client, err = NewClientFromEnv()
	assert.Nil(t, client)
	assert.ErrorContains(t, err, "CLERK_API_URL")
	assert.NotContains(t, err.Error(), "canary")

	t.Setenv("CLERK_SECRET_KEY", "canary\n")
	client, err = NewClientFromEnv()
	assert.Nil(t, client)
	assert.EqualError(t, err, "clerkorg: the environment variable CLERK_SECRET_KEY ends with a line break\n"+
		"clerkorg: CLERK_API_URL: base URL: must not hold a user or a password")
}

// TestNewClientFromEnvNamesTheVariable names it in what it says of every bad key.
func TestNewClientFromEnvNamesTheVariable(t *testing.T) {
	t.Setenv("CLERK_API_URL", "")
	for key, fault := range badKeys {
		if strings.Contains(key, "\x00") {
			continue // cannot be in an environment
		}
		t.Setenv("CLERK_SECRET_KEY", key)
		client, err := NewClientFromEnv()
		assert.Nil(t, client)
		assert.EqualError(t, err, "clerkorg: the environment variable CLERK_SECRET_KEY "+fault, "%q", key)
	}
	require.NoError(t, os.Unsetenv("CLERK_SECRET_KEY")) // Setenv restores it
	client, err := NewClientFromEnv()
	assert.Nil(t, client)
	assert.EqualError(t, err, "clerkorg: the environment variable CLERK_SECRET_KEY is not set")

	t.Setenv("CLERK_SECRET_KEY", newKey())
	t.Setenv("CLERK_API_URL", "https://api.clerk.com\n")
	client, err = NewClientFromEnv()
	assert.Nil(t, client)
	assert.EqualError(t, err, "clerkorg: CLERK_API_URL: base URL: ends with a line break")
}

func TestClientLeavesTheGivenHTTPClientAlone(t *testing.T) {
	t.Parallel()
	recorder := newRecorder(reply(200, fixture(t, "list.json")))
	redirects := 0
	given := &http.Client{
		Transport:     recorder,
		CheckRedirect: func(*http.Request, []*http.Request) error { redirects++; return nil },
	}
	transport, timeout, policy := given.Transport, given.Timeout, fmt.Sprintf("%p", given.CheckRedirect)
	client, err := NewClient(newKey(), WithHTTPClient(given))
	require.NoError(t, err)
	_, err = client.Organizations.ListInstanceInvitations(t.Context(), nil)
	require.NoError(t, err)
	assert.Equal(t, transport, given.Transport)
	assert.Equal(t, timeout, given.Timeout)
	assert.Equal(t, policy, fmt.Sprintf("%p", given.CheckRedirect))
	assert.NotSame(t, given, client.http)
	assert.Equal(t, 1, recorder.count(), "and uses its transport")

	given.Timeout = 7 * time.Second
	client, err = NewClient(newKey(), WithHTTPClient(given))
	require.NoError(t, err)
	assert.Equal(t, 7*time.Second, client.http.Timeout)

	client, err = NewClient(newKey(), WithHTTPClient(&http.Client{}))
	require.NoError(t, err)
	assert.NotNil(t, client.http.Transport)
}

// TestRedirectsAreRefused: the secret must not travel.
func TestRedirectsAreRefused(t *testing.T) {
	t.Parallel()
	for _, status := range []int{301, 302, 303, 307, 308} {
		for name, call := range map[string]func(*Client) (any, error){
			"read": func(c *Client) (any, error) {
				return boxed(c.Organizations.GetInvitation(t.Context(), "org_1", "inv_1"))
			},
			"bulk": func(c *Client) (any, error) {
				return boxed(c.Organizations.CreateInvitationBulk(t.Context(), "org_1", someone()))
			},
		} {
			t.Run(fmt.Sprintf("status=%d/%s", status, name), func(t *testing.T) {
				t.Parallel()
				var mu sync.Mutex
				var paths []string
				server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					mu.Lock()
					defer mu.Unlock()
					paths = append(paths, r.URL.Path)
					w.Header().Set("Location", "/v1/elsewhere")
					w.WriteHeader(status)
				}))
				defer server.Close()
				client, err := NewClient(newKey(), WithBaseURL(server.URL), WithHTTPClient(server.Client()))
				require.NoError(t, err)
				got, err := call(client)
				assert.True(t, isNil(got))
				api, ok := asAPIError(err)
				require.True(t, ok, "%v", err)
				assert.Equal(t, status, api.StatusCode)
				mu.Lock()
				defer mu.Unlock()
				assert.Len(t, paths, 1)
			})
		}
	}
}

func TestQuotaOfAnUnknownName(t *testing.T) {
	t.Parallel()
	client := newTestClient(t, newRecorder())
	state, err := client.Quota(t.Context(), "nonsense")
	assert.ErrorContains(t, err, `"nonsense"`)
	assert.Equal(t, QuotaState{}, state)
}

// printed is v in every way in which programs print, encode and log.
func printed(t *testing.T, v any) string {
	t.Helper()
	var b bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x", "%X", "%t", "%T"} {
		fmt.Fprintf(&b, verb+"\n", v)
	}
	if encoded, err := json.Marshal(v); err == nil {
		b.Write(encoded)
	}
	for _, handler := range []slog.Handler{slog.NewTextHandler(&b, nil), slog.NewJSONHandler(&b, nil)} {
		slog.New(handler).Info("message", "value", v, slog.Group("group", "value", v))
	}
	return b.String()
}

// assertNoSecret looks for a key in plain text and in hexadecimal.
func assertNoSecret(t *testing.T, key string, v any) {
	t.Helper()
	text := printed(t, v)
	for _, spelling := range []string{key, key[8:], fmt.Sprintf("%x", key), fmt.Sprintf("%X", key), fmt.Sprint([]byte(key))} {
		assert.NotContains(t, text, spelling, "%T", v)
	}
}

func TestClientNeverShowsTheKey(t *testing.T) {
	t.Parallel()
	key := newKey()
	client, err := NewClient(key, WithBaseURL("https://clerk.example.com"), WithUserAgent("app/1"), WithLogger(slog.Default()))
	require.NoError(t, err)
	options := []Option{
		WithBaseURL("https://clerk.example.com"), WithHTTPClient(http.DefaultClient), WithRateLimiter(client.limiter),
		WithLogger(slog.Default()), WithQuotas(client.quotas[QuotaBulk]),
	}
	value := *client //nolint:govet // what a careless program does
	for _, v := range []any{
		client, value, &value, []*Client{client}, []Client{value}, map[string]any{"client": value},
		struct{ C *Client }{client}, struct{ C Client }{value}, client.Organizations, *client.Organizations,
		options, client.limiter, client.quotas, client.http, client.String(), client.GoString(),
	} {
		assertNoSecret(t, key, v)
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		assert.Equal(t, "clerkorg.Client(https://clerk.example.com/v1)", fmt.Sprintf(verb, client))
	}
	encoded, err := json.Marshal(client)
	require.NoError(t, err)
	assert.JSONEq(t, `"clerkorg.Client(https://clerk.example.com/v1)"`, string(encoded))
	var none *Client
	assert.Equal(t, "clerkorg.Client(nil)", none.String())
	assert.Equal(t, "clerkorg.Client(nil)", fmt.Sprint(none))
}

// TestErrorsNeverShowTheKey meets every kind of error with a key to give away.
func TestErrorsNeverShowTheKey(t *testing.T) {
	t.Parallel()
	key := newKey()
	client, err := NewClient(key, WithRateLimiter(NewTokenBucket()), WithMaxRetries(0), WithMaxRateLimitWait(0),
		WithHTTPClient(&http.Client{Transport: newRecorder(
			reply(401, fixture(t, "error_duplicate.json")), reply(500, "<html>"), reply(429, ""), failing(&url.Error{Op: "Post", URL: "https://x/", Err: context.Canceled}), reply(200, "{"),
		)}))
	require.NoError(t, err)
	var seen []error
	for range 5 {
		_, err := client.Organizations.CreateInvitation(t.Context(), "org_1", person("ada@example.com"))
		require.Error(t, err)
		seen = append(seen, err)
	}
	_, err = client.Organizations.CreateInvitation(t.Context(), "", CreateInvitationParams{})
	seen = append(seen, err)
	for _, err := range seen {
		assertNoSecret(t, key, err)
		assert.NotContains(t, err.Error(), "\n")
	}
}

// TestVersion keeps the constant from being forgotten.
func TestVersion(t *testing.T) {
	t.Parallel()
	changes, err := os.ReadFile("CHANGELOG.md")
	require.NoError(t, err)
	coming, dev := strings.CutSuffix(Version, "-dev")
	if dev {
		assert.Contains(t, string(changes), "\n## Unreleased\n")
		assert.NotContains(t, string(changes), "\n## "+coming)
		return
	}
	newest := regexp.MustCompile(`(?m)^## (\d+\.\d+\.\d+) - `).FindSubmatch(changes)
	require.NotNil(t, newest, "CHANGELOG.md has no heading with a version")
	assert.Equal(t, Version, string(newest[1]), "the newest heading of CHANGELOG.md")
}
