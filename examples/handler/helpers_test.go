package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/clerkorg/clerkorg-go"
	"github.com/clerkorg/clerkorg-go/clerktest"
)

// fixture is the service over HTTP, with everything that it tells about itself.
type fixture struct {
	clerk   *clerktest.Server
	url     string // of the organization's invitations
	service *httptest.Server
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
	t.Cleanup(f.clerk.Close)
	f.serve(t, backend{secretKey: f.clerk.SecretKey(), baseURL: f.clerk.URL()})
	return f
}

func (f *fixture) serve(t *testing.T, b backend) {
	t.Helper()
	f.metrics = sdkmetric.NewManualReader()
	telemetry := newTelemetry([]sdktrace.TracerProviderOption{sdktrace.WithSyncer(f.spans)}, []sdkmetric.Option{sdkmetric.WithReader(f.metrics)})
	handler, done, err := newHandler(b, telemetry, slog.New(slog.NewJSONHandler(f.log, &slog.HandlerOptions{Level: slog.LevelDebug})))
	require.NoError(t, err)
	t.Cleanup(done)
	f.service = httptest.NewServer(handler)
	t.Cleanup(f.service.Close)
	f.url = f.service.URL + "/organizations/" + f.clerk.OrganizationID() + "/invitations"
}

// received is an answer of the service.
type received struct {
	status      int
	header      http.Header
	raw         string
	Error       problem   `json:"error"`
	Invitations []outcome `json:"invitations"`
}

func (r received) outcomes() []string {
	var all []string
	for _, o := range r.Invitations {
		all = append(all, o.Outcome)
	}
	return all
}

// post sends a body as JSON to the organization, unless url says where to.
func (f *fixture) post(t *testing.T, body string, url ...string) received {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, append(url, f.url)[0], strings.NewReader(body))
	require.NoError(t, err)
	req.Header.Set("Content-Type", "application/json")
	return send(t, req)
}

func send(t *testing.T, req *http.Request) received {
	t.Helper()
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	r := received{status: resp.StatusCode, header: resp.Header, raw: string(raw)}
	if strings.HasPrefix(resp.Header.Get("Content-Type"), "application/json") {
		require.NoError(t, json.Unmarshal(raw, &r))
	}
	return r
}

// bodyOf asks for people without saying in which role.
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
			if gauge, ok := m.Data.(metricdata.Gauge[int64]); ok && m.Name == "clerk.quota.available" {
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

func spend(t *testing.T, f *fixture, n int) {
	t.Helper()
	client, err := clerkorg.NewClient(f.clerk.SecretKey(), clerkorg.WithBaseURL(f.clerk.URL()))
	require.NoError(t, err)
	for i := range n {
		_, err := client.Organizations.CreateInvitationBulk(t.Context(), f.clerk.OrganizationID(),
			[]clerkorg.CreateInvitationParams{{EmailAddress: fmt.Sprintf("spent-%02d@example.com", i), Role: clerkorg.RoleMember}})
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
