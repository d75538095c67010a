package quotachart

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/time/rate"

	"github.com/clerkorg/clerkorg-go"
	"github.com/clerkorg/clerkorg-go/clerktest"
)

var update = flag.Bool("update", false, "draw the pictures again")

const (
	picture = "quota.svg"
	span    = 3 * time.Hour
	limit   = 50
)

// TestPicture makes as many bulk calls as two clients can in three hours, and
// compares the picture of them with the one that is checked in.
func TestPicture(t *testing.T) {
	plain := run{name: "x/time/rate, burst 50, refilled with 50 an hour", color: "#d4722a", shift: 1.5}
	ours := run{name: "clerkorg-go, each token back an hour after its own answer", color: "#2f81f7", shift: -1.5}
	hours(t, &plain, func() (clerkorg.RateLimiter, *rate.Limiter) {
		return clerkorg.Unlimited(), rate.NewLimiter(rate.Every(time.Hour/limit), limit)
	})
	hours(t, &ours, func() (clerkorg.RateLimiter, *rate.Limiter) { return clerkorg.NewTokenBucket(), nil })

	// What the picture is there to say.
	assert.Zero(t, ours.refused())
	assert.Equal(t, 3*limit, ours.accepted())
	assert.LessOrEqual(t, plain.accepted(), ours.accepted())
	assert.InDelta(t, limit, plain.refused(), 2, "of the hour that its bucket has refilled too early")

	drawn := draw(span, 3*limit, ours, plain)
	if *update {
		require.NoError(t, os.WriteFile(picture, []byte(drawn), 0o600))
	}
	checkedIn, err := os.ReadFile(picture)
	require.NoError(t, err)
	if string(checkedIn) != drawn {
		t.Errorf("%s shows something else than what happens; run: go test ./examples/quotachart -update", picture)
	}
}

// hours makes call after call for as long as the span is. A call that was refused
// is made again when the limiter allows the next one.
func hours(t *testing.T, r *run, limiters func() (clerkorg.RateLimiter, *rate.Limiter)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		limiter, plain := limiters()
		server := clerktest.NewServer(clerktest.WithRateLimits(clerktest.SlidingLog), clerktest.WithQuota(clerktest.OpBulk, limit, time.Hour))
		client, err := clerkorg.NewClient(server.SecretKey(),
			clerkorg.WithHTTPClient(&http.Client{Transport: server.Transport()}),
			clerkorg.WithRateLimiter(limiter),
			clerkorg.WithMaxRateLimitWait(span),
			clerkorg.WithMaxRetries(0))
		require.NoError(t, err)
		start := time.Now()
		ctx, cancel := context.WithDeadline(t.Context(), start.Add(span-time.Second)) // the very last moment belongs to the next hour
		defer cancel()
		for i := 0; ; i++ {
			if plain != nil && plain.Wait(ctx) != nil {
				break
			}
			_, err := client.Organizations.CreateInvitationBulk(ctx, server.OrganizationID(), []clerkorg.CreateInvitationParams{
				{EmailAddress: fmt.Sprintf("guest-%d@example.com", i), Role: clerkorg.RoleMember},
			})
			api, refused := errors.AsType[*clerkorg.APIError](err)
			if err != nil && !refused {
				require.ErrorIs(t, err, context.DeadlineExceeded)
				break
			}
			if refused {
				require.Equal(t, http.StatusTooManyRequests, api.StatusCode)
			}
			r.events = append(r.events, event{at: time.Since(start), refused: refused})
		}
		require.Equal(t, server.RateLimited(), r.refused())
		require.Len(t, server.InvitedAddresses(server.OrganizationID()), r.accepted())
	})
}
