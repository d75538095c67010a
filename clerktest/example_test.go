package clerktest_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/clerkorg/clerkorg-go/clerktest"
)

// invite is what a program under test might do.
func invite(client *http.Client, url, key, orgID, emails string) (status int) {
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, url+"/v1/organizations/"+orgID+"/invitations/bulk", strings.NewReader(emails))
	if err != nil {
		return 0
	}
	req.Header.Set("Authorization", "Bearer "+key)
	req.Header.Set("Content-Type", "application/json")
	resp, err := client.Do(req)
	if err != nil {
		return 0
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}

func ExampleServer() {
	server := clerktest.NewServer()
	defer server.Close()

	status := invite(http.DefaultClient, server.URL(), server.SecretKey(), server.OrganizationID(),
		`[{"email_address":"ann@example.com","role":"org:member"}]`)
	fmt.Println(status)
	for _, inv := range server.Invitations(server.OrganizationID()) {
		fmt.Println(inv.EmailAddress, inv.Status)
	}
	// Output:
	// 200
	// ann@example.com pending
}

func ExampleServer_Transport() {
	server := clerktest.NewServer(
		clerktest.WithRateLimits(clerktest.SlidingLog),
		clerktest.WithQuota(clerktest.OpBulk, 1, time.Hour),
	)
	client := &http.Client{Transport: server.Transport()}

	for _, email := range []string{"ann@example.com", "bob@example.com"} {
		status := invite(client, "https://api.example.com", server.SecretKey(), server.OrganizationID(),
			fmt.Sprintf(`[{"email_address":%q,"role":"org:member"}]`, email))
		fmt.Println(email, status)
	}
	fmt.Println("refused:", server.RateLimited())
	// Output:
	// ann@example.com 200
	// bob@example.com 429
	// refused: 1
}

func ExampleServer_Inject() {
	server := clerktest.NewServer()
	client := &http.Client{Transport: server.Transport()}
	remove := server.Inject(clerktest.Fault{
		Operation: clerktest.OpBulk,
		Calls:     []int{1},
		Kind:      clerktest.FaultHTMLAfter,
	})
	defer remove()

	status := invite(client, "https://api.example.com", server.SecretKey(), server.OrganizationID(),
		`[{"email_address":"ann@example.com","role":"org:member"}]`)
	fmt.Println("the client saw", status)
	fmt.Println("the server invited", server.TimesInvited(server.OrganizationID(), "ann@example.com"))
	// Output:
	// the client saw 502
	// the server invited 1
}
