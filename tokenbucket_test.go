package clerkorg

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/clerkorg/clerkorg-go/internal/ledger"
)

var hourly = Quota{Name: "test.hourly", Limit: 3, Window: time.Hour}

func acquire(t *testing.T, b *TokenBucket, wait time.Duration) Reservation {
	t.Helper()
	token, err := b.Acquire(t.Context(), ReservationRequest{Quota: hourly, MaxWait: wait})
	require.NoError(t, err)
	return token
}

func TestBucketTokenReturns(t *testing.T) {
	for outcome, back := range map[RequestOutcome]time.Duration{
		RequestNotSent:    0,
		RequestAnswered:   time.Hour + 5*time.Second,
		RequestUnanswered: time.Hour + 65*time.Second,
	} {
		synctest.Test(t, func(t *testing.T) {
			b := NewTokenBucket()
			var last Reservation
			for left := 2; left >= 0; left-- {
				last = acquire(t, b, 0)
				assert.Equal(t, left, last.Left)
			}
			time.Sleep(time.Minute)
			require.NoError(t, b.Settle(t.Context(), last, outcome))
			start := time.Now()
			acquire(t, b, forever)
			assert.Equal(t, back, time.Since(start))
		})
	}
}

func TestBucketRefusesHopelessWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewTokenBucket()
		for range 3 {
			token := acquire(t, b, 0)
			require.NoError(t, b.Settle(t.Context(), token, RequestAnswered))
			time.Sleep(time.Minute)
		}
		start := time.Now()
		_, err := b.Acquire(t.Context(), ReservationRequest{Quota: hourly, MaxWait: 57 * time.Minute})
		limited, ok := errors.AsType[*RateLimitError](err)
		require.True(t, ok)
		assert.Equal(t, 57*time.Minute+5*time.Second, limited.RetryAfter)
		assert.Equal(t, hourly, limited.Quota)
		assert.ErrorIs(t, err, ErrRateLimited)
		assert.NotErrorIs(t, err, context.DeadlineExceeded)

		ctx, cancel := context.WithTimeout(t.Context(), 57*time.Minute)
		defer cancel()
		_, err = b.Acquire(ctx, ReservationRequest{Quota: hourly, MaxWait: forever})
		assert.ErrorIs(t, err, ErrRateLimited)
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Zero(t, time.Since(start), "both are told at once")

		// One waiter may have the first token; the second one's turn is a minute later.
		go func() { _, _ = b.Acquire(t.Context(), ReservationRequest{Quota: hourly, MaxWait: forever}) }()
		synctest.Wait()
		_, err = b.Acquire(t.Context(), ReservationRequest{Quota: hourly, MaxWait: 57*time.Minute + 30*time.Second})
		limited, ok = errors.AsType[*RateLimitError](err)
		require.True(t, ok)
		assert.Equal(t, 58*time.Minute+5*time.Second, limited.RetryAfter)
	})
}

func TestBucketWaitBecomesHopeless(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewTokenBucket()
		var tokens []Reservation
		for range 3 {
			tokens = append(tokens, acquire(t, b, 0))
		}
		errs := make(chan error, 1)
		go func() {
			_, err := b.Acquire(t.Context(), ReservationRequest{Quota: hourly, MaxWait: time.Hour + time.Minute})
			errs <- err
		}()
		time.Sleep(2 * time.Minute)
		for _, token := range tokens { // the best that can happen now is too late
			require.NoError(t, b.Settle(t.Context(), token, RequestAnswered))
		}
		synctest.Wait()
		select {
		case err := <-errs:
			assert.ErrorIs(t, err, ErrRateLimited)
		default:
			t.Fatal("it still waits")
		}
	})
}

func TestBucketClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewTokenBucket()
		start := time.Now()
		require.NoError(t, b.CloseUntil(t.Context(), hourly, start.Add(time.Minute)))
		state, err := b.State(t.Context(), hourly)
		require.NoError(t, err)
		assert.Equal(t, 0, state.Available)
		assert.True(t, state.ClosedUntil.Equal(start.Add(time.Minute)))
		assert.True(t, state.NextAt.Equal(start.Add(time.Minute)))
		_, err = b.Acquire(t.Context(), ReservationRequest{Quota: hourly, MaxWait: 59 * time.Second})
		assert.ErrorIs(t, err, ErrRateLimited)
		acquire(t, b, time.Minute)
		assert.Equal(t, time.Minute, time.Since(start))
	})
}

func TestBucketCancelledWaitSpendsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewTokenBucket()
		for range 3 {
			require.NoError(t, b.Settle(t.Context(), acquire(t, b, 0), RequestAnswered))
		}
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() {
				_, err := b.Acquire(ctx, ReservationRequest{Quota: hourly, MaxWait: forever})
				assert.ErrorIs(t, err, context.Canceled)
			})
		}
		time.Sleep(time.Minute)
		cancel()
		wg.Wait()
		time.Sleep(time.Hour)
		state, err := b.State(t.Context(), hourly)
		require.NoError(t, err)
		assert.Equal(t, 3, state.Available)
		assert.Nil(t, (*b.ledgers.Load())[hourly.Name].timer, "nobody waits, no timer")
		_, err = b.Acquire(ctx, ReservationRequest{Quota: hourly})
		assert.ErrorIs(t, err, context.Canceled)
	})
}

func TestBucketServesInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewTokenBucket()
		for range 3 {
			require.NoError(t, b.Settle(t.Context(), acquire(t, b, 0), RequestAnswered))
			time.Sleep(time.Minute)
		}
		var order []int
		var mu sync.Mutex
		var wg sync.WaitGroup
		wait := func(id, reserve int) {
			wg.Go(func() {
				token, err := b.Acquire(t.Context(), ReservationRequest{Quota: hourly, MaxWait: forever, Reserve: reserve})
				if !assert.NoError(t, err) {
					return
				}
				mu.Lock()
				order = append(order, id)
				mu.Unlock()
				assert.NoError(t, b.Settle(t.Context(), token, RequestAnswered))
			})
			synctest.Wait()
		}
		wait(10, 1)
		wait(11, 1)
		for id := range 6 {
			wait(id, 0)
		}
		wg.Wait()
		assert.Equal(t, []int{0, 1, 2, 3, 4, 5, 10, 11}, order, "those who leave a reserve come last")
	})
}

// TestBucketMoreWaitersThanTokens: who comes after a window's worth of others has
// a turn too, in a later round.
func TestBucketMoreWaitersThanTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewTokenBucket()
		start := time.Now()
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() {
				token, err := b.Acquire(t.Context(), ReservationRequest{Quota: hourly, MaxWait: 4 * time.Hour})
				if assert.NoError(t, err) {
					assert.NoError(t, b.Settle(t.Context(), token, RequestAnswered))
				}
			})
		}
		synctest.Wait()
		_, err := b.Acquire(t.Context(), ReservationRequest{Quota: hourly, MaxWait: time.Hour})
		limited, ok := errors.AsType[*RateLimitError](err)
		require.True(t, ok)
		assert.Equal(t, 3*(time.Hour+5*time.Second), limited.RetryAfter, "7 wait for 3 tokens")
		wg.Wait()
		assert.Equal(t, 3*(time.Hour+5*time.Second), time.Since(start))

		_, err = b.Acquire(t.Context(), ReservationRequest{Quota: hourly, MaxWait: time.Hour, Reserve: 3})
		assert.ErrorIs(t, err, ErrRateLimited, "that many are never left")
	})
}

func TestBucketSeed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewTokenBucket()
		time.Sleep(time.Minute)
		now := time.Now()
		times := []time.Time{now.Add(-10 * time.Minute), now.Add(-59 * time.Minute), now.Add(-3 * time.Hour), now.Add(time.Second)}
		for range 2 { // telling it twice changes nothing
			require.NoError(t, b.Seed(t.Context(), hourly, times...))
			state, err := b.State(t.Context(), hourly)
			require.NoError(t, err)
			assert.Equal(t, 1, state.Available)
			assert.True(t, state.NextAt.Equal(now.Add(time.Minute+5*time.Second)), state.NextAt)
		}
	})
}

func TestBucketChangesLimits(t *testing.T) {
	b := NewTokenBucket()
	acquire(t, b, 0)
	more := hourly
	more.Limit = 10
	token, err := b.Acquire(t.Context(), ReservationRequest{Quota: more})
	require.NoError(t, err)
	assert.Equal(t, 8, token.Left)
}

func TestBucketRejectsForeignTokens(t *testing.T) {
	a, b := NewTokenBucket(), NewTokenBucket()
	token := acquire(t, a, 0)
	assert.Error(t, b.Settle(t.Context(), token, RequestAnswered))
	assert.Error(t, b.Settle(t.Context(), Reservation{}, RequestAnswered))
	assert.Error(t, a.Settle(t.Context(), token, 0))
	assert.NoError(t, a.Settle(t.Context(), token, RequestNotSent))
}

// TestBucketUnderContention has 100 goroutines take, settle and give up at once.
func TestBucketUnderContention(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewTokenBucket()
		quota := Quota{Name: "many", Limit: 50, Window: time.Minute}
		var wg sync.WaitGroup
		var mu sync.Mutex
		var sent []time.Time
		for g := range 100 {
			wg.Go(func() {
				for i := range 20 {
					ctx, cancel := context.WithTimeout(t.Context(), time.Duration(1+(g+i)%7)*10*time.Minute)
					token, err := b.Acquire(ctx, ReservationRequest{Quota: quota, MaxWait: forever})
					if err == nil {
						mu.Lock()
						sent = append(sent, time.Now())
						mu.Unlock()
						time.Sleep(time.Duration(g) * time.Millisecond)
						outcome := RequestAnswered
						if i%5 == 0 {
							outcome = RequestUnanswered
						}
						assert.NoError(t, b.Settle(ctx, token, outcome))
					}
					cancel()
				}
			})
		}
		wg.Wait()
		require.Greater(t, len(sent), 500)
		for i := range sent {
			if i >= quota.Limit {
				require.GreaterOrEqual(t, sent[i].Sub(sent[i-quota.Limit]), quota.Window)
			}
		}
	})
}

func TestUnlimited(t *testing.T) {
	l := Unlimited()
	for range 100 {
		token, err := l.Acquire(t.Context(), ReservationRequest{Quota: hourly})
		require.NoError(t, err)
		require.NoError(t, l.Settle(t.Context(), token, RequestAnswered))
	}
	require.NoError(t, l.CloseUntil(t.Context(), hourly, time.Now().Add(time.Hour)))
	state, err := l.State(t.Context(), hourly)
	require.NoError(t, err)
	assert.Equal(t, QuotaState{Quota: hourly, Available: 3}, state)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = l.Acquire(ctx, ReservationRequest{Quota: hourly})
	assert.ErrorIs(t, err, context.Canceled)
}

// BenchmarkTokenBucket takes and settles tokens, so many goroutines at a time.
// Tokens of answered requests would come back only after the benchmark, so its
// memory, which the limit bounds in life, is emptied now and then, as if a window
// had passed.
func BenchmarkTokenBucket(b *testing.B) {
	for name, outcome := range map[string]RequestOutcome{"NotSent": RequestNotSent, "Answered": RequestAnswered} {
		for _, goroutines := range []int{1, 16, 256} {
			b.Run(fmt.Sprint(name, "/", goroutines), func(b *testing.B) {
				bucket := NewTokenBucket()
				quota := Quota{Name: "bench", Limit: math.MaxInt32, Window: time.Hour}
				ctx := context.Background()
				of := bucket.of(quota)
				b.ReportAllocs()
				perGoroutine := b.N/goroutines + 1
				b.ResetTimer()
				var wg sync.WaitGroup
				for range goroutines {
					wg.Go(func() {
						for calls := range perGoroutine {
							if calls%2000 == 1999 {
								of.lock()
								of.memory = ledger.Ledger{Limit: quota.Limit, Window: quota.Window}
								of.unlock()
							}
							token, err := bucket.Acquire(ctx, ReservationRequest{Quota: quota})
							if err == nil {
								err = bucket.Settle(ctx, token, outcome)
							}
							if err != nil {
								b.Error(err)
								return
							}
						}
					})
				}
				wg.Wait()
			})
		}
	}
}
