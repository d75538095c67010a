package bench

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

const (
	secretKey      = "sk_test_7hnXoP2uBqLeN4sZwYvRt6kGcDmJ8fTaQ3yHb5nUx1W"
	organizationID = "org_2bqLZ4pVn8xT0yQmWc7RkJd1sHf"
	publicSize     = 192 // of an invitation's public metadata, in bytes
)

// metadata is an object such as programs keep there, of about size bytes.
func metadata(i, size int) json.RawMessage {
	raw := fmt.Appendf(nil, `{"employee":%d,"cost_center":"emea-%04d","groups":["engineering","on-call"],"note":"`, 9007199254740993+i, i)
	for len(raw) < size-2 {
		raw = append(raw, "synthetic "[len(raw)%10])
	}
	return append(raw, `"}`...)
}

func address(i int) string {
	first := []string{"ada", "grace", "katherine", "barbara", "radia"}
	return fmt.Sprintf("%s.%s%05d@example.com", first[i%5], []string{"number.", "nr."}[i%2], i)
}

// inviter is the id of one of three people, each of whom invites ten in a row.
func inviter(i int) string {
	return fmt.Sprintf("user_2aKpXw9vR3mTz5nQy8LcJb7dG%02d", i/10%3)
}

func floorRequest() []floorParams {
	params := make([]floorParams, 10)
	for i := range params {
		params[i] = floorParams{
			EmailAddress:   address(i),
			Role:           "org:member",
			InviterUserID:  inviter(0),
			RedirectURL:    "https://app.example.com/welcome?from=invitation",
			PublicMetadata: metadata(i, publicSize),
			ExpiresInDays:  14,
		}
	}
	return params
}

// answer is what Clerk answers for n invitations, each with private metadata of so many
// bytes. Members come in the order of Clerk's description.
func answer(n, private int) []byte {
	var b bytes.Buffer
	b.WriteString(`{"data":[`)
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"object":"organization_invitation","id":"orginv_2fTz9KqLmW4xVb7nYc1Rd%05d","email_address":%q,`, i, address(i))
		fmt.Fprintf(&b, `"role":"org:member","role_name":"Member","organization_id":%q,"inviter_id":%q,`, organizationID, inviter(i))
		fmt.Fprintf(&b, `"public_inviter_data":{"user_id":%q,"first_name":%q,"last_name":"Lovelace",`, inviter(i), []string{"Ada", "Augusta", "King"}[i/10%3])
		fmt.Fprintf(&b, `"image_url":"https://img.clerk.com/eyJ0eXBlIjoiZGVmYXVsdCIsImlpZCI6Imluc18yYXFMWjRwVm44eFQweVFtV2M3UmtKZDFzSGYi%02d",`, i/10%3)
		fmt.Fprintf(&b, `"has_image":true,"identifier":"inviter%d@example.com"},"status":"pending",`, i/10%3)
		fmt.Fprintf(&b, `"public_metadata":%s,"private_metadata":%s,`, metadata(i, publicSize), metadata(i, private))
		fmt.Fprintf(&b, `"url":"https://accounts.example.com/v1/tickets/accept?ticket=eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9.%05d",`, i)
		fmt.Fprintf(&b, `"expires_at":%d,"created_at":%d,"updated_at":%d}`, 1781172000000+i, 1778580000000+i, 1778580000000+i)
	}
	fmt.Fprintf(&b, `],"total_count":%d}`, n)
	return b.Bytes()
}

func bulkAnswer() []byte { return answer(10, 458) }
func listAnswer() []byte { return answer(500, 281) }

// canned is a transport that answers always the same, without a network.
type canned []byte

func (c canned) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Body != nil {
		if _, err := io.Copy(io.Discard, req.Body); err != nil {
			return nil, err
		}
		if err := req.Body.Close(); err != nil {
			return nil, err
		}
	}
	return &http.Response{
		Status:        "200 OK",
		StatusCode:    http.StatusOK,
		Proto:         "HTTP/1.1",
		ProtoMajor:    1,
		ProtoMinor:    1,
		Header:        http.Header{"Content-Type": {"application/json"}},
		Body:          io.NopCloser(bytes.NewReader(c)),
		ContentLength: int64(len(c)),
		Request:       req,
	}, nil
}

func TestSizes(t *testing.T) {
	t.Parallel()
	sent, err := json.Marshal(floorRequest())
	require.NoError(t, err)
	require.InEpsilon(t, 4_000, len(sent), 0.1, "the request")
	require.InEpsilon(t, 15_000, len(bulkAnswer()), 0.05, "the answer")
	require.InEpsilon(t, 630_000, len(listAnswer()), 0.02, "the list")
}

// TestSameCalls makes sure that all do the same work: they send the same body and
// read the same invitations.
func TestSameCalls(t *testing.T) {
	t.Parallel()
	var sent []string
	transport := roundTripper(func(req *http.Request) (*http.Response, error) {
		if req.Body == nil {
			return canned(listAnswer()).RoundTrip(req)
		}
		body, err := io.ReadAll(req.Body)
		if err != nil {
			return nil, err
		}
		sent = append(sent, string(body))
		req.Body = http.NoBody
		return canned(bulkAnswer()).RoundTrip(req)
	})
	ours, floor, limit := newOurs(t, transport, ""), newFloor(transport, ""), newLimit(transport, "")
	bulks := []any{
		noError(ours.client.Organizations.CreateInvitationBulk(t.Context(), organizationID, ours.params)),
		noError(floor.bulk(t.Context())).Data,
		noError(limit.bulk(t.Context())).Data,
	}
	lists := []any{
		noError(ours.client.Organizations.ListInvitations(t.Context(), organizationID, ours.page)),
		noError(floor.list(t.Context())),
		noError(limit.list(t.Context())),
	}
	require.Len(t, sent, 3)
	require.JSONEq(t, sent[1], sent[0])
	require.JSONEq(t, sent[1], sent[2])
	for _, answers := range [][]any{bulks, lists} {
		for _, other := range answers[1:] {
			require.JSONEq(t, string(noError(json.Marshal(answers[0]))), string(noError(json.Marshal(other))))
		}
	}
}

func noError[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }
