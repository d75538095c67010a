package main

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/clerk/clerk-sdk-go/v2/invitation"
	"github.com/clerk/clerk-sdk-go/v2/organizationinvitation"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/clerkorg/clerkorg-go"
	"github.com/clerkorg/clerkorg-go/clerktest"
)

func TestRun(t *testing.T) {
	t.Parallel()
	server := clerktest.NewServer()
	t.Cleanup(server.Close)
	var out strings.Builder
	require.NoError(t, run(t.Context(), server.SecretKey(), server.URL()+"/v1", server.OrganizationID(), []string{"ada@example.com", "grace@example.com", "alan@example.com"}, &out))
	assert.Equal(t, `clerk-sdk-go invited ada@example.com
clerkorg-go invited 2 more
members: 1
49 left of invitations.bulk (50 in 1h0m0s)
249 left of invitations.create (250 in 1h0m0s)
97 left of instance (100 in 10s)
`, out.String())
	require.Error(t, run(t.Context(), "pk_test_x", server.URL(), "", nil, &out))
}

// TestTogether lets both SDKs race for the quotas: all tokens are used, and no 429 is met.
func TestTogether(t *testing.T) {
	t.Parallel()
	server := clerktest.NewServer(
		clerktest.WithQuota(clerktest.OpCreate, 40, time.Hour),
		clerktest.WithQuota(clerktest.OpApplicationCreate, 20, time.Hour),
	)
	t.Cleanup(server.Close)
	quotas := clerkorg.WithQuotas(
		clerkorg.Quota{Name: clerkorg.QuotaCreate, Limit: 40, Window: time.Hour},
		clerkorg.Quota{Name: clerkorg.QuotaApplicationCreate, Limit: 20, Window: time.Hour},
	)
	theirs, ours, err := connect(server.SecretKey(), server.URL()+"/v1", quotas)
	require.NoError(t, err)
	toOrganization, toApplication := organizationinvitation.NewClient(theirs), invitation.NewClient(theirs)

	var refused atomic.Int32
	var group sync.WaitGroup
	for i := range 90 {
		address := fmt.Sprintf("person%d@example.com", i)
		group.Go(func() {
			var err error
			switch i % 3 {
			case 0:
				_, err = toOrganization.Create(t.Context(), &organizationinvitation.CreateParams{
					OrganizationID: server.OrganizationID(), EmailAddress: &address, Role: new("org:member"),
				})
			case 1:
				_, err = ours.Organizations.CreateInvitation(t.Context(), server.OrganizationID(),
					clerkorg.CreateInvitationParams{EmailAddress: address, Role: clerkorg.RoleMember})
			default:
				_, err = toApplication.Create(t.Context(), &invitation.CreateParams{EmailAddress: address})
			}
			if limited, ok := errors.AsType[*clerkorg.RateLimitError](err); ok {
				assert.NotEqual(t, clerkorg.QuotaInstance, limited.Quota.Name)
				refused.Add(1)
				return
			}
			assert.NoError(t, err)
		})
	}
	group.Wait()
	assert.EqualValues(t, 20+10, refused.Load(), "60 for 40 tokens, and 30 for 20")
	assert.Equal(t, 40, server.CallCount(clerktest.OpCreate))
	assert.Equal(t, 20, server.CallCount(clerktest.OpApplicationCreate))
	assert.Zero(t, server.RateLimited())
}
