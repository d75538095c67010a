package bench

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/clerkorg/clerkorg-go"
)

// TestAllocations holds the calls to what they take of the heap, which, unlike time,
// is the same on every machine. A change that needs more says so here.
func TestAllocations(t *testing.T) {
	if raceEnabled {
		t.Log("under the race detector pools are leaky: allocations are not judged")
		return
	}
	ours := inMemory(t)[0]
	bucket := limiters()[0].take
	for _, tt := range []struct {
		name          string
		call          func(context.Context) error
		allocs, bytes uint64 // at most
	}{
		{"a bulk call of 10", ours.bulk, 52, 26_900},
		{"a list of 500", ours.list, 250, 541_800},
		{"a token taken and settled", bucket, 0, 100},
	} {
		allocs, bytes := perCall(t, tt.call)
		t.Logf("%s: %d allocs, %d bytes", tt.name, allocs, bytes)
		assert.LessOrEqual(t, allocs, tt.allocs, "allocs of %s", tt.name)
		assert.LessOrEqual(t, bytes, tt.bytes, "bytes of %s", tt.name)
	}
}

// TestGrowth holds what takes ten times the work to at most twelve times the cost, in
// counts that no other load of the machine moves.
func TestGrowth(t *testing.T) {
	if raceEnabled {
		t.Log("under the race detector pools are leaky: allocations are not judged")
		return
	}
	listOf := func(n int) func(context.Context) error {
		return contenders(t, canned(nil), canned(answer(n, 281)), "")[0].list
	}
	for name, grow := range map[string]func(n int) (allocs, bytes, calls uint64){
		"a list": func(n int) (allocs, bytes, calls uint64) {
			allocs, bytes = perCall(t, listOf(n))
			return allocs, bytes, 1
		},
		"InviteAll": func(n int) (allocs, bytes, calls uint64) { return inviteAll(t, 40*n) },
	} {
		allocs, bytes, calls := grow(50)
		tenfold := [3]uint64{}
		tenfold[0], tenfold[1], tenfold[2] = grow(500)
		for i, once := range []uint64{allocs, bytes, calls} {
			what := []string{"allocs", "bytes", "calls"}[i]
			t.Logf("%s: %d %s, for ten times as many %d", name, once, what, tenfold[i])
			assert.LessOrEqual(t, tenfold[i], 12*once, "%s of %s", what, name)
		}
	}
}

// inviteAll invites so many people and returns what that takes, of the process and of
// the server.
func inviteAll(t *testing.T, people int) (allocs, size, calls uint64) {
	t.Helper()
	transport := roundTripper(func(req *http.Request) (*http.Response, error) {
		calls++
		if req.Method == http.MethodGet {
			return canned(`{"data":[],"total_count":0}`).RoundTrip(req)
		}
		body, err := io.ReadAll(req.Body)
		if err != nil {
			return nil, err
		}
		req.Body = nil
		return canned(fmt.Appendf(nil, `{"data":[%s]}`, bytes.Join(accept(body), []byte(",")))).RoundTrip(req)
	})
	client := newOurs(t, transport, "").client
	input := func(yield func(clerkorg.CreateInvitationParams) bool) {
		for i := range people {
			if !yield(clerkorg.CreateInvitationParams{EmailAddress: address(i), Role: clerkorg.RoleMember}) {
				return
			}
		}
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	done := 0
	for result, err := range client.Organizations.InviteAll(t.Context(), organizationID, input, &clerkorg.InviteAllOptions{BulkOnly: true}) {
		require.NoError(t, err)
		require.NoError(t, result.Err)
		done++
	}
	runtime.ReadMemStats(&after)
	require.Equal(t, people, done)
	return after.Mallocs - before.Mallocs, after.TotalAlloc - before.TotalAlloc, calls
}

// accept returns an invitation for each address in a request.
func accept(body []byte) (invitations [][]byte) {
	for part := range bytes.SplitSeq(body, []byte(`"email_address":"`)) {
		address, _, found := bytes.Cut(part, []byte(`"`))
		if found && bytes.Contains(address, []byte("@")) {
			invitations = append(invitations, fmt.Appendf(nil, `{"id":"orginv_1","status":"pending","email_address":%q}`, address))
		}
	}
	return invitations
}

// TestTimeShare holds the calls to half of the floor's time, which is far from what
// they take: the machine may be busy.
func TestTimeShare(t *testing.T) {
	if raceEnabled {
		t.Log("the race detector slows down what is ours more than what is Go's")
		return
	}
	all := inMemory(t)
	for name, calls := range map[string][]func(context.Context) error{
		"a bulk call of 10": {all[0].bulk, all[1].bulk},
		"a list of 500":     {all[0].list, all[1].list},
	} {
		_, shares := duel(t, calls)
		t.Logf("%s: %.2f of the floor's time", name, shares[0])
		assert.Less(t, shares[0], 0.5, name)
	}
}
