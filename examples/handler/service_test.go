package main

import (
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/clerkorg/clerkorg-go"
	"github.com/clerkorg/clerkorg-go/clerktest"
)

func TestInvites(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	got := f.post(t, `{"invitations":[{"email_address":"ada@example.com","role":"org:admin"},{"email_address":"bob@example.com"}]}`)
	assert.Equal(t, http.StatusCreated, got.status)
	assert.Equal(t, []string{invited, invited}, got.outcomes())
	all := f.clerk.Invitations(f.clerk.OrganizationID())
	require.Len(t, all, 2)
	for i, want := range []struct{ address, role string }{{"ada@example.com", "org:admin"}, {"bob@example.com", "org:member"}} {
		assert.Equal(t, want.address, all[i].EmailAddress)
		assert.Equal(t, want.role, all[i].Role)
		assert.Equal(t, all[i].ID, got.Invitations[i].InvitationID)
	}

	assert.Equal(t, http.StatusCreated, f.post(t, bodyOf("charles@example.com")).status)
	assert.Equal(t, 1, f.clerk.CallCount(clerktest.OpBulk))
	assert.Equal(t, 1, f.clerk.CallCount(clerktest.OpCreate), "one person takes no bulk call")
	assert.Equal(t, http.StatusCreated, f.post(t, bodyOf(guests(10)...)).status)
}

func TestBadRequests(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for name, test := range map[string]struct {
		body   string
		status int
		code   string
	}{
		"nothing":       {"", 400, "body_invalid"},
		"no JSON":       {"ada@example.com", 400, "body_invalid"},
		"a list":        {`[{"email_address":"ada@example.com"}]`, 400, "body_invalid"},
		"unknown field": {`{"invitations":[{"email_address":"ada@example.com","inviter_user_id":"user_1"}]}`, 400, "body_invalid"},
		"wrong type":    {`{"invitations":[{"email_address":1}]}`, 400, "body_invalid"},
		"two objects":   {bodyOf("ada@example.com") + "{}", 400, "body_invalid"},
		"too long":      {bodyOf(strings.Repeat("a", maxBody)), 413, "body_too_large"},
		"nobody":        {bodyOf(), 422, "invalid"},
		"too many":      {bodyOf(guests(11)...), 422, "invalid"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := f.post(t, test.body)
			assert.Equal(t, test.status, got.status)
			assert.Equal(t, test.code, got.Error.Code)
			assert.NotContains(t, got.raw, "@")
		})
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, f.url, strings.NewReader(bodyOf("ada@example.com")))
	require.NoError(t, err)
	req.Header.Set("Content-Type", "text/plain") // what a form of any other site can send
	assert.Equal(t, http.StatusUnsupportedMediaType, send(t, req).status)
	req, err = http.NewRequestWithContext(t.Context(), http.MethodGet, f.url, http.NoBody)
	require.NoError(t, err)
	assert.Equal(t, http.StatusMethodNotAllowed, send(t, req).status)
	t.Cleanup(func() { assert.Empty(t, f.clerk.Calls()) })
}

func TestInvalidFields(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	got := f.post(t, bodyOf("ada@example.com", "bob", ""))
	assert.Equal(t, http.StatusUnprocessableEntity, got.status)
	assert.Equal(t, []clerkorg.Problem{
		{Index: 1, Field: "email_address", Message: "must be a bare e-mail address, as in name@example.com"},
		{Index: 2, Field: "email_address", Message: "must not be empty"},
	}, got.Error.Fields)
	assert.Empty(t, f.clerk.Calls())
}

// TestSpentQuota is known before anything is sent, and how long it will last.
func TestSpentQuota(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	spend(t, f, 50)
	start := time.Now()
	got := f.post(t, bodyOf(guests(2)...))
	assert.Less(t, time.Since(start), 5*time.Second, "the caller need not wait")
	assert.Equal(t, http.StatusTooManyRequests, got.status)
	assert.Equal(t, "rate_limited", got.Error.Code)
	seconds, err := strconv.Atoi(got.header.Get("Retry-After"))
	require.NoError(t, err)
	assert.InDelta(t, time.Hour.Seconds()+5, seconds, 30)
	assert.Equal(t, 50, f.clerk.CallCount(clerktest.OpBulk))
	assert.Zero(t, f.left(t, clerkorg.QuotaBulk))
	assert.Equal(t, int64(250), f.left(t, clerkorg.QuotaCreate))
}

func TestRetryAfterIsRoundedUp(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.clerk.Inject(clerktest.Fault{Kind: clerktest.FaultStatus, Status: 429, RetryAfter: 7})
	assert.Equal(t, "7", f.post(t, bodyOf(guests(2)...)).header.Get("Retry-After"))
	assert.Equal(t, "7", f.post(t, bodyOf(guests(2)...)).header.Get("Retry-After"), "6.99 s are left")
	assert.Equal(t, 1, f.clerk.CallCount(clerktest.OpBulk))
}

func TestUnknownOutcome(t *testing.T) {
	t.Parallel()
	for _, kind := range []clerktest.FaultKind{clerktest.FaultResetAfter, clerktest.FaultStatusAfter, clerktest.FaultHTMLAfter, clerktest.FaultTruncate} {
		t.Run(kind.String(), func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			f.clerk.Inject(clerktest.Fault{Kind: kind})
			got := f.post(t, bodyOf(guests(2)...))
			assert.Equal(t, http.StatusBadGateway, got.status)
			assert.Equal(t, "outcome_unknown", got.Error.Code)
			assert.Contains(t, got.Error.Message, "before you send this again")
			answered := kind == clerktest.FaultStatusAfter || kind == clerktest.FaultHTMLAfter
			assert.Equal(t, answered, got.Error.TraceID != "")
			assert.Empty(t, got.Invitations)
			assert.Len(t, f.clerk.Calls(), 1)
		})
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		opts     []clerktest.Option
		fault    *clerktest.Fault
		url      string
		people   []string
		status   int
		code     string
		codes    []clerkorg.ErrorCode
		outcomes []string
	}{
		"invited": {
			people: []string{"ann@example.com", "invited@example.com"},
			status: 409, code: "conflict", codes: []clerkorg.ErrorCode{clerkorg.CodeInvitationNotUnique}, outcomes: []string{notInvited, pending},
		},
		"named": {
			opts:   []clerktest.Option{clerktest.WithNamedRefusals(clerktest.NameInMeta)},
			people: []string{"ann@example.com", "Invited@example.com"},
			status: 409, code: "conflict", codes: []clerkorg.ErrorCode{clerkorg.CodeDuplicateRecord}, outcomes: []string{notInvited, refused},
		},
		"half done": {
			opts:   []clerktest.Option{clerktest.WithPartialBulk(true)},
			people: []string{"ann@example.com", "member@example.com", "bob@example.com"},
			status: 409, code: "conflict", codes: []clerkorg.ErrorCode{clerkorg.CodeAlreadyMember}, outcomes: []string{pending, notInvited, notInvited},
		},
		"member": {
			people: []string{"member@example.com"},
			status: 409, code: "conflict", codes: []clerkorg.ErrorCode{clerkorg.CodeAlreadyMember}, outcomes: []string{refused},
		},
		"no room": {
			opts:   []clerktest.Option{clerktest.WithMaxMemberships(4)},
			people: []string{"ann@example.com", "bob@example.com"},
			status: 409, code: "conflict", codes: []clerkorg.ErrorCode{clerkorg.CodeMembershipQuotaExceeded}, outcomes: []string{notInvited, notInvited},
		},
		"blocked": {
			people: []string{"blocked@example.com"},
			status: 422, code: "refused", codes: []clerkorg.ErrorCode{clerkorg.CodeNotAllowedAccess}, outcomes: []string{refused},
		},
		"odd": {
			people: []string{"odd@example.com"},
			status: 422, code: "refused", codes: []clerkorg.ErrorCode{clerkorg.CodeParamFormatInvalid}, outcomes: []string{refused},
		},
		"no organization": {
			url: "org_unknown", people: []string{"ann@example.com"},
			status: 404, code: "not_found", codes: []clerkorg.ErrorCode{clerkorg.CodeResourceNotFound},
		},
		"our key": {
			fault: &clerktest.Fault{Kind: clerktest.FaultStatus, Status: 401}, people: []string{"ann@example.com"},
			status: 502, code: "clerk_failed",
		},
		"our plan": {
			fault: &clerktest.Fault{Kind: clerktest.FaultStatus, Status: 403, Code: "organization_not_enabled_in_instance"}, people: []string{"ann@example.com"},
			status: 502, code: "clerk_failed",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, append(test.opts,
				clerktest.WithBlocked(func(email string) bool { return email == "blocked@example.com" }),
				clerktest.WithRejected(func(email string) bool { return email == "odd@example.com" }))...)
			f.clerk.AddMember(f.clerk.OrganizationID(), "member@example.com", "org:member")
			f.clerk.AddInvitation(f.clerk.OrganizationID(), "invited@example.com", "org:member")
			if test.fault != nil {
				f.clerk.Inject(*test.fault)
			}
			url := f.url
			if test.url != "" {
				url = f.service.URL + "/organizations/" + test.url + "/invitations"
			}
			got := f.post(t, bodyOf(test.people...), url)
			assert.Equal(t, test.status, got.status)
			assert.Equal(t, test.code, got.Error.Code)
			assert.Equal(t, test.codes, got.Error.ClerkCodes)
			assert.Equal(t, test.outcomes, got.outcomes())
			assert.NotEmpty(t, got.Error.TraceID)
			for i, o := range got.Invitations {
				assert.Equal(t, test.people[i], o.EmailAddress)
				assert.Equal(t, o.Outcome == refused, o.Code != "")
				assert.Equal(t, o.Outcome == pending, o.InvitationID != "")
			}
		})
	}
}

func TestClerkUnreachable(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.clerk.Close()
	got := f.post(t, bodyOf(guests(2)...))
	assert.Equal(t, http.StatusBadGateway, got.status)
	assert.Equal(t, "clerk_unreachable", got.Error.Code)
}

// TestReplicas has two of them share what one has spent.
func TestReplicas(t *testing.T) {
	t.Parallel()
	redis := miniredis.RunT(t)
	f := newFixture(t)
	for _, left := range []int64{49, 48} {
		f.serve(t, backend{secretKey: f.clerk.SecretKey(), baseURL: f.clerk.URL(), redisURL: "redis://" + redis.Addr()})
		assert.Equal(t, http.StatusCreated, f.post(t, bodyOf("ann-"+strconv.Itoa(int(left))+"@example.com", "bob-"+strconv.Itoa(int(left))+"@example.com")).status)
	}
	redis.Close()
	got := f.post(t, bodyOf(guests(2)...))
	assert.Equal(t, http.StatusServiceUnavailable, got.status, "without Redis the quota is not known")
	assert.Equal(t, "quota_unknown", got.Error.Code)
	assert.Equal(t, 2, f.clerk.CallCount(clerktest.OpBulk))
}
