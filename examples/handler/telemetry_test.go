package main

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/trace"

	"github.com/clerkorg/clerkorg-go"
	"github.com/clerkorg/clerkorg-go/clerktest"
	"github.com/clerkorg/clerkorg-go/examples/internal/ops"
)

// TestTellsNoAddress makes requests that end in every way, some with list calls whose
// queries hold addresses, and reads all that the service has told about itself.
func TestTellsNoAddress(t *testing.T) {
	inBubble(t, func(t *testing.T, f *fixture) {
		f.clerk.AddMember(f.clerk.OrganizationID(), "member@invitee.example", "org:member")
		f.post(t, bodyOf("ada@invitee.example", "bob@invitee.example"))
		f.post(t, bodyOf("ada@invitee.example", "charles@invitee.example"), f.path+"?email_address=ada@invitee.example")
		f.post(t, bodyOf("member@invitee.example"))
		f.post(t, bodyOf("ada@invitee", "emma@invitee.example"))
		f.post(t, `{"invitations":[{"ada@invitee.example":1}]}`)
		require.Positive(t, f.clerk.CallCount(clerktest.OpList), "addresses were in queries")
		for _, call := range f.clerk.Calls() {
			if call.Operation == clerktest.OpList {
				require.Equal(t, http.StatusOK, call.Status, "and arrived")
			}
		}
		for _, kind := range []clerktest.FaultKind{clerktest.FaultStatusAfter, clerktest.FaultResetAfter, clerktest.FaultTruncate, clerktest.FaultHTML} {
			for _, operation := range []clerktest.Operation{clerktest.OpBulk, clerktest.OpAny} {
				remove := f.clerk.Inject(clerktest.Fault{Operation: operation, Kind: kind})
				f.post(t, bodyOf("dora@invitee.example", "emil@invitee.example"))
				remove()
			}
		}
		told := f.told(t)
		require.Greater(t, len(told), 5000)
		for _, secret := range []string{"invitee", "%40", f.clerk.SecretKey(), "Bearer", "email_address="} {
			assert.Zero(t, strings.Count(told, secret), secret) // what was told is too long to be shown
		}
		for _, name := range []string{"url.template", "http.client.request.duration", "clerk api call"} {
			assert.Positive(t, strings.Count(told, name), "it would be in %s", name)
		}
	}, clerktest.WithNamedRefusals(clerktest.NameInText))
}

// TestLoggable takes the sentences out of what InviteAll wraps.
func TestLoggable(t *testing.T) {
	t.Parallel()
	api := &clerkorg.APIError{StatusCode: 409, Errors: []clerkorg.ErrorDetail{{Code: "conflict", Message: "ada@invitee.example is busy"}}}
	for _, err := range []error{api, &unknownError{api}, fmt.Errorf("no call has succeeded: %w", api), fmt.Errorf("%w: %w", context.Canceled, api)} {
		var out bytes.Buffer
		slog.New(slog.NewTextHandler(&out, nil)).Error("problem", "err", loggable(err))
		assert.Contains(t, out.String(), "codes=conflict")
		assert.NotContains(t, out.String(), "ada")
	}
}

// TestTraces has the calls to Clerk below the request that they were made for.
func TestTraces(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.post(t, bodyOf(guests(2)...))
	spans := f.spans.GetSpans()
	require.Len(t, spans, 3)
	attempt, call, request := spans[0], spans[1], spans[2]
	assert.Equal(t, trace.SpanKindClient, attempt.SpanKind)
	assert.Equal(t, call.SpanContext.SpanID(), attempt.Parent.SpanID())
	assert.Equal(t, trace.SpanKindServer, request.SpanKind)
	assert.Equal(t, request.SpanContext.SpanID(), call.Parent.SpanID())
	assert.Equal(t, int64(49), f.left(t, clerkorg.QuotaBulk))
}

// TestNothingIsPropagated has requests reach Clerk without trace headers.
func TestNothingIsPropagated(t *testing.T) {
	t.Parallel()
	var seen http.Header
	clerk := clerktest.NewServer()
	transport := roundTripper(func(req *http.Request) (*http.Response, error) {
		seen = req.Header
		return clerk.Transport().RoundTrip(req)
	})
	handler, done, err := newHandler(backend{secretKey: clerk.SecretKey(), transport: transport}, ops.NewTelemetry(nil, nil), slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	defer done()
	req := httptest.NewRequestWithContext(t.Context(), http.MethodPost, pathOf(clerk.OrganizationID()), strings.NewReader(bodyOf(guests(2)...)))
	req.Header.Set("Content-Type", "application/json")
	handler.ServeHTTP(httptest.NewRecorder(), req)
	require.NotEmpty(t, seen)
	for name := range seen {
		assert.NotContains(t, []string{"traceparent", "tracestate", "baggage"}, strings.ToLower(name))
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

// RoundTrip implements [http.RoundTripper].
func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }
