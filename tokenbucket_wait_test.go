package clerkorg

import (
	"context"
	"errors"
	"math"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestBucketGivesUpInTime: a waiter behind others is refused after its MaxWait, with
// the rest of the wait in its error.
func TestBucketGivesUpInTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := NewTokenBucket()
		var held []Reservation
		for range 3 {
			held = append(held, acquire(t, b, 0))
		}
		patient := func() {
			_, err := b.Acquire(t.Context(), ReservationRequest{Quota: hourly, MaxWait: forever})
			assert.NoError(t, err)
		}
		go patient()
		synctest.Wait()
		start := time.Now()
		told := make(chan time.Duration, 1)
		go func() {
			_, err := b.Acquire(t.Context(), ReservationRequest{Quota: hourly, MaxWait: time.Hour + 10*time.Second})
			limited, _ := errors.AsType[*RateLimitError](err)
			assert.Equal(t, time.Minute+55*time.Second, limited.RetryAfter, "the second token comes back after 1 h 2 min 5 s")
			told <- time.Since(start)
		}()
		synctest.Wait()
		go patient() // behind
		for range 2 {
			time.Sleep(time.Minute)
			require.NoError(t, b.Settle(t.Context(), held[0], RequestAnswered))
			held = held[1:]
		}
		require.NoError(t, b.Settle(t.Context(), held[0], RequestAnswered))
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		assert.Equal(t, time.Hour+10*time.Second, <-told)
		assert.True(t, b.of(hourly).queue.empty())
	})
}

// TestBucketTellsAllOfAClosedQuota: a waiter whose turn comes too late because of a
// 429 is refused at once, wherever in the queue it is.
func TestBucketTellsAllOfAClosedQuota(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := NewTokenBucket()
		quota := Quota{Name: "wide", Limit: 20, Window: time.Hour}
		for range quota.Limit {
			reservation, err := b.Acquire(t.Context(), ReservationRequest{Quota: quota})
			require.NoError(t, err)
			require.NoError(t, b.Settle(t.Context(), reservation, RequestAnswered))
		}
		start := time.Now()
		waits := []time.Duration{forever, 2 * time.Hour, forever, 2 * time.Hour, 4 * time.Hour, 2 * time.Hour, 4 * time.Hour}
		took := make([]time.Duration, len(waits))
		for i, wait := range waits {
			go func() {
				_, err := b.Acquire(t.Context(), ReservationRequest{Quota: quota, MaxWait: wait, Reserve: i % 2})
				if assert.Equal(t, wait != 2*time.Hour, err == nil, "waiter %d: %v", i, err) {
					took[i] = time.Since(start)
				}
			}()
			synctest.Wait()
		}
		time.Sleep(time.Minute)
		require.NoError(t, b.CloseUntil(t.Context(), quota, time.Now().Add(2*time.Hour)))
		synctest.Wait()
		for i, wait := range waits {
			assert.Equal(t, wait == 2*time.Hour, took[i] == time.Minute, "waiter %d", i)
		}
		time.Sleep(5 * time.Hour)
		synctest.Wait()
		assert.NotContains(t, took, time.Duration(0))
	})
}

// TestBucketDecidedTooLate: the token of a waiter whose context ends at the same
// moment goes to the next one; a refused waiter leaves none.
func TestBucketDecidedTooLate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := NewTokenBucket()
		var held []Reservation
		for range 3 {
			held = append(held, acquire(t, b, 0))
		}
		l := b.of(hourly)
		wait := func(most time.Duration) *waiter {
			l.lock()
			defer l.unlock()
			w, err := l.enqueue(t.Context(), ReservationRequest{Quota: hourly, MaxWait: most})
			require.NoError(t, err)
			return w
		}
		first, second, third := wait(forever), wait(forever), wait(2*time.Hour)
		require.NoError(t, b.Settle(t.Context(), held[0], RequestNotSent))
		assert.NotNil(t, first.reservation.ledger)
		assert.Nil(t, second.reservation.ledger)
		l.abandon(first)
		assert.NotNil(t, second.reservation.ledger)

		require.NoError(t, b.CloseUntil(t.Context(), hourly, time.Now().Add(3*time.Hour)))
		require.Error(t, third.err)
		l.abandon(third)
		l.lock()
		assert.Equal(t, 0, l.memory.Left(), "two are in flight, and one has the second waiter")
		l.unlock()
		reservation, err := l.giveUp(second)
		require.NoError(t, err, "it was served in time")
		assert.Equal(t, second.reservation, reservation)
	})
}

// TestBucketCancelledBehind: cancelling the first waiter, or one behind it, moves
// only those after it.
func TestBucketCancelledBehind(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := NewTokenBucket()
		for range 3 {
			require.NoError(t, b.Settle(t.Context(), acquire(t, b, 0), RequestAnswered))
			time.Sleep(time.Minute)
		}
		start := time.Now()
		var cancels []context.CancelFunc
		served := make([]time.Duration, 4)
		for i := range 4 {
			ctx, cancel := context.WithCancel(t.Context())
			cancels = append(cancels, cancel)
			go func() {
				if _, err := b.Acquire(ctx, ReservationRequest{Quota: hourly, MaxWait: forever}); err == nil {
					served[i] = time.Since(start)
				}
			}()
			synctest.Wait()
		}
		cancels[2]()
		synctest.Wait()
		cancels[0]()
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		assert.Equal(t, []time.Duration{0, 57*time.Minute + 5*time.Second, 0, 58*time.Minute + 5*time.Second}, served)
		cancels[1]()
		cancels[3]()
	})
}

// TestBucketGrowsEvenly: ten times the waiters are ten times the work, whether they
// queue, go in any order, or are served. Were each one's work in proportion to the
// queue's length, it would be a hundred times.
func TestBucketGrowsEvenly(t *testing.T) {
	request := ReservationRequest{Quota: Quota{Name: "many", Limit: 1000, Window: time.Hour}, MaxWait: forever}
	for name, guarded := range map[string]bool{"unguarded": false, "guarded": true} {
		t.Run(name, func(t *testing.T) {
			measure := func(waiters int) [4]time.Duration {
				best := [4]time.Duration{math.MaxInt64, math.MaxInt64, math.MaxInt64, math.MaxInt64}
				for range 5 {
					b := NewTokenBucket()
					var held []Reservation
					for range request.Quota.Limit {
						reservation, err := b.Acquire(t.Context(), request)
						require.NoError(t, err)
						held = append(held, reservation)
					}
					if guarded {
						require.NoError(t, b.CloseUntil(t.Context(), request.Quota, time.Now()))
					}
					l := b.of(request.Quota)
					queue := func() (all []*waiter) {
						for range waiters {
							l.lock()
							w, err := l.enqueue(t.Context(), request)
							l.unlock()
							require.NoError(t, err)
							all = append(all, w)
						}
						return all
					}
					step := func(i int, do func()) {
						start := time.Now()
						do()
						best[i] = min(best[i], time.Since(start))
					}
					var all []*waiter
					step(0, func() { all = queue() })
					step(1, func() {
						for _, w := range all {
							l.abandon(w)
						}
					})
					all = queue()
					step(2, func() {
						for i := range all {
							l.abandon(all[len(all)-1-i])
						}
					})
					all = queue()
					step(3, func() {
						for i := range all {
							require.NoError(t, b.Settle(t.Context(), held[i%len(held)], RequestNotSent))
						}
					})
					require.True(t, l.queue.empty())
					require.NotNil(t, all[len(all)-1].reservation.ledger)
				}
				return best
			}
			// A machine that is busy makes some of the measurements useless, but none that
			// grows with the square ever stays below the bound.
			var few, many [4]time.Duration
			even := func() bool {
				few, many = measure(1_000), measure(10_000)
				return !slices.ContainsFunc([]int{0, 1, 2, 3}, func(i int) bool { return many[i] >= 40*few[i] })
			}
			for try := 1; !even(); try++ {
				require.Less(t, try, 10, "%s for 10,000 against %s for 1,000", many, few)
			}
			t.Logf("queue, cancel the first, cancel the last, serve: %s for 1,000, %s for 10,000", few, many)
		})
	}
}
