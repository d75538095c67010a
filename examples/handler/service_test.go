package main

import (
	"cmp"
	"net/http"
	"net/http/httptest"
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

// Short names of the outcomes of InviteAll.
const (
	invited        = clerkorg.OutcomeInvited
	alreadyInvited = clerkorg.OutcomeAlreadyInvited
	alreadyMember  = clerkorg.OutcomeAlreadyMember
	duplicate      = clerkorg.OutcomeDuplicate
	rejected       = clerkorg.OutcomeRejected
)

func TestInvites(t *testing.T) {
	inBubble(t, func(t *testing.T, f *fixture) {
		got := f.post(t, `{"invitations":[{"email_address":"ada@example.com","role":"org:admin"},{"email_address":"bob@example.com"}]}`)
		assert.Equal(t, http.StatusOK, got.status)
		assert.Equal(t, []clerkorg.InviteOutcome{invited, invited}, got.outcomes())
		all := f.clerk.Invitations(f.clerk.OrganizationID())
		require.Len(t, all, 2)
		for i, want := range []struct{ address, role string }{{"ada@example.com", "org:admin"}, {"bob@example.com", "org:member"}} {
			assert.Equal(t, want.address, all[i].EmailAddress)
			assert.Equal(t, want.role, all[i].Role)
			assert.Equal(t, all[i].ID, got.Invitations[i].InvitationID)
		}
		assert.Len(t, f.clerk.Calls(), 1, "nothing is read beforehand")

		assert.Equal(t, http.StatusOK, f.post(t, bodyOf("charles@example.com")).status)
		assert.Equal(t, 1, f.clerk.CallCount(clerktest.OpBulk))
		assert.Equal(t, 1, f.clerk.CallCount(clerktest.OpCreate), "one person leaves the bulk calls to others")
		assert.Equal(t, http.StatusOK, f.post(t, bodyOf(guests(10)...)).status)
	})
}

// TestOutcomes has people of every kind in one request.
func TestOutcomes(t *testing.T) {
	t.Parallel()
	for name, opts := range map[string][]clerktest.Option{
		"unnamed":   nil,
		"in meta":   {clerktest.WithNamedRefusals(clerktest.NameInMeta)},
		"in text":   {clerktest.WithNamedRefusals(clerktest.NameInText)},
		"half done": {clerktest.WithPartialBulk(true)},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, f *fixture) {
				f.clerk.AddMember(f.clerk.OrganizationID(), "member@example.com", "org:member")
				before := f.clerk.AddInvitation(f.clerk.OrganizationID(), "invited@example.com", "org:member")
				people := []string{"ann@example.com", "member@example.com", "Invited@example.com", "blocked@example.com", "odd@example.com", "bob", "ANN@example.com", "cid@example.com"}
				start := time.Now()
				got := f.post(t, bodyOf(people...))
				assert.Less(t, time.Since(start), requestTimeout)
				require.Equal(t, http.StatusOK, got.status)
				assert.Equal(t, []clerkorg.InviteOutcome{invited, alreadyMember, alreadyInvited, rejected, rejected, rejected, duplicate, invited}, got.outcomes())
				for i, o := range got.Invitations {
					assert.Equal(t, people[i], o.EmailAddress)
					assert.Equal(t, o.Outcome == rejected, o.Code != "" || o.Fields != nil, "a reason for those who are rejected")
					assert.Equal(t, o.Outcome == invited || o.Outcome == alreadyInvited, o.InvitationID != "")
				}
				assert.Equal(t, before, got.Invitations[2].InvitationID)
				assert.Equal(t, clerkorg.CodeNotAllowedAccess, got.Invitations[3].Code)
				assert.Equal(t, []clerkorg.Problem{{Index: 5, Field: "email_address", Message: "must be a bare e-mail address, as in name@example.com"}}, got.Invitations[5].Fields)

				again := f.post(t, bodyOf(people...))
				assert.Equal(t, []clerkorg.InviteOutcome{alreadyInvited, alreadyMember, alreadyInvited, rejected, rejected, rejected, duplicate, alreadyInvited}, again.outcomes())
			}, append(opts,
				clerktest.WithBlocked(func(email string) bool { return email == "blocked@example.com" }),
				clerktest.WithRejected(func(email string) bool { return email == "odd@example.com" }))...)
		})
	}
}

func TestBadRequests(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for name, test := range map[string]struct {
		body   string
		status int
		code   string
		detail string
	}{
		"nothing":           {"", 400, "body_invalid", "EOF"},
		"no JSON":           {"ada@example.com", 400, "body_invalid", "invalid character 'a'"},
		"a list":            {`[{"email_address":"ada@example.com"}]`, 400, "body_invalid", "the body must not be a JSON array"},
		"another spelling":  {`{"invitations":[{"emailAddress":"ada"}]}`, 400, "body_invalid", `unknown field "emailAddress": the body has "invitations", and each of these "email_address" and "role"`},
		"unknown field":     {`{"invitations":[{"email_address":"ada","inviter_user_id":"user_1"}]}`, 400, "body_invalid", `unknown field "inviter_user_id"`},
		"unknown field, up": {`{"people":[]}`, 400, "body_invalid", `unknown field "people": the body has "invitations"`},
		"wrong type":        {`{"invitations":[{"email_address":1}]}`, 400, "body_invalid", "invitations.email_address must not be a JSON number"},
		"two objects":       {bodyOf("ada@example.com") + "{}", 400, "body_invalid", "something follows"},
		"too long":          {bodyOf(strings.Repeat("a", maxBody)), 413, "body_too_large", "65536 bytes"},
		"blanks after it":   {bodyOf("ada@example.com") + strings.Repeat(" ", 1<<20), 413, "body_too_large", "65536 bytes"},
		"no people":         {bodyOf(), 422, "invalid", "1 to 10 elements, has 0"},
		"too many":          {bodyOf(guests(11)...), 422, "invalid", "1 to 10 elements, has 11"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := f.post(t, test.body)
			assert.Equal(t, test.status, got.status)
			assert.Equal(t, test.code, got.Code)
			assert.Contains(t, got.Detail, test.detail)
			assert.NotContains(t, got.raw, "@")
		})
	}
	t.Cleanup(func() { assert.Empty(t, f.clerk.Calls()) })
}

// TestRoutes has problems where net/http would answer with text of its own.
func TestRoutes(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for name, test := range map[string]struct {
		method, path, contentType string
		status                    int
		code                      string
	}{
		"text/plain": {http.MethodPost, f.path, "text/plain", 415, "unsupported_media_type"}, // what a form of any other site can send
		"GET":        {http.MethodGet, f.path, "application/json", 405, "method_not_allowed"},
		"DELETE":     {http.MethodDelete, f.path, "application/json", 405, "method_not_allowed"},
		"below":      {http.MethodPost, f.path + "/1", "application/json", 404, "no_such_route"},
		"root":       {http.MethodGet, "/", "application/json", 404, "no_such_route"},
		"id":         {http.MethodPost, pathOf("org%0A1"), "application/json", 422, "invalid"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			req := httptest.NewRequestWithContext(t.Context(), test.method, test.path, strings.NewReader(bodyOf("ada@example.com")))
			got := f.send(t, req, test.contentType)
			assert.Equal(t, test.status, got.status)
			assert.Equal(t, test.code, got.Code)
			assert.Equal(t, test.status == 405, got.header.Get("Allow") == http.MethodPost)
		})
	}
	t.Cleanup(func() { assert.Empty(t, f.clerk.Calls()) })
}

// TestSpentQuota has people refused before anything is sent, with the time to wait.
func TestSpentQuota(t *testing.T) {
	inBubble(t, func(t *testing.T, f *fixture) {
		spend(t, f, 50, 248)
		got := f.post(t, bodyOf(guests(2)...))
		assert.Equal(t, []clerkorg.InviteOutcome{invited, invited}, got.outcomes(), "by single calls")

		for name, addresses := range map[string][]string{"some": guests(5)[2:], "one": {"ada@example.com"}, "all": guests(10)} {
			start := time.Now()
			got = f.post(t, bodyOf(addresses...))
			assert.Less(t, time.Since(start), 5*time.Second, "the caller need not wait")
			assert.Equal(t, http.StatusTooManyRequests, got.status, name)
			assert.Equal(t, "rate_limited", got.Code)
			seconds, err := strconv.Atoi(got.header.Get("Retry-After"))
			require.NoError(t, err)
			assert.InDelta(t, time.Hour.Seconds()+5, seconds, 30)
		}
		assert.Equal(t, 50, f.clerk.CallCount(clerktest.OpBulk))
		assert.Equal(t, 250, f.clerk.CallCount(clerktest.OpCreate))
		assert.Zero(t, f.clerk.RateLimited())
		assert.Zero(t, f.left(t, clerkorg.QuotaBulk))
		assert.Zero(t, f.left(t, clerkorg.QuotaCreate))
	}, clerktest.WithLiveKey())
}

// TestQuotaSpentOnTheWay has single calls left for some of a refused batch.
func TestQuotaSpentOnTheWay(t *testing.T) {
	inBubble(t, func(t *testing.T, f *fixture) {
		spend(t, f, 49, 247)
		start := time.Now()
		got := f.post(t, bodyOf(guests(5)...))
		assert.Less(t, time.Since(start), requestTimeout/2)
		assert.Equal(t, http.StatusTooManyRequests, got.status)
		assert.NotEmpty(t, got.header.Get("Retry-After"))
		assert.ElementsMatch(t, []clerkorg.InviteOutcome{rejected, invited, invited, notInvited, notInvited}, got.outcomes())
	}, clerktest.WithLiveKey(), clerktest.WithBlocked(func(email string) bool { return email == "guest-00@example.com" }))
}

func TestRetryAfterIsRoundedUp(t *testing.T) {
	inBubble(t, func(t *testing.T, f *fixture) {
		f.clerk.Inject(clerktest.Fault{Kind: clerktest.FaultStatus, Status: 429, RetryAfter: 77})
		assert.Equal(t, "77", f.post(t, bodyOf(guests(2)...)).header.Get("Retry-After"))
		assert.Equal(t, "77", f.post(t, bodyOf(guests(2)...)).header.Get("Retry-After"), "less than 77 s are left")
		assert.Equal(t, 1, f.clerk.CallCount(clerktest.OpBulk))
		assert.Equal(t, 1, f.clerk.CallCount(clerktest.OpCreate))
	})
}

// TestLostAnswers has calls carried out whose answers are lost: a look finds them.
func TestLostAnswers(t *testing.T) {
	t.Parallel()
	for _, kind := range []clerktest.FaultKind{clerktest.FaultResetAfter, clerktest.FaultStatusAfter, clerktest.FaultHTMLAfter, clerktest.FaultTruncate} {
		t.Run(kind.String(), func(t *testing.T) {
			inBubble(t, func(t *testing.T, f *fixture) {
				f.clerk.Inject(clerktest.Fault{Operation: clerktest.OpBulk, Calls: []int{1}, Kind: kind})
				got := f.post(t, bodyOf(guests(2)...))
				assert.Equal(t, http.StatusOK, got.status)
				assert.Equal(t, []clerkorg.InviteOutcome{invited, invited}, got.outcomes())
				assert.Equal(t, 1, f.clerk.CallCount(clerktest.OpBulk))
			})
		})
	}
}

// TestUnknownOutcome has lists fail too, so that nothing tells what a call has done.
func TestUnknownOutcome(t *testing.T) {
	t.Parallel()
	for _, kind := range []clerktest.FaultKind{clerktest.FaultResetAfter, clerktest.FaultStatusAfter, clerktest.FaultHTMLAfter, clerktest.FaultTruncate} {
		t.Run(kind.String(), func(t *testing.T) {
			inBubble(t, func(t *testing.T, f *fixture) {
				f.clerk.Inject(clerktest.Fault{Kind: kind})
				got := f.post(t, bodyOf(guests(2)...))
				assert.Equal(t, http.StatusBadGateway, got.status)
				assert.Equal(t, "outcome_unknown", got.Code)
				assert.Equal(t, []clerkorg.InviteOutcome{unknown, unknown}, got.outcomes())
				assert.Equal(t, 1, f.clerk.CallCount(clerktest.OpBulk), "nothing is sent again")
				assert.Contains(t, f.log.String(), `"level":"ERROR","msg":"problem","status":502`)
			})
		})
	}
}

// TestRefusedAndNotLookedUp has a refused batch of which some were invited, and lists
// that fail.
func TestRefusedAndNotLookedUp(t *testing.T) {
	inBubble(t, func(t *testing.T, f *fixture) {
		f.clerk.Inject(clerktest.Fault{Operation: clerktest.OpList, Kind: clerktest.FaultStatus, Status: 500})
		got := f.post(t, bodyOf(guests(2)...))
		assert.Equal(t, http.StatusBadGateway, got.status)
		assert.Equal(t, "outcome_unknown", got.Code)
		assert.Equal(t, []clerkorg.InviteOutcome{unknown, unknown}, got.outcomes())
		assert.Len(t, f.clerk.InvitedAddresses(f.clerk.OrganizationID()), 1)
	}, clerktest.WithPartialBulk(true), clerktest.WithBlocked(func(email string) bool { return email == "guest-01@example.com" }))
}

// TestProblems has problems that end a run.
func TestProblems(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		opts     []clerktest.Option
		fault    clerktest.Fault
		people   []string
		status   int
		code     string
		codes    []clerkorg.ErrorCode
		outcomes []clerkorg.InviteOutcome

		organization string // empty: that of the server
	}{
		"no room": {
			opts: []clerktest.Option{clerktest.WithMaxMemberships(3)}, people: guests(3),
			status: 409, code: "organization_full", codes: []clerkorg.ErrorCode{clerkorg.CodeMembershipQuotaExceeded},
			outcomes: []clerkorg.InviteOutcome{invited, notInvited, notInvited},
		},
		"no seats": {
			opts: []clerktest.Option{clerktest.WithSeats(3)}, people: guests(3),
			status: 409, code: "organization_full", codes: []clerkorg.ErrorCode{clerkorg.CodeInsufficientSeats},
			outcomes: []clerkorg.InviteOutcome{invited, notInvited, notInvited},
		},
		"no organization": {
			organization: "org_unknown", people: guests(1),
			status: 404, code: "not_found", codes: []clerkorg.ErrorCode{clerkorg.CodeResourceNotFound},
		},
		"our key": {
			fault: clerktest.Fault{Kind: clerktest.FaultStatus, Status: 401}, people: guests(1),
			status: 502, code: "clerk_failed",
		},
		"our plan": {
			fault: clerktest.Fault{Kind: clerktest.FaultStatus, Status: 403, Code: "organization_not_enabled_in_instance"}, people: guests(2),
			status: 502, code: "clerk_failed",
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, f *fixture) {
				f.clerk.AddMember(f.clerk.OrganizationID(), "member@example.com", "org:member")
				if test.fault.Status != 0 {
					f.clerk.Inject(test.fault)
				}
				got := f.post(t, bodyOf(test.people...), pathOf(cmp.Or(test.organization, f.clerk.OrganizationID())))
				assert.Equal(t, test.status, got.status)
				assert.Equal(t, test.code, got.Code)
				assert.Equal(t, test.codes, got.ClerkCodes)
				assert.ElementsMatch(t, test.outcomes, got.outcomes())
				assert.NotEmpty(t, got.TraceID)
			}, test.opts...)
		})
	}
}

func TestClerkUnreachable(t *testing.T) {
	inBubble(t, func(t *testing.T, f *fixture) {
		f.clerk.Inject(clerktest.Fault{Kind: clerktest.FaultRefuse})
		got := f.post(t, bodyOf(guests(2)...))
		assert.Equal(t, http.StatusBadGateway, got.status)
		assert.Equal(t, "clerk_unreachable", got.Code)
		assert.Empty(t, got.outcomes(), "certainly not invited")
	})
}

// TestReplicas has two replicas share a quota in Redis, and then no Redis.
func TestReplicas(t *testing.T) {
	t.Parallel()
	redis := miniredis.RunT(t)
	f := newFixture(t)
	for _, left := range []int64{49, 48} {
		f.serve(t, "redis://"+redis.Addr())
		assert.Equal(t, http.StatusOK, f.post(t, bodyOf("ann-"+strconv.Itoa(int(left))+"@example.com", "bob-"+strconv.Itoa(int(left))+"@example.com")).status)
		assert.Equal(t, left, f.left(t, clerkorg.QuotaBulk))
	}
	redis.Close()
	start := time.Now()
	got := f.post(t, bodyOf(guests(2)...))
	assert.Less(t, time.Since(start), requestTimeout/2)
	assert.Equal(t, http.StatusServiceUnavailable, got.status, "without Redis the quota is not known")
	assert.Equal(t, "quota_unknown", got.Code)
	assert.Empty(t, got.outcomes(), "certainly not invited")
	assert.Equal(t, 2, f.clerk.CallCount(clerktest.OpBulk))
	assert.Regexp(t, `"level":"ERROR","msg":"problem","status":503,"code":"quota_unknown","err":\{"reason":"[^"]*","cause":\{"quota":"[a-z.]+","limiter_error":"[^"]*refused`, f.log.String())
}
