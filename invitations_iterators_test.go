package clerkorg

import (
	"encoding/json"
	"fmt"
	"iter"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/clerkorg/clerkorg-go/clerktest"
)

// addressesOf ranges to the end.
func addressesOf(t *testing.T, walk iter.Seq2[OrganizationInvitation, error]) []string {
	t.Helper()
	var all []string
	for invitation, err := range walk {
		require.NoError(t, err)
		all = append(all, invitation.EmailAddress)
	}
	return all
}

func TestInvitationsInFullPages(t *testing.T) {
	bubble(t, func(t *testing.T, server *clerktest.Server) {
		const people = 10_000
		var want []string
		for i := range people {
			want = append(want, fmt.Sprintf("person%05d@example.com", i))
			server.AddInvitation(server.OrganizationID(), want[i], "org:member")
		}
		client := inMemory(t, server)
		newest := slices.Clone(want)
		slices.Reverse(newest)
		assert.Equal(t, newest, addressesOf(t, client.Organizations.Invitations(t.Context(), server.OrganizationID(), nil)))
		assert.Equal(t, 20, server.CallCount(clerktest.OpList))
		assert.Equal(t, newest, addressesOf(t, client.Organizations.InstanceInvitations(t.Context(), nil)))
		assert.Equal(t, 20, server.CallCount(clerktest.OpListInstance))
		assert.Equal(t, want, addressesOf(t, client.Organizations.Invitations(t.Context(), server.OrganizationID(), &ListInvitationsParams{OrderBy: OrderByEmailAddress})))
		assert.Equal(t, 41, server.CallCount(clerktest.OpList), "these overlap by one")
	})
}

// TestInvitationsPrefetch: the next request is under way while a page is read, and
// none after that.
func TestInvitationsPrefetch(t *testing.T) {
	bubble(t, func(t *testing.T, server *clerktest.Server) {
		for i := range 50 {
			server.AddInvitation(server.OrganizationID(), fmt.Sprintf("person%d@example.com", i), "org:member")
		}
		client := inMemory(t, server)
		read := 0
		start := time.Now()
		for _, err := range client.Organizations.Invitations(t.Context(), server.OrganizationID(), &ListInvitationsParams{Limit: 10}) {
			require.NoError(t, err)
			time.Sleep(time.Second)
			read++
			assert.Equal(t, min(5, 2+(read-1)/10), server.CallCount(clerktest.OpList), read)
		}
		assert.Equal(t, 50*time.Second+100*time.Millisecond, time.Since(start), "only the first page was waited for")
	})
}

func TestInvitationsStop(t *testing.T) {
	bubble(t, func(t *testing.T, server *clerktest.Server) {
		for i := range 50 {
			server.AddInvitation(server.OrganizationID(), fmt.Sprintf("person%d@example.com", i), "org:member")
		}
		params := &ListInvitationsParams{Limit: 10, Status: []InvitationStatus{InvitationPending}}
		walk := inMemory(t, server).Organizations.Invitations(t.Context(), server.OrganizationID(), params)
		params.Limit, params.Status[0] = 1, InvitationRevoked // too late to count
		assert.Zero(t, server.CallCount(clerktest.OpAny), "before it was ranged over")
		for range 3 { // it begins anew each time
			before := server.CallCount(clerktest.OpList)
			for _, err := range walk {
				require.NoError(t, err)
				break
			}
			time.Sleep(time.Minute)
			assert.LessOrEqual(t, server.CallCount(clerktest.OpList), before+2)
		}
		assert.Len(t, addressesOf(t, walk), 50)

		server.Inject(clerktest.Fault{Operation: clerktest.OpList, Kind: clerktest.FaultStatus, Status: 403, Calls: []int{3}})
		var read, failed int
		for invitation, err := range walk {
			require.Zero(t, failed, "something came after an error")
			if err != nil {
				assert.ErrorIs(t, err, ErrForbidden)
				assert.Zero(t, invitation)
				failed++
				continue
			}
			read++
		}
		assert.Equal(t, 20, read)
		assert.Equal(t, 1, failed)
	})
}

func TestInvitationsRefuseArguments(t *testing.T) {
	t.Parallel()
	server := clerktest.NewServer()
	orgs := inMemory(t, server).Organizations
	for name, walk := range map[string]iter.Seq2[OrganizationInvitation, error]{
		"organization": orgs.Invitations(t.Context(), "", nil),
		"limit":        orgs.Invitations(t.Context(), "org_1", &ListInvitationsParams{Limit: 501}),
		"offset":       orgs.Invitations(t.Context(), "org_1", &ListInvitationsParams{Offset: -1}),
		"order":        orgs.InstanceInvitations(t.Context(), &ListInstanceInvitationsParams{OrderBy: "name"}),
		"status":       orgs.InstanceInvitations(t.Context(), &ListInstanceInvitationsParams{Status: []InvitationStatus{"odd"}}),
	} {
		var end error
		for _, end = range walk {
		}
		var invalid *ValidationError
		assert.ErrorAs(t, end, &invalid, name)
	}
	assert.Zero(t, server.CallCount(clerktest.OpAny))
}

// shelf is a list that changes between requests, on a server that answers nothing
// else.
type shelf struct {
	all    []string
	page   int               // most in a page; 0 for what is asked
	total  func(n int) int64 // what it says
	change func()            // before each answer but the first
	asked  atomic.Int32
}

func (s *shelf) RoundTrip(req *http.Request) (*http.Response, error) {
	if s.asked.Add(1) > 1 && s.change != nil {
		s.change()
	}
	query := req.URL.Query()
	offset, _ := strconv.Atoi(query.Get("offset"))
	limit, _ := strconv.Atoi(query.Get("limit"))
	if s.page > 0 {
		limit = min(limit, s.page)
	}
	list := struct {
		Data  []map[string]string `json:"data"`
		Total *int64              `json:"total_count,omitempty"`
	}{Data: []map[string]string{}}
	from := min(offset, len(s.all))
	for _, id := range s.all[from:min(from+limit, len(s.all))] {
		list.Data = append(list.Data, map[string]string{"id": id, "email_address": id})
	}
	total := int64(len(s.all))
	if s.total != nil {
		total = s.total(len(s.all))
	}
	if total >= 0 {
		list.Total = &total
	}
	body, err := json.Marshal(list)
	return canned(req, 200, string(body)), err
}

func numbered(n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf("%06d", i)
	}
	return all
}

// TestInvitationsWhileTheListChanges adds and removes at random between the
// requests. Who was there all along is neither skipped nor given twice.
func TestInvitationsWhileTheListChanges(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		params  ListInvitationsParams
		atFront bool // where it grows
	}{
		"newest first":         {ListInvitationsParams{}, true},
		"pending":              {ListInvitationsParams{Status: []InvitationStatus{InvitationPending}}, true},
		"accepted":             {ListInvitationsParams{Status: []InvitationStatus{InvitationAccepted}}, false},
		"by address":           {ListInvitationsParams{OrderBy: OrderByEmailAddress}, false},
		"oldest first":         {ListInvitationsParams{OrderBy: OrderByOldest}, false},
		"oldest first, a sign": {ListInvitationsParams{OrderBy: "created_at"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for seed := range uint64(400 / stride(10)) {
				random := rand.New(rand.NewPCG(seed, 5))
				list := &shelf{all: numbered(random.IntN(60))}
				steady := map[string]bool{}
				for _, id := range list.all {
					steady[id] = true
				}
				added := 0
				list.change = func() {
					for range random.IntN(4) {
						if n := len(list.all); n > 0 && random.IntN(5) < 3 {
							i := random.IntN(n)
							delete(steady, list.all[i])
							list.all = slices.Delete(list.all, i, i+1)
						} else {
							added++
							at := 0
							if !tt.atFront {
								at = random.IntN(n + 1)
							}
							list.all = slices.Insert(list.all, at, fmt.Sprintf("new%d", added))
						}
					}
				}
				if seed%3 == 0 && tt.atFront { // no total: only the overlap tells
					list.total = func(int) int64 { return -int64(seed % 2) }
				}
				params := tt.params
				params.Limit = 1 + random.IntN(9)
				client := newTestClient(t, list, WithRateLimiter(Unlimited()))
				seen := map[string]int{}
				for _, id := range addressesOf(t, client.Organizations.Invitations(t.Context(), "org_1", &params)) {
					seen[id]++
					require.Equal(t, 1, seen[id], "seed %d: %s twice", seed, id)
				}
				for id := range steady {
					require.Equal(t, 1, seen[id], "seed %d: %s was skipped", seed, id)
				}
			}
		})
	}
}

// TestInvitationsWithOddTotals ends, and has everybody, whatever the total says.
func TestInvitationsWithOddTotals(t *testing.T) {
	t.Parallel()
	for name, total := range map[string]func(int) int64{
		"missing":   func(int) int64 { return -1 },
		"zero":      func(int) int64 { return 0 },
		"too small": func(n int) int64 { return int64(min(n, 1)) },
		"too large": func(n int) int64 { return int64(n) + 7 },
		"huge":      func(int) int64 { return 1 << 60 },
		"right":     nil,
	} {
		for _, order := range []OrderBy{OrderByNewest, OrderByOldest} {
			for n := range 35 / stride(2) {
				for _, limit := range []int{1, 2, 10, 500} {
					for _, page := range []int{0, 1, 4} {
						if name == "too small" && limit == 1 {
							continue // it looks right
						}
						if page > 0 && page < max(2, limit) && total != nil && name != "huge" && name != "too large" {
							continue // nothing says that there is more
						}
						list := &shelf{all: numbered(n), page: page, total: total}
						client := newTestClient(t, list, WithRateLimiter(Unlimited()))
						params := &ListInvitationsParams{OrderBy: order, Limit: limit}
						got := []string{}
						for invitation, err := range client.Organizations.Invitations(t.Context(), "org_1", params) {
							require.NoError(t, err)
							got = append(got, invitation.ID)
						}
						require.Equal(t, list.all, got, "%s %s %d by %d", name, order, n, limit)
						require.LessOrEqual(t, int(list.asked.Load()), 2*n+4)
					}
				}
			}
		}
	}
}

func TestInvitationsFromAnOffset(t *testing.T) {
	t.Parallel()
	for _, order := range []OrderBy{OrderByNewest, OrderByOldest} {
		for _, offset := range []int{0, 1, 12, 29, 30, 31, 100} {
			list := &shelf{all: numbered(30)}
			client := newTestClient(t, list)
			params := &ListInvitationsParams{OrderBy: order, Offset: offset, Limit: 7}
			got := addressesOf(t, client.Organizations.Invitations(t.Context(), "org_1", params))
			assert.Len(t, got, len(list.all[min(30, offset):]))
			assert.Subset(t, list.all[min(30, offset):], got)
		}
	}
}
