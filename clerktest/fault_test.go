package clerktest_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
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
	brokenOff := func(status int, is error) func(*testing.T, answer, error) {
		return func(t *testing.T, got answer, err error) {
			t.Helper()
			require.ErrorIs(t, err, is)
			require.Equal(t, status, got.status)
			require.True(t, strings.HasPrefix(got.body, `{"`), got.body)
			require.Error(t, json.Unmarshal([]byte(got.body), new(any)))
		}
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
		{"truncate a refusal", clerktest.Fault{Kind: clerktest.FaultTruncate, Status: 403}, brokenOff(403, io.ErrUnexpectedEOF), 0},
		{"truncate chunk", clerktest.Fault{Kind: clerktest.FaultTruncateChunk}, brokenOff(200, io.ErrUnexpectedEOF), 1},
		{"truncate chunk of a refusal", clerktest.Fault{Kind: clerktest.FaultTruncateChunk, Status: 422}, brokenOff(422, io.ErrUnexpectedEOF), 0},
		{"trickle", clerktest.Fault{Kind: clerktest.FaultTrickle, Delay: time.Microsecond}, func(t *testing.T, got answer, err error) {
			t.Helper()
			require.NoError(t, err)
			require.Equal(t, "x@example.com", decode[invitation](t, got).EmailAddress)
		}, 1},
		{"trickle of a refusal", clerktest.Fault{Kind: clerktest.FaultTrickle, Delay: time.Microsecond, Status: 404}, status(404, "resource_not_found"), 0},
		{"count", clerktest.Fault{Kind: clerktest.FaultCount}, func(t *testing.T, got answer, err error) {
			t.Helper()
			require.NoError(t, err)
			require.Equal(t, "x@example.com", decode[invitation](t, got).EmailAddress, "that is no list")
		}, 1},
		{"early hints", clerktest.Fault{Kind: clerktest.FaultEarlyHints}, func(t *testing.T, got answer, err error) {
			t.Helper()
			require.NoError(t, err)
			require.Equal(t, 200, got.status)
			require.Empty(t, got.header.Get("Link"))
		}, 1},
		{"echo body", clerktest.Fault{Kind: clerktest.FaultEchoBody}, func(t *testing.T, got answer, err error) {
			t.Helper()
			require.NoError(t, err)
			long, _ := requireError(t, got, 400, "bad_request")
			require.Regexp(t, `Bearer sk_test_\w+, Bearer\+sk%5Ftest%5F\w+, Bearer sk\\u005ftest\\u005f\w+, Bearer sk&#95;test&#95;\w+`, long)
		}, 0},
		{"echo header", clerktest.Fault{Kind: clerktest.FaultEchoHeader}, func(t *testing.T, got answer, err error) {
			t.Helper()
			require.NoError(t, err)
			require.Equal(t, 200, got.status)
			require.Regexp(t, `^Bearer sk_test_\w+$`, got.header.Get("Clerk-Trace-Id"))
			require.Equal(t, got.header.Get("Clerk-Trace-Id"), got.header.Get("CF-Ray"))
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

// TestFaultResetDuring: over a socket the reset may overtake the head of the answer.
func TestFaultResetDuring(t *testing.T) {
	t.Parallel()
	for _, fault := range []clerktest.Fault{{Kind: clerktest.FaultResetDuring}, {Kind: clerktest.FaultResetDuring, Status: 403}} {
		for name, open := range transports {
			a := open(t)
			a.Inject(fault)
			got, err := a.send(a.request("POST", a.org("/invitations"), person("x@example.com")))
			require.ErrorIs(t, err, syscall.ECONNRESET, name)
			if name == "in memory" {
				require.Equal(t, max(200, fault.Status), got.status)
				require.NotEmpty(t, got.body)
			}
			require.Len(t, a.Calls(), 1)
			done := 1
			if fault.Status != 0 {
				done = 0
			}
			require.Equal(t, done, a.TimesInvited(a.OrganizationID(), "x@example.com"))
		}
	}
}

// TestFaultsOfHTTP2: what cannot be done to its connection is done to its stream.
func TestFaultsOfHTTP2(t *testing.T) {
	t.Parallel()
	for _, kind := range []clerktest.FaultKind{
		clerktest.FaultResetBefore, clerktest.FaultResetAfter, clerktest.FaultResetDuring,
		clerktest.FaultTruncateChunk, clerktest.FaultSwitchProtocols,
	} {
		s := clerktest.NewServer()
		server := httptest.NewUnstartedServer(s)
		server.EnableHTTP2 = true
		server.StartTLS()
		a := &api{s, t, server.Client(), server.URL}
		a.Inject(clerktest.Fault{Kind: kind})
		_, err := a.send(a.request("POST", a.org("/invitations"), person("x@example.com")))
		require.ErrorContains(t, err, "INTERNAL_ERROR", kind)
		require.Len(t, a.Calls(), 1)
		server.Close()
	}
}

// TestFaultSwitchProtocols: no more comes, until the client hangs up or the server closes.
func TestFaultSwitchProtocols(t *testing.T) {
	t.Parallel()
	for name, open := range transports {
		a := open(t)
		a.Inject(clerktest.Fault{Kind: clerktest.FaultSwitchProtocols})
		resp, err := a.client.Do(a.request("POST", a.org("/invitations"), person("x@example.com"))) //nolint:bodyclose // It is, below.
		require.NoError(t, err)
		require.Equal(t, 101, resp.StatusCode)
		require.Equal(t, "clerktest", resp.Header.Get("Upgrade"))
		require.Equal(t, 1, a.TimesInvited(a.OrganizationID(), "x@example.com"))
		require.Equal(t, 101, a.Calls()[0].Status)
		ended := make(chan error)
		go func() {
			_, err := resp.Body.Read(make([]byte, 1))
			ended <- err
		}()
		if name == "in memory" {
			require.NoError(t, resp.Body.Close())
		} else {
			a.Close()
		}
		require.Error(t, <-ended)
		require.NoError(t, resp.Body.Close())
	}
}

func TestFaultLists(t *testing.T) {
	t.Parallel()
	for name, open := range transports {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, count := range []int{-1, 0, 1, 2, 3, 12} {
				a := open(t)
				a.Inject(clerktest.Fault{Kind: clerktest.FaultCount, Count: count})
				emails := decode[invitationList](t, a.bulk("x@example.com", "y@example.com")).emails()
				require.Len(t, emails, max(0, count))
				if count > 2 {
					require.Equal(t, "y@example.com", emails[count-1])
				}
				require.Len(t, decode[invitationList](t, a.do("GET", a.org("/invitations"), "")).Data, max(0, count))
			}
			a := open(t)
			a.Inject(clerktest.Fault{Kind: clerktest.FaultBareArray})
			require.Len(t, decode[[]invitation](t, a.bulk("x@example.com", "y@example.com")), 2)
			require.Len(t, decode[[]invitation](t, a.do("GET", a.org("/invitations"), "")), 2)
			require.Len(t, decode[[]any](t, a.do("GET", a.org("/memberships"), "")), 1)
		})
	}
}

func TestFaultEarlyHints(t *testing.T) {
	t.Parallel()
	for name, open := range transports {
		a := open(t)
		a.Inject(clerktest.Fault{Kind: clerktest.FaultEarlyHints})
		hints := 0
		ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{Got1xxResponse: func(code int, header textproto.MIMEHeader) error {
			require.Equal(t, http.StatusEarlyHints, code)
			require.NotEmpty(t, header.Get("Link"))
			hints++
			return nil
		}})
		_, err := a.send(a.request("GET", a.org(""), "").WithContext(ctx))
		require.NoError(t, err)
		require.Equal(t, 3, hints, name)
	}
	a := inMemory(t)
	a.Inject(clerktest.Fault{Kind: clerktest.FaultEarlyHints})
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{Got1xxResponse: func(int, textproto.MIMEHeader) error { return io.EOF }})
	_, err := a.send(a.request("GET", a.org(""), "").WithContext(ctx))
	require.ErrorIs(t, err, io.EOF)
}

// TestFaultTrickle takes the time of every byte, and ends with the context of the request.
func TestFaultTrickle(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := inMemory(t)
		a.Inject(clerktest.Fault{Kind: clerktest.FaultTrickle})
		start := time.Now()
		got := a.do("GET", a.org(""), "")
		require.Equal(t, time.Duration(len(got.body))*time.Second, time.Since(start))

		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second+time.Millisecond)
		defer cancel()
		start = time.Now()
		got, err := a.send(a.request("GET", a.org(""), "").WithContext(ctx))
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, 200, got.status)
		require.Len(t, got.body, 5)
		require.Equal(t, 5*time.Second+time.Millisecond, time.Since(start))
	})
	a := overLoopback(t)
	a.Inject(clerktest.Fault{Kind: clerktest.FaultTrickle, Delay: time.Hour})
	time.AfterFunc(10*time.Millisecond, a.Close)
	_, err := a.send(a.request("GET", a.org(""), ""))
	require.Error(t, err, "the server does not wait to the end when it closes")
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
	for k := clerktest.FaultStatus; k <= clerktest.FaultEchoHeader; k++ {
		names[k.String()] = true
	}
	require.Len(t, names, 21)
	require.Equal(t, "unknown", (clerktest.FaultEchoHeader + 1).String())
}
