package bench

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/clerkorg/clerkorg-go"
)

// Targets, as shares of the floor's time. The benchmarks report, they do not
// judge; allocations, which do not depend on the machine, are judged by a test.
//
//	in memory, bulk of 10 and list of 500: 0.35
//	over loopback, 16 in parallel:         0.65

func BenchmarkCreateInvitationBulk(b *testing.B) {
	for name, opts := range map[string][]clerkorg.Option{
		"unlimited": {unlimited()},
		"bucket":    plenty(),
	} {
		b.Run(name, func(b *testing.B) {
			ours, theirs := inMemory(b, bulkAnswer(), opts...)
			mine, other := request(), floorRequest()
			compare(b,
				func(ctx context.Context) error {
					_, err := ours.Organizations.CreateInvitationBulk(ctx, organizationID, mine)
					return err
				},
				func(ctx context.Context) error {
					_, err := theirs.bulk(ctx, other)
					return err
				})
		})
	}
}

func BenchmarkListInvitations500(b *testing.B) {
	ours, theirs := inMemory(b, listAnswer(), unlimited())
	compare(b,
		func(ctx context.Context) error {
			_, err := ours.Organizations.ListInvitations(ctx, organizationID, &clerkorg.ListInvitationsParams{Limit: 500})
			return err
		},
		func(ctx context.Context) error {
			_, err := theirs.list(ctx)
			return err
		})
}

// BenchmarkLoopback16 makes bulk calls over a socket, 16 at a time. One op is one
// call.
func BenchmarkLoopback16(b *testing.B) {
	const parallel, calls = 16, 8
	canned := bulkAnswer()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(canned)
	}))
	defer server.Close()
	ours := newClient(b, append(plenty(), clerkorg.WithBaseURL(server.URL))...)
	theirs := &floor{http: &http.Client{}, base: server.URL + "/v1"}
	mine, other := request(), floorRequest()

	crowd := func(call func(context.Context) error) func(context.Context) error {
		return func(ctx context.Context) error {
			var group sync.WaitGroup
			failures := make(chan error, parallel)
			for range parallel {
				group.Go(func() {
					for range calls {
						if err := call(ctx); err != nil {
							failures <- err
							return
						}
					}
				})
			}
			group.Wait()
			close(failures)
			return <-failures
		}
	}
	compare(b,
		crowd(func(ctx context.Context) error {
			_, err := ours.Organizations.CreateInvitationBulk(ctx, organizationID, mine)
			return err
		}),
		crowd(func(ctx context.Context) error {
			_, err := theirs.bulk(ctx, other)
			return err
		}))
	b.ReportMetric(float64(parallel*calls), "calls/op")
}

// compare benchmarks ours, and reports how its time compares with the floor's.
func compare(b *testing.B, ours, theirs func(context.Context) error) {
	b.Helper()
	ctx := b.Context()
	for _, f := range []func(context.Context) error{ours, theirs} { // warm up
		for range 10 {
			require.NoError(b, f(ctx))
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		if err := ours(ctx); err != nil {
			b.Fatal(err)
		}
	}
	b.StopTimer()
	ratio, perOp := ratio(b, ours, theirs)
	b.ReportMetric(ratio, "x-floor")
	b.ReportMetric(float64(perOp.Nanoseconds()), "floor-ns/op")
}

// ratio runs both in short rounds that alternate, and returns the median of the
// quotients of neighbouring rounds. A round is long enough to pay for the garbage
// that it makes.
func ratio(tb testing.TB, ours, theirs func(context.Context) error) (median float64, floorPerOp time.Duration) {
	tb.Helper()
	const rounds, atLeast = 41, 12 * time.Millisecond
	ctx := tb.Context()
	run := func(n int, f func(context.Context) error) time.Duration {
		start := time.Now()
		for range n {
			if err := f(ctx); err != nil {
				tb.Fatal(err)
			}
		}
		return time.Since(start)
	}
	n := 1
	for run(n, theirs) < atLeast {
		n *= 2
	}
	quotients := make([]float64, rounds)
	floors := make([]time.Duration, rounds)
	for i := range rounds {
		var mine, floor time.Duration
		if i%2 == 0 {
			mine, floor = run(n, ours), run(n, theirs)
		} else {
			floor, mine = run(n, theirs), run(n, ours)
		}
		quotients[i], floors[i] = float64(mine)/float64(floor), floor/time.Duration(n)
	}
	slices.Sort(quotients)
	slices.Sort(floors)
	return quotients[rounds/2], floors[rounds/2]
}
