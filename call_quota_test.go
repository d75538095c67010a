package clerkorg

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/clerkorg/clerkorg-go/clerktest"
)

// fakeLimiter writes down what it is asked, and fails where it is told to.
type fakeLimiter struct {
	delay   time.Duration // of Acquire
	refuse  string        // name of the quota of which it has nothing
	failure error         // what it says then
	broken  error         // of everything but Acquire

	mu   sync.Mutex
	said []string
	ids  int
}

func (f *fakeLimiter) say(format string, args ...any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.said = append(f.said, fmt.Sprintf(format, args...))
}

func (f *fakeLimiter) Acquire(_ context.Context, req ReservationRequest) (Reservation, error) {
	f.say("acquire %s within %s, leaving %d", req.Quota.Name, req.MaxWait, req.Reserve)
	time.Sleep(f.delay)
	if req.Quota.Name == f.refuse {
		return Reservation{}, f.failure
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ids++
	return Reservation{Quota: req.Quota, ID: fmt.Sprint(f.ids), Left: 7}, nil
}

func (f *fakeLimiter) Settle(ctx context.Context, token Reservation, outcome RequestOutcome) error {
	f.say("settle %s of %s: %s", token.ID, token.Quota.Name, map[RequestOutcome]string{RequestNotSent: "not sent", RequestAnswered: "answered", RequestUnanswered: "unanswered"}[outcome])
	return errors.Join(ctx.Err(), f.broken)
}

func (f *fakeLimiter) CloseUntil(ctx context.Context, quota Quota, until time.Time) error {
	f.say("close %s for %s", quota.Name, time.Until(until))
	return errors.Join(ctx.Err(), f.broken)
}

func (f *fakeLimiter) State(_ context.Context, quota Quota) (QuotaState, error) {
	return QuotaState{Quota: quota, Available: 3}, f.broken
}

func (f *fakeLimiter) heard() string { return strings.Join(f.said, "\n") }

// TestLimiterIsTold: what is acquired, and the outcome.
func TestLimiterIsTold(t *testing.T) {
	t.Parallel()
	const acquired = "acquire invitations.bulk within 10s, leaving 0\nacquire instance within 10s, leaving 0\n"
	settled := func(outcome string) string {
		return acquired + "settle 1 of invitations.bulk: " + outcome + "\nsettle 2 of instance: " + outcome
	}
	for name, test := range map[string]struct {
		fault clerktest.Fault
		want  string
	}{
		"success":     {clerktest.Fault{Kind: clerktest.FaultStatus, Calls: []int{99}}, settled("answered")},
		"refusal":     {status(422, 0), settled("answered")},
		"failure":     {status(500, 0), settled("answered")},
		"html":        {clerktest.Fault{Kind: clerktest.FaultHTML}, settled("answered")},
		"not read":    {clerktest.Fault{Kind: clerktest.FaultHTML, Status: 200}, settled("answered")},
		"reset":       {clerktest.Fault{Kind: clerktest.FaultResetAfter}, settled("unanswered")},
		"truncated":   {clerktest.Fault{Kind: clerktest.FaultTruncate}, settled("unanswered")},
		"timeout":     {clerktest.Fault{Kind: clerktest.FaultDelay, Delay: time.Minute}, settled("unanswered")},
		"never left":  {clerktest.Fault{Kind: clerktest.FaultRefuse}, settled("not sent")},
		"rate limit":  {status(429, 60), acquired + "close invitations.bulk for 1m0s\nsettle 1 of invitations.bulk: answered\nsettle 2 of instance: answered"},
		"rate limit?": {status(429, 0), acquired + "close invitations.bulk for 6m0s\nsettle 1 of invitations.bulk: answered\nsettle 2 of instance: answered"},
	} {
		for _, broken := range []error{nil, errors.New("the ledger is gone")} {
			t.Run(fmt.Sprintf("%s/broken=%t", name, broken != nil), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					limiter := &fakeLimiter{broken: broken}
					f := newTrial(t, WithRateLimiter(limiter), WithMaxRetries(0))
					f.server.Inject(test.fault)
					_, _ = operations[clerktest.OpBulk](t.Context(), f)
					assert.Equal(t, test.want, limiter.heard())
					time.Sleep(time.Hour)
				})
			})
		}
	}
}

// Every attempt takes its own tokens, and the wait for them all is one budget.
func TestLimiterIsToldOfEveryAttempt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		limiter := &fakeLimiter{delay: time.Second}
		f := newTrial(t, WithRateLimiter(limiter), WithMaxRetries(1))
		f.server.Inject(clerktest.Fault{Kind: clerktest.FaultRefuse})
		_, err := operations[clerktest.OpCreate](t.Context(), f)
		require.Error(t, err)
		assert.Equal(t, `acquire invitations.create within 10s, leaving 0
acquire instance within 9s, leaving 0
settle 1 of invitations.create: not sent
settle 2 of instance: not sent
acquire invitations.create within 8s, leaving 0
acquire instance within 7s, leaving 0
settle 3 of invitations.create: not sent
settle 4 of instance: not sent`, limiter.heard())

		limiter.said = nil
		_, err = operations[clerktest.OpGet](t.Context(), f)
		require.Error(t, err)
		assert.True(t, strings.HasPrefix(limiter.heard(), "acquire instance within 10s"), "reads have no quota of their own")
	})
}

// TestLimiterIsToldAfterTheEnd: of a call that was cancelled, with a context that
// was not.
func TestLimiterIsToldAfterTheEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var ended error
		limiter := &settleWatcher{RateLimiter: NewTokenBucket(), settle: func(ctx context.Context) { ended = ctx.Err() }}
		f := newTrial(t, WithRateLimiter(limiter))
		f.server.Inject(clerktest.Fault{Kind: clerktest.FaultDelay, Delay: time.Minute})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := operations[clerktest.OpBulk](ctx, f)
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		assert.NoError(t, ended)
		assert.Equal(t, 2, limiter.count)
		time.Sleep(time.Hour)
	})
}

type settleWatcher struct {
	RateLimiter
	settle func(context.Context)
	count  int
}

func (s *settleWatcher) Settle(ctx context.Context, token Reservation, outcome RequestOutcome) error {
	s.count++
	s.settle(ctx)
	return s.RateLimiter.Settle(ctx, token, outcome)
}

// TestLimiterFails: nothing is sent without a token, and what was taken goes back.
func TestLimiterFails(t *testing.T) {
	t.Parallel()
	gone := errors.New("the ledger is gone")
	own := &RateLimitError{Quota: Quota{Name: "own"}, RetryAfter: time.Hour}
	for name, test := range map[string]struct {
		failure error
		is      []error
	}{
		"it is gone":       {gone, []error{gone, ErrLimiterUnavailable}},
		"it says so":       {fmt.Errorf("%w: %w", ErrLimiterUnavailable, gone), []error{gone, ErrLimiterUnavailable}},
		"it has nothing":   {own, []error{own, ErrRateLimited}},
		"it took too long": {fmt.Errorf("redis: %w", context.DeadlineExceeded), []error{context.DeadlineExceeded, ErrLimiterUnavailable}},
	} {
		for _, quota := range []string{QuotaBulk, QuotaInstance} {
			t.Run(name+"/quota="+quota, func(t *testing.T) {
				t.Parallel()
				limiter := &fakeLimiter{refuse: quota, failure: test.failure}
				recorder := newRecorder(reply(200, fixture(t, "bulk.json")))
				client := newTestClient(t, recorder, WithRateLimiter(limiter), WithMaxRetries(0))
				got, err := client.Organizations.CreateInvitationBulk(t.Context(), "org_1", two())
				assert.Nil(t, got)
				require.Error(t, err)
				for _, target := range test.is {
					assert.ErrorIs(t, err, target)
				}
				assert.NotErrorIs(t, err, ErrOutcomeUnknown)
				assert.NotEqual(t, is(err, ErrRateLimited), is(err, ErrLimiterUnavailable))
				assert.Zero(t, recorder.count())
				if quota == QuotaInstance {
					assert.Contains(t, limiter.heard(), "settle 1 of invitations.bulk: not sent")
				} else {
					assert.NotContains(t, limiter.heard(), "settle")
				}
			})
		}
	}
	client := newTestClient(t, newRecorder(), WithRateLimiter(&fakeLimiter{broken: gone}))
	state, err := client.Quota(t.Context(), QuotaBulk)
	assert.Zero(t, state)
	assert.ErrorIs(t, err, gone)
	assert.ErrorIs(t, err, ErrLimiterUnavailable)
}

// TestLimiterFailsAsTheContextEnds: the end of the call is not the limiter's failure.
func TestLimiterFailsAsTheContextEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for failure, isItsOwn := range map[error]bool{
			context.Canceled: false,
			fmt.Errorf("redis: %w", context.Canceled): false,
			context.DeadlineExceeded:                  true,
			errors.New("the ledger is gone"):          true,
		} {
			limiter := &fakeLimiter{delay: time.Second, refuse: QuotaInstance, failure: failure}
			client := newTestClient(t, newRecorder(), WithRateLimiter(limiter))
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(time.Millisecond, cancel)
			_, err := client.Organizations.Get(ctx, "org_1")
			assert.ErrorIs(t, err, failure)
			assert.Equal(t, isItsOwn, is(err, ErrLimiterUnavailable), failure)
			assert.NotErrorIs(t, err, ErrRateLimited)
			_, err = client.Quota(ctx, QuotaInstance)
			assert.NoError(t, err)
		}
	})
}

// A panic on the way does not leak the tokens.
func TestPanicsSettle(t *testing.T) {
	t.Parallel()
	limiter := &fakeLimiter{}
	client := newTestClient(t, transportFunc(func(*http.Request) (*http.Response, error) { panic("transport") }), WithRateLimiter(limiter))
	assert.Panics(t, func() { _, _ = client.Organizations.ListInvitations(t.Context(), "org_1", nil) })
	assert.Contains(t, limiter.heard(), "settle 1 of instance: unanswered")
}

// TestTokensOfTheBucket: what is left, and when the next token comes back.
func TestTokensOfTheBucket(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		fault     clerktest.Fault
		took      time.Duration
		available int
		back      time.Duration
	}{
		"answered":   {clerktest.Fault{Calls: []int{99}}, 100 * time.Millisecond, 49, time.Hour + 5*time.Second},
		"refused":    {status(422, 0), 100 * time.Millisecond, 49, time.Hour + 5*time.Second},
		"unanswered": {clerktest.Fault{Kind: clerktest.FaultResetAfter}, 100 * time.Millisecond, 49, time.Hour + 65*time.Second},
		"timeout":    {clerktest.Fault{Kind: clerktest.FaultDelay, Delay: time.Minute}, 30 * time.Second, 49, time.Hour + 65*time.Second},
		"not sent":   {clerktest.Fault{Kind: clerktest.FaultRefuse}, 0, 50, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f := newTrial(t, WithMaxRetries(0))
				f.server.Inject(test.fault)
				start := time.Now()
				_, _ = operations[clerktest.OpBulk](t.Context(), f)
				assert.Equal(t, test.took, time.Since(start))
				state, err := f.client.Quota(t.Context(), QuotaBulk)
				require.NoError(t, err)
				assert.Equal(t, test.available, state.Available)
				if test.back == 0 {
					assert.Zero(t, state.NextAt)
				} else {
					assert.Equal(t, test.back, time.Until(state.NextAt))
				}
				state, err = f.client.Quota(t.Context(), QuotaInstance)
				require.NoError(t, err)
				assert.Equal(t, test.available+50, state.Available)
				time.Sleep(2 * time.Hour)
				state, err = f.client.Quota(t.Context(), QuotaBulk)
				require.NoError(t, err)
				assert.Equal(t, 50, state.Available, "it came back")
			})
		})
	}
}

// TestRefusalClosesTheQuota: for all callers, and for this kind of call only.
func TestRefusalClosesTheQuota(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newTrial(t)
		fault := status(429, 120)
		fault.Operation, fault.Calls = clerktest.OpBulk, []int{1}
		f.server.Inject(fault)
		_, err := operations[clerktest.OpBulk](t.Context(), f)
		require.ErrorIs(t, err, ErrRateLimited)

		sibling := inMemory(t, f.server) // of the same key
		start := time.Now()
		time.Sleep(time.Minute)
		_, err = sibling.Organizations.CreateInvitationBulk(t.Context(), f.org, two())
		limited, ok := errors.AsType[*RateLimitError](err)
		require.True(t, ok)
		assert.Equal(t, time.Minute, limited.RetryAfter)
		_, ok = asAPIError(err)
		assert.False(t, ok, "nothing was sent")
		assert.EqualValues(t, 1, f.attempts.count.Load())

		_, err = sibling.Organizations.CreateInvitation(t.Context(), f.org, person("ada@example.com"))
		require.NoError(t, err, "the other quota is open")
		time.Sleep(55*time.Second - 100*time.Millisecond)
		_, err = f.client.Organizations.CreateInvitationBulk(t.Context(), f.org, two()[1:])
		require.NoError(t, err, "five seconds are worth waiting for")
		assert.Equal(t, 2*time.Minute+100*time.Millisecond, time.Since(start))
	})
}

// TestExceededQuota: a 429 does not say which quota it is about. Where it may be either,
// both close.
func TestExceededQuota(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		reads, retryAfter int
		want              string
		closed            []string
	}{
		"busy, soon over":     {60, 10, QuotaInstance, []string{QuotaCreate, QuotaInstance}},
		"idle, soon over":     {40, 10, QuotaCreate, []string{QuotaCreate}},
		"busy, over later":    {60, 11, QuotaCreate, []string{QuotaCreate}},
		"busy, over some day": {60, 0, QuotaCreate, []string{QuotaCreate}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f := newTrial(t, WithMaxRetries(0))
				for range test.reads {
					_, err := operations[clerktest.OpGet](t.Context(), f)
					require.NoError(t, err)
				}
				f.server.Inject(status(429, test.retryAfter))
				_, err := operations[clerktest.OpCreate](t.Context(), f)
				limited, ok := errors.AsType[*RateLimitError](err)
				require.True(t, ok)
				assert.Equal(t, test.want, limited.Quota.Name)
				var closed []string
				for _, quota := range []string{QuotaCreate, QuotaInstance} {
					state, err := f.client.Quota(t.Context(), quota)
					require.NoError(t, err)
					if state.Available == 0 {
						closed = append(closed, quota)
					}
				}
				assert.Equal(t, test.closed, closed)
			})
		})
	}
}

// TestSpentQuota: fails at once, with the time to wait, and nothing is sent.
func TestSpentQuota(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newTrial(t, WithQuotas(Quota{QuotaBulk, 1, 20 * time.Second}))
		_, err := f.client.Organizations.CreateInvitationBulk(t.Context(), f.org, two()[:1])
		require.NoError(t, err)
		start := time.Now()
		_, err = f.client.Organizations.CreateInvitationBulk(t.Context(), f.org, two()[1:])
		limited, ok := errors.AsType[*RateLimitError](err)
		require.True(t, ok)
		assert.Equal(t, 25*time.Second, limited.RetryAfter)
		assert.Equal(t, Quota{QuotaBulk, 1, 20 * time.Second}, limited.Quota)
		assert.Zero(t, time.Since(start))

		time.Sleep(15 * time.Second)
		ctx, cancel := context.WithTimeout(t.Context(), 9*time.Second)
		defer cancel()
		_, err = f.client.Organizations.CreateInvitationBulk(ctx, f.org, two()[1:])
		assert.ErrorIs(t, err, ErrRateLimited)
		assert.ErrorIs(t, err, context.DeadlineExceeded, "the deadline is before the end of the wait")
		assert.Equal(t, 15*time.Second, time.Since(start))
		ctx, cancel = context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		_, err = f.client.Organizations.CreateInvitationBulk(ctx, f.org, two()[1:])
		assert.ErrorIs(t, err, context.Canceled)
		assert.NotErrorIs(t, err, ErrRateLimited)
		assert.Equal(t, 16*time.Second, time.Since(start))
		assert.EqualValues(t, 1, f.attempts.count.Load())
		_, err = f.client.Organizations.CreateInvitationBulk(t.Context(), f.org, two()[1:])
		require.NoError(t, err, "9 s are within 10 s")
		assert.Equal(t, 25*time.Second+100*time.Millisecond, time.Since(start))
	})
}

// An invalid call spends nothing.
func TestInvalidCallsSpendNothing(t *testing.T) {
	t.Parallel()
	limiter := &fakeLimiter{}
	recorder := newRecorder(reply(200, "{}"))
	client := newTestClient(t, recorder, WithRateLimiter(limiter))
	_, err := client.Organizations.CreateInvitationBulk(t.Context(), "", nil)
	require.Error(t, err)
	_, err = client.Organizations.RevokeInvitation(t.Context(), "org_1", "..", nil)
	require.Error(t, err)
	assert.Zero(t, recorder.count())
	assert.Empty(t, limiter.heard())
}
