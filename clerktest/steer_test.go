package clerktest_test

import (
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/clerkorg/clerkorg-go/clerktest"
)

func quotaOf(s *clerktest.Server, op clerktest.Operation) clerktest.QuotaStatus {
	for _, quota := range s.Quotas() {
		if quota.Operation == op {
			return quota
		}
	}
	return clerktest.QuotaStatus{}
}

// TestQuotas: what is said to be left is admitted, by every way to count, and asking
// takes nothing.
func TestQuotas(t *testing.T) {
	t.Parallel()
	for _, window := range clerktest.Windows() {
		t.Run(window.String(), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				a := inMemory(t, clerktest.WithRateLimits(window), clerktest.WithQuota(clerktest.OpGet, 7, time.Minute))
				admitted := 0
				for range 300 {
					quota := quotaOf(a.Server, clerktest.OpGet)
					require.Equal(t, quota.Left > 0, quota.NextAt.IsZero())
					status := a.do("GET", a.org("/invitations/orginv_none"), "").status
					require.Equal(t, quota.Left > 0, status == http.StatusNotFound, "%+v", quota)
					if status == http.StatusNotFound {
						admitted++
					}
					time.Sleep(3 * time.Second)
				}
				assert.GreaterOrEqual(t, admitted, 7)
				quota := quotaOf(a.Server, clerktest.OpGet)
				assert.Equal(t, 300-admitted, quota.Refused)
				assert.Equal(t, 7, quota.Limit)
				assert.Equal(t, time.Minute, quota.Window)
				assert.Equal(t, 300-admitted, quotaOf(a.Server, clerktest.QuotaInstance).Refused)
			})
		})
	}
}

func TestChangedQuotas(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := inMemory(t, clerktest.WithoutRateLimits())
		assert.Empty(t, a.Quotas())
		a.SetQuota(clerktest.OpBulk, 1, time.Hour)
		assert.Len(t, a.Quotas(), 1, "the others have none still")
		require.Equal(t, 200, a.bulk("a@example.com").status)
		require.Equal(t, 429, a.bulk("b@example.com").status)
		a.SetQuota(clerktest.OpBulk, 2, time.Hour)
		require.Equal(t, 200, a.bulk("b@example.com").status, "counts anew")
		a.SetRateLimits(clerktest.SlidingLog)
		require.Equal(t, 2, quotaOf(a.Server, clerktest.OpBulk).Left)
		a.SetQuota(clerktest.QuotaInstance, 5, time.Minute)
		require.Equal(t, 5, quotaOf(a.Server, clerktest.QuotaInstance).Left)
		a.SetQuota(clerktest.OpBulk, 0, 0)
		assert.Len(t, a.Quotas(), 1)
	})
}

func TestAdvancedClock(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := inMemory(t, clerktest.WithQuota(clerktest.OpCreate, 1, time.Hour), clerktest.WithRateLimits(clerktest.SlidingLog))
		require.Equal(t, 200, a.create("a@example.com").status)
		require.Equal(t, 429, a.create("b@example.com").status)
		a.AdvanceClock(-time.Hour)
		assert.Zero(t, time.Until(a.Now()))
		a.AdvanceClock(time.Hour)
		require.Equal(t, 200, a.create("b@example.com").status)
		a.AdvanceClock(30 * 24 * time.Hour)
		assert.Equal(t, map[string]string{"a@example.com": "expired", "b@example.com": "expired"}, statuses(a.Server, a.OrganizationID()))
		assert.Equal(t, 30*24*time.Hour+time.Hour, time.Until(a.Now()))
	})
}

// TestReset: the address of everything stays, also for a call that is under way.
func TestReset(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		latency := time.Duration(0)
		a := inMemory(t, clerktest.WithOrganizationName("Acme"), clerktest.WithLatency(func() time.Duration { return latency }))
		key, org, admin := a.SecretKey(), a.OrganizationID(), a.AdminUserID()
		require.Equal(t, 200, a.bulk("a@example.com").status)
		a.AddMember(org, "b@example.com", "org:member")
		a.AddOrganization(clerktest.Organization{Name: "Other"})
		a.AdvanceClock(time.Hour)
		a.Inject(clerktest.Fault{Status: 500})
		latency = time.Second
		done := make(chan int)
		go func() { done <- a.create("late@example.com").status }()
		time.Sleep(1500 * time.Millisecond)
		a.Reset()
		assert.Equal(t, 500, <-done)

		assert.Equal(t, []any{key, org, admin}, []any{a.SecretKey(), a.OrganizationID(), a.AdminUserID()})
		assert.Empty(t, a.Calls())
		assert.Empty(t, a.Invitations(org))
		assert.Zero(t, time.Until(a.Now()))
		organizations := a.Organizations()
		require.Len(t, organizations, 1)
		assert.Equal(t, "Acme", organizations[0].Name)
		members := a.Members(org)
		require.Len(t, members, 1)
		assert.Equal(t, clerktest.Member{UserID: admin, EmailAddress: "admin@example.com", Role: "org:admin", JoinedAt: members[0].JoinedAt}, members[0])
		assert.Empty(t, a.Members("org_none"))
		require.Equal(t, 200, a.do("POST", a.org("/invitations"), `{"email_address":"a@example.com","role":"org:member","inviter_user_id":"`+admin+`"}`).status)
	})
}

// TestSteeringWhileItRuns: calls and readers of all kinds go on beside it.
func TestSteeringWhileItRuns(t *testing.T) {
	t.Parallel()
	a := inMemory(t)
	var group sync.WaitGroup
	for _, do := range []func(){
		a.Reset,
		func() { a.SetQuota(clerktest.OpBulk, 5, time.Minute) },
		func() { a.SetRateLimits(clerktest.SlidingLog) },
		func() { a.AdvanceClock(time.Minute) },
		func() { a.bulk("a@example.com") },
		func() { a.do("POST", "/invitations", `{"email_address":"b@example.com"}`) },
		func() {
			a.Quotas()
			a.Calls()
			a.Organizations()
			a.Members(a.OrganizationID())
			a.Invitations(a.OrganizationID())
		},
		func() { a.ApplicationInvitations(); a.AdminUserID(); a.RateLimited(); a.Now() },
	} {
		group.Go(func() {
			for range 50 {
				do()
			}
		})
	}
	group.Wait()
}

func TestRevokedInTheDashboard(t *testing.T) {
	t.Parallel()
	a := inMemory(t)
	id := a.AddInvitation(a.OrganizationID(), "a@example.com", "org:member")
	require.NoError(t, a.RevokeInvitation(id))
	require.EqualError(t, a.RevokeInvitation(id), "clerktest: invitation "+id+" is revoked, not pending")
	require.Error(t, a.RevokeInvitation("orginv_none"))
}

func TestHandle(t *testing.T) {
	t.Parallel()
	a := overLoopback(t)
	a.Handle(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }), "/_clerktest/", "/healthz")
	assert.Equal(t, http.StatusTeapot, a.do("GET", "/_clerktest/x", "").status)
	assert.Equal(t, http.StatusTeapot, a.do("GET", "/healthz", "").status)
	assert.Equal(t, 404, a.do("GET", "/other", "").status)
	assert.Len(t, a.Calls(), 1, "they are no calls")
}

// TestCallsTell what was answered, and how long it took.
func TestCallsTell(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := inMemory(t, clerktest.WithLatency(func() time.Duration { return time.Second }))
		a.Inject(clerktest.Fault{Kind: clerktest.FaultDelay, Delay: 3 * time.Second})
		requireError(t, a.do("GET", a.org("/invitations/orginv_none"), ""), 404, "resource_not_found")
		call := a.Calls()[0]
		assert.Equal(t, "resource_not_found", call.Code)
		assert.Equal(t, 3*time.Second, call.Duration)
	})
}
