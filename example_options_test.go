package clerkorg_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/clerkorg/clerkorg-go"
	"github.com/clerkorg/clerkorg-go/clerktest"
)

// The key is read from CLERK_SECRET_KEY, and CLERK_API_URL, if it is set, is the host.
func ExampleNewClientFromEnv() {
	_ = os.Setenv("CLERK_SECRET_KEY", "sk_test_example") // as the deployment does
	_ = os.Setenv("CLERK_API_URL", "https://api.clerk.com")
	defer os.Unsetenv("CLERK_SECRET_KEY")
	defer os.Unsetenv("CLERK_API_URL")
	client, err := clerkorg.NewClientFromEnv(clerkorg.WithUserAgent("importer/1.2"))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(client) // never shows the key
	// Output: clerkorg.Client(https://api.clerk.com/v1)
}

// How many calls are left, without making one.
func ExampleClient_Quota() {
	server := clerktest.NewServer()
	client := newClient(server)
	ctx := context.Background()
	_, err := client.Organizations.CreateInvitation(ctx, server.OrganizationID(),
		clerkorg.CreateInvitationParams{EmailAddress: "ada@example.com", Role: clerkorg.RoleMember})
	if err != nil {
		fmt.Println(err)
		return
	}

	for _, name := range []string{clerkorg.QuotaBulk, clerkorg.QuotaCreate} {
		state, err := client.Quota(ctx, name)
		if err != nil {
			fmt.Println(err) // as when the limiter's Redis is down: clerkorg.ErrLimiterUnavailable
			return
		}
		fmt.Println(state.Available, "of", state.Quota)
	}
	// Output:
	// 50 of invitations.bulk (50 in 1h0m0s)
	// 249 of invitations.create (250 in 1h0m0s)
}

// Half of the bulk calls are left to another program with the same key.
func ExampleWithQuotas() {
	server := clerktest.NewServer()
	client := newClient(server, clerkorg.WithQuotas(
		clerkorg.Quota{Name: clerkorg.QuotaBulk, Limit: 25, Window: time.Hour},
	))

	state, err := client.Quota(context.Background(), clerkorg.QuotaBulk)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(state.Available)
	// Output: 25
}

// The calls go through a copy of the HTTP client: its transport can trace them, send
// them through a proxy, or answer them.
func ExampleWithHTTPClient() {
	server := clerktest.NewServer()
	client, err := clerkorg.NewClient(server.SecretKey(), clerkorg.WithHTTPClient(&http.Client{
		Transport: counting{server.Transport()},
		Timeout:   5 * time.Second, // of one request
	}))
	if err != nil {
		fmt.Println(err)
		return
	}
	if _, err := client.Organizations.Get(context.Background(), server.OrganizationID()); err != nil {
		fmt.Println(err)
	}
	// Output: GET 200
}

// counting prints the method and the status of every request.
type counting struct{ next http.RoundTripper }

func (c counting) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := c.next.RoundTrip(req)
	if err == nil {
		fmt.Println(req.Method, resp.StatusCode)
	}
	return resp, err
}

// A logger of warnings hears of attempts that repeat another one, and of requests that
// never left; one of debug lines hears of every attempt.
func ExampleWithLogger() {
	server := clerktest.NewServer()
	server.Inject(clerktest.Fault{Kind: clerktest.FaultRefuse}) // the network is down
	logger := slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{
		Level: slog.LevelWarn,
		ReplaceAttr: func(_ []string, attr slog.Attr) slog.Attr { // what differs from run to run
			switch attr.Key {
			case slog.TimeKey, "duration", "wait", "trace_id", "quota_left":
				return slog.Attr{}
			}
			return attr
		},
	}))
	client := newClient(server, clerkorg.WithLogger(logger), clerkorg.WithMaxRetries(0))

	if _, err := client.Organizations.Get(context.Background(), server.OrganizationID()); err != nil {
		fmt.Println("failed")
	}
	// Output:
	// level=WARN msg="clerk api call" method=GET path=/organizations/{organization_id} attempt=1 failure="not sent" sent=false cause=refused
	// failed
}

// A handler whose own user waits takes no longer than it is told to, and knows when to
// come back.
func ExampleWithMaxRateLimitWait() {
	server := clerktest.NewServer()
	client := newClient(server,
		clerkorg.WithMaxRateLimitWait(0), // do not wait at all
		clerkorg.WithQuotas(clerkorg.Quota{Name: clerkorg.QuotaCreate, Limit: 1, Window: time.Hour}))

	for _, name := range []string{"ada", "grace"} {
		_, err := client.Organizations.CreateInvitation(context.Background(), server.OrganizationID(),
			clerkorg.CreateInvitationParams{EmailAddress: name + "@example.com", Role: clerkorg.RoleMember})
		if limited, ok := errors.AsType[*clerkorg.RateLimitError](err); ok {
			fmt.Println("try again in", limited.RetryAfter.Round(time.Minute))
			continue
		}
		fmt.Println(name, err)
	}
	// Output:
	// ada <nil>
	// try again in 1h0m0s
}

// Another host, such as a clerktest server that runs in another process.
func ExampleWithBaseURL() {
	client, err := clerkorg.NewClient("sk_test_example", clerkorg.WithBaseURL("http://127.0.0.1:4010"))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(client)
	// Output: clerkorg.Client(http://127.0.0.1:4010/v1)
}

// A program that limits its calls elsewhere.
func ExampleUnlimited() {
	server := clerktest.NewServer()
	client := newClient(server, clerkorg.WithRateLimiter(clerkorg.Unlimited()))
	state, err := client.Quota(context.Background(), clerkorg.QuotaBulk)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(state.Available, "of", state.Quota.Limit)
	// Output: 50 of 50
}

// Another client of the same key, as Clerk's own SDK has one, takes its tokens from the
// same bucket.
func ExampleNewTransport() {
	server := clerktest.NewServer()
	defer server.Close()
	client, err := clerkorg.NewClient(server.SecretKey(), clerkorg.WithBaseURL(server.URL()))
	if err != nil {
		fmt.Println(err)
		return
	}
	transport, err := clerkorg.NewTransport(server.SecretKey(), clerkorg.WithBaseURL(server.URL()))
	if err != nil {
		fmt.Println(err)
		return
	}
	other := &http.Client{Transport: transport}

	req, err := http.NewRequest(http.MethodPost, server.URL()+"/v1/invitations", strings.NewReader(`{"email_address":"ada@example.com"}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	req.Header.Set("Authorization", "Bearer "+server.SecretKey())
	resp, err := other.Do(req)
	if limited, ok := errors.AsType[*clerkorg.RateLimitError](err); ok {
		fmt.Println("free again in", limited.RetryAfter)
		return
	}
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	state, err := client.Quota(context.Background(), clerkorg.QuotaApplicationCreate)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(resp.StatusCode, "and", state.Available, "left")
	// Output: 200 and 99 left
}

// slow is an observer that tells of attempts that took their time.
type slow struct{ limit time.Duration }

func (slow) CallStarted(ctx context.Context, _ *clerkorg.CallEvent) context.Context { return ctx }

func (slow) AttemptStarted(ctx context.Context, _ *clerkorg.AttemptEvent) context.Context { return ctx }

func (s slow) AttemptEnded(_ context.Context, attempt *clerkorg.AttemptEvent) {
	if attempt.Duration >= s.limit {
		fmt.Println(attempt.Call.Operation, attempt.Result.Status, "with", attempt.QuotaLeft, "left of", attempt.Quota)
	}
}

func (slow) CallEnded(context.Context, *clerkorg.CallEvent) {}

// The module clerkotel has an observer that writes spans and metrics.
func ExampleWithObserver() {
	server := clerktest.NewServer()
	client := newClient(server, clerkorg.WithObserver(slow{limit: 0}))
	_, err := client.Organizations.CreateInvitation(context.Background(), server.OrganizationID(),
		clerkorg.CreateInvitationParams{EmailAddress: "ada@example.com", Role: clerkorg.RoleMember})
	if err != nil {
		fmt.Println(err)
	}
	// Output: Organizations.CreateInvitation 200 with 249 left of invitations.create
}
