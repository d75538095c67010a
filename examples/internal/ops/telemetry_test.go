package ops

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/clerkorg/clerkorg-go"
	"github.com/clerkorg/clerkorg-go/clerktest"
)

// call makes a call to Clerk that t tells of.
func call(t *testing.T, telemetry *Telemetry) {
	t.Helper()
	clerk := clerktest.NewServer()
	observer, err := telemetry.Observer()
	require.NoError(t, err)
	client, err := clerkorg.NewClient(clerk.SecretKey(),
		clerkorg.WithHTTPClient(&http.Client{Transport: clerk.Transport()}), clerkorg.WithObserver(observer))
	require.NoError(t, err)
	_, err = observer.WatchQuotas(client, clerkorg.QuotaBulk)
	require.NoError(t, err)
	_, err = client.Organizations.Get(t.Context(), clerk.OrganizationID())
	require.NoError(t, err)
}

// TestOTLP sends to a collector.
func TestOTLP(t *testing.T) {
	var mu sync.Mutex
	got := map[string]string{}
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		mu.Lock()
		defer mu.Unlock()
		got[r.URL.Path] += string(body)
	}))
	defer collector.Close()
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.URL)
	t.Setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
	t.Setenv("OTEL_SERVICE_NAME", "inviter")
	telemetry, err := FromEnvironment(t.Context())
	require.NoError(t, err)
	call(t, telemetry)
	var log bytes.Buffer
	telemetry.Shutdown(slog.New(slog.NewTextHandler(&log, nil)))
	assert.Empty(t, log.String())
	assert.Contains(t, got["/v1/traces"], "Organizations.Get")
	assert.Contains(t, got["/v1/metrics"], "clerk.quota.left")
	for path, body := range got {
		assert.Contains(t, body, "inviter", path)
	}
}

// TestPrometheus is read by a scraper.
func TestPrometheus(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	_, port, err := net.SplitHostPort(listener.Addr().String())
	require.NoError(t, err)
	require.NoError(t, listener.Close())
	t.Setenv("OTEL_METRICS_EXPORTER", "prometheus")
	t.Setenv("OTEL_EXPORTER_PROMETHEUS_HOST", "127.0.0.1")
	t.Setenv("OTEL_EXPORTER_PROMETHEUS_PORT", port)
	telemetry, err := FromEnvironment(t.Context())
	require.NoError(t, err)
	defer telemetry.Shutdown(slog.New(slog.DiscardHandler))
	call(t, telemetry)
	resp, err := http.Get(fmt.Sprintf("http://127.0.0.1:%s/metrics", port))
	require.NoError(t, err)
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	assert.Regexp(t, `(?m)^clerk_quota_left\{[^}]*clerk_quota="invitations.bulk"[^}]*\} 50$`, string(text))
}

// TestNothingSet keeps nothing, and sends nothing to a collector that may be on this
// machine.
func TestNothingSet(t *testing.T) {
	for _, variable := range os.Environ() {
		if name, _, _ := strings.Cut(variable, "="); strings.HasPrefix(name, "OTEL_") {
			t.Setenv(name, "")
		}
	}
	telemetry, err := FromEnvironment(t.Context())
	require.NoError(t, err)
	call(t, telemetry)
	var log bytes.Buffer
	telemetry.Shutdown(slog.New(slog.NewTextHandler(&log, nil)))
	assert.Empty(t, log.String())
	t.Setenv("OTEL_TRACES_EXPORTER", "carrier pigeon")
	_, err = FromEnvironment(t.Context())
	require.ErrorContains(t, err, `OTEL_TRACES_EXPORTER="carrier pigeon"`)
}
