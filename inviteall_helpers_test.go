package clerkorg

import (
	"bytes"
	"io"
	"iter"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/clerkorg/clerkorg-go/clerktest"
)

// tripper is a function that stands in front of a transport.
type tripper func(req *http.Request, next http.RoundTripper) (*http.Response, error)

type trippers struct {
	trip tripper
	next http.RoundTripper
}

func (t trippers) RoundTrip(req *http.Request) (*http.Response, error) { return t.trip(req, t.next) }

// through returns a client of server whose requests pass trip first.
func through(t *testing.T, server *clerktest.Server, trip tripper, opts ...Option) *Client {
	t.Helper()
	own := WithHTTPClient(&http.Client{Transport: trippers{trip, server.Transport()}})
	return inMemory(t, server, append([]Option{own}, opts...)...)
}

// canned is an answer that no server gave.
func canned(req *http.Request, status int, body string) *http.Response {
	return &http.Response{
		StatusCode: status, ProtoMajor: 1, ProtoMinor: 1, Request: req,
		Header:        http.Header{"Content-Type": {"application/json"}},
		ContentLength: int64(len(body)),
		Body:          io.NopCloser(strings.NewReader(body)),
	}
}

// bodyOf reads the body of a request, and leaves it as it was.
func bodyOf(req *http.Request) string {
	if req.Body == nil {
		return ""
	}
	body, _ := io.ReadAll(req.Body)
	req.Body = io.NopCloser(bytes.NewReader(body))
	return string(body)
}

// bubble is a test in virtual time, with a server of its own.
func bubble(t *testing.T, test func(t *testing.T, server *clerktest.Server), opts ...clerktest.Option) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		test(t, clerktest.NewServer(append([]clerktest.Option{
			clerktest.WithLatency(func() time.Duration { return 50 * time.Millisecond }),
		}, opts...)...))
	})
}

// inviteAll runs people through InviteAll.
func inviteAll(t *testing.T, client *Client, server *clerktest.Server, people []CreateInvitationParams, opts *InviteAllOptions) iter.Seq2[InviteResult, error] {
	t.Helper()
	return client.Organizations.InviteAll(t.Context(), server.OrganizationID(), slices.Values(people), opts)
}

// until ranges to the end and returns what there was, and the error that ended it.
func until(t *testing.T, results iter.Seq2[InviteResult, error]) ([]InviteResult, error) {
	t.Helper()
	var all []InviteResult
	var end error
	for result, err := range results {
		require.NoError(t, end, "something came after an error")
		if end = err; err == nil {
			all = append(all, result)
		} else {
			require.Zero(t, result)
		}
	}
	return all, end
}

func person(address string) CreateInvitationParams {
	return CreateInvitationParams{EmailAddress: address, Role: RoleMember}
}

// bulkSizes is how many invitations each bulk call has created.
func bulkSizes(server *clerktest.Server) []int {
	var sizes []int
	for _, call := range server.Calls() {
		if call.Operation == clerktest.OpBulk {
			sizes = append(sizes, call.Invited)
		}
	}
	return sizes
}

// invitedBy is how many people the API has invited.
func invitedBy(server *clerktest.Server) int {
	return len(server.InvitedAddresses(server.OrganizationID()))
}
