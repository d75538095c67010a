package clerkorg

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/clerkorg/clerkorg-go/clerktest"
)

// counter counts the attempts that a transport sees, those that never leave too. It
// panics where they do not end.
type counter struct {
	next  http.RoundTripper
	count atomic.Int32
}

func (c *counter) RoundTrip(req *http.Request) (*http.Response, error) {
	if c.count.Add(1) > 1_000 {
		panic("the attempts do not end")
	}
	return c.next.RoundTrip(req)
}

// trial is a client of a Clerk with one pending invitation.
type trial struct {
	server   *clerktest.Server
	attempts *counter
	client   *Client
	org, id  string

	applicationID string // of a pending invitation to the application
}

func newTrial(t *testing.T, opts ...Option) *trial {
	t.Helper()
	server := clerktest.NewServer(clerktest.WithLatency(func() time.Duration { return 50 * time.Millisecond }))
	attempts := &counter{next: server.Transport()}
	return &trial{
		server, attempts,
		inMemory(t, server, append([]Option{WithHTTPClient(&http.Client{Transport: attempts})}, opts...)...),
		server.OrganizationID(),
		server.AddInvitation(server.OrganizationID(), "pending@example.com", string(RoleMember)),
		server.AddApplicationInvitation("pending@example.com"),
	}
}

// operations are the calls as they go against a trial.
var operations = map[clerktest.Operation]func(context.Context, *trial) (any, error){
	clerktest.OpBulk: func(ctx context.Context, f *trial) (any, error) {
		return boxed(f.client.Organizations.CreateInvitationBulk(ctx, f.org, two()))
	},
	clerktest.OpCreate: func(ctx context.Context, f *trial) (any, error) {
		return boxed(f.client.Organizations.CreateInvitation(ctx, f.org, person("ada@example.com")))
	},
	clerktest.OpRevoke: func(ctx context.Context, f *trial) (any, error) {
		return boxed(f.client.Organizations.RevokeInvitation(ctx, f.org, f.id, nil))
	},
	clerktest.OpGet: func(ctx context.Context, f *trial) (any, error) {
		return boxed(f.client.Organizations.GetInvitation(ctx, f.org, f.id))
	},
	clerktest.OpList: func(ctx context.Context, f *trial) (any, error) {
		return boxed(f.client.Organizations.ListInvitations(ctx, f.org, nil))
	},
	clerktest.OpListInstance: func(ctx context.Context, f *trial) (any, error) {
		return boxed(f.client.Organizations.ListInstanceInvitations(ctx, nil))
	},
	clerktest.OpMemberships: func(ctx context.Context, f *trial) (any, error) {
		return boxed(f.client.Organizations.ListMemberships(ctx, f.org, nil))
	},
	clerktest.OpOrganization: func(ctx context.Context, f *trial) (any, error) {
		return boxed(f.client.Organizations.Get(ctx, f.org))
	},
	clerktest.OpApplicationBulk: func(ctx context.Context, f *trial) (any, error) {
		return boxed(f.client.Invitations.CreateBulk(ctx, twoToSignUp()))
	},
	clerktest.OpApplicationCreate: func(ctx context.Context, f *trial) (any, error) {
		return boxed(f.client.Invitations.Create(ctx, CreateApplicationInvitationParams{EmailAddress: "ada@example.com"}))
	},
	clerktest.OpApplicationList: func(ctx context.Context, f *trial) (any, error) {
		return boxed(f.client.Invitations.List(ctx, nil))
	},
	clerktest.OpApplicationRevoke: func(ctx context.Context, f *trial) (any, error) {
		return boxed(f.client.Invitations.Revoke(ctx, f.applicationID))
	},
}

func isRead(op clerktest.Operation) bool {
	switch op {
	case clerktest.OpBulk, clerktest.OpCreate, clerktest.OpRevoke,
		clerktest.OpApplicationBulk, clerktest.OpApplicationCreate, clerktest.OpApplicationRevoke:
		return false
	}
	return true
}

// faultRule is what has to come of a fault.
type faultRule struct {
	fault clerktest.Fault
	reads bool // whether reads are repeated
	all   bool // whether creates are too: it is certain that nothing was done
	known bool // whether a create that is not repeated failed for certain
	is    error
}

func status(code, retryAfter int) clerktest.Fault {
	return clerktest.Fault{Kind: clerktest.FaultStatus, Status: code, RetryAfter: retryAfter}
}

var faultRules = []faultRule{
	{fault: status(400, 0), known: true},
	{fault: status(401, 0), known: true, is: ErrUnauthorized},
	{fault: status(403, 0), known: true, is: ErrForbidden},
	{fault: status(404, 0), known: true, is: ErrNotFound},
	{fault: status(408, 0)},
	{fault: status(409, 1), known: true},
	{fault: status(422, 0), known: true},
	{fault: status(429, 1), reads: true, all: true, is: ErrRateLimited},
	{fault: status(500, 0), reads: true},
	{fault: status(500, 1), reads: true},
	{fault: status(501, 0)},
	{fault: status(502, 0), reads: true},
	{fault: status(503, 0), reads: true},
	{fault: status(503, 1), reads: true, all: true},
	{fault: status(504, 0), reads: true},
	{fault: status(505, 0)},
	{fault: clerktest.Fault{Kind: clerktest.FaultStatusAfter}, reads: true},
	{fault: clerktest.Fault{Kind: clerktest.FaultHTML}, reads: true},
	{fault: clerktest.Fault{Kind: clerktest.FaultHTMLAfter}, reads: true},
	{fault: clerktest.Fault{Kind: clerktest.FaultHTML, Status: 200}},
	{fault: clerktest.Fault{Kind: clerktest.FaultEmpty}},
	{fault: clerktest.Fault{Kind: clerktest.FaultEmptyAfter}},
	{fault: clerktest.Fault{Kind: clerktest.FaultRefuse}, reads: true, all: true, is: syscall.ECONNREFUSED},
	{fault: clerktest.Fault{Kind: clerktest.FaultResetBefore}, reads: true, is: syscall.ECONNRESET},
	{fault: clerktest.Fault{Kind: clerktest.FaultResetAfter}, reads: true, is: syscall.ECONNRESET},
	{fault: clerktest.Fault{Kind: clerktest.FaultTruncate}, reads: true, is: io.ErrUnexpectedEOF},
	{fault: clerktest.Fault{Kind: clerktest.FaultDelay, Delay: 40 * time.Second}, reads: true, is: context.DeadlineExceeded},
	{fault: clerktest.Fault{Kind: clerktest.FaultDelayAfter, Delay: 40 * time.Second}, reads: true, is: context.DeadlineExceeded},
}

// forEachFault runs a test in a bubble for every fault and every call.
func forEachFault(t *testing.T, test func(t *testing.T, op clerktest.Operation, rule faultRule)) {
	for _, rule := range faultRules {
		for op := range operations {
			name := fmt.Sprintf("fault=%s/status=%d/retryAfter=%d/%s", rule.fault.Kind, rule.fault.Status, rule.fault.RetryAfter, op)
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) { test(t, op, rule) })
			})
		}
	}
}

// TestRetriesOfLastingFaults: what is repeated, how often, and what is told in the
// end. No address is invited twice.
func TestRetriesOfLastingFaults(t *testing.T) {
	t.Parallel()
	forEachFault(t, func(t *testing.T, op clerktest.Operation, rule faultRule) {
		f := newTrial(t)
		f.server.Inject(rule.fault)
		got, err := operations[op](t.Context(), f)
		require.Error(t, err)
		assert.True(t, isNil(got))
		attempts := 1
		if rule.all || rule.reads && isRead(op) {
			attempts = 4
		}
		assert.EqualValues(t, attempts, f.attempts.count.Load())
		assert.Equal(t, !isRead(op) && !rule.all && !rule.known, isUnknown(err), "%v", err)
		if rule.is != nil {
			assert.ErrorIs(t, err, rule.is)
		}
		if rule.fault.Kind == clerktest.FaultStatus {
			api, ok := asAPIError(err)
			require.True(t, ok)
			assert.Equal(t, rule.fault.Status, api.StatusCode)
			assert.Equal(t, time.Duration(rule.fault.RetryAfter)*time.Second, api.RetryAfter)
		}
		time.Sleep(time.Hour) // for what is still under way
		assertNoneTwice(t, f.server, f.org)
	})
}

// TestRetriesOfPassingFaults: what is repeated succeeds, once.
func TestRetriesOfPassingFaults(t *testing.T) {
	t.Parallel()
	forEachFault(t, func(t *testing.T, op clerktest.Operation, rule faultRule) {
		if !rule.all && (!rule.reads || !isRead(op)) {
			return
		}
		f := newTrial(t)
		rule.fault.Calls = []int{1, 2}
		f.server.Inject(rule.fault)
		got, err := operations[op](t.Context(), f)
		require.NoError(t, err)
		assert.False(t, isNil(got))
		assert.EqualValues(t, 3, f.attempts.count.Load())
		assertNoneTwice(t, f.server, f.org)
	})
}

// TestNoRetries: each call is sent once, whatever comes of it.
func TestNoRetries(t *testing.T) {
	t.Parallel()
	forEachFault(t, func(t *testing.T, op clerktest.Operation, rule faultRule) {
		f := newTrial(t, WithMaxRetries(0))
		f.server.Inject(rule.fault)
		_, err := operations[op](t.Context(), f)
		require.Error(t, err)
		assert.EqualValues(t, 1, f.attempts.count.Load())
		time.Sleep(time.Hour)
	})
}

// TestRetrySchedule: longer and longer waits, each with jitter.
func TestRetrySchedule(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		waits := map[time.Duration]bool{}
		for range 20 {
			var times []time.Time
			client := newTestClient(t, &counter{next: transportFunc(func(*http.Request) (*http.Response, error) {
				times = append(times, time.Now())
				return nil, io.ErrUnexpectedEOF
			})}, WithMaxRetries(8))
			_, err := client.Organizations.ListInvitations(t.Context(), "org_1", nil)
			require.Error(t, err)
			require.Len(t, times, 9)
			for i := 1; i < len(times); i++ {
				mean := min(500*time.Millisecond<<(i-1), 10*time.Second)
				wait := times[i].Sub(times[i-1])
				assert.InDelta(t, mean, wait, float64(mean/2)+float64(time.Millisecond), "wait %d", i)
				waits[wait] = true
			}
		}
		assert.Greater(t, len(waits), 100, "they are not all alike")
	})
}

// TestRetryAfterIsKept: to the second, for reads and creates.
func TestRetryAfterIsKept(t *testing.T) {
	t.Parallel()
	for _, code := range []int{429, 503} {
		for op := range operations {
			t.Run(fmt.Sprintf("status=%d/%s", code, op), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					f := newTrial(t, WithMaxRateLimitWait(8*time.Second))
					fault := status(code, 4)
					fault.Calls = []int{1, 2}
					f.server.Inject(fault)
					start := time.Now()
					_, err := operations[op](t.Context(), f)
					require.NoError(t, err)
					assert.Equal(t, 8*time.Second+300*time.Millisecond, time.Since(start))

					// A third wait of 4 s would be more than a call has for waiting.
					fault.Calls = nil
					f.server.Inject(fault)
					start = time.Now()
					_, err = operations[op](t.Context(), f)
					require.Error(t, err)
					assert.Equal(t, 8*time.Second+300*time.Millisecond, time.Since(start))
					assert.EqualValues(t, 6, f.attempts.count.Load())
					assert.NotErrorIs(t, err, ErrOutcomeUnknown)
				})
			})
		}
	}
}

// TestLongRetryAfterIsHandedBack: at once, and whole.
func TestLongRetryAfterIsHandedBack(t *testing.T) {
	t.Parallel()
	for name, opts := range map[string][]Option{
		"bucket":    nil,
		"unlimited": {WithRateLimiter(Unlimited())},
		"no wait":   {WithMaxRateLimitWait(0)},
		"long wait": {WithMaxRateLimitWait(59 * time.Second)},
	} {
		for op := range operations {
			t.Run(name+"/"+string(op), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					f := newTrial(t, opts...)
					f.server.Inject(status(429, 60))
					start := time.Now()
					_, err := operations[op](t.Context(), f)
					assert.Equal(t, 100*time.Millisecond, time.Since(start))
					limited, ok := errors.AsType[*RateLimitError](err)
					require.True(t, ok, "%v", err)
					assert.Equal(t, time.Minute, limited.RetryAfter)
					api, ok := asAPIError(err)
					require.True(t, ok)
					assert.True(t, api.HasCode(CodeTooManyRequests))
					assert.EqualValues(t, 1, f.attempts.count.Load())

					f.server.Inject(status(503, 60))
					_, err = operations[op](t.Context(), f)
					assert.NotErrorIs(t, err, ErrOutcomeUnknown)
				})
			})
		}
	}
}

// A 429 without a time to wait closes the quota for a tenth of its window.
func TestTooManyRequestsWithoutRetryAfter(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newTrial(t)
		f.server.Inject(status(429, 0))
		_, err := operations[clerktest.OpBulk](t.Context(), f)
		limited, ok := errors.AsType[*RateLimitError](err)
		require.True(t, ok)
		assert.Equal(t, 6*time.Minute, limited.RetryAfter)
		assert.Equal(t, QuotaBulk, limited.Quota.Name)
		assert.EqualValues(t, 1, f.attempts.count.Load())
		_, err = operations[clerktest.OpList](t.Context(), f)
		limited, ok = errors.AsType[*RateLimitError](err)
		require.True(t, ok)
		assert.Equal(t, QuotaInstance, limited.Quota.Name)
		assert.EqualValues(t, 1+4, f.attempts.count.Load(), "a second is worth waiting for")
	})
}

// TestCancelledBackOff returns at once, with what went wrong and why it ended.
func TestCancelledBackOff(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for _, fault := range []clerktest.Fault{status(500, 8), status(503, 8), status(429, 8)} {
			f := newTrial(t)
			f.server.Inject(fault)
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(time.Second, cancel)
			start := time.Now()
			got, err := operations[clerktest.OpList](ctx, f)
			assert.True(t, isNil(got))
			assert.Equal(t, time.Second, time.Since(start))
			assert.ErrorIs(t, err, context.Canceled)
			api, ok := asAPIError(err)
			require.True(t, ok)
			assert.Equal(t, fault.Status, api.StatusCode)
			assert.EqualValues(t, 1, f.attempts.count.Load())
			assert.NotContains(t, err.Error(), "\n")

			// A wait that the deadline would cut short is not begun.
			ctx, cancel = context.WithTimeout(t.Context(), 3*time.Second)
			start = time.Now()
			_, err = operations[clerktest.OpList](ctx, f)
			cancel()
			assert.Less(t, time.Since(start), 200*time.Millisecond)
			_, ok = asAPIError(err)
			assert.True(t, ok || is(err, ErrRateLimited))
		}
	})
}

// TestBackOffWithinDeadline: a wait that leaves no time for another attempt is not begun.
func TestBackOffWithinDeadline(t *testing.T) {
	t.Parallel()
	for left, slept := range map[time.Duration]time.Duration{
		999 * time.Millisecond:  0,
		1000 * time.Millisecond: 0,
		1001 * time.Millisecond: time.Second,
	} {
		t.Run(fmt.Sprintf("left=%s", left), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), left)
				defer cancel()
				start := time.Now()
				assert.Equal(t, slept > 0, sleepWithinDeadline(ctx, time.Second))
				assert.Equal(t, slept, time.Since(start))
			})
		})
	}
}

// Creates are certain not to have been done, and so no secret is made of it.
func TestCancelledBackOffOfACreate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newTrial(t)
		f.server.Inject(status(503, 8))
		ctx, cancel := context.WithTimeoutCause(t.Context(), 10*time.Second, io.EOF)
		defer cancel()
		time.AfterFunc(time.Second, cancel)
		_, err := operations[clerktest.OpBulk](ctx, f)
		assert.ErrorIs(t, err, context.Canceled)
		assert.NotErrorIs(t, err, ErrOutcomeUnknown)
		assert.Empty(t, f.server.InvitedAddresses(f.org))
	})
}

// TestRetriesDoNotNeedPatience: back-off is no wait for quota, and a ledger that takes
// any time at all does not use up the retries of a client that never waits.
func TestRetriesDoNotNeedPatience(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		slow := &fakeLimiter{delay: time.Millisecond}
		f := newTrial(t, WithRateLimiter(slow), WithMaxRateLimitWait(0))
		f.server.Inject(clerktest.Fault{Kind: clerktest.FaultRefuse, Calls: []int{1}})
		_, err := operations[clerktest.OpBulk](t.Context(), f)
		require.NoError(t, err)
		assert.EqualValues(t, 2, f.attempts.count.Load())
	})
}
