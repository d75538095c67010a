package clerkorg

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/clerkorg/clerkorg-go/clerktest"
)

// stops are moments of a run in which the caller ends it: while it reads,
// sends, looks after a call without an outcome, and waits for quota.
var stops = map[string]time.Duration{
	"before":           0,
	"reading":          30 * time.Millisecond,
	"reading members":  230 * time.Millisecond,
	"sending":          430 * time.Millisecond,
	"settling":         1500 * time.Millisecond,
	"looking":          2450 * time.Millisecond,
	"waiting":          30 * time.Minute,
	"the second burst": time.Hour + 6*time.Second,
}

// TestInviteAllStopped ends the context in every phase.
func TestInviteAllStopped(t *testing.T) {
	for phase, after := range stops {
		for _, want := range []error{context.Canceled, context.DeadlineExceeded} {
			t.Run(fmt.Sprintf("%s/want=%s", phase, want), func(t *testing.T) {
				bubble(t, func(t *testing.T, server *clerktest.Server) {
					server.Inject(clerktest.Fault{Operation: clerktest.OpBulk, Calls: []int{2}, Kind: clerktest.FaultResetAfter})
					ctx, cancel := context.WithTimeout(t.Context(), after)
					if errors.Is(want, context.Canceled) {
						var stop context.CancelFunc
						ctx, stop = context.WithCancel(t.Context())
						time.AfterFunc(after, stop)
						defer stop()
					}
					defer cancel()
					start := time.Now()
					results, err := until(t, inMemory(t, server).Organizations.InviteAll(ctx, server.OrganizationID(), slices.Values(crowd(3000, nil)), nil))
					assert.Equal(t, want, err)
					assert.Equal(t, after, time.Since(start), "it did not end at once")
					calls := server.CallCount(clerktest.OpAny)
					time.Sleep(2 * time.Hour)
					assert.LessOrEqual(t, server.CallCount(clerktest.OpAny), calls+12, "more than what was on its way")
					assert.LessOrEqual(t, len(results), invitedBy(server))
				})
			})
		}
	}
}

// TestInviteAllBroken breaks the loop, or panics in it, after so many results.
func TestInviteAllBroken(t *testing.T) {
	for _, after := range []int{1, 10, 100, 740, 760} {
		for _, panics := range []bool{false, true} {
			t.Run(fmt.Sprintf("after=%d/panics=%t", after, panics), func(t *testing.T) {
				bubble(t, func(t *testing.T, server *clerktest.Server) {
					got := 0
					consume := func() {
						for _, err := range inviteAll(t, inMemory(t, server), server, crowd(3000, nil), nil) {
							assert.NoError(t, err)
							if got++; got == after && panics {
								panic("had enough")
							} else if got == after {
								break
							}
						}
					}
					if panics {
						assert.PanicsWithValue(t, "had enough", consume)
					} else {
						consume()
					}
					calls := server.CallCount(clerktest.OpAny)
					time.Sleep(2 * time.Hour)
					assert.LessOrEqual(t, server.CallCount(clerktest.OpAny), calls+12, "more than what was on its way")
					// The next run finds out the outcome of those.
					_, err := until(t, inviteAll(t, inMemory(t, server), server, crowd(3000, nil), nil))
					require.NoError(t, err)
					assertEachOnce(t, server, 3000)
				})
			})
		}
	}
}

// TestInviteAllPanickingCaller panics while it is read, and in OnProgress.
func TestInviteAllPanickingCaller(t *testing.T) {
	bubble(t, func(t *testing.T, server *clerktest.Server) {
		input := func(yield func(CreateInvitationParams) bool) {
			for _, params := range crowd(1500, nil) {
				if !yield(params) {
					return
				}
			}
			panic("no more")
		}
		orgs := inMemory(t, server).Organizations
		assert.PanicsWithValue(t, "no more", func() { _, _ = until(t, orgs.InviteAll(t.Context(), server.OrganizationID(), input, nil)) })
		opts := &InviteAllOptions{OnProgress: func(p Progress) {
			if p.Done > 100 {
				panic("too much")
			}
		}}
		assert.PanicsWithValue(t, "too much", func() {
			_, _ = until(t, orgs.InviteAll(t.Context(), server.OrganizationID(), slices.Values(crowd(1000, nil)), opts))
		})
	})
}

// TestInviteAllLeavesNoGoroutine counts them, outside of a bubble.
func TestInviteAllLeavesNoGoroutine(t *testing.T) {
	server := clerktest.NewServer()
	client := through(t, server, func(req *http.Request, next http.RoundTripper) (*http.Response, error) {
		if req.Method == http.MethodPost {
			<-req.Context().Done()
			return nil, req.Context().Err()
		}
		return next.RoundTrip(req)
	})
	before := runtime.NumGoroutine()
	for range 20 {
		ctx, cancel := context.WithCancel(t.Context())
		bad := append([]CreateInvitationParams{{}}, crowd(200, nil)...)
		for result, err := range client.Organizations.InviteAll(ctx, server.OrganizationID(), slices.Values(bad), nil) {
			if err == nil {
				require.Equal(t, 0, result.Index)
				cancel()
			}
		}
		cancel()
	}
	for range 1000 {
		if runtime.NumGoroutine() <= before {
			return
		}
		runtime.Gosched()
	}
	assert.LessOrEqual(t, runtime.NumGoroutine(), before+5) // other tests have some of their own
}
