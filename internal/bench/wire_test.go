package bench

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/clerkorg/clerkorg-go"
)

const (
	secretKey      = "sk_test_bench"
	organizationID = "org_2bqLZ4pVn8xT0yQmWc7RkJd1sHf"
	inviterID      = "user_2aKpXw9vR3mTz5nQy8LcJb7dGeF"
)

// metadata is an object such as programs keep there, of about size bytes.
func metadata(i, size int) json.RawMessage {
	raw := fmt.Appendf(nil, `{"employee":%d,"cost_center":"emea-%04d","groups":["engineering","on-call"],"note":"`, 9007199254740993+i, i)
	for len(raw) < size-2 {
		raw = append(raw, "synthetic "[len(raw)%10])
	}
	return append(raw, `"}`...)
}

func floorRequest() []floorParams {
	params := make([]floorParams, 10)
	for i := range params {
		params[i] = floorParams{
			EmailAddress:   fmt.Sprintf("person.number.%05d@example.com", i),
			Role:           "org:member",
			InviterUserID:  inviterID,
			RedirectURL:    "https://app.example.com/welcome?from=invitation",
			PublicMetadata: metadata(i, 192),
			ExpiresInDays:  14,
		}
	}
	return params
}

func request() []clerkorg.CreateInvitationParams {
	params := make([]clerkorg.CreateInvitationParams, 10)
	for i, p := range floorRequest() {
		params[i] = clerkorg.CreateInvitationParams{
			EmailAddress:   p.EmailAddress,
			Role:           clerkorg.Role(p.Role),
			InviterUserID:  p.InviterUserID,
			RedirectURL:    p.RedirectURL,
			PublicMetadata: p.PublicMetadata,
			ExpiresInDays:  p.ExpiresInDays,
		}
	}
	return params
}

// answer is what Clerk answers for n invitations, each with metadata of so many
// bytes, public and private.
func answer(n, public, private int) []byte {
	data := make([]map[string]any, n)
	for i := range data {
		data[i] = map[string]any{
			"object":          "organization_invitation",
			"id":              fmt.Sprintf("orginv_2fTz9KqLmW4xVb7nYc1Rd%05d", i),
			"email_address":   fmt.Sprintf("person.number.%05d@example.com", i),
			"role":            "org:member",
			"role_name":       "Member",
			"organization_id": organizationID,
			"inviter_id":      inviterID,
			"public_inviter_data": map[string]any{
				"user_id":    inviterID,
				"first_name": "Ada",
				"last_name":  "Lovelace",
				"image_url":  "https://img.clerk.com/eyJ0eXBlIjoiZGVmYXVsdCIsImlpZCI6Imluc18yYXFMWjRwVm44eFQweVFtV2M3UmtKZDFzSGYifQ",
				"has_image":  true,
				"identifier": "ada@example.com",
			},
			"status":           "pending",
			"public_metadata":  metadata(i, public),
			"private_metadata": metadata(i, private),
			"url":              fmt.Sprintf("https://accounts.example.com/v1/tickets/accept?ticket=eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9.%05d", i),
			"expires_at":       1781172000000 + int64(i),
			"created_at":       1778580000000 + int64(i),
			"updated_at":       1778580000000 + int64(i),
		}
	}
	raw, err := json.Marshal(map[string]any{"data": data, "total_count": n})
	if err != nil {
		panic(err)
	}
	return raw
}

func bulkAnswer() []byte { return answer(10, 192, 458) }
func listAnswer() []byte { return answer(500, 192, 281) }

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

func newClient(tb testing.TB, opts ...clerkorg.Option) *clerkorg.Client {
	tb.Helper()
	client, err := clerkorg.NewClient(secretKey, opts...)
	require.NoError(tb, err)
	return client
}

func inMemory(tb testing.TB, c canned, opts ...clerkorg.Option) (*clerkorg.Client, *floor) {
	tb.Helper()
	ours := newClient(tb, append(opts, clerkorg.WithHTTPClient(&http.Client{Transport: c}))...)
	return ours, &floor{http: &http.Client{Transport: c}, base: clerkorg.DefaultBaseURL}
}

// unlimited and plenty are the two ways in which a quota does not get in the way:
// none is kept, or one is kept that is never spent.
func unlimited() clerkorg.Option { return clerkorg.WithRateLimiter(clerkorg.Unlimited()) }

func plenty() []clerkorg.Option {
	const limit = 1 << 40
	return []clerkorg.Option{
		clerkorg.WithRateLimiter(clerkorg.NewTokenBucket()),
		clerkorg.WithQuotas(
			clerkorg.Quota{Name: clerkorg.QuotaBulk, Limit: limit, Window: 1},
			clerkorg.Quota{Name: clerkorg.QuotaInstance, Limit: limit, Window: 1},
		),
	}
}

func TestSizes(t *testing.T) {
	t.Parallel()
	sent, err := json.Marshal(floorRequest())
	require.NoError(t, err)
	require.InEpsilon(t, 4_000, len(sent), 0.1, "the request")
	require.InEpsilon(t, 15_000, len(bulkAnswer()), 0.05, "the answer")
	require.InEpsilon(t, 630_000, len(listAnswer()), 0.02, "the list")
}

// TestSameCalls makes sure that both sides do the same work: they send the same
// body and read the same invitations.
func TestSameCalls(t *testing.T) {
	t.Parallel()
	var sent []string
	record := func(next http.RoundTripper) http.RoundTripper {
		return roundTripper(func(req *http.Request) (*http.Response, error) {
			body, err := io.ReadAll(req.Body)
			if err != nil {
				return nil, err
			}
			sent = append(sent, string(body))
			req.Body = http.NoBody
			return next.RoundTrip(req)
		})
	}
	transport := record(canned(bulkAnswer()))
	ours := newClient(t, unlimited(), clerkorg.WithHTTPClient(&http.Client{Transport: transport}))
	theirs := &floor{http: &http.Client{Transport: transport}, base: clerkorg.DefaultBaseURL}

	got, err := ours.Organizations.CreateInvitationBulk(t.Context(), organizationID, request())
	require.NoError(t, err)
	want, err := theirs.bulk(t.Context(), floorRequest())
	require.NoError(t, err)

	require.Len(t, sent, 2)
	require.JSONEq(t, sent[1], sent[0])
	a, err := json.Marshal(got)
	require.NoError(t, err)
	b, err := json.Marshal(want)
	require.NoError(t, err)
	require.JSONEq(t, string(b), string(a))
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }
