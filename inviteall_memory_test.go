package clerkorg

import (
	"bytes"
	"io"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// agree answers as a server that accepts every invitation and lists none.
func agree(req *http.Request) (*http.Response, error) {
	if req.Method == http.MethodGet {
		return canned(req, 200, `{"data":[],"total_count":0}`), nil
	}
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	var answer strings.Builder
	answer.WriteString(`{"data":[`)
	_, rest, found := bytes.Cut(body, []byte(`"email_address":"`))
	for i := 0; found; i++ {
		var address []byte
		address, rest, _ = bytes.Cut(rest, []byte(`"`))
		if i > 0 {
			answer.WriteByte(',')
		}
		answer.WriteString(`{"id":"orginv_1","status":"pending","email_address":"`)
		answer.Write(address)
		answer.WriteString(`"}`)
		_, rest, found = bytes.Cut(rest, []byte(`"email_address":"`))
	}
	answer.WriteString(`],"total_count":10}`)
	return canned(req, 200, answer.String()), nil
}

// memoryOfInviteAll invites so many people and returns the most memory in use, and what
// a run keeps at the end.
func memoryOfInviteAll(t testing.TB, people int) (peak, kept uint64) {
	t.Helper()
	client := newTestClient(t, transportFunc(agree), WithRateLimiter(Unlimited()))
	var stats runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&stats)
	before := stats.HeapAlloc
	input := func(yield func(CreateInvitationParams) bool) {
		for i := range people {
			if !yield(person("somebody.with.a.name." + strconv.Itoa(i) + "@a-company.example.com")) {
				return
			}
		}
	}
	done := 0
	for _, err := range client.Organizations.InviteAll(t.Context(), "org_1", input, &InviteAllOptions{BulkOnly: true}) {
		require.NoError(t, err)
		if done++; done%max(1, people/50) == 0 {
			runtime.ReadMemStats(&stats)
			peak = max(peak, stats.HeapInuse+stats.StackInuse)
		}
		if done == people-1 {
			runtime.GC()
			runtime.ReadMemStats(&stats)
			kept = stats.HeapAlloc - before
		}
	}
	require.Equal(t, people, done)
	return peak, kept
}

// TestInviteAllMemory is the run of a million, or a tenth of it.
func TestInviteAllMemory(t *testing.T) {
	people := 1_000_000 / stride(10)
	start := time.Now()
	runtime.GC()
	var before runtime.MemStats
	runtime.ReadMemStats(&before)
	peak, kept := memoryOfInviteAll(t, people)
	used := int64(peak) - int64(before.HeapInuse+before.StackInuse)
	t.Logf("%d people: %.1f MiB at most, %.1f bytes kept of each, in %s", people, float64(used)/(1<<20), float64(kept)/float64(people), time.Since(start))
	require.Less(t, used, int64(16<<20+240<<20/(1_000_000/people)))
	require.Less(t, kept, uint64(640<<10+24*people))
}

func BenchmarkInviteAllMillion(b *testing.B) {
	for b.Loop() {
		peak, kept := memoryOfInviteAll(b, 1_000_000)
		b.ReportMetric(float64(peak)/(1<<20), "peak-MiB")
		b.ReportMetric(float64(kept)/1_000_000, "B/person")
		if peak > 256<<20 {
			b.Errorf("%d MiB", peak>>20)
		}
	}
}
