package clerktest_test

import (
	"io"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/clerkorg/clerkorg-go/clerktest"
)

func TestFaultKinds(t *testing.T) {
	t.Parallel()
	status := func(status int, code string) func(*testing.T, answer, error) {
		return func(t *testing.T, got answer, err error) {
			t.Helper()
			require.NoError(t, err)
			requireError(t, got, status, code)
		}
	}
	html := func(status int) func(*testing.T, answer, error) {
		return func(t *testing.T, got answer, err error) {
			t.Helper()
			require.NoError(t, err)
			require.Equal(t, status, got.status)
			require.Contains(t, got.header.Get("Content-Type"), "text/html")
			require.Contains(t, got.body, "<html>")
			require.NotEmpty(t, got.header.Get("CF-Ray"))
		}
	}
	empty := func(status int) func(*testing.T, answer, error) {
		return func(t *testing.T, got answer, err error) {
			t.Helper()
			require.NoError(t, err)
			require.Equal(t, status, got.status)
			require.Empty(t, got.body)
		}
	}
	reset := func(t *testing.T, _ answer, err error) {
		t.Helper()
		require.ErrorIs(t, err, syscall.ECONNRESET)
	}
	tests := []struct {
		name  string
		fault clerktest.Fault
		check func(*testing.T, answer, error)
		done  int // how many invitations there are afterwards
	}{
		{"status", clerktest.Fault{}, status(500, "internal_clerk_error"), 0},
		{"status 503", clerktest.Fault{Status: 503}, status(503, "service_unavailable"), 0},
		{"status 502", clerktest.Fault{Status: 502}, status(502, "internal_clerk_error"), 0},
		{"status 402", clerktest.Fault{Status: 402}, status(402, "bad_request"), 0},
		{"not a status", clerktest.Fault{Status: 42}, status(500, "internal_clerk_error"), 0},
		{"code", clerktest.Fault{Status: 503, Code: "maintenance_mode"}, status(503, "maintenance_mode"), 0},
		{"after", clerktest.Fault{Kind: clerktest.FaultStatusAfter, Status: 504}, status(504, "gateway_timeout"), 1},
		{"html", clerktest.Fault{Kind: clerktest.FaultHTML}, html(502), 0},
		{"html after", clerktest.Fault{Kind: clerktest.FaultHTMLAfter, Status: 520}, html(520), 1},
		{"empty", clerktest.Fault{Kind: clerktest.FaultEmpty}, empty(200), 0},
		{"empty 500", clerktest.Fault{Kind: clerktest.FaultEmpty, Status: 500}, empty(500), 0},
		{"empty after", clerktest.Fault{Kind: clerktest.FaultEmptyAfter, Status: 204}, empty(204), 1},
		{"reset before", clerktest.Fault{Kind: clerktest.FaultResetBefore}, reset, 0},
		{"reset after", clerktest.Fault{Kind: clerktest.FaultResetAfter}, reset, 1},
		{"truncate", clerktest.Fault{Kind: clerktest.FaultTruncate}, func(t *testing.T, got answer, err error) {
			t.Helper()
			require.ErrorIs(t, err, io.ErrUnexpectedEOF)
			require.Equal(t, 200, got.status)
			require.True(t, strings.HasPrefix(got.body, `{"object":"organization_invitation"`), got.body)
			require.NotContains(t, got.body, "updated_at")
		}, 1},
		{"delay", clerktest.Fault{Kind: clerktest.FaultDelay, Delay: time.Millisecond}, func(t *testing.T, got answer, err error) {
			t.Helper()
			require.NoError(t, err)
			require.Equal(t, 200, got.status)
		}, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for name, open := range transports {
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					a := open(t, clerktest.WithQuota(clerktest.OpCreate, 2, time.Hour))
					remove := a.Inject(tt.fault)
					got, err := a.send(a.request("POST", a.org("/invitations"), person("x@example.com")))
					tt.check(t, got, err)
					require.Equal(t, tt.done, a.TimesInvited(a.OrganizationID(), "x@example.com"))
					call := a.Calls()[0]
					assert.Equal(t, got.status, call.Status)
					assert.Equal(t, tt.done, call.Invited)

					remove()
					remove()
					require.Equal(t, 200, a.create("y@example.com").status)
					require.Equal(t, 429, a.create("z@example.com").status, "what was struck spent quota too")
					require.Equal(t, 1, a.RateLimited())
				})
			}
		})
	}
}

func TestFaultRefuse(t *testing.T) {
	t.Parallel()
	a := inMemory(t)
	a.Inject(clerktest.Fault{Kind: clerktest.FaultRefuse})
	_, err := a.send(a.request("POST", a.org("/invitations"), person("x@example.com")))
	require.ErrorIs(t, err, syscall.ECONNREFUSED)
	require.Empty(t, a.Calls(), "it never arrived")

	l := overLoopback(t)
	l.Inject(clerktest.Fault{Kind: clerktest.FaultRefuse})
	_, err = l.send(l.request("POST", l.org("/invitations"), person("x@example.com")))
	require.ErrorIs(t, err, syscall.ECONNRESET)
	require.Len(t, l.Calls(), 1)
	require.Empty(t, l.Invitations(l.OrganizationID()))
}

func TestFaultRetryAfter(t *testing.T) {
	t.Parallel()
	a := inMemory(t)
	a.Inject(clerktest.Fault{Status: 429, RetryAfter: 7})
	require.Equal(t, 7*time.Second, retryAfter(t, a.create("x@example.com")))
	require.Zero(t, a.RateLimited(), "that was no quota")
	require.False(t, a.Calls()[0].Refused)
}

func TestFaultSelection(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := inMemory(t, clerktest.WithoutRateLimits())
		try := func(n int) (struck []int) {
			for i := range n {
				if a.do("GET", a.org(""), "").status != 200 {
					struck = append(struck, i+1)
				}
			}
			return struck
		}
		a.do("GET", a.org(""), "")
		remove := a.Inject(clerktest.Fault{Operation: clerktest.OpOrganization, Calls: []int{2, 4}})
		a.do("GET", a.org("/invitations"), "") // another operation: not counted
		require.Equal(t, []int{2, 4}, try(6), "counted from the injection on")
		remove()

		remove = a.Inject(clerktest.Fault{Operation: clerktest.OpBulk})
		require.Empty(t, try(3))
		remove()

		start := time.Now()
		remove = a.Inject(clerktest.Fault{While: func(now time.Time) bool {
			return now.Sub(start) >= time.Minute && now.Sub(start) < 2*time.Minute
		}})
		require.Empty(t, try(1))
		time.Sleep(time.Minute)
		require.Len(t, try(3), 3)
		time.Sleep(time.Minute)
		require.Empty(t, try(1))
		remove()

		remove = a.Inject(clerktest.Fault{Probability: 0.25})
		struck := len(try(2000))
		require.InDelta(t, 500, struck, 120)
		remove()

		// The first of several.
		defer a.Inject(clerktest.Fault{Status: 503, Calls: []int{1}})()
		defer a.Inject(clerktest.Fault{Status: 504})()
		require.Equal(t, 503, a.do("GET", a.org(""), "").status)
		require.Equal(t, 504, a.do("GET", a.org(""), "").status)
	})
}

func TestRefusalsComeBeforeFaults(t *testing.T) {
	t.Parallel()
	a := inMemory(t, clerktest.WithQuota(clerktest.OpCreate, 1, time.Hour))
	require.Equal(t, 200, a.create("x@example.com").status)
	defer a.Inject(clerktest.Fault{Operation: clerktest.OpCreate, Kind: clerktest.FaultHTML})()
	require.Equal(t, 429, a.create("y@example.com").status)
	defer a.Inject(clerktest.Fault{Operation: clerktest.OpGet, Kind: clerktest.FaultResetAfter})()
	_, err := a.send(a.request("GET", a.org("/invitations/x"), ""))
	require.ErrorIs(t, err, syscall.ECONNRESET)
}

func TestFaultKindNames(t *testing.T) {
	t.Parallel()
	names := map[string]bool{}
	for k := clerktest.FaultStatus; k <= clerktest.FaultRefuse; k++ {
		names[k.String()] = true
	}
	require.Len(t, names, 12)
	require.Equal(t, "unknown", (clerktest.FaultRefuse + 1).String())
}
