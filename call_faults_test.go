package clerkorg

import (
	"fmt"
	"log/slog"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/clerkorg/clerkorg-go/clerktest"
)

// oddAnswer is a fault, and the end that calls have to come to.
type oddAnswer struct {
	fault clerktest.Fault
	ok    func(op clerktest.Operation) bool // which calls succeed all the same
	known bool                              // whether it is certain that a create was not carried out
	all   bool                              // whether creates are repeated
	reads bool                              // whether reads are repeated
	is    error
}

func never(clerktest.Operation) bool  { return false }
func always(clerktest.Operation) bool { return true }
func notLists(op clerktest.Operation) bool {
	return op != clerktest.OpList && op != clerktest.OpListInstance && op != clerktest.OpMemberships
}
func notBulk(op clerktest.Operation) bool {
	return op != clerktest.OpBulk && op != clerktest.OpApplicationBulk
}

var oddAnswers = []oddAnswer{
	{fault: clerktest.Fault{Kind: clerktest.FaultEchoBody}, ok: never, known: true},
	{fault: clerktest.Fault{Kind: clerktest.FaultEchoBody, Status: 401}, ok: never, known: true, is: ErrUnauthorized},
	{fault: clerktest.Fault{Kind: clerktest.FaultEchoBody, Status: 429, RetryAfter: 1}, ok: never, known: true, all: true, reads: true, is: ErrRateLimited},
	{fault: clerktest.Fault{Kind: clerktest.FaultEchoBody, Status: 502}, ok: never, reads: true},
	{fault: clerktest.Fault{Kind: clerktest.FaultEchoHeader}, ok: always},
	{fault: clerktest.Fault{Kind: clerktest.FaultHTML, Status: 200}, ok: never},
	{fault: clerktest.Fault{Kind: clerktest.FaultHTMLAfter, Status: 200}, ok: never},
	{fault: clerktest.Fault{Kind: clerktest.FaultHTML, Status: 303}, ok: never},
	{fault: clerktest.Fault{Kind: clerktest.FaultHTML, Status: 403}, ok: never, known: true, is: ErrForbidden},
	{fault: clerktest.Fault{Kind: clerktest.FaultSwitchProtocols}, ok: never, reads: true},
	{fault: clerktest.Fault{Kind: clerktest.FaultEarlyHints}, ok: always},
	{fault: clerktest.Fault{Kind: clerktest.FaultCount, Count: 0}, ok: notBulk},
	{fault: clerktest.Fault{Kind: clerktest.FaultCount, Count: 1}, ok: notBulk},
	{fault: clerktest.Fault{Kind: clerktest.FaultCount, Count: 3}, ok: notBulk},
	{fault: clerktest.Fault{Kind: clerktest.FaultBareArray}, ok: notLists},
	{fault: clerktest.Fault{Kind: clerktest.FaultTruncate, Status: 400}, ok: never, known: true},
	{fault: clerktest.Fault{Kind: clerktest.FaultTruncateChunk}, ok: never, reads: true},
	{fault: clerktest.Fault{Kind: clerktest.FaultTruncateChunk, Status: 404}, ok: never, known: true, is: ErrNotFound},
	{fault: clerktest.Fault{Kind: clerktest.FaultTruncateChunk, Status: 429, RetryAfter: 1}, ok: never, known: true, all: true, reads: true, is: ErrRateLimited},
	{fault: clerktest.Fault{Kind: clerktest.FaultTrickle}, ok: never, reads: true},
	{fault: clerktest.Fault{Kind: clerktest.FaultTrickle, Status: 422}, ok: never, known: true},
	{fault: clerktest.Fault{Kind: clerktest.FaultTrickle, Status: 429, RetryAfter: 1}, ok: never, known: true, all: true, reads: true, is: ErrRateLimited},
	{fault: clerktest.Fault{Kind: clerktest.FaultResetDuring}, ok: never, reads: true},
	{fault: clerktest.Fault{Kind: clerktest.FaultResetDuring, Status: 403}, ok: never, known: true, is: ErrForbidden},
}

// oddTrial has a call made while the fault lasts, and checks what holds over every way to
// the server: no person is invited twice, no create is repeated that may have been carried
// out, and the key is not shown.
func oddTrial(t *testing.T, server *clerktest.Server, odd oddAnswer, op clerktest.Operation, opts ...Option) error {
	t.Helper()
	var book logBook
	client, err := NewClient(spyKey, append([]Option{WithRateLimiter(NewTokenBucket()), WithLogger(debugLogger(&book))}, opts...)...)
	require.NoError(t, err)
	trial := &trial{server: server, client: client, org: server.OrganizationID()}
	trial.applicationID = server.AddApplicationInvitation("pending@example.com")
	trial.id = server.AddInvitation(trial.org, "pending@example.com", string(RoleMember))
	server.Inject(odd.fault)
	got, err := operations[op](t.Context(), trial)
	if odd.ok(op) {
		require.NoError(t, err)
		assert.False(t, isNil(got))
	} else {
		require.Error(t, err)
		assert.True(t, isNil(got))
		slog.New(slog.NewJSONHandler(&book, nil)).Error("failed", "error", err)
		assertHidden(t, err)
		if odd.is != nil {
			assert.ErrorIs(t, err, odd.is)
		}
		if !isRead(op) {
			assert.Equal(t, !odd.known, isUnknown(err), "%v", err)
		}
	}
	assertHidden(t, book.String())
	attempts := 1
	if odd.all || odd.reads && isRead(op) {
		attempts = 4
	}
	assert.Equal(t, attempts, server.CallCount(op))
	for address, times := range server.InvitedAddresses(trial.org) {
		assert.Equal(t, 1, times, address)
	}
	return err
}

// TestOddAnswers has every call meet every odd answer, in memory.
func TestOddAnswers(t *testing.T) {
	t.Parallel()
	for _, odd := range oddAnswers {
		for op := range operations {
			t.Run(fmt.Sprintf("%s %d %d %s", odd.fault.Kind, odd.fault.Status, odd.fault.Count, op), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					server := clerktest.NewServer(clerktest.WithSecretKey(spyKey))
					start := time.Now()
					err := oddTrial(t, server, odd, op, WithHTTPClient(&http.Client{Transport: server.Transport()}))
					took := time.Since(start)
					switch {
					case odd.fault.Kind == clerktest.FaultTrickle && odd.fault.Status == 0:
						assert.LessOrEqual(t, took, 4*DefaultTimeout+15*time.Second)
					case err != nil && odd.known && !odd.all:
						assert.LessOrEqual(t, took, maxRefusalWait)
					default:
						assert.LessOrEqual(t, took, 15*time.Second)
					}
				})
			})
		}
	}
}

// TestOddAnswersOverASocket: the same through net/http.
func TestOddAnswersOverASocket(t *testing.T) {
	t.Parallel()
	for _, odd := range oddAnswers {
		for op := range operations {
			if odd.all {
				continue // they wait for as long as the server asks, in real time
			}
			if odd.fault.Kind == clerktest.FaultResetDuring && odd.fault.Status != 0 {
				continue // the reset may overtake the status
			}
			if odd.fault.Kind == clerktest.FaultTrickle && op != clerktest.OpBulk {
				continue // it takes its time, and is the same for all
			}
			odd.fault.Delay = 100 * time.Millisecond // of each byte that trickles
			t.Run(fmt.Sprintf("%s %d %d %s", odd.fault.Kind, odd.fault.Status, odd.fault.Count, op), func(t *testing.T) {
				t.Parallel()
				server := clerktest.NewServer(clerktest.WithSecretKey(spyKey))
				defer server.Close()
				client := &http.Client{Transport: &http.Transport{}, Timeout: 20 * time.Second}
				if odd.fault.Kind == clerktest.FaultTrickle && !odd.known {
					client.Timeout = 3 * time.Second // it is what ends the call
				}
				defer client.CloseIdleConnections()
				start := time.Now()
				err := oddTrial(t, server, odd, op, WithBaseURL(server.URL()), WithHTTPClient(client), withQuickRetries)
				t.Logf("%s: %v", time.Since(start), err)
				assert.Less(t, time.Since(start), 30*time.Second)
			})
		}
	}
}
