package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/redis/go-redis/v9/logging"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/clerkorg/clerkorg-go"
	"github.com/clerkorg/clerkorg-go/clerktest"
	"github.com/clerkorg/clerkorg-go/examples/internal/ops"
)

func TestMain(m *testing.M) {
	logging.Disable() // tests break connections on purpose
	os.Exit(m.Run())
}

// fixture is the service before a Clerk in memory, with everything that it tells about
// itself.
type fixture struct {
	clerk   *clerktest.Server
	path    string // of the organization's invitations
	token   string // that callers need
	handler http.Handler
	spans   *tracetest.InMemoryExporter
	metrics *sdkmetric.ManualReader
	log     *safeBuffer
}

func newFixture(t *testing.T, opts ...clerktest.Option) *fixture {
	t.Helper()
	f := &fixture{
		clerk: clerktest.NewServer(opts...),
		spans: tracetest.NewInMemoryExporter(),
		log:   &safeBuffer{},
	}
	f.path = pathOf(f.clerk.OrganizationID())
	f.serve(t, "")
	return f
}

func pathOf(organization string) string { return "/organizations/" + organization + "/invitations" }

// inBubble runs a test with a fixture in a bubble of synctest, in which waiting takes no
// time. The test must not use the network.
func inBubble(t *testing.T, test func(t *testing.T, f *fixture), opts ...clerktest.Option) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { test(t, newFixture(t, opts...)) })
}

// serve makes a new service, with its quota in Redis unless redisURL is empty.
func (f *fixture) serve(t *testing.T, redisURL string) {
	t.Helper()
	f.metrics = sdkmetric.NewManualReader()
	telemetry := ops.NewTelemetry([]sdktrace.TracerProviderOption{sdktrace.WithSyncer(f.spans)}, []sdkmetric.Option{sdkmetric.WithReader(f.metrics)})
	b := backend{secretKey: f.clerk.SecretKey(), transport: f.clerk.Transport(), redisURL: redisURL, token: f.token}
	handler, done, err := newHandler(b, telemetry, slog.New(slog.NewJSONHandler(f.log, &slog.HandlerOptions{Level: slog.LevelDebug})))
	require.NoError(t, err)
	t.Cleanup(done)
	f.handler = handler
}

// received is an answer of the service: a problem, or the Invitations of a 200.
type received struct {
	problem

	status int
	header http.Header
	raw    string
}

func (r received) outcomes() []clerkorg.InviteOutcome {
	var all []clerkorg.InviteOutcome
	for _, o := range r.Invitations {
		all = append(all, o.Outcome)
	}
	return all
}

// post sends a body as JSON to the organization, unless path says where to.
func (f *fixture) post(t *testing.T, body string, path ...string) received {
	t.Helper()
	return f.send(t, httptest.NewRequestWithContext(t.Context(), http.MethodPost, append(path, f.path)[0], strings.NewReader(body)), "application/json")
}

func (f *fixture) send(t *testing.T, req *http.Request, contentType string) received {
	t.Helper()
	req.Header.Set("Content-Type", contentType)
	recorder := httptest.NewRecorder()
	f.handler.ServeHTTP(recorder, req)
	resp, raw := recorder.Result(), recorder.Body.Bytes()
	r := received{status: resp.StatusCode, header: resp.Header, raw: string(raw)}
	require.NoError(t, json.Unmarshal(raw, &r.problem))
	if r.status == http.StatusOK {
		assert.Equal(t, "application/json", r.header.Get("Content-Type"))
		return r
	}
	assert.Equal(t, "application/problem+json", r.header.Get("Content-Type"))
	assert.Equal(t, r.status, r.Status)
	assert.Equal(t, http.StatusText(r.status), r.Title)
	assert.NotEmpty(t, r.Code)
	assert.NotEmpty(t, r.Detail)
	return r
}

// bodyOf is a body that invites people, without roles.
func bodyOf(addresses ...string) string {
	people := make([]string, len(addresses))
	for i, address := range addresses {
		people[i] = fmt.Sprintf(`{"email_address":%q}`, address)
	}
	return `{"invitations":[` + strings.Join(people, ",") + `]}`
}

func guests(n int) []string {
	addresses := make([]string, n)
	for i := range addresses {
		addresses[i] = fmt.Sprintf("guest-%02d@example.com", i)
	}
	return addresses
}

// told is everything that the service has told about itself.
func (f *fixture) told(t *testing.T) string {
	t.Helper()
	var metrics metricdata.ResourceMetrics
	require.NoError(t, f.metrics.Collect(t.Context(), &metrics))
	var all strings.Builder
	all.WriteString(f.log.String())
	for _, span := range f.spans.GetSpans() {
		fmt.Fprintf(&all, "%s %v %v %v %v\n", span.Name, span.Attributes, span.Status, span.Events, span.Links)
	}
	encoded, err := json.Marshal(metrics)
	require.NoError(t, err)
	all.Write(encoded)
	return all.String()
}

// left is what the gauge says of a quota.
func (f *fixture) left(t *testing.T, quota string) int64 {
	t.Helper()
	var metrics metricdata.ResourceMetrics
	require.NoError(t, f.metrics.Collect(t.Context(), &metrics))
	for _, scope := range metrics.ScopeMetrics {
		for _, m := range scope.Metrics {
			if gauge, ok := m.Data.(metricdata.Gauge[int64]); ok && m.Name == "clerk.quota.left" {
				for _, point := range gauge.DataPoints {
					if name, _ := point.Attributes.Value("clerk.quota"); name.AsString() == quota {
						return point.Value
					}
				}
			}
		}
	}
	t.Fatalf("no gauge of %s", quota)
	return 0
}

// spend makes so many calls of either kind that creates invitations. More than 100 need
// a live key.
func spend(t *testing.T, f *fixture, bulk, single int) {
	t.Helper()
	client, err := clerkorg.NewClient(f.clerk.SecretKey(), clerkorg.WithHTTPClient(&http.Client{Transport: f.clerk.Transport()}))
	require.NoError(t, err)
	guest := func(kind string, i int) clerkorg.CreateInvitationParams {
		return clerkorg.CreateInvitationParams{EmailAddress: fmt.Sprintf("%s-%03d@example.com", kind, i), Role: clerkorg.RoleMember}
	}
	for i := range bulk {
		_, err := client.Organizations.CreateInvitationBulk(t.Context(), f.clerk.OrganizationID(), []clerkorg.CreateInvitationParams{guest("bulk", i)})
		require.NoError(t, err)
	}
	for i := range single {
		_, err := client.Organizations.CreateInvitation(t.Context(), f.clerk.OrganizationID(), guest("single", i))
		require.NoError(t, err)
	}
}

// safeBuffer is a buffer for several goroutines.
type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}
