package clerkorg

import (
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// faultOf is what is said of the only field of params that is wrong, empty where
// nothing is.
func faultOf(t *testing.T, params CreateInvitationParams) string {
	t.Helper()
	problems := validate(t, params)
	if problems == nil {
		return ""
	}
	_, err := newTestClient(t, newRecorder()).Organizations.CreateInvitation(t.Context(), "org_1", params)
	invalid, ok := errors.AsType[*ValidationError](err)
	require.True(t, ok)
	require.Len(t, invalid.Problems, 1, "%v", err)
	return invalid.Problems[0].Field + ": " + invalid.Problems[0].Message
}

// invisibles has characters that nothing shows, of every kind.
var invisibles = map[rune]string{
	'\x00': "U+0000 (a control character)", '\t': "U+0009 (tab)", '\n': "U+000A (line feed)", '\r': "U+000D (carriage return)", ' ': "U+0020 (space)",
	'\x7f': "U+007F (a control character)", '\u0085': "U+0085 (a space)", '\u0090': "U+0090 (a control character)",
	'\u00a0': "U+00A0 (no-break space)", '\u1680': "U+1680 (a space)", '\u2003': "U+2003 (a space)", '\u202f': "U+202F (a space)", '\u3000': "U+3000 (a space)",
	'\u2028': "U+2028 (a space)", '\u2029': "U+2029 (a space)",
	'\u00ad': "U+00AD (soft hyphen)", '\u061c': "U+061C (a format character)", '\u180e': "U+180E (a format character)",
	'\u200b': "U+200B (zero width space)", '\u200c': "U+200C (zero width non-joiner)", '\u200d': "U+200D (zero width joiner)",
	'\u200e': "U+200E (left-to-right mark)", '\u200f': "U+200F (right-to-left mark)", '\u202a': "U+202A (left-to-right embedding)",
	'\u202c': "U+202C (pop directional formatting)", '\u202e': "U+202E (right-to-left override)", '\u2060': "U+2060 (word joiner)",
	'\u2066': "U+2066 (a format character)", '\ufeff': "U+FEFF (byte order mark)", '\U000e0041': "U+E0041 (a format character)",
	'\ue000': "U+E000 (a private-use character)", '\U000f0000': "U+F0000 (a private-use character)", '\U0010fffd': "U+10FFFD (a private-use character)",
	'\ufdd0': "U+FDD0 (a noncharacter)", '\uffff': "U+FFFF (a noncharacter)", '\U0001fffe': "U+1FFFE (a noncharacter)",
	'\ufffd': "U+FFFD (replacement character)",
	'\u034f': "U+034F (an invisible character)", '\u115f': "U+115F (an invisible character)", '\u1160': "U+1160 (an invisible character)",
	'\u17b4': "U+17B4 (an invisible character)", '\u3164': "U+3164 (Hangul filler)", '\uffa0': "U+FFA0 (an invisible character)", '\u2065': "U+2065 (an invisible character)",
	'\u2800': "U+2800 (an invisible character)", '\U00016fe4': "U+16FE4 (an invisible character)", '\U0001d159': "U+1D159 (an invisible character)",
	'\u180b': "U+180B (a variation selector)", '\u180f': "U+180F (a variation selector)", '\ufe00': "U+FE00 (a variation selector)",
	'\ufe0f': "U+FE0F (a variation selector)", '\U000e0100': "U+E0100 (a variation selector)",
}

// TestValidateInvisibleCharacters puts them into every field that is text, which
// says which one and where.
func TestValidateInvisibleCharacters(t *testing.T) {
	t.Parallel()
	for r, name := range invisibles {
		for field, change := range map[string]func(*CreateInvitationParams, string){
			"email_address":   func(p *CreateInvitationParams, s string) { p.EmailAddress = "can" + s + "ary@example.com" },
			"role":            func(p *CreateInvitationParams, s string) { p.Role = Role("org" + s + ":member") },
			"inviter_user_id": func(p *CreateInvitationParams, s string) { p.InviterUserID = "use" + s + "r_1" },
			"redirect_url":    func(p *CreateInvitationParams, s string) { p.RedirectURL = "/ca" + s + "nary" },
		} {
			params := person("ada@example.com")
			change(&params, string(r))
			assert.Equal(t, field+": must not hold "+name+", at byte offset 3", faultOf(t, params))
		}
	}
	for _, text := range []string{"é", "ß", "ñ", "中", "ก", "한", "ا", "e\u0301", "😀", "𠀀", "‐", "·"} {
		params := person("ada@example.com")
		params.EmailAddress = "a" + text + "b@example.com"
		params.RedirectURL = "https://" + text + ".example/" + text
		assert.Empty(t, faultOf(t, params), "%q", text)
	}
}

// TestValidateAddressesSaysWhy: which character and where, in bytes, and which
// limit.
func TestValidateAddressesSaysWhy(t *testing.T) {
	t.Parallel()
	const bare = "must be a bare e-mail address, as in name@example.com"
	for address, fault := range map[string]string{
		"":                                                  "must not be empty",
		"canary":                                            bare,
		"no canary":                                         bare,
		"Canary <canary@example.com>":                       bare,
		"canary..x@example.com":                             bare,
		"\ufeffcanary@example.com":                          "must not hold U+FEFF (byte order mark), at byte offset 0",
		"canary@example.com\u200b":                          "must not hold U+200B (zero width space), at byte offset 18",
		"ü\u00adcanary@example.com":                         "must not hold U+00AD (soft hyphen), at byte offset 2",
		"canary@exam\u202eple.com":                          "must not hold U+202E (right-to-left override), at byte offset 11",
		"canary@example.com ":                               "must not hold U+0020 (space), at byte offset 18",
		`"john canary"@example.com`:                         "must not hold U+0020 (space), at byte offset 5",
		"canary\xff@example.com":                            "must be UTF-8, which it is not at byte offset 6",
		"canary\xed\xa0\x80@x.example":                      "must be UTF-8, which it is not at byte offset 6", // a surrogate
		strings.Repeat("l", 65) + "@example.com":            "must have at most 64 bytes before the @, has 65",
		strings.Repeat("ü", 33) + "@example.com":            "must have at most 64 bytes before the @, has 66",
		"canary@" + strings.Repeat("d", 64) + ".com":        "must have at most 63 bytes between two dots of its domain, has 64",
		"canary@a." + strings.Repeat("ü", 32):               "must have at most 63 bytes between two dots of its domain, has 64",
		"canary@-example.com":                               "must not have a hyphen at the beginning or end of a part of its domain",
		"canary@example.com-":                               "must not have a hyphen at the beginning or end of a part of its domain",
		"canary@" + strings.Repeat("example.", 31) + "comm": "must be at most 254 bytes long, is 259",
	} {
		params := person("ada@example.com")
		params.EmailAddress = address
		assert.Equal(t, "email_address: "+fault, faultOf(t, params), "%q", address)
	}
}

// TestAddressKey: one folding, which agrees with the duplicates of a call.
func TestAddressKey(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		a, b string
		same bool
	}{
		{"ada@example.com", "ada@example.com", true},
		{"ADA@Example.COM", "ada@example.com", true},
		{"ÄDÄ@example.com", "ädä@example.com", true},
		{"ΣΑΣ@example.com", "σασ@example.com", true},
		{"\u212aate@example.com", "kate@example.com", true},       // the Kelvin sign, whose lower case is k
		{"\u017fam@example.com", "sam@example.com", false},        // the long s is in lower case already
		{"σας@example.com", "σασ@example.com", false},             // and so is the final sigma
		{"stra\u00dfe@example.com", "strasse@example.com", false}, // that takes more than folding
		{"ada@example.com", "ida@example.com", false},
	} {
		assert.Equal(t, test.same, AddressKey(test.a) == AddressKey(test.b), "%q and %q", test.a, test.b)
		people := newPeople()
		assert.Equal(t, test.same, people.key(test.a) == people.key(test.b), "InviteAll: %q and %q", test.a, test.b)
		var p problems
		p.invitations([]CreateInvitationParams{{EmailAddress: test.a, Role: "r"}, {EmailAddress: test.b, Role: "r"}})
		assert.Equal(t, test.same, p.err() != nil, "in one call: %q and %q", test.a, test.b)
	}
}

func TestValidateRedirectURLs(t *testing.T) {
	t.Parallel()
	const (
		form      = "must be an absolute http or https URL, or a path that begins with a slash"
		slashes   = "must not begin with two slashes: browsers read a host behind them"
		backslash = "must not hold a backslash: browsers read it as a slash"
		user      = "must not hold a user or a password"
		port      = "must have a port from 1 to 65535, or none"
	)
	for text, fault := range map[string]string{
		"":                                            "",
		"/":                                           "",
		"/a//b?next=//c#d":                            "",
		"/a:b@c":                                      "",
		"/.//evil.example":                            "", // stays on the host
		"https://example.com":                         "",
		"https://example.com:1/":                      "",
		"https://example.com:65535/":                  "",
		"https://example.com:/":                       "",
		"HTTPS://EXAMPLE.com/a?b=c@d#e":               "",
		"https://bücher.example/ü":                    "",
		"https://xn--bcher-kva.example":               "",
		"https://b%C3%BCcher.example":                 "",
		"http://[::1]:3000/a":                         "",
		"/" + strings.Repeat("a", 2047):               "",
		"/" + strings.Repeat("a", 2048):               "must be at most 2048 bytes long, is 2049",
		`/\canary.example`:                            backslash,
		`\/canary.example`:                            backslash,
		`\\canary.example`:                            backslash,
		`/a\canary`:                                   backslash,
		`https:\\canary.example`:                      backslash,
		`https://example.com\@canary.example`:         backslash,
		"//canary.example":                            slashes,
		"///canary.example":                           slashes,
		"//canary":                                    slashes,
		"//":                                          slashes,
		"////":                                        slashes,
		"//user:canary@evil.example":                  slashes,
		"https://canary@evil.example":                 user,
		"https://user:canary@evil.example":            user,
		"https://@canary.example":                     user,
		"https://example.com%40canary.example":        form,
		"https://canary.example:99999":                port,
		"https://canary.example:65536":                port,
		"https://canary.example:0":                    port,
		"https://canary.example:99999999999999999999": port,
		"https://canary.example:-1":                   form,
		"https://canary.example:a":                    form,
		"https://":                                    form,
		"https:///canary.example":                     form,
		"https:/canary.example":                       form,
		"https://:443":                                form,
		"https://?canary":                             form,
		"https://canary\u200b.example":                "must not hold U+200B (zero width space), at byte offset 14",
		"https://canary%E2%80%8B.example":             "must not hold U+200B (zero width space), at byte offset 6 of its host",
		"https://canary%FF.example":                   "must be UTF-8, which it is not at byte offset 6 of its host",
		"https://example.com/\u202ecanary":            "must not hold U+202E (right-to-left override), at byte offset 20",
		"/\tcanary.example":                           "must not hold U+0009 (tab), at byte offset 1",
		"/\n/canary.example":                          "must not hold U+000A (line feed), at byte offset 1",
	} {
		params := person("ada@example.com")
		params.RedirectURL = text
		want := ""
		if fault != "" {
			want = "redirect_url: " + fault
		}
		assert.Equal(t, want, faultOf(t, params), "%q", text)
	}
}

// TestValidateLengths: ids, roles and filters of lists have a limit.
func TestValidateLengths(t *testing.T) {
	t.Parallel()
	long, longest := strings.Repeat("a", 2049), strings.Repeat("a", 2048)
	recorder := newRecorder(reply(418, ""))
	ctx, orgs := t.Context(), newTestClient(t, recorder).Organizations
	params := person("ada@example.com")
	calls := map[string]func(text string) error{
		"organization_id": func(text string) error { return failureOf(orgs.Get(ctx, text)) },
		"invitation_id":   func(text string) error { return failureOf(orgs.GetInvitation(ctx, "org_1", text)) },
		"requesting_user_id": func(text string) error {
			return failureOf(orgs.RevokeInvitation(ctx, "org_1", "orginv_1", &RevokeInvitationParams{RequestingUserID: text}))
		},
		"email_address": func(text string) error {
			return failureOf(orgs.ListInvitations(ctx, "org_1", &ListInvitationsParams{EmailAddress: text}))
		},
		"query": func(text string) error {
			return failureOf(orgs.ListInstanceInvitations(ctx, &ListInstanceInvitationsParams{Query: text}))
		},
		"role": func(text string) error {
			params := params
			params.Role = Role(text)
			return failureOf(orgs.CreateInvitation(ctx, "org_1", params))
		},
		"inviter_user_id": func(text string) error {
			params := params
			params.InviterUserID = text
			return failureOf(orgs.CreateInvitation(ctx, "org_1", params))
		},
	}
	for field, call := range calls {
		before := recorder.count()
		assert.ErrorContains(t, call(long), field+": must be at most 2048 bytes long, is 2049")
		if field != "query" {
			assert.ErrorContains(t, call("a\u200b"), field+": must not hold U+200B (zero width space), at byte offset 1")
		}
		assert.Equal(t, before, recorder.count(), "nothing is sent")
		_, answered := asAPIError(call(longest))
		assert.True(t, answered, field)
	}
}

func failureOf[T any](_ T, err error) error { return err }
