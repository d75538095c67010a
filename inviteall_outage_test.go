package clerkorg

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/clerkorg/clerkorg-go/clerktest"
)

// outages are ways in which a server is down.
var outages = map[string]clerktest.Fault{
	"refused":               {Kind: clerktest.FaultRefuse},
	"502":                   {Kind: clerktest.FaultHTML, Status: 502},
	"503":                   {Kind: clerktest.FaultStatus, Status: 503, RetryAfter: 30},
	"reset":                 {Kind: clerktest.FaultResetBefore},
	"bulk and single: 500":  {Kind: clerktest.FaultStatus, Status: 500, Operation: "creates"},
	"bulk and single: slow": {Kind: clerktest.FaultDelay, Delay: time.Hour, Operation: "creates"},
}

// breakFor has a server down for so long, a minute from now.
func breakFor(server *clerktest.Server, fault clerktest.Fault, outage time.Duration) {
	down := time.Now().Add(time.Minute)
	fault.While = func(now time.Time) bool { return now.After(down) && now.Before(down.Add(outage)) }
	if fault.Operation != "creates" {
		server.Inject(fault)
		return
	}
	for _, op := range []clerktest.Operation{clerktest.OpBulk, clerktest.OpCreate} {
		fault.Operation = op
		server.Inject(fault)
	}
}

// TestInviteAllOutage has the server down for 50 minutes in the middle of a run.
func TestInviteAllOutage(t *testing.T) {
	for name, fault := range outages {
		for _, bulkOnly := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/bulkOnly=%t", name, bulkOnly), func(t *testing.T) {
				bubble(t, func(t *testing.T, server *clerktest.Server) {
					breakFor(server, fault, 50*time.Minute)
					people := crowd(3000/stride(2), nil)
					start := time.Now()
					// A slow loop keeps the burst from being over before the outage begins.
					var results []InviteResult
					for result, err := range inviteAll(t, inMemory(t, server), server, people, &InviteAllOptions{BulkOnly: bulkOnly}) {
						require.NoError(t, err)
						if results = append(results, result); len(results) < 500 {
							time.Sleep(500 * time.Millisecond)
						}
					}
					require.Len(t, results, len(people))
					if fault.Delay == 0 { // what is carried out long after it was given up is found, or refused
						assert.Equal(t, map[InviteOutcome]int{OutcomeInvited: len(people)}, countOutcomes(results))
					}
					assertEachOnce(t, server, len(people))
					t.Logf("%s, %d bulk and %d single calls", time.Since(start), server.CallCount(clerktest.OpBulk), server.CallCount(clerktest.OpCreate))
					burnt := 0
					for _, call := range server.Calls() {
						if call.Operation == clerktest.OpBulk && call.Invited == 0 {
							burnt++
						}
					}
					if !bulkOnly || (fault.Operation == "" && name != "503") { // otherwise there is no other call to find out with
						assert.LessOrEqual(t, burnt, 8)
					}
				})
			})
		}
	}
}

// TestInviteAllLongOutage has the server down for longer than a run is patient.
func TestInviteAllLongOutage(t *testing.T) {
	for name, fault := range outages {
		for _, patience := range []time.Duration{0, 10 * time.Minute, 3 * time.Hour} {
			t.Run(fmt.Sprintf("%s/maxOutage=%s", name, patience), func(t *testing.T) {
				bubble(t, func(t *testing.T, server *clerktest.Server) {
					breakFor(server, fault, 100*time.Hour)
					start := time.Now()
					var got int
					var end error
					for _, err := range inviteAll(t, inMemory(t, server), server, crowd(9000, nil), &InviteAllOptions{MaxOutage: patience}) {
						if end = err; err == nil {
							got++
							time.Sleep(time.Second / 2)
						}
					}
					if patience == 0 {
						patience = defaultMaxOutage
					}
					require.ErrorContains(t, end, "no call has succeeded for")
					t.Log(end)
					assert.GreaterOrEqual(t, invitedBy(server), got)
					if fault.Delay == 0 {
						assert.Equal(t, invitedBy(server), got)
					}
					assert.Positive(t, got)
					assert.InDelta(t, patience.Minutes(), (time.Since(start) - time.Minute - time.Duration(got)*time.Second/2).Minutes(), 0.2*patience.Minutes()+4)
				})
			})
		}
	}
}

// TestInviteAllDownFromTheStart never gets as far as a first look.
func TestInviteAllDownFromTheStart(t *testing.T) {
	for _, kind := range []clerktest.FaultKind{clerktest.FaultRefuse, clerktest.FaultHTML, clerktest.FaultTruncate} {
		t.Run("fault="+kind.String(), func(t *testing.T) {
			bubble(t, func(t *testing.T, server *clerktest.Server) {
				up := time.Now().Add(50 * time.Minute)
				server.Inject(clerktest.Fault{Kind: kind, While: func(now time.Time) bool { return now.Before(up) }})
				gather(t, inviteAll(t, inMemory(t, server), server, crowd(100, nil), nil), 100)
				assert.Less(t, time.Since(up), 2*time.Minute)
				assertEachOnce(t, server, 100)
			})
		})
	}
}

// TestInviteAllObeysRetryAfter counts what a server sees that asks for patience.
func TestInviteAllObeysRetryAfter(t *testing.T) {
	bubble(t, func(t *testing.T, server *clerktest.Server) {
		server.Inject(clerktest.Fault{Operation: clerktest.OpBulk, Calls: []int{1}, Kind: clerktest.FaultStatus, Status: 503, RetryAfter: 600})
		gather(t, inviteAll(t, inMemory(t, server), server, crowd(100, nil), &InviteAllOptions{Concurrency: 1, BulkOnly: true}), 100)
		calls := server.Calls()
		for i, call := range calls {
			if call.Status == 503 {
				assert.GreaterOrEqual(t, calls[i+1].Time.Sub(call.Time), 10*time.Minute)
			}
		}
		assertEachOnce(t, server, 100)
		assert.Equal(t, 11, server.CallCount(clerktest.OpBulk))
	})
}

// brokenLimiter fails for a while.
type brokenLimiter struct {
	RateLimiter
	until time.Time
	wrap  bool
}

func (b *brokenLimiter) Acquire(ctx context.Context, req ReservationRequest) (Reservation, error) {
	if time.Now().After(b.until) {
		return b.RateLimiter.Acquire(ctx, req)
	}
	err := errors.New("no route to the limiter")
	if b.wrap {
		return Reservation{}, &RateLimitError{Quota: req.Quota, Err: err}
	}
	return Reservation{}, err
}

func (b *brokenLimiter) State(context.Context, Quota) (QuotaState, error) {
	return QuotaState{}, errors.New("no route to the limiter")
}

func TestInviteAllBrokenLimiter(t *testing.T) {
	for _, wrap := range []bool{false, true} {
		for _, after := range []time.Duration{0, 10 * time.Second} {
			for _, lasts := range []time.Duration{30 * time.Minute, 100 * time.Hour} {
				t.Run(fmt.Sprintf("wrap=%t/after=%s/lasts=%s", wrap, after, lasts), func(t *testing.T) {
					bubble(t, func(t *testing.T, server *clerktest.Server) {
						limiter := &brokenLimiter{NewTokenBucket(), time.Now().Add(lasts), wrap}
						if after > 0 { // it works for the first look
							limiter.until = time.Time{}
						}
						client := through(t, server, func(req *http.Request, next http.RoundTripper) (*http.Response, error) {
							if after > 0 && req.Method == http.MethodPost && limiter.until.IsZero() {
								limiter.until = time.Now().Add(lasts)
							}
							return next.RoundTrip(req)
						}, WithRateLimiter(limiter))
						opts := &InviteAllOptions{OnProgress: func(Progress) {}, Concurrency: 1, BulkOnly: true}
						results, err := until(t, inviteAll(t, client, server, crowd(100, nil), opts))
						if lasts > defaultMaxOutage {
							assert.ErrorIs(t, err, map[bool]error{false: ErrLimiterUnavailable, true: ErrRateLimited}[wrap])
							assert.ErrorContains(t, err, "no route to the limiter")
							return
						}
						require.NoError(t, err)
						assert.Len(t, results, 100)
						assertEachOnce(t, server, 100)
					})
				})
			}
		}
	}
}
