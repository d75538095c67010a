package clerkorg

import (
	"encoding/json"
	"errors"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/clerkorg/clerkorg-go/clerktest"
)

// FuzzDecodeAnswer has any bytes come back for every call. Nothing panics, with an
// error there is no result, and what is a result stays what it is when it is
// encoded and decoded again.
func FuzzDecodeAnswer(f *testing.F) {
	for _, name := range []string{
		"invitation.json", "invitation_nulls.json", "invitation_revoked.json", "bulk.json", "bulk_bare.json",
		"list.json", "list_instance.json", "list_empty.json", "error_duplicate.json",
	} {
		f.Add([]byte(fixture(f, name)), 200)
		f.Add([]byte(fixture(f, name)), 422)
	}
	for _, body := range []string{"", "null", `{"id":"a","created_at":1700000}`, "[]", "{}", "<html>", `{"data":[null]}`, `{"data":[{"id":"a","created_at":1e12}]}`, `{"errors":[{"meta":[]}]}`, "[{}]"} {
		f.Add([]byte(body), 200)
		f.Add([]byte(body), 503)
	}
	f.Fuzz(func(t *testing.T, body []byte, status int) {
		if status < 200 || status > 599 {
			return
		}
		client := newTestClient(t, newRecorder(reply(status, string(body), "Retry-After", string(body[:min(len(body), 20)]))),
			WithMaxRetries(0), WithRateLimiter(Unlimited()))
		orgs, ctx := client.Organizations, t.Context()
		bulk, err := orgs.CreateInvitationBulk(ctx, "org_1", two())
		same(t, bulk, err, bulk == nil)
		single, err := orgs.CreateInvitation(ctx, "org_1", person("ada@example.com"))
		same(t, single, err, single == nil)
		list, err := orgs.ListInvitations(ctx, "org_1", nil)
		same(t, list, err, list == nil)
		revoked, err := orgs.RevokeInvitation(ctx, "org_1", "orginv_1", nil)
		same(t, revoked, err, revoked == nil)
	})
}

// same checks what came back for a call.
func same[T any](t *testing.T, got T, err error, none bool) {
	t.Helper()
	if err != nil {
		assert.True(t, none)
		assert.NotContains(t, err.Error(), "\n")
		if api, ok := asAPIError(err); ok {
			assert.LessOrEqual(t, len(api.Body), 512)
			assert.GreaterOrEqual(t, api.RetryAfter, time.Duration(0))
		}
		return
	}
	require.False(t, none)
	encoded, err := json.Marshal(got)
	require.NoError(t, err)
	again := reflect.New(reflect.TypeOf(got))
	require.NoError(t, json.Unmarshal(encoded, again.Interface()))
	twice, err := json.Marshal(again.Elem().Interface())
	require.NoError(t, err)
	assert.Equal(t, string(encoded), string(twice))
}

// FuzzValidate creates invitations of anything. Nothing panics, what is refused is
// not repeated, and what is not refused is accepted by the server.
func FuzzValidate(f *testing.F) {
	f.Add("ada@example.com", "org:member", "", "", []byte(nil), []byte(nil), 0)
	f.Add("Ada+1@example.co.uk", "org:admin", "user_1", "https://example.com/a?b", []byte(`{"a":9007199254740993}`), []byte(`{ }`), 365)
	f.Add("ü@bücher.example", "org:x", "user_2", "/path", []byte("null"), []byte(`{"a":"\ud800"}`), 1)
	f.Add(`"a b"@example.com`, "org:member", "", "https://[::1]:80", []byte(nil), []byte(nil), 30)
	f.Add(`"a"@example.com`, "org:member", "", "https://exa%E2%80%8Bmple.com:0", []byte(nil), []byte(nil), 30)
	f.Add(`"a\"@b"@-example.com`, "org:member", "", "///evil.example", []byte(nil), []byte(nil), 30)
	f.Add("ada\u034f@exam\u00adple.com", "org:member", "", "https://u:p@example.com:99999", []byte(`{"a":"\ufffd"}`), []byte(nil), 30)
	f.Add("ada@localhost", "r", "", "/\\x", []byte(`{"a":{"a":{}}}`), []byte(nil), 365)
	f.Add("ada@[127.0.0.1]", "r", "", "/x#y", []byte(" {} "), []byte("{}"), 30)
	f.Add(strings.Repeat("l", 65)+"@example.com", "org:member", "", "", []byte(`{"a":1,"a":2}`), []byte(`{"a":1e999}`), 30)
	f.Add("ada@example.com", "\u00a0", "\xff", "http:opaque", []byte("{\"a\":\"\xff\"}"), []byte("{}{}"), -1)
	f.Add("Ada <ada@example.com>", "", "\x00", "//host/x", []byte(`[]`), []byte(strings.Repeat("[", 9000)), 366)
	f.Fuzz(func(t *testing.T, address, role, inviter, redirect string, public, private []byte, days int) {
		server := clerktest.NewServer(clerktest.WithoutRateLimits())
		client, err := NewClient(server.SecretKey(), WithHTTPClient(&http.Client{Transport: server.Transport()}), WithRateLimiter(Unlimited()))
		require.NoError(t, err)
		params := CreateInvitationParams{
			EmailAddress: address, Role: Role(role), InviterUserID: inviter, RedirectURL: redirect,
			PublicMetadata: Metadata(public), PrivateMetadata: json.RawMessage(private), ExpiresInDays: days,
		}
		var p problems
		p.invitation(0, &params, nil, nil)
		if p.err() == nil {
			// The server is to know the role and the inviter; the rest is what is tried.
			server.AddRole(role, "Role")
			if inviter != "" {
				params.InviterUserID = server.AdminUserID()
			}
		}
		if AddressKey(address) == "admin@example.com" {
			return // is a member
		}
		_, err = client.Organizations.CreateInvitationBulk(t.Context(), server.OrganizationID(), []CreateInvitationParams{params})
		if p.err() == nil {
			require.NoError(t, err, "the server is stricter than we are")
			return
		}
		_, invalid := errors.AsType[*ValidationError](err)
		require.True(t, invalid, "%v", err)
		assert.Zero(t, server.CallCount(clerktest.OpAny))
		assert.Equal(t, p.err().Error(), err.Error())
	})
}

// FuzzAddress compares the fast way to tell an address with the thorough one.
// Nothing invisible passes either, and the key of an address is its own key.
func FuzzAddress(f *testing.F) {
	for _, text := range []string{
		"ada@example.com", "a.b+c_d-e@f-g.h", "a@-b.c", "a@b-.c", ".a@b.c", "a.@b.c", "a..b@c.d", "a@b@c.d", "a@b+c.d", "@", "",
		strings.Repeat("l", 64) + "@b.c", strings.Repeat("l", 65) + "@b.c", "a@" + strings.Repeat("d", 63) + ".c", "a@" + strings.Repeat("d", 64),
		`"a"@b.c`, `"a b"@b.c`, `"\""@b.c`, "(c)a@b.c", "a@[127.0.0.1]", "ü@ü", "\u212a@\u017f", "a\u200b@b.c", "a\xff@b.c", "A <a@b.c>",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		fault := addressFault(text)
		if isPlainAddress(text) && len(text) <= maxAddressBytes {
			assert.Empty(t, fault)
		}
		if fault == "" {
			assert.False(t, strings.ContainsFunc(text, isInvisible))
			key := AddressKey(text)
			assert.Equal(t, key, AddressKey(key))
		}
	})
}
