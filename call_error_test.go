package clerkorg

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// get has one answer checked.
func get(t *testing.T, respond responder) *APIError {
	t.Helper()
	client := newTestClient(t, newRecorder(respond), WithMaxRetries(0), WithMaxRateLimitWait(0))
	got, err := client.Organizations.GetInvitation(t.Context(), "org_1", "inv_1")
	assert.Nil(t, got)
	api, ok := asAPIError(err)
	require.True(t, ok, "%v", err)
	return api
}

func TestAPIErrorOfClerk(t *testing.T) {
	t.Parallel()
	api := get(t, reply(422, fixture(t, "error_duplicate.json"), "Clerk-Trace-Id", "of the header", "Retry-After", "7"))
	assert.Equal(t, http.StatusUnprocessableEntity, api.StatusCode)
	assert.Equal(t, "4c1f0e3b8a2d", api.TraceID)
	assert.Equal(t, http.MethodGet, api.Method)
	assert.Equal(t, "/organizations/org_1/invitations/inv_1", api.Path)
	assert.Equal(t, 7*time.Second, api.RetryAfter)
	require.Len(t, api.Errors, 2)
	first := api.Errors[0]
	assert.Equal(t, CodeDuplicateRecord, first.Code)
	assert.Equal(t, "duplicate record", first.Message)
	assert.Contains(t, first.LongMessage, "pending invitations")
	var meta struct {
		EmailAddresses []string `json:"email_addresses"`
		Count          int64    `json:"count"`
	}
	require.NoError(t, first.Meta.Decode(&meta))
	assert.Equal(t, []string{"canary@example.com"}, meta.EmailAddresses)
	assert.Equal(t, int64(9007199254740993), meta.Count)
	assert.True(t, api.HasCode(CodeParamTooLong))
	assert.False(t, api.HasCode(CodeNotAMember))
	assert.Equal(t, fixture(t, "error_duplicate.json")[:512], string(api.Body), "the first bytes")
}

func TestAPIErrorOfSomethingElse(t *testing.T) {
	t.Parallel()
	page := "<!DOCTYPE html>\n<h1>502</h1>" + strings.Repeat("x", 10_000)
	for name, test := range map[string]struct {
		body  string
		codes int
	}{
		"html":                {page, 0},
		"text":                {"upstream connect error", 0},
		"empty":               {"", 0},
		"null":                {"null", 0},
		"array":               {"[]", 0},
		"another object":      {`{"error":"no"}`, 0},
		"errors of no shape":  {`{"errors":"no"}`, 0},
		"errors of strings":   {`{"errors":["no"]}`, 0},
		"cut off":             {`{"errors":[{"code":"duplicate_record"}],"clerk_tr`, 0},
		"null in it":          {`{"errors":null,"clerk_trace_id":null}`, 0},
		"nothing in it":       {`{"errors":[{}]}`, 1},
		"unknown code":        {`{"errors":[{"code":"of_tomorrow","more":[1]}],"x":{}}`, 1},
		"meta of any shape":   {`{"errors":[{"code":"a","meta":null},{"code":"b","meta":[1]}]}`, 2},
		"exactly 512 bytes":   {strings.Repeat("y", 512), 0},
		"one byte more":       {strings.Repeat("y", 513), 0},
		"not even UTF-8":      {"\xff\xfe\x00", 0},
		"a key and a newline": {"{\"errors\":[{\"code\":\"a\\nb\",\"long_message\":\"c\\r\\nd\"}]}", 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			api := get(t, reply(502, test.body, "CF-Ray", "ray_1"))
			assert.Equal(t, 502, api.StatusCode)
			assert.Len(t, api.Errors, test.codes)
			assert.Equal(t, "ray_1", api.TraceID)
			assert.Equal(t, test.body[:min(512, len(test.body))], string(api.Body))
			assert.NotContains(t, api.Error(), "\n")
			assert.NotContains(t, api.Error(), "<h1>", "bodies are not dumped")
		})
	}
}

func TestTraceID(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ body, clerk, ray, want string }{
		{`{"clerk_trace_id":"body"}`, "header", "ray", "body"},
		{`{"clerk_trace_id":""}`, "header", "ray", "header"},
		{`{}`, "", "ray", "ray"},
		{`<html>`, "header", "", "header"},
		{``, "", "", ""},
	} {
		api := get(t, reply(400, test.body, "Clerk-Trace-Id", test.clerk, "CF-Ray", test.ray))
		assert.Equal(t, test.want, api.TraceID)
	}
}

func TestRetryAfterHeader(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		now := time.Now().UTC()
		for text, want := range map[string]time.Duration{
			"":                          0,
			"0":                         time.Second, // the header counts seconds
			"1":                         time.Second,
			" 120 ":                     2 * time.Minute,
			"3600":                      time.Hour,
			"1.5":                       1500 * time.Millisecond,
			"-5":                        0,
			"soon":                      0,
			"12 seconds":                0,
			"NaN":                       0,
			"Inf":                       0,
			"+Infinity":                 0,
			"1e3":                       0,
			"0x10":                      0,
			"1_000":                     0,
			"9999999999999999999999999": 24 * time.Hour,
			now.Add(90 * time.Second).Format(http.TimeFormat):                  90 * time.Second,
			now.Add(90 * time.Second).Format("Monday, 02-Jan-06 15:04:05 GMT"): 90 * time.Second,
			now.Add(-time.Hour).Format(http.TimeFormat):                        time.Second,
			now.Add(time.Hour).Format(time.RFC3339):                            0,
		} {
			got := retryAfter(http.Header{"Retry-After": {text}}, now, 24*time.Hour)
			assert.Equal(t, want, got, "%q", text)
		}
		assert.Zero(t, retryAfter(http.Header{}, now, time.Hour))
	})
}

// TestOutcomeOfStatuses: which answers leave it open what was done.
func TestOutcomeOfStatuses(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		status     int
		retryAfter string
		unknown    bool
		is         []error
	}{
		{301, "", false, nil},
		{303, "", true, nil},
		{304, "", false, nil},
		{308, "", false, nil},
		{400, "", false, nil},
		{401, "", false, []error{ErrUnauthorized}},
		{402, "", false, nil},
		{403, "", false, []error{ErrForbidden}},
		{404, "", false, []error{ErrNotFound}},
		{408, "", true, nil},
		{409, "", false, nil},
		{413, "", false, nil},
		{422, "5", false, nil},
		{429, "5", false, []error{ErrRateLimited}},
		{429, "", false, []error{ErrRateLimited}},
		{500, "", true, nil},
		{500, "5", true, nil},
		{501, "", true, nil},
		{502, "5", true, nil},
		{503, "", true, nil},
		{503, "0", false, nil},
		{503, "5", false, nil},
		{504, "5", true, nil},
		{599, "", true, nil},
	} {
		t.Run(fmt.Sprintf("status=%d/retryAfter=%s", test.status, test.retryAfter), func(t *testing.T) {
			t.Parallel()
			forEachCall(t, func(t *testing.T, call apiCall) {
				client := newTestClient(t, newRecorder(reply(test.status, fixture(t, "error_duplicate.json"), "Retry-After", test.retryAfter)),
					WithMaxRetries(0), WithMaxRateLimitWait(0))
				got, err := call.do(t.Context(), client.Organizations)
				assert.True(t, isNil(got))
				api, ok := asAPIError(err)
				require.True(t, ok, "%v", err)
				assert.Equal(t, test.status, api.StatusCode)
				assert.Equal(t, test.unknown && call.creates(), isUnknown(err))
				want := test.is
				if test.unknown && call.creates() {
					want = append(want, ErrOutcomeUnknown)
				}
				assert.Equal(t, append(want, ErrAlreadyInvited), matches(err))
			})
		})
	}
}

// Any 2xx is a success, if its body is one.
func TestOtherSuccesses(t *testing.T) {
	t.Parallel()
	for _, status := range []int{200, 201, 202, 299} {
		client := newTestClient(t, newRecorder(reply(status, fixture(t, "invitation.json"))))
		got, err := client.Organizations.CreateInvitation(t.Context(), "org_1", person("ada@example.com"))
		require.NoError(t, err)
		assert.Equal(t, "orginv_2a", got.ID)
	}
}

// TestKeyInAnswer: a server or a proxy that repeats what it was sent must not make
// us repeat it.
func TestKeyInAnswer(t *testing.T) {
	t.Parallel()
	const key = "sk_test_canary0123456789"
	for _, body := range []string{
		`{"errors":[{"code":"bad_request","message":"` + key + `","long_message":"Bearer ` + key + ` is odd","meta":{"key":"` + key + `"}}]}`,
		"<html>Authorization: Bearer " + key + "</html>",
	} {
		client, err := NewClient(key, WithHTTPClient(&http.Client{Transport: newRecorder(reply(400, body))}))
		require.NoError(t, err)
		_, err = client.Organizations.Get(t.Context(), "org_1")
		api, ok := asAPIError(err)
		require.True(t, ok)
		shown := fmt.Sprintf("%v %+v %#v %s", err, *api, *api, api.Body)
		assert.NotContains(t, shown, key)
		assert.NotContains(t, string(api.Body), "canary")
	}
}
