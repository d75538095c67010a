package redisotel_test

import (
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/clerkorg/clerkorg-go"
	"github.com/clerkorg/clerkorg-go/clerkotel/redisotel"
	"github.com/clerkorg/clerkorg-go/redislimit"
)

// numbers are what is collected, by name and quota.
func numbers(t *testing.T, reader metric.Reader) map[string]float64 {
	t.Helper()
	var data metricdata.ResourceMetrics
	require.NoError(t, reader.Collect(t.Context(), &data))
	all := map[string]float64{}
	name := func(m metricdata.Metrics, set attribute.Set) string {
		return m.Name + "{" + set.Encoded(attribute.DefaultEncoder()) + "}"
	}
	for _, scope := range data.ScopeMetrics {
		for _, m := range scope.Metrics {
			switch d := m.Data.(type) {
			case metricdata.Gauge[int64]:
				for _, point := range d.DataPoints {
					all[name(m, point.Attributes)] = float64(point.Value)
				}
			case metricdata.Sum[int64]:
				assert.True(t, d.IsMonotonic)
				for _, point := range d.DataPoints {
					all[name(m, point.Attributes)] = float64(point.Value)
				}
			case metricdata.Gauge[float64]:
				for _, point := range d.DataPoints {
					all[name(m, point.Attributes)] = point.Value
				}
			}
		}
	}
	return all
}

func TestWatch(t *testing.T) {
	t.Parallel()
	server := miniredis.RunT(t)
	rdb := redis.NewClient(&redis.Options{Addr: server.Addr(), ContextTimeoutEnabled: true, MaxRetries: -1})
	t.Cleanup(func() { _ = rdb.Close() })
	limiter, err := redislimit.New(rdb, redislimit.WithNamespace("watched"))
	require.NoError(t, err)
	reader := metric.NewManualReader()
	registration, err := redisotel.Watch(limiter, redisotel.WithMeterProvider(metric.NewMeterProvider(metric.WithReader(reader))))
	require.NoError(t, err)

	quota := clerkorg.Quota{Name: clerkorg.QuotaBulk, Limit: 1, Window: time.Hour}
	req := clerkorg.ReservationRequest{Quota: quota}
	_, err = limiter.Acquire(t.Context(), req)
	require.NoError(t, err)
	_, err = limiter.Acquire(t.Context(), req)
	require.ErrorIs(t, err, clerkorg.ErrRateLimited)
	require.NoError(t, limiter.CloseUntil(t.Context(), quota, time.Now().Add(time.Minute)))
	server.Close()
	_, err = limiter.Acquire(t.Context(), req)
	require.ErrorIs(t, err, clerkorg.ErrLimiterUnavailable)

	got := numbers(t, reader)
	const of = "{clerk.quota=invitations.bulk}"
	for name, want := range map[string]float64{
		"clerk.limiter.up{}": 0, "clerk.limiter.tokens{}": 1, "clerk.limiter.refusals{}": 1, "clerk.limiter.errors{}": 1,
		"clerk.limiter.waits{}": 0, "clerk.limiter.memory_losses{}": 0,
		"clerk.limiter.waiting" + of: 0, "clerk.limiter.in_flight" + of: 1, "clerk.limiter.owed" + of: 0,
	} {
		value, ok := got[name]
		assert.True(t, ok, name)
		assert.InDelta(t, want, value, 0, name)
	}
	assert.InDelta(t, 60, got["clerk.limiter.closed"+of], 5)
	assert.InDelta(t, 2*3600+60, got["clerk.limiter.guarded"+of], 5)
	assert.Len(t, got, 11)

	require.NoError(t, registration.Unregister())
	assert.Empty(t, numbers(t, reader))
}
