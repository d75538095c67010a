package redislimit_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/clerkorg/clerkorg-go"
	"github.com/clerkorg/clerkorg-go/clerkhook"
	"github.com/clerkorg/clerkorg-go/clerktest"
	"github.com/clerkorg/clerkorg-go/redislimit"
)

// Two processes with one secret key; here both are this one, with a Redis and a
// Clerk in memory.
func ExampleNew() {
	redisServer, err := miniredis.Run()
	if err != nil {
		log.Fatal(err)
	}
	defer redisServer.Close()
	clerk := clerktest.NewServer()

	newProcess := func() *clerkorg.Client {
		rdb := redis.NewClient(&redis.Options{Addr: redisServer.Addr(), ContextTimeoutEnabled: true})
		limiter, err := redislimit.New(rdb, redislimit.WithSecretKey(clerk.SecretKey()))
		if err != nil {
			log.Fatal(err)
		}
		client, err := clerkorg.NewClient(clerk.SecretKey(),
			clerkorg.WithRateLimiter(limiter),
			clerkorg.WithHTTPClient(&http.Client{Transport: clerk.Transport()}))
		if err != nil {
			log.Fatal(err)
		}
		return client
	}
	one, other := newProcess(), newProcess()

	ctx := context.Background()
	_, err = one.Organizations.CreateInvitationBulk(ctx, clerk.OrganizationID(),
		[]clerkorg.CreateInvitationParams{{EmailAddress: "ada@example.com", Role: clerkorg.RoleMember}})
	if err != nil {
		log.Fatal(err)
	}
	state, err := other.Quota(ctx, clerkorg.QuotaBulk)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%d of %d left\n", state.Available, state.Quota.Limit)
	// Output: 49 of 50 left
}

func ExampleLimiter_Stats() {
	redisServer, err := miniredis.Run()
	if err != nil {
		log.Fatal(err)
	}
	defer redisServer.Close()
	rdb := redis.NewClient(&redis.Options{Addr: redisServer.Addr(), ContextTimeoutEnabled: true})
	limiter, err := redislimit.New(rdb, redislimit.WithNamespace("example"))
	if err != nil {
		log.Fatal(err)
	}
	quota := clerkorg.Quota{Name: clerkorg.QuotaBulk, Limit: 1, Window: time.Hour}
	for range 2 {
		if _, err := limiter.Acquire(context.Background(), clerkorg.ReservationRequest{Quota: quota}); err != nil {
			fmt.Println("refused")
		}
	}
	stats := limiter.Stats()
	fmt.Println(stats.Taken, "taken,", stats.Refusals, "refused,", stats.RedisErrors, "errors of Redis")
	// Output:
	// refused
	// 1 taken, 1 refused, 0 errors of Redis
}

// All replicas of a receiver of webhooks handle an event once.
func ExampleNewDeduplicator() {
	rdb := redis.NewClient(&redis.Options{Addr: "localhost:6379"})
	verifier, err := clerkhook.NewVerifier("whsec_AAECAwQFBgcICQoLDA0ODw==")
	if err != nil {
		log.Fatal(err)
	}
	mux := clerkhook.Mux{InvitationAccepted: func(_ context.Context, _ *clerkhook.Event, invitation *clerkhook.Invitation) error {
		fmt.Println(invitation.UserID, "has accepted")
		return nil
	}}
	http.Handle("/webhooks", clerkhook.Handler(verifier, mux.HandleEvent,
		clerkhook.WithDeduplicator(redislimit.NewDeduplicator(rdb, ""))))
}
