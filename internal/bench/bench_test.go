package bench

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

func BenchmarkBulk10(b *testing.B) {
	for _, c := range inMemory(b)[:3] {
		b.Run(c.name, func(b *testing.B) { repeat(b, c.bulk) })
	}
}

func BenchmarkList500(b *testing.B) {
	for _, c := range inMemory(b) {
		b.Run(c.name, func(b *testing.B) { repeat(b, c.list) })
	}
}

// BenchmarkLoopback makes calls over a socket, 16 at a time. One op is one call.
func BenchmarkLoopback(b *testing.B) {
	for _, c := range overLoopback(b) {
		if c.bulk != nil {
			b.Run("bulk10/"+c.name, func(b *testing.B) { repeatCrowd(b, c.bulk) })
		}
		b.Run("list500/"+c.name, func(b *testing.B) { repeatCrowd(b, c.list) })
	}
}

func repeat(b *testing.B, call func(context.Context) error) {
	b.ReportAllocs()
	for b.Loop() {
		if err := call(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}

func repeatCrowd(b *testing.B, call func(context.Context) error) {
	b.ReportAllocs()
	if err := crowd(call, b.N)(b.Context()); err != nil {
		b.Fatal(err)
	}
}

// compare repeats ours, and reports its CPU time as a multiple of the other's.
func compare(b *testing.B, ours, theirs func(context.Context) error) {
	b.Helper()
	repeat(b, ours)
	b.StopTimer()
	_, shares := duel(b, []func(context.Context) error{ours, theirs})
	b.ReportMetric(shares[0], "x-floor")
}

const parallel = 16

// crowd makes so many calls, 16 at a time.
func crowd(call func(context.Context) error, calls int) func(context.Context) error {
	return func(ctx context.Context) error {
		var group sync.WaitGroup
		failures := make(chan error, parallel)
		for i := range parallel {
			group.Go(func() {
				for range (calls + i) / parallel {
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

func inMemory(tb testing.TB) []contender {
	tb.Helper()
	return contenders(tb, canned(bulkAnswer()), canned(listAnswer()), "")
}

func overLoopback(tb testing.TB) []contender {
	tb.Helper()
	bulk, list := bulkAnswer(), listAnswer()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/json")
		answer := list
		if strings.HasSuffix(r.URL.Path, "/bulk") {
			answer = bulk
		}
		_, _ = w.Write(answer)
	}))
	tb.Cleanup(server.Close)
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = parallel
	tb.Cleanup(transport.CloseIdleConnections)
	return contenders(tb, transport, transport, server.URL)
}
