package clerktest_test

import (
	"net/http"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/clerkorg/clerkorg-go/clerktest"
)

func TestWithSeats(t *testing.T) {
	t.Parallel()
	for name, open := range transports {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := open(t, clerktest.WithSeats(4)) // the admin takes one
			refused := func(got answer, needed int) {
				t.Helper()
				_, meta := requireError(t, got, 402, "insufficient_seats")
				require.Equal(t, map[string]any{"seats_quantity": float64(needed)}, meta)
			}
			refused(a.bulk(addresses(10, 0)...), 11)
			refused(a.bulk(addresses(4, 0)...), 5)
			require.Empty(t, a.Invitations(a.OrganizationID()))
			require.Equal(t, 200, a.bulk(addresses(3, 0)...).status)
			refused(a.create("late@example.com"), 5)
			requireError(t, a.create("p000000@example.com"), 400, "organization_invitation_not_unique")

			all := a.Invitations(a.OrganizationID())
			require.NoError(t, a.AcceptInvitation(all[0].ID))
			refused(a.bulk("late@example.com", "later@example.com"), 6)
			require.NoError(t, a.ExpireInvitation(all[1].ID))
			require.Equal(t, 200, a.create("late@example.com").status)

			other := a.AddOrganization(clerktest.Organization{Name: "Other"})
			require.Equal(t, 200, a.do("POST", "/organizations/"+other+"/invitations/bulk", people(addresses(4, 0)...)).status, "seats of its own")
			refused(a.do("POST", "/organizations/"+other+"/invitations", person("late@example.com")), 5)
		})
	}
	a := inMemory(t, clerktest.WithSeats(3), clerktest.WithPartialBulk(true))
	_, meta := requireError(t, a.bulk(addresses(5, 0)...), 402, "insufficient_seats")
	require.EqualValues(t, 6, meta["seats_quantity"])
	require.Len(t, a.Invitations(a.OrganizationID()), 2, "as many as fit")

	require.Equal(t, 200, inMemory(t, clerktest.WithSeats(0)).bulk(addresses(10, 0)...).status)
}

func TestWithUnsearchable(t *testing.T) {
	t.Parallel()
	for name, open := range transports {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := open(t, clerktest.WithUnsearchable(func(email string) bool { return strings.HasPrefix(email, "odd") }))
			require.Equal(t, 200, a.bulk("odd@example.com", "even@example.com").status, "they can be invited")
			for _, path := range []string{a.org("/invitations"), a.org("/memberships"), "/users"} {
				require.Equal(t, 200, a.do("GET", path, "").status)
				require.Equal(t, 200, a.do("GET", path+"?email_address=even@example.com", "").status)
				_, meta := requireError(t, a.do("GET", path+"?email_address=odd@example.com", ""), 422, "form_param_format_invalid")
				require.Equal(t, "email_address", meta["param_name"])
			}
			for _, path := range []string{a.org("/memberships"), "/users"} {
				requireError(t, a.do("GET", path+"?email_address=even@example.com&email_address=odd@example.com", ""), 422, "form_param_format_invalid")
			}
			require.Equal(t, []string{"even@example.com", "odd@example.com"}, a.list("").emails(), "they are listed")
		})
	}
}

func TestWithMaxURL(t *testing.T) {
	t.Parallel()
	for name, open := range transports {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			plain := open(t)
			query := "?email_address=" + strings.Repeat("x", 100) + "@example.com"
			path := plain.org("/memberships") + query
			fits := len(plain.request("GET", path, "").URL.RequestURI())
			require.Equal(t, 200, plain.do("GET", path, "").status, "no limit without the option")

			// Every organization id has the same length.
			a := open(t, clerktest.WithMaxURL(fits), clerktest.WithQuota(clerktest.OpMemberships, 2, time.Hour))
			path = a.org("/memberships") + query
			require.Equal(t, 200, a.do("GET", path, "").status)
			got := a.do("GET", path+"x", "")
			require.Equal(t, 414, got.status)
			require.Equal(t, "text/html; charset=UTF-8", got.header.Get("Content-Type"))
			require.Contains(t, got.body, "<html>")
			require.Equal(t, 414, a.Calls()[1].Status)
			require.Equal(t, clerktest.OpMemberships, a.Calls()[1].Operation)

			stranger := a.request("GET", path+"x", "")
			stranger.Header.Del("Authorization")
			got, err := a.send(stranger)
			require.NoError(t, err)
			require.Equal(t, 414, got.status, "the proxy knows no keys")
			remove := a.Inject(clerktest.Fault{Status: 503})
			require.Equal(t, 414, a.do("GET", path+"x", "").status)
			remove()
			remove = a.Inject(clerktest.Fault{Kind: clerktest.FaultResetBefore})
			_, err = a.send(a.request("GET", path+"x", ""))
			require.ErrorIs(t, err, syscall.ECONNRESET)
			remove()

			require.Equal(t, 200, a.do("GET", path, "").status, "none of them spent quota")
			require.Equal(t, 429, a.do("GET", path, "").status)
		})
	}
}

// TestDate: answers are dated by the server's clock, not by that of net/http.
func TestDate(t *testing.T) {
	t.Parallel()
	for name, open := range transports {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			now := time.Date(2031, 5, 6, 9, 0, 0, 999, time.FixedZone("", 2*60*60))
			a := open(t, clerktest.WithClock(func() time.Time { return now }), clerktest.WithMaxURL(100), clerktest.WithQuota(clerktest.OpGet, 1, time.Hour))
			check := func(status int, got answer) {
				t.Helper()
				require.Equal(t, status, got.status)
				require.Equal(t, []string{"Tue, 06 May 2031 07:00:00 GMT"}, got.header.Values("Date"))
			}
			check(200, a.create("x@example.com"))
			check(400, a.create("x@example.com"))
			check(404, a.do("GET", a.org("/invitations/x"), ""))
			check(429, a.do("GET", a.org("/invitations/x"), ""))
			check(405, a.do("DELETE", a.org("/invitations"), ""))
			check(414, a.do("GET", "/users?email_address="+strings.Repeat("x", 100), ""))
			stranger := a.request("GET", a.org(""), "")
			stranger.Header.Del("Authorization")
			got, err := a.send(stranger)
			require.NoError(t, err)
			check(401, got)

			for kind, status := range map[clerktest.FaultKind]int{
				clerktest.FaultStatus: 503, clerktest.FaultStatusAfter: 504,
				clerktest.FaultHTML: 502, clerktest.FaultHTMLAfter: 520,
				clerktest.FaultEmpty: 200, clerktest.FaultEmptyAfter: 204,
				clerktest.FaultDelay: 200, clerktest.FaultDelayAfter: 200,
			} {
				remove := a.Inject(clerktest.Fault{Kind: kind, Status: status, Delay: time.Millisecond})
				check(status, a.do("GET", a.org(""), ""))
				remove()
			}
			remove := a.Inject(clerktest.Fault{Kind: clerktest.FaultTruncate})
			got, err = a.send(a.request("GET", a.org(""), ""))
			require.Error(t, err)
			check(200, got)
			remove()

			now = now.Add(48 * time.Hour)
			require.Equal(t, "Thu, 08 May 2031 07:00:00 GMT", a.do("GET", a.org(""), "").header.Get("Date"))
		})
	}
}

// TestDateOfSlowAnswers: the date is that of the answer's making, which is
// before its way back.
func TestDateOfSlowAnswers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := inMemory(t, clerktest.WithLatency(constant(2*time.Second)))
		defer a.Inject(clerktest.Fault{Kind: clerktest.FaultDelayAfter, Delay: 5 * time.Second})()
		start := time.Now()
		date, err := http.ParseTime(a.do("GET", a.org(""), "").header.Get("Date"))
		require.NoError(t, err)
		require.Equal(t, 2*time.Second, date.Sub(start))
		require.Equal(t, 9*time.Second, time.Since(start))
	})
}
