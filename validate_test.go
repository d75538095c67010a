package clerkorg

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// found are the problems that err tells of, without their messages.
func found(t *testing.T, err error) []string {
	t.Helper()
	invalid, ok := errors.AsType[*ValidationError](err)
	require.True(t, ok, "%v", err)
	texts := make([]string, len(invalid.Problems))
	for i, problem := range invalid.Problems {
		assert.NotEmpty(t, problem.Message)
		assert.NotContains(t, problem.Message, "canary")
		texts[i] = fmt.Sprintf("%d %s", problem.Index, problem.Field)
	}
	return texts
}

// validate sends a bulk call and a single one, of which at most the valid ones
// may arrive, and returns the problems.
func validate(t *testing.T, params CreateInvitationParams) []string {
	t.Helper()
	recorder := newRecorder(reply(200, "["+fixture(t, "invitation.json")+"]"), reply(200, fixture(t, "invitation.json")))
	limiter := &fakeLimiter{}
	client := newTestClient(t, recorder, WithRateLimiter(limiter))
	bulk, err := client.Organizations.CreateInvitationBulk(t.Context(), "org_1", []CreateInvitationParams{params})
	if err == nil {
		_, err = client.Organizations.CreateInvitation(t.Context(), "org_1", params)
		require.NoError(t, err)
		return nil
	}
	assert.Nil(t, bulk)
	assert.NotContains(t, err.Error(), "canary")
	assert.Empty(t, matches(err))
	problems := found(t, err)
	single, err := client.Organizations.CreateInvitation(t.Context(), "org_1", params)
	assert.Nil(t, single)
	assert.Equal(t, problems, found(t, err), "both calls say the same")
	assert.Zero(t, recorder.count(), "nothing is sent")
	assert.Empty(t, limiter.said, "no token is spent")
	return problems
}

func TestValidateAddresses(t *testing.T) {
	t.Parallel()
	local := strings.Repeat("l", 64)
	for address, ok := range map[string]bool{
		"ada@example.com":                       true,
		"Ada.Lovelace+x_y-z@Mail.Example.COM":   true,
		"!#$%&'*+/=?^_`{|}~-@example.com":       true,
		"a@b.c":                                 true,
		"1@example.com":                         true,
		"ada@xn--bcher-kva.example":             true,
		"ada@bücher.example":                    true,
		"adä@example.com":                       true,
		`"ada"@example.com`:                     true,
		`"ada@home"@example.com`:                true,
		`"a\"da"@example.com`:                   true,
		"ada@[127.0.0.1]":                       true,
		"a@" + strings.Repeat("d", 63) + ".com": true,
		"ü@" + strings.Repeat("ü", 31) + ".de":  true, // 62 bytes
		"a@b-c--d.com":                          true,
		local + "@" + strings.Repeat("d", 63) + "." + strings.Repeat("d", 63) + "." + strings.Repeat("d", 57) + ".com": true,  // 254 bytes
		local + "@" + strings.Repeat("d", 63) + "." + strings.Repeat("d", 63) + "." + strings.Repeat("d", 58) + ".com": false, // 255 bytes

		"":                                           false,
		" ":                                          false,
		"canary":                                     false,
		"@canary.com":                                false,
		"canary@":                                    false,
		"canary@@example.com":                        false,
		"canary@example.com ":                        false,
		" canary@example.com":                        false,
		"canary@example.com\n":                       false,
		"canary@exa mple.com":                        false,
		"can ary@example.com":                        false,
		"canary@example..com":                        false,
		".canary@example.com":                        false,
		"canary.@example.com":                        false,
		"can..ary@example.com":                       false,
		"canary@.example.com":                        false,
		"Canary <canary@example.com>":                false,
		"<canary@example.com>":                       false,
		"canary@example.com (comment)":               false,
		"(comment)canary@example.com":                false,
		"canary@example.com, b@c.de":                 false,
		"canary@example.com,":                        false,
		"group:canary@example.com;":                  false,
		"canary@example.com\x00":                     false,
		"canary\x7f@example.com":                     false,
		"canary\xff@example.com":                     false,
		"canary@exa\xffmple.com":                     false,
		"canary@example.com\r\nBcc: x":               false,
		"mailto:canary@example.com":                  false,
		`"canary lovelace"@example.com`:              false,
		`canary"a"@example.com`:                      false,
		`"a"canary@example.com`:                      false,
		`"canary@example.com`:                        false,
		`"@example.com`:                              false,
		`(c)"canary"@example.com`:                    false,
		`"canary"@example.com(c)`:                    false,
		`"Ada""canary"@example.com`:                  false,
		`"Ada"<canary@example.com>`:                  false,
		local + "l@example.com":                      false,
		local + "ü@example.com":                      false,
		`"` + local + `"@example.com`:                false,
		"canary@" + strings.Repeat("d", 64) + ".com": false,
		"canary@com." + strings.Repeat("d", 64):      false,
		"canary@" + strings.Repeat("ü", 32) + ".de":  false,
		"canary@-example.com":                        false,
		"canary@example-.com":                        false,
		"canary@example.-com":                        false,
		"canary@example.com-":                        false,
		"canary@ü-.com":                              false,
	} {
		var want []string
		if !ok {
			want = []string{"0 email_address"}
		}
		assert.Equal(t, want, validate(t, CreateInvitationParams{EmailAddress: address, Role: RoleMember}), "%q", address)
	}
}

func TestValidateFields(t *testing.T) {
	t.Parallel()
	// big is an object of n bytes of JSON.
	big := func(n int) map[string]string { return map[string]string{"k": strings.Repeat("x", n-len(`{"k":""}`))} }
	type loop struct{ Next *loop }
	circle := &loop{}
	circle.Next = circle
	for name, test := range map[string]struct {
		change func(*CreateInvitationParams)
		want   string // the field that is wrong
	}{
		"role":                        {func(p *CreateInvitationParams) { p.Role = "org:a-b_c" }, ""},
		"any role":                    {func(p *CreateInvitationParams) { p.Role = "rôle" }, ""},
		"no role":                     {func(p *CreateInvitationParams) { p.Role = "" }, "role"},
		"blank in role":               {func(p *CreateInvitationParams) { p.Role = "org: canary" }, "role"},
		"blank role":                  {func(p *CreateInvitationParams) { p.Role = " " }, "role"},
		"line in role":                {func(p *CreateInvitationParams) { p.Role = "canary\n" }, "role"},
		"no-break space in role":      {func(p *CreateInvitationParams) { p.Role = "org\u00a0canary" }, "role"},
		"bad UTF-8 in role":           {func(p *CreateInvitationParams) { p.Role = "canary\xff" }, "role"},
		"inviter":                     {func(p *CreateInvitationParams) { p.InviterUserID = "user_1" }, ""},
		"blank in inviter":            {func(p *CreateInvitationParams) { p.InviterUserID = "user canary" }, "inviter_user_id"},
		"zero byte in inviter":        {func(p *CreateInvitationParams) { p.InviterUserID = "canary\x00" }, "inviter_user_id"},
		"https":                       {func(p *CreateInvitationParams) { p.RedirectURL = "https://example.com:8/a?b=c#d" }, ""},
		"http":                        {func(p *CreateInvitationParams) { p.RedirectURL = "http://localhost:3000" }, ""},
		"path":                        {func(p *CreateInvitationParams) { p.RedirectURL = "/a/b?c=d#e" }, ""},
		"root":                        {func(p *CreateInvitationParams) { p.RedirectURL = "/" }, ""},
		"relative path":               {func(p *CreateInvitationParams) { p.RedirectURL = "canary/b" }, "redirect_url"},
		"dot path":                    {func(p *CreateInvitationParams) { p.RedirectURL = "./canary" }, "redirect_url"},
		"only a host":                 {func(p *CreateInvitationParams) { p.RedirectURL = "//canary.com/a" }, "redirect_url"},
		"only a name":                 {func(p *CreateInvitationParams) { p.RedirectURL = "canary.example.com" }, "redirect_url"},
		"only a query":                {func(p *CreateInvitationParams) { p.RedirectURL = "?canary" }, "redirect_url"},
		"no host":                     {func(p *CreateInvitationParams) { p.RedirectURL = "https:///canary" }, "redirect_url"},
		"only a port":                 {func(p *CreateInvitationParams) { p.RedirectURL = "https://:80/canary" }, "redirect_url"},
		"opaque":                      {func(p *CreateInvitationParams) { p.RedirectURL = "https:canary" }, "redirect_url"},
		"javascript":                  {func(p *CreateInvitationParams) { p.RedirectURL = "javascript:canary()" }, "redirect_url"},
		"other scheme":                {func(p *CreateInvitationParams) { p.RedirectURL = "ftp://canary.com" }, "redirect_url"},
		"own scheme":                  {func(p *CreateInvitationParams) { p.RedirectURL = "canary://open" }, "redirect_url"},
		"blank in URL":                {func(p *CreateInvitationParams) { p.RedirectURL = "https://example.com/a canary" }, "redirect_url"},
		"blank before URL":            {func(p *CreateInvitationParams) { p.RedirectURL = " https://canary.com" }, "redirect_url"},
		"line in path":                {func(p *CreateInvitationParams) { p.RedirectURL = "/canary\n" }, "redirect_url"},
		"bad escape":                  {func(p *CreateInvitationParams) { p.RedirectURL = "https://canary.com/%zz" }, "redirect_url"},
		"1 day":                       {func(p *CreateInvitationParams) { p.ExpiresInDays = 1 }, ""},
		"365 days":                    {func(p *CreateInvitationParams) { p.ExpiresInDays = 365 }, ""},
		"366 days":                    {func(p *CreateInvitationParams) { p.ExpiresInDays = 366 }, "expires_in_days"},
		"-1 days":                     {func(p *CreateInvitationParams) { p.ExpiresInDays = -1 }, "expires_in_days"},
		"very few days":               {func(p *CreateInvitationParams) { p.ExpiresInDays = math.MinInt }, "expires_in_days"},
		"8192 bytes":                  {func(p *CreateInvitationParams) { p.PublicMetadata = big(8192) }, ""},
		"8193 bytes":                  {func(p *CreateInvitationParams) { p.PublicMetadata = big(8193) }, "public_metadata"},
		"8193 private bytes":          {func(p *CreateInvitationParams) { p.PrivateMetadata = big(8193) }, "private_metadata"},
		"blanks do not count":         {func(p *CreateInvitationParams) { p.PublicMetadata = Metadata("{" + strings.Repeat(" ", 9000) + "}") }, ""},
		"text":                        {func(p *CreateInvitationParams) { p.PublicMetadata = "canary" }, "public_metadata"},
		"number":                      {func(p *CreateInvitationParams) { p.PrivateMetadata = 7 }, "private_metadata"},
		"array":                       {func(p *CreateInvitationParams) { p.PublicMetadata = []string{"canary"} }, "public_metadata"},
		"bytes":                       {func(p *CreateInvitationParams) { p.PublicMetadata = []byte(`{"canary":1}`) }, "public_metadata"},
		"false":                       {func(p *CreateInvitationParams) { p.PublicMetadata = false }, "public_metadata"},
		"raw array":                   {func(p *CreateInvitationParams) { p.PublicMetadata = json.RawMessage(`[1]`) }, "public_metadata"},
		"raw text":                    {func(p *CreateInvitationParams) { p.PublicMetadata = Metadata(`"canary"`) }, "public_metadata"},
		"no JSON":                     {func(p *CreateInvitationParams) { p.PublicMetadata = Metadata(`{canary}`) }, "public_metadata"},
		"cut off":                     {func(p *CreateInvitationParams) { p.PrivateMetadata = json.RawMessage(`{"canary":`) }, "private_metadata"},
		"two values":                  {func(p *CreateInvitationParams) { p.PrivateMetadata = json.RawMessage(`{}{"canary":1}`) }, "private_metadata"},
		"only blanks":                 {func(p *CreateInvitationParams) { p.PrivateMetadata = json.RawMessage(` `) }, "private_metadata"},
		"bad UTF-8 in raw":            {func(p *CreateInvitationParams) { p.PrivateMetadata = json.RawMessage("{\"a\":\"canary\xff\"}") }, "private_metadata"},
		"bad UTF-8 in metadata":       {func(p *CreateInvitationParams) { p.PublicMetadata = Metadata("{\"canary\xff\":1}") }, "public_metadata"},
		"bad UTF-8 in map":            {func(p *CreateInvitationParams) { p.PublicMetadata = map[string]any{"a": "canary\xff"} }, "public_metadata"},
		"channel":                     {func(p *CreateInvitationParams) { p.PublicMetadata = make(chan int) }, "public_metadata"},
		"function inside":             {func(p *CreateInvitationParams) { p.PublicMetadata = map[string]any{"canary": func() {}} }, "public_metadata"},
		"infinity":                    {func(p *CreateInvitationParams) { p.PublicMetadata = map[string]any{"canary": math.Inf(1)} }, "public_metadata"},
		"contains itself":             {func(p *CreateInvitationParams) { p.PublicMetadata = circle }, "public_metadata"},
		"a marshaler that fails":      {func(p *CreateInvitationParams) { p.PublicMetadata = refusing{} }, "public_metadata"},
		"a marshaler that tells lies": {func(p *CreateInvitationParams) { p.PrivateMetadata = lying{} }, "private_metadata"},
		"time":                        {func(p *CreateInvitationParams) { p.PrivateMetadata = time.Time{} }, "private_metadata"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			params := person("ada@example.com")
			test.change(&params)
			var want []string
			if test.want != "" {
				want = []string{"0 " + test.want}
			}
			assert.Equal(t, want, validate(t, params))
		})
	}
}

type refusing struct{}

func (refusing) MarshalJSON() ([]byte, error) { return nil, errors.New("canary") }

type lying struct{}

func (lying) MarshalJSON() ([]byte, error) { return []byte("{canary"), nil }

// TestValidateEverythingAtOnce: all problems, each where it is.
func TestValidateEverythingAtOnce(t *testing.T) {
	t.Parallel()
	client := newTestClient(t, newRecorder())
	_, err := client.Organizations.CreateInvitationBulk(t.Context(), "", []CreateInvitationParams{
		{EmailAddress: "canary@example.com", Role: "a"},
		{},
		{EmailAddress: "CANARY@Example.com", Role: "a", RedirectURL: "canary", ExpiresInDays: 400, PublicMetadata: 1, PrivateMetadata: "canary", InviterUserID: " "},
		{EmailAddress: "canary@EXAMPLE.COM", Role: "b c"},
		{EmailAddress: "no canary", Role: "a"},
	})
	assert.ElementsMatch(t, []string{
		"-1 organization_id",
		"1 email_address", "1 role",
		"2 email_address", "2 inviter_user_id", "2 redirect_url", "2 expires_in_days", "2 public_metadata", "2 private_metadata",
		"3 email_address", "3 role",
		"4 email_address",
	}, found(t, err))
	invalid, _ := errors.AsType[*ValidationError](err)
	for _, problem := range invalid.Problems {
		if problem.Field == "email_address" && problem.Index > 1 && problem.Index < 4 {
			assert.Contains(t, problem.Message, "index 0", "both are named")
		}
	}
}

func TestValidateNumberOfInvitations(t *testing.T) {
	t.Parallel()
	people := func(n int) []CreateInvitationParams {
		params := make([]CreateInvitationParams, n)
		for i := range params {
			params[i] = CreateInvitationParams{EmailAddress: fmt.Sprintf("canary%d@example.com", i), Role: RoleMember}
		}
		return params
	}
	recorder := newRecorder(reply(422, ""))
	client := newTestClient(t, recorder)
	for _, n := range []int{0, 11, 100} {
		_, err := client.Organizations.CreateInvitationBulk(t.Context(), "org_1", people(n))
		assert.Equal(t, []string{"-1 invitations"}, found(t, err))
	}
	_, err := client.Organizations.CreateInvitationBulk(t.Context(), "org_1", nil)
	assert.Equal(t, []string{"-1 invitations"}, found(t, err))
	assert.Zero(t, recorder.count())
	for _, n := range []int{1, 10} {
		_, err := client.Organizations.CreateInvitationBulk(t.Context(), "org_1", people(n))
		_, answered := asAPIError(err)
		assert.True(t, answered)
	}
}

func TestValidateIDs(t *testing.T) {
	t.Parallel()
	for id, ok := range map[string]bool{
		"org_1": true, "a/b?c#d%": true, "...": true, "%2e": true, "ü": true, "..a": true,
		"": false, ".": false, "..": false, "a b": false, "a\n": false, "\x00": false, "\u00a0": false, "a\xff": false, "\u2028": false,
	} {
		for name, call := range map[string]func(context.Context, *OrganizationsService) (any, error){
			"bulk": func(ctx context.Context, s *OrganizationsService) (any, error) {
				return boxed(s.CreateInvitationBulk(ctx, id, someone()))
			},
			"create": func(ctx context.Context, s *OrganizationsService) (any, error) {
				return boxed(s.CreateInvitation(ctx, id, person("ada@example.com")))
			},
			"list": func(ctx context.Context, s *OrganizationsService) (any, error) {
				return boxed(s.ListInvitations(ctx, id, nil))
			},
			"get": func(ctx context.Context, s *OrganizationsService) (any, error) {
				return boxed(s.GetInvitation(ctx, id, "orginv_1"))
			},
			"revoke": func(ctx context.Context, s *OrganizationsService) (any, error) {
				return boxed(s.RevokeInvitation(ctx, id, "orginv_1", nil))
			},
			"get invitation": func(ctx context.Context, s *OrganizationsService) (any, error) {
				return boxed(s.GetInvitation(ctx, "org_1", id))
			},
			"revoke invitation": func(ctx context.Context, s *OrganizationsService) (any, error) {
				return boxed(s.RevokeInvitation(ctx, "org_1", id, nil))
			},
		} {
			recorder := newRecorder(reply(http.StatusTeapot, ""))
			got, err := call(t.Context(), newTestClient(t, recorder).Organizations)
			assert.True(t, isNil(got))
			if ok {
				_, answered := asAPIError(err)
				assert.True(t, answered, "%s %q: %v", name, id, err)
				continue
			}
			field := "-1 organization_id"
			if strings.HasSuffix(name, "invitation") {
				field = "-1 invitation_id"
			}
			assert.Equal(t, []string{field}, found(t, err), "%s %q", name, id)
			assert.Zero(t, recorder.count())
		}
	}
	_, err := newTestClient(t, newRecorder()).Organizations.GetInvitation(t.Context(), "", ".")
	assert.Equal(t, []string{"-1 organization_id", "-1 invitation_id"}, found(t, err))
}

func TestValidateLists(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		params ListInvitationsParams
		want   []string
	}{
		"nothing":         {ListInvitationsParams{}, nil},
		"limits":          {ListInvitationsParams{Limit: 500, Offset: math.MaxInt}, nil},
		"least":           {ListInvitationsParams{Limit: 1}, nil},
		"too many":        {ListInvitationsParams{Limit: 501}, []string{"-1 limit"}},
		"negative":        {ListInvitationsParams{Limit: -1, Offset: -1}, []string{"-1 limit", "-1 offset"}},
		"orders":          {ListInvitationsParams{OrderBy: OrderByOldest}, nil},
		"no sign":         {ListInvitationsParams{OrderBy: "created_at"}, nil},
		"by address":      {ListInvitationsParams{OrderBy: "-email_address"}, nil},
		"two signs":       {ListInvitationsParams{OrderBy: "+-created_at"}, []string{"-1 order_by"}},
		"only a sign":     {ListInvitationsParams{OrderBy: "-"}, []string{"-1 order_by"}},
		"another order":   {ListInvitationsParams{OrderBy: "canary"}, []string{"-1 order_by"}},
		"two orders":      {ListInvitationsParams{OrderBy: "created_at,canary"}, []string{"-1 order_by"}},
		"all statuses":    {ListInvitationsParams{Status: []InvitationStatus{"pending", "accepted", "revoked", "expired"}}, nil},
		"another status":  {ListInvitationsParams{Status: []InvitationStatus{"pending", "canary"}}, []string{"-1 status"}},
		"empty status":    {ListInvitationsParams{Status: []InvitationStatus{""}}, []string{"-1 status"}},
		"all of it wrong": {ListInvitationsParams{Status: []InvitationStatus{"canary"}, OrderBy: "canary", Limit: 501, Offset: -1}, []string{"-1 status", "-1 order_by", "-1 limit", "-1 offset"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			recorder := newRecorder(reply(200, fixture(t, "list_empty.json")))
			orgs := newTestClient(t, recorder).Organizations
			list, err := orgs.ListInvitations(t.Context(), "org_1", &test.params)
			p := test.params
			instance, instanceErr := orgs.ListInstanceInvitations(t.Context(), &ListInstanceInvitationsParams{Status: p.Status, OrderBy: p.OrderBy, Limit: p.Limit, Offset: p.Offset})
			if test.want == nil {
				require.NoError(t, errors.Join(err, instanceErr))
				assert.Equal(t, 2, recorder.count())
				return
			}
			assert.Nil(t, list)
			assert.Nil(t, instance)
			assert.Equal(t, test.want, found(t, err))
			assert.Equal(t, test.want, found(t, instanceErr))
			assert.Zero(t, recorder.count())
		})
	}
}

func TestValidateMemberships(t *testing.T) {
	t.Parallel()
	recorder := newRecorder(reply(200, fixture(t, "memberships.json")))
	orgs := newTestClient(t, recorder).Organizations
	hundred := slices.Repeat([]string{"canary@example.com"}, 100)
	for _, params := range []*ListMembershipsParams{nil, {}, {EmailAddress: hundred, OrderBy: "phone_number", Limit: 500}} {
		_, err := orgs.ListMemberships(t.Context(), "org_1", params)
		require.NoError(t, err)
	}
	assert.Equal(t, 3, recorder.count())
	_, err := orgs.ListMemberships(t.Context(), ".", &ListMembershipsParams{EmailAddress: append(hundred, "no canary"), OrderBy: "role", Limit: 501, Offset: -1})
	assert.ElementsMatch(t, []string{"-1 organization_id", "-1 email_address", "100 email_address", "-1 order_by", "-1 limit", "-1 offset"}, found(t, err))
	_, err = orgs.Get(t.Context(), "")
	assert.Equal(t, []string{"-1 organization_id"}, found(t, err))
	assert.Equal(t, 3, recorder.count())
}

// What is the same as in an earlier invitation is not checked again, unless it was wrong.
func TestValidateLikeBefore(t *testing.T) {
	t.Parallel()
	const good, bad = "https://example.com/", "example.com"
	params := make([]CreateInvitationParams, 6)
	for i, url := range []string{good, bad, bad, good, "", bad} {
		params[i] = person(strings.Repeat("a", i+1) + "@example.com")
		params[i].RedirectURL = url
	}
	params[3].Role, params[4].Role, params[5].Role = "", "", "org: admin"
	var p problems
	p.invitations(params)
	var got []string
	for _, problem := range p {
		got = append(got, fmt.Sprintf("%d %s", problem.Index, problem.Field))
	}
	assert.Equal(t, []string{"1 redirect_url", "2 redirect_url", "3 role", "4 role", "5 role", "5 redirect_url"}, got)
}
