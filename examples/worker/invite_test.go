package main

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/clerkorg/clerkorg-go"
	"github.com/clerkorg/clerkorg-go/clerktest"
)

func TestInvitesABatchWithOneCall(t *testing.T) {
	t.Parallel()
	onEveryDatabase(t, func(t *testing.T, newBench func(*inviter) bench) {
		server := clerktest.NewServer()
		b := newBench(&inviter{client: newClient(t, server), pace: instant})
		people := someone("ann", 10)
		result, err := b.run(t.Context(), b.enqueue(newBatch(server.OrganizationID(), people)))
		require.NoError(t, err)
		assert.Equal(t, river.EventKindJobCompleted, result.EventKind)
		for _, p := range recordOf(t, result.Job).People {
			assert.Equal(t, clerkorg.OutcomeInvited, p.Outcome)
			assert.NotEmpty(t, p.InvitationID)
		}
		eachOnce(t, server, people)
		assert.Len(t, server.Calls(), 1, "a first run has nothing to look for")
	})
}

func TestSnoozesWhileTheQuotaIsSpent(t *testing.T) {
	t.Parallel()
	onEveryDatabase(t, func(t *testing.T, newBench func(*inviter) bench) {
		server := clerktest.NewServer()
		client := newClient(t, server, clerkorg.WithQuotas(clerkorg.Quota{Name: clerkorg.QuotaBulk, Limit: 1, Window: time.Hour}))
		b := newBench(&inviter{client: client, pace: instant})
		_, err := b.run(t.Context(), b.enqueue(newBatch(server.OrganizationID(), someone("ann", 10))))
		require.NoError(t, err)

		job := b.enqueue(newBatch(server.OrganizationID(), someone("bob", 10)))
		for run := range 3 { // the first meets the limit, the others know it
			result, err := b.run(t.Context(), job)
			require.NoError(t, err)
			assert.Equal(t, river.EventKindJobSnoozed, result.EventKind)
			assert.WithinDuration(t, time.Now().Add(time.Hour), result.Job.ScheduledAt, 30*time.Second)
			assert.Zero(t, result.Job.Attempt, "snoozing uses up no attempt")
			assert.Len(t, result.Job.AttemptedBy, run+1)
			job = result.Job
		}
		assert.Len(t, server.Calls(), 1, "neither sent nor looked")
	})
}

// TestLooksBeforeItRepeats loses the answer in every way there is.
func TestLooksBeforeItRepeats(t *testing.T) {
	t.Parallel()
	for _, fault := range []clerktest.Fault{
		{Kind: clerktest.FaultResetAfter},
		{Kind: clerktest.FaultResetBefore},
		{Kind: clerktest.FaultStatusAfter},
		{Kind: clerktest.FaultHTMLAfter, Status: 504},
		{Kind: clerktest.FaultEmptyAfter},
		{Kind: clerktest.FaultTruncate},
	} {
		t.Run(fault.Kind.String(), func(t *testing.T) {
			t.Parallel()
			onEveryDatabase(t, func(t *testing.T, newBench func(*inviter) bench) {
				server := clerktest.NewServer()
				b := newBench(&inviter{client: newClient(t, server), pace: instant})
				people := someone("ann", 10)
				fault.Operation, fault.Calls = clerktest.OpBulk, []int{1}
				server.Inject(fault)

				result, err := b.run(t.Context(), b.enqueue(newBatch(server.OrganizationID(), people)))
				require.ErrorIs(t, err, clerkorg.ErrOutcomeUnknown)
				assert.Equal(t, river.EventKindJobFailed, result.EventKind)
				assert.NotContains(t, result.Job.Errors[0].Error, "@")

				result, err = b.run(t.Context(), result.Job)
				require.NoError(t, err)
				assert.Equal(t, river.EventKindJobCompleted, result.EventKind)
				assert.Equal(t, map[clerkorg.InviteOutcome]int{clerkorg.OutcomeInvited: 10}, new(recordOf(t, result.Job)).counts())
				eachOnce(t, server, people)
			})
		})
	}
}

// TestDiesBeforeItRecords has a worker that was killed between a call and its record:
// all that is left of it is that the job was worked on.
func TestDiesBeforeItRecords(t *testing.T) {
	t.Parallel()
	onEveryDatabase(t, func(t *testing.T, newBench func(*inviter) bench) {
		server := clerktest.NewServer()
		client := newClient(t, server)
		b := newBench(&inviter{client: client, pace: instant})
		people := someone("ann", 10)
		job := b.enqueue(newBatch(server.OrganizationID(), people))

		// Between the call and its record some have accepted, and one was revoked:
		// Clerk would let the latter be invited again.
		created, err := client.Organizations.CreateInvitationBulk(t.Context(), server.OrganizationID(), paramsOfAll(people[:7]))
		require.NoError(t, err)
		require.NoError(t, server.AcceptInvitation(created[0].ID))
		_, err = client.Organizations.RevokeInvitation(t.Context(), server.OrganizationID(), created[1].ID, nil)
		require.NoError(t, err)
		job.AttemptedBy = []string{"a worker that died"}

		result, err := b.run(t.Context(), job)
		require.NoError(t, err)
		calls := server.Calls()
		require.Len(t, calls, 4)
		assert.Equal(t, clerktest.OpList, calls[2].Operation, "it looks before it sends")
		assert.Equal(t, map[clerkorg.InviteOutcome]int{clerkorg.OutcomeInvited: 10}, new(recordOf(t, result.Job)).counts())
		eachOnce(t, server, people)
	})
}

func paramsOfAll(people []Person) []clerkorg.CreateInvitationParams {
	params := make([]clerkorg.CreateInvitationParams, len(people))
	for i, p := range people {
		params[i] = paramsOf(p)
	}
	return params
}

func TestRefusedBatches(t *testing.T) {
	t.Parallel()
	for _, naming := range []clerktest.Naming{clerktest.NameNone, clerktest.NameInMeta, clerktest.NameInText} {
		for _, partial := range []bool{false, true} {
			onEveryDatabase(t, func(t *testing.T, newBench func(*inviter) bench) {
				server := clerktest.NewServer(
					clerktest.WithNamedRefusals(naming), clerktest.WithPartialBulk(partial),
					clerktest.WithBlocked(func(email string) bool { return strings.HasPrefix(email, "mallory") }),
					clerktest.WithRejected(func(email string) bool { return strings.HasPrefix(email, "odd") }),
				)
				organization := server.OrganizationID()
				good := someone("ann", 5)
				bad := []Person{
					{"member@example.com", clerkorg.RoleMember}, {"invited@example.com", clerkorg.RoleMember}, {"mallory@example.com", clerkorg.RoleMember},
					{"odd@example.com", clerkorg.RoleMember}, {"no address", clerkorg.RoleMember},
				}
				server.AddMember(organization, bad[0].EmailAddress, "org:member")
				server.AddInvitation(organization, bad[1].EmailAddress, "org:member")
				time.Sleep(2 * time.Millisecond) // the unit of Clerk's times: before the job

				b := newBench(&inviter{client: newClient(t, server), pace: instant})
				result, err := b.run(t.Context(), b.enqueue(newBatch(organization, append(good[:3:3], append(bad, good[3:]...)...))))
				require.NoError(t, err)
				assert.Equal(t, river.EventKindJobCompleted, result.EventKind)
				eachOnce(t, server, good)
				outcomes := map[string]clerkorg.InviteOutcome{}
				for _, p := range recordOf(t, result.Job).People {
					outcomes[p.EmailAddress] = p.Outcome
					assert.Equal(t, p.Outcome == clerkorg.OutcomeInvited, p.Code == "" && p.Invalid == "", "a reason for each who was not invited")
				}
				assert.Equal(t, clerkorg.OutcomeAlreadyMember, outcomes["member@example.com"])
				assert.Equal(t, clerkorg.OutcomeAlreadyInvited, outcomes["invited@example.com"])
				assert.Equal(t, clerkorg.OutcomeRejected, outcomes["mallory@example.com"])
				assert.Equal(t, clerkorg.OutcomeRejected, outcomes["odd@example.com"])
				assert.Equal(t, clerkorg.OutcomeRejected, outcomes["no address"])
			})
		}
	}
}

// TestSetAside has refusals that name a person in every way.
func TestSetAside(t *testing.T) {
	t.Parallel()
	for name, detail := range map[string]clerkorg.ErrorDetail{
		"list":        {Meta: clerkorg.Metadata(`{"email_addresses":["ANN-01@example.com"]}`)},
		"string":      {Meta: clerkorg.Metadata(`{"email_addresses":"ann-01@example.com"}`)},
		"identifiers": {Meta: clerkorg.Metadata(`{"identifiers":["ann-01@example.com"]}`)},
		"text":        {LongMessage: "ann-01@example.com is a member already."},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			detail.Code = clerkorg.CodeAlreadyMember
			job := &river.Job[InviteBatch]{JobRow: &rivertype.JobRow{}, Args: newBatch("org_1", someone("ann", 3))}
			r := recall(job)
			assert.Equal(t, 1, r.setAside(&clerkorg.APIError{StatusCode: 400, Errors: []clerkorg.ErrorDetail{{Code: "other"}, detail}}))
			assert.Equal(t, clerkorg.OutcomeAlreadyMember, r.People[1].Outcome)
			assert.Equal(t, clerkorg.CodeAlreadyMember, r.People[1].Code)
			assert.Equal(t, []int{0, 2}, r.waiting())
		})
	}
}

// TestGoesOnWhereItStopped runs out of single calls in the middle of a refused batch.
func TestGoesOnWhereItStopped(t *testing.T) {
	t.Parallel()
	onEveryDatabase(t, func(t *testing.T, newBench func(*inviter) bench) {
		server := clerktest.NewServer(clerktest.WithBlocked(func(email string) bool { return email == "ann-00@example.com" }))
		b := newBench(&inviter{
			client: newClient(t, server, clerkorg.WithQuotas(clerkorg.Quota{Name: clerkorg.QuotaCreate, Limit: 4, Window: time.Hour})),
			pace:   instant,
		})
		people := someone("ann", 10)
		snoozed, err := b.run(t.Context(), b.enqueue(newBatch(server.OrganizationID(), people)))
		require.NoError(t, err)
		assert.Equal(t, river.EventKindJobSnoozed, snoozed.EventKind)
		assert.Equal(t, map[clerkorg.InviteOutcome]int{clerkorg.OutcomeInvited: 3, clerkorg.OutcomeRejected: 1, "": 6}, new(recordOf(t, snoozed.Job)).counts())

		next := newBench(&inviter{client: newClient(t, server, clerkorg.WithRateLimiter(clerkorg.NewTokenBucket())), pace: instant}) // an hour later
		done, err := next.run(t.Context(), snoozed.Job)
		require.NoError(t, err)
		assert.Equal(t, map[clerkorg.InviteOutcome]int{clerkorg.OutcomeInvited: 9, clerkorg.OutcomeRejected: 1}, new(recordOf(t, done.Job)).counts())
		assert.Equal(t, 10, server.CallCount(clerktest.OpCreate), "none was sent twice, also not the refused one")
		assert.Equal(t, 1, server.CallCount(clerktest.OpBulk))
		eachOnce(t, server, people[1:])
	})
}

func TestHopelessJobs(t *testing.T) {
	t.Parallel()
	onEveryDatabase(t, func(t *testing.T, newBench func(*inviter) bench) {
		server := clerktest.NewServer()
		b := newBench(&inviter{client: newClient(t, server), pace: instant})
		for _, organization := range []string{"org_unknown", "", "org/../1"} {
			result, err := b.run(t.Context(), b.enqueue(newBatch(organization, someone("ann", 2))))
			require.NoError(t, err)
			assert.Equal(t, river.EventKindJobCancelled, result.EventKind, organization)
			assert.NotContains(t, result.Job.Errors[0].Error, "@")
		}
	})
}

// TestWrongKey has a failure that is not about the people: the job waits, and none of
// them is refused.
func TestWrongKey(t *testing.T) {
	t.Parallel()
	onEveryDatabase(t, func(t *testing.T, newBench func(*inviter) bench) {
		server := clerktest.NewServer()
		b := newBench(&inviter{client: newClient(t, server), pace: instant})
		server.Inject(clerktest.Fault{Kind: clerktest.FaultStatus, Status: 401})
		result, err := b.run(t.Context(), b.enqueue(newBatch(server.OrganizationID(), someone("ann", 2))))
		require.ErrorIs(t, err, clerkorg.ErrUnauthorized)
		assert.Equal(t, rivertype.JobStateAvailable, result.Job.State, "the first retries come soon")
		assert.Equal(t, map[clerkorg.InviteOutcome]int{"": 2}, new(recordOf(t, result.Job)).counts())
		assert.Regexp(t, `^Clerk answered 401 Unauthorized authentication_invalid \[trace \w+\]$`, result.Job.Errors[0].Error)
	})
}

func TestStopsInTheMiddleOfACall(t *testing.T) {
	t.Parallel()
	server := clerktest.NewServer()
	server.Inject(clerktest.Fault{Kind: clerktest.FaultDelayAfter, Delay: time.Hour})
	ctx, stop := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, stop)
	_, err := newClient(t, server).Organizations.CreateInvitationBulk(ctx, server.OrganizationID(), paramsOfAll(someone("ann", 1)))

	snoozed, ok := errors.AsType[*river.JobSnoozeError]((&inviter{pace: production}).later(t.Context(), err))
	require.True(t, ok, "given to another worker at once, it might look too early")
	assert.Equal(t, production.settle, snoozed.Duration)
}

// TestGoesOnInAnotherRun has a run without the time for another call.
func TestGoesOnInAnotherRun(t *testing.T) {
	t.Parallel()
	onEveryDatabase(t, func(t *testing.T, newBench func(*inviter) bench) {
		server := clerktest.NewServer()
		brief := instant
		brief.jobTimeout = brief.call
		people := someone("ann", 10)
		snoozed, err := newBench(&inviter{client: newClient(t, server), pace: brief}).run(t.Context(),
			newBench(&inviter{client: newClient(t, server), pace: brief}).enqueue(newBatch(server.OrganizationID(), people)))
		require.NoError(t, err)
		assert.Equal(t, river.EventKindJobSnoozed, snoozed.EventKind)
		assert.Equal(t, rivertype.JobStateAvailable, snoozed.Job.State, "at once")
		assert.Zero(t, snoozed.Job.Attempt, "it uses up no attempt")
		assert.Zero(t, server.CallCount(clerktest.OpBulk))
		_, err = newBench(&inviter{client: newClient(t, server), pace: instant}).run(t.Context(), snoozed.Job)
		require.NoError(t, err)
		eachOnce(t, server, people)
	})
}

func TestPace(t *testing.T) {
	t.Parallel()
	p := production
	assert.LessOrEqual(t, p.standstill(), clerkorg.LateArrival+time.Minute)
	assert.Greater(t, p.settle, clerkorg.LateArrival)
	assert.GreaterOrEqual(t, p.rescueAfter, p.jobTimeout+10*time.Second)
	assert.GreaterOrEqual(t, p.jobTimeout, 2*p.call, "the time for more than one call")
	assert.Greater(t, p.softStop, p.call)
	config := p.config(&inviter{})
	assert.Equal(t, p.jobTimeout, config.JobTimeout)
	assert.Equal(t, p.rescueAfter, config.RescueStuckJobsAfter)
}

func TestNextRetry(t *testing.T) {
	t.Parallel()
	p := production
	w := &inviter{pace: p}
	for name, test := range map[string]struct {
		started time.Duration // before now
		failed  int
		atLeast time.Duration
		atMost  time.Duration
	}{
		"failed":                  {started: time.Second, atLeast: p.settle, atMost: p.settle},
		"failed at its end":       {started: p.jobTimeout, atLeast: p.settle, atMost: p.settle},
		"failed often":            {started: time.Second, failed: 9, atLeast: time.Hour, atMost: 4 * time.Hour},
		"dead":                    {started: p.rescueAfter, atLeast: p.jobTimeout + p.settle - p.rescueAfter, atMost: p.jobTimeout + p.settle - p.rescueAfter},
		"dead, and failed before": {started: p.rescueAfter + rescueEvery, failed: 9, atLeast: p.jobTimeout + p.settle - p.rescueAfter - rescueEvery, atMost: p.jobTimeout + p.settle - p.rescueAfter - rescueEvery},
		"dead for long":           {started: time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				job := &rivertype.JobRow{AttemptedAt: new(time.Now().Add(-test.started)), Errors: make([]rivertype.AttemptError, test.failed)}
				got := time.Until(w.NextRetry(&river.Job[InviteBatch]{JobRow: job}))
				assert.GreaterOrEqual(t, got, test.atLeast)
				assert.LessOrEqual(t, got, test.atMost)
			})
		})
	}
}
