package main

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/alicebob/miniredis/v2"
	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/clerkorg/clerkorg-go"
	"github.com/clerkorg/clerkorg-go/clerkotel/redisotel"
	"github.com/clerkorg/clerkorg-go/clerktest"
	"github.com/clerkorg/clerkorg-go/examples/internal/ops"
	"github.com/clerkorg/clerkorg-go/redislimit"
)

// TestCompose reads compose.yaml with the library that Docker reads it with, and compares
// it with the other files.
func TestCompose(t *testing.T) {
	t.Parallel()
	options, err := cli.NewProjectOptions([]string{"compose.yaml"})
	require.NoError(t, err)
	project, err := options.LoadProject(t.Context())
	require.NoError(t, err)
	require.NoError(t, project.CheckContainerNameUnicity())

	replicas := map[string]int{}
	targets := map[string]bool{}
	key := project.Services["handler-1"].Environment["CLERK_SECRET_KEY"]
	for name, service := range project.Services {
		if kind, _, ok := strings.Cut(name, "-"); ok {
			replicas[kind]++
		}
		if port := service.Environment["OTEL_EXPORTER_PROMETHEUS_PORT"]; port != nil {
			assert.False(t, targets["clerk:"+*port], "they share a network, and so its ports")
			targets["clerk:"+*port] = true
			assert.Equal(t, key, service.Environment["CLERK_SECRET_KEY"])
			assert.Equal(t, "prometheus", *service.Environment["OTEL_METRICS_EXPORTER"])
			assert.Equal(t, name, *service.Environment["OTEL_SERVICE_NAME"])
			assert.Equal(t, "service:clerk", service.NetworkMode)
		}
		for _, volume := range service.Volumes {
			if volume.Type == types.VolumeTypeBind {
				_, err := os.Stat(volume.Source)
				require.NoError(t, err, volume.Source)
			}
		}
		if service.Build != nil {
			_, err := os.Stat(filepath.Join(service.Build.Context, service.Build.Dockerfile))
			require.NoError(t, err)
		}
	}
	assert.Equal(t, map[string]int{"handler": handlers, "worker": workers}, replicas)
	assert.Subset(t, project.ServiceNames(), []string{"clerk", "redis", "postgres", "riverui", "prometheus", "grafana"})
	assert.Contains(t, project.Services["clerk"].Command, *key)

	var prometheus struct {
		Scrapes []struct {
			Static []struct{ Targets []string } `yaml:"static_configs"`
		} `yaml:"scrape_configs"`
	}
	text, err := os.ReadFile("prometheus.yml")
	require.NoError(t, err)
	require.NoError(t, yaml.Unmarshal(text, &prometheus))
	scraped := map[string]bool{}
	for _, job := range prometheus.Scrapes {
		for _, static := range job.Static {
			for _, target := range static.Targets {
				scraped[target] = true
			}
		}
	}
	assert.Equal(t, targets, scraped)
}

// TestDashboard looks for the metrics of every panel among those that a replica tells.
func TestDashboard(t *testing.T) {
	port, err := freePort(t.Context())
	require.NoError(t, err)
	t.Setenv("OTEL_METRICS_EXPORTER", "prometheus")
	t.Setenv("OTEL_EXPORTER_PROMETHEUS_HOST", "127.0.0.1")
	t.Setenv("OTEL_EXPORTER_PROMETHEUS_PORT", strconv.Itoa(port))
	telemetry, err := ops.FromEnvironment(t.Context())
	require.NoError(t, err)
	defer telemetry.Shutdown(slog.New(slog.DiscardHandler))
	clerk := clerktest.NewServer()
	rdb, err := ops.DialRedis("redis://" + miniredis.RunT(t).Addr())
	require.NoError(t, err)
	defer func() { _ = rdb.Close() }()
	limiter, err := redislimit.New(rdb, redislimit.WithSecretKey(clerk.SecretKey()))
	require.NoError(t, err)
	defer func() { _ = limiter.Close() }()
	_, err = redisotel.Watch(limiter, redisotel.WithMeterProvider(telemetry.Metrics))
	require.NoError(t, err)
	observer, err := telemetry.Observer()
	require.NoError(t, err)
	client, err := clerkorg.NewClient(clerk.SecretKey(), clerkorg.WithRateLimiter(limiter), clerkorg.WithObserver(observer),
		clerkorg.WithHTTPClient(&http.Client{Transport: clerk.Transport()}))
	require.NoError(t, err)
	_, err = observer.WatchQuotas(client, clerkorg.QuotaBulk)
	require.NoError(t, err)
	clerk.Inject(clerktest.Fault{Kind: clerktest.FaultStatus, Status: http.StatusTooManyRequests, Calls: []int{2}, RetryAfter: 60})
	for range 2 {
		_, _ = client.Organizations.Get(t.Context(), clerk.OrganizationID()) // the second one is refused, and closes the quota
	}
	resp, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/metrics", port))
	require.NoError(t, err)
	defer func() { _ = resp.Body.Close() }()
	told, err := io.ReadAll(resp.Body)
	require.NoError(t, err)

	var dashboard struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	text, err := os.ReadFile(filepath.Join("grafana", "dashboards", "quota.json"))
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(text, &dashboard))
	require.NotEmpty(t, dashboard.Panels)
	for _, panel := range dashboard.Panels {
		require.NotEmpty(t, panel.Targets, panel.Title)
		for _, target := range panel.Targets {
			without := regexp.MustCompile(`by \([^)]*\)|\{[^}]*\}`).ReplaceAllString(target.Expr, "")
			names := regexp.MustCompile(`\b(clerk|http)_[a-z_]+`).FindAllString(without, -1)
			assert.NotEmpty(t, names, panel.Title)
			for _, name := range names {
				found := strings.Contains(string(told), "\n"+name+"{")
				assert.True(t, found, "%s: there is no %s", panel.Title, name)
			}
		}
	}
}
