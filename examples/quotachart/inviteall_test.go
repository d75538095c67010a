//go:build unix

package quotachart

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/clerkorg/clerkorg-go"
)

var people = flag.Int("people", 0, "measure InviteAll again, up to so many people")

const (
	inviteAllPicture  = "inviteall.svg"
	inviteAllMeasures = "inviteall.csv"
)

// TestInviteAllPicture draws what is in inviteall.csv and compares it with the picture
// that is checked in. What is measured here and now must be about as much.
func TestInviteAllPicture(t *testing.T) {
	if *people > 0 {
		measureAll(t)
	}
	text, err := os.ReadFile(inviteAllMeasures)
	require.NoError(t, err)
	where, measures, err := parseMeasures(string(text))
	require.NoError(t, err)
	drawn := drawInviteAll(where, measures)
	if *people > 0 || *update {
		require.NoError(t, os.WriteFile(inviteAllPicture, []byte(drawn), 0o600))
	}
	checkedIn, err := os.ReadFile(inviteAllPicture)
	require.NoError(t, err)
	assert.Equal(t, string(checkedIn), drawn, "run: go test ./examples/quotachart -update")

	for _, m := range measures {
		if m.people != 10_000 {
			continue
		}
		again := inviteAll(t, m.people)
		t.Logf("%d people: %.3f s, %.1f MiB; in the picture %.3f s, %.1f MiB", m.people, again.seconds, again.mib, m.seconds, m.mib)
		assert.Less(t, again.mib, 2*m.mib+4, "of memory")
	}
}

func measureAll(t *testing.T) {
	t.Helper()
	inviteAll(t, 1000) // warms up
	var measures []measure
	for n, third := 1000, false; n <= *people; third = !third {
		m := inviteAll(t, n)
		t.Logf("%+v", m)
		measures = append(measures, m)
		if third {
			n = n / 3 * 10
		} else {
			n *= 3
		}
	}
	where := fmt.Sprintf("%d cores, %s/%s, %s, %s; no quotas, a server in memory that accepts everything", runtime.NumCPU(),
		runtime.GOOS, runtime.GOARCH, runtime.Version(), time.Now().UTC().Format(time.DateOnly))
	require.NoError(t, os.WriteFile(inviteAllMeasures, []byte(formatMeasures(where, measures)), 0o600))
}

// inviteAll invites so many people in bulk calls, and reads every result.
func inviteAll(t *testing.T, people int) measure {
	t.Helper()
	client, err := clerkorg.NewClient("sk_test_inviteall",
		clerkorg.WithHTTPClient(&http.Client{Transport: agreeing{}}),
		clerkorg.WithRateLimiter(clerkorg.Unlimited()))
	require.NoError(t, err)
	input := func(yield func(clerkorg.CreateInvitationParams) bool) {
		for i := range people {
			if !yield(clerkorg.CreateInvitationParams{EmailAddress: fmt.Sprintf("a.person.with.a.name.%d@a-company.example.com", i), Role: clerkorg.RoleMember}) {
				return
			}
		}
	}
	inUse := func() uint64 {
		var stats runtime.MemStats
		runtime.ReadMemStats(&stats)
		return stats.HeapInuse + stats.StackInuse
	}
	runtime.GC()
	before, peak, done := inUse(), uint64(0), 0
	start := cpuTime(t)
	for result, err := range client.Organizations.InviteAll(t.Context(), "org_1", input, &clerkorg.InviteAllOptions{BulkOnly: true}) {
		require.NoError(t, err)
		require.NoError(t, result.Err)
		if done++; done%max(1, people/50) == 0 {
			peak = max(peak, inUse())
		}
	}
	taken := cpuTime(t) - start
	require.Equal(t, people, done)
	return measure{people, taken.Seconds(), float64(peak-min(peak, before)) / (1 << 20)}
}

// cpuTime is the time that the process has spent on any core.
func cpuTime(t *testing.T) time.Duration {
	t.Helper()
	var usage syscall.Rusage
	require.NoError(t, syscall.Getrusage(syscall.RUSAGE_SELF, &usage))
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// agreeing is a server that accepts every invitation and lists none. It keeps nothing,
// so that the memory measured is the SDK's.
type agreeing struct{}

func (agreeing) RoundTrip(req *http.Request) (*http.Response, error) {
	answer := []byte(`{"data":[],"total_count":0}`)
	if req.Method == http.MethodPost {
		body, err := io.ReadAll(req.Body)
		if err != nil {
			return nil, err
		}
		answer = []byte(`{"data":[`)
		key := []byte(`"email_address":"`)
		for at := bytes.Index(body, key); at >= 0; at = bytes.Index(body, key) {
			var address []byte
			address, body, _ = bytes.Cut(body[at+len(key):], []byte(`"`))
			answer = fmt.Appendf(answer, `{"id":"orginv_1","status":"pending","email_address":%q},`, address)
		}
		answer = append(bytes.TrimSuffix(answer, []byte(",")), "]}"...)
	}
	return &http.Response{
		StatusCode: http.StatusOK, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: req,
		Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(bytes.NewReader(answer)), ContentLength: int64(len(answer)),
	}, nil
}
