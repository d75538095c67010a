package clerkotel_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/clerkorg/clerkorg-go"
	"github.com/clerkorg/clerkorg-go/clerkotel"
	"github.com/clerkorg/clerkorg-go/clerktest"
)

// setting is an observed client of a Clerk in memory.
type setting struct {
	*clerktest.Server
	client   *clerkorg.Client
	observer *clerkotel.Observer
	spans    *tracetest.InMemoryExporter
	reader   *metric.ManualReader
}

func newSetting(t *testing.T, opts ...clerkorg.Option) *setting {
	t.Helper()
	s := &setting{
		Server: clerktest.NewServer(clerktest.WithLatency(func() time.Duration { return 50 * time.Millisecond })),
		spans:  tracetest.NewInMemoryExporter(),
		reader: metric.NewManualReader(),
	}
	var err error
	s.observer, err = clerkotel.New(
		clerkotel.WithTracerProvider(sdktrace.NewTracerProvider(sdktrace.WithSyncer(s.spans))),
		clerkotel.WithMeterProvider(metric.NewMeterProvider(metric.WithReader(s.reader))),
	)
	require.NoError(t, err)
	s.client, err = clerkorg.NewClient(s.SecretKey(), append([]clerkorg.Option{
		clerkorg.WithHTTPClient(&http.Client{Transport: s.Transport()}), clerkorg.WithObserver(s.observer),
	}, opts...)...)
	require.NoError(t, err)
	return s
}

func (s *setting) create(ctx context.Context, address string) error {
	_, err := s.client.Organizations.CreateInvitation(ctx, s.OrganizationID(),
		clerkorg.CreateInvitationParams{EmailAddress: address, Role: clerkorg.RoleMember})
	return err
}

// numbers are what metrics come to, by name and attributes: sums, gauges, and of
// histograms the count and the sum.
func (s *setting) numbers(t *testing.T) map[string]float64 {
	t.Helper()
	var data metricdata.ResourceMetrics
	require.NoError(t, s.reader.Collect(t.Context(), &data))
	all := map[string]float64{}
	for _, scope := range data.ScopeMetrics {
		assert.Equal(t, clerkorg.Version, scope.Scope.Version)
		for _, m := range scope.Metrics {
			name := func(set attribute.Set) string {
				return m.Name + "{" + set.Encoded(attribute.DefaultEncoder()) + "}"
			}
			switch d := m.Data.(type) {
			case metricdata.Sum[int64]:
				for _, point := range d.DataPoints {
					all[name(point.Attributes)] = float64(point.Value)
				}
			case metricdata.Gauge[int64]:
				for _, point := range d.DataPoints {
					all[name(point.Attributes)] = float64(point.Value)
				}
			case metricdata.Histogram[float64]:
				for _, point := range d.DataPoints {
					all["count of "+name(point.Attributes)] = float64(point.Count)
					all["sum of "+name(point.Attributes)] = point.Sum
				}
			}
		}
	}
	return all
}

func attributes(span tracetest.SpanStub) map[string]any {
	all := map[string]any{}
	for _, attr := range span.Attributes {
		all[string(attr.Key)] = attr.Value.AsInterface()
	}
	return all
}

const (
	template = "/organizations/{organization_id}/invitations"
	server   = "http.request.method=POST,%sserver.address=api.clerk.com,server.port=443,url.template=" + template
)

func TestSpans(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSetting(t)
		s.Inject(clerktest.Fault{Kind: clerktest.FaultStatus, Status: 503, RetryAfter: 2, Calls: []int{1}})
		require.NoError(t, s.create(t.Context(), "ada@example.com"))
		require.ErrorIs(t, s.create(t.Context(), "ada@example.com"), clerkorg.ErrAlreadyInvited)

		spans := s.spans.GetSpans()
		require.Len(t, spans, 5, "two attempts and their call, one attempt and its call")
		first, again, call := spans[0], spans[1], spans[2]
		assert.Equal(t, "Organizations.CreateInvitation", call.Name)
		assert.Equal(t, trace.SpanKindInternal, call.SpanKind)
		assert.Equal(t, map[string]any{
			"clerk.operation": "Organizations.CreateInvitation", "http.request.method": "POST", "url.template": template,
			"clerk.attempts": int64(2), "clerk.quota.wait": 2.0, "http.response.status_code": int64(200), "clerk.trace_id": attributes(call)["clerk.trace_id"],
		}, attributes(call))
		assert.Equal(t, codes.Unset, call.Status.Code)

		for _, attempt := range []tracetest.SpanStub{first, again} {
			assert.Equal(t, "POST "+template, attempt.Name)
			assert.Equal(t, trace.SpanKindClient, attempt.SpanKind)
			assert.Equal(t, call.SpanContext.SpanID(), attempt.Parent.SpanID())
			got := attributes(attempt)
			assert.Equal(t, "api.clerk.com", got["server.address"])
			assert.EqualValues(t, 443, got["server.port"])
			assert.Equal(t, "invitations.create", got["clerk.quota"])
		}
		assert.NotContains(t, attributes(first), "http.request.resend_count")
		assert.Equal(t, "503", attributes(first)["error.type"])
		assert.Equal(t, codes.Error, first.Status.Code)
		assert.EqualValues(t, 1, attributes(again)["http.request.resend_count"])
		assert.EqualValues(t, 248, attributes(again)["clerk.quota.left"])
		assert.NotContains(t, attributes(again), "error.type")
		assert.Equal(t, 100*time.Millisecond, again.EndTime.Sub(again.StartTime))

		refused := attributes(spans[4])
		assert.Equal(t, "400", refused["error.type"])
		assert.Equal(t, []string{"organization_invitation_not_unique"}, refused["clerk.error.codes"])
		assert.Equal(t, false, refused["clerk.outcome_unknown"])
		for _, secret := range []string{"ada@", s.SecretKey(), s.OrganizationID()} {
			assert.NotContains(t, fmt.Sprint(spans), secret)
		}
	})
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSetting(t, clerkorg.WithMaxRateLimitWait(2*time.Hour), clerkorg.WithMaxRetries(0),
			clerkorg.WithQuotas(clerkorg.Quota{Name: clerkorg.QuotaCreate, Limit: 2, Window: time.Hour}))
		_, err := s.observer.WatchQuotas(s.client, clerkorg.QuotaCreate, clerkorg.QuotaInstance)
		require.NoError(t, err)
		s.Inject(clerktest.Fault{Kind: clerktest.FaultResetAfter, Calls: []int{1}})
		require.ErrorIs(t, s.create(t.Context(), "ada@example.com"), clerkorg.ErrOutcomeUnknown)
		require.NoError(t, s.create(t.Context(), "grace@example.com"))
		require.NoError(t, s.create(t.Context(), "alan@example.com"))
		short, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.ErrorIs(t, s.create(short, "late@example.com"), clerkorg.ErrRateLimited)
		s.Inject(clerktest.Fault{Kind: clerktest.FaultStatus, Status: 429, RetryAfter: 7})
		_, err = s.client.Organizations.Get(t.Context(), s.OrganizationID())
		require.ErrorIs(t, err, clerkorg.ErrRateLimited)

		got := s.numbers(t)
		ok, lost := fmt.Sprintf(server, "http.response.status_code=200,"), "error.type=reset,"+fmt.Sprintf(server, "")
		assert.InDelta(t, 2, got["count of http.client.request.duration{"+ok+"}"], 0)
		assert.InDelta(t, 0.2, got["sum of http.client.request.duration{"+ok+"}"], 1e-6, "without the hour of waiting")
		lostCount := 0.0
		for name, value := range got {
			if strings.HasPrefix(name, "count of http.client.request.duration{error.type=") && strings.Contains(name, template) && !strings.Contains(name, "status_code") {
				lostCount += value
			}
		}
		assert.InDelta(t, 1, lostCount, 0, lost)
		const operation = "clerk.operation=Organizations.CreateInvitation"
		assert.InDelta(t, 2, got["clerk.calls{"+operation+"}"], 0)
		assert.InDelta(t, 1, got["clerk.calls{"+operation+",clerk.outcome_unknown=false,error.type=rate limited}"], 0)
		assert.InDelta(t, 1, got["count of clerk.quota.waits{clerk.quota=invitations.create}"], 0)
		assert.InDelta(t, 3605, got["sum of clerk.quota.waits{clerk.quota=invitations.create}"], 1)
		assert.InDelta(t, 1, got["clerk.quota.refusals{clerk.quota=invitations.create,clerk.refused_by=limiter}"], 0)
		assert.InDelta(t, 1, got["clerk.quota.refusals{clerk.quota=instance,clerk.refused_by=server}"], 0)
		assert.Contains(t, got, "clerk.quota.left{clerk.quota=invitations.create}")
		assert.Zero(t, got["clerk.quota.left{clerk.quota=instance}"], "the 429 has closed it")
	})
}

func TestProgress(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSetting(t)
		people := make([]clerkorg.CreateInvitationParams, 30)
		for i := range people {
			people[i] = clerkorg.CreateInvitationParams{EmailAddress: fmt.Sprintf("person%d@example.com", i%25), Role: clerkorg.RoleMember}
		}
		told := 0
		opts := &clerkorg.InviteAllOptions{OnProgress: s.observer.Progress(t.Context(), func(clerkorg.Progress) { told++ })}
		for _, err := range s.client.Organizations.InviteAll(t.Context(), s.OrganizationID(), slices.Values(people), opts) {
			require.NoError(t, err)
		}
		got := s.numbers(t)
		assert.InDelta(t, 25, got["clerk.invite_all.people{clerk.invite.outcome=invited}"], 0)
		assert.InDelta(t, 5, got["clerk.invite_all.people{clerk.invite.outcome=duplicate}"], 0)
		assert.Zero(t, got["clerk.invite_all.remaining{}"])
		assert.Positive(t, told)
		s.observer.Progress(t.Context(), nil)(clerkorg.Progress{Remaining: 7})
		assert.InDelta(t, 7, s.numbers(t)["clerk.invite_all.remaining{}"], 0)
	})
}

// deaf is a limiter that cannot be asked.
type deaf struct{ clerkorg.RateLimiter }

func (deaf) State(context.Context, clerkorg.Quota) (clerkorg.QuotaState, error) {
	return clerkorg.QuotaState{}, errors.New("no Redis")
}

func TestQuotasThatCannotBeAsked(t *testing.T) {
	t.Parallel()
	s := newSetting(t, clerkorg.WithRateLimiter(deaf{clerkorg.NewTokenBucket()}))
	registration, err := s.observer.WatchQuotas(s.client)
	require.NoError(t, err)
	var data metricdata.ResourceMetrics
	require.ErrorIs(t, s.reader.Collect(t.Context(), &data), clerkorg.ErrLimiterUnavailable)
	require.NoError(t, registration.Unregister())
	require.NoError(t, s.reader.Collect(t.Context(), &data))
}
