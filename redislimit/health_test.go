package redislimit

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/clerkorg/clerkorg-go"
)

// probing is a limiter whose Redis has failed, and which holds the next probe back
// until the test lets it go.
type probing struct {
	l     *Limiter
	began chan struct{}
	let   chan error // how the probe ends
}

func newProbing(t *testing.T) *probing {
	p := &probing{began: make(chan struct{}), let: make(chan error)}
	_, client := newMini(t)
	var once sync.Once
	down := newOutage(errDown)
	client.AddHook(&spy{before: func(redis.Cmder) error {
		err := down.get()
		if err != nil {
			return err
		}
		once.Do(func() {
			close(p.began)
			err = <-p.let
		})
		return err
	}})
	p.l = newTestLimiter(t, client)
	_, err := p.l.Acquire(t.Context(), clerkorg.ReservationRequest{Quota: hourly})
	require.ErrorIs(t, err, errDown)
	down.set(nil)
	p.l.tryAgain()
	return p
}

// atOnce has so many calls take a token, and returns their errors.
func (p *probing) atOnce(ctx context.Context, n int, maxWait time.Duration) chan error {
	ends := make(chan error, n)
	for range n {
		go func() {
			_, err := p.l.Acquire(ctx, clerkorg.ReservationRequest{Quota: hourly, MaxWait: maxWait})
			ends <- err
		}()
	}
	return ends
}

func TestCallsWaitForTheProbe(t *testing.T) {
	t.Parallel()
	for _, maxWait := range []time.Duration{0, time.Minute} {
		p := newProbing(t)
		ends := p.atOnce(t.Context(), 10, maxWait)
		<-p.began
		select { // the others have had time to ask
		case err := <-ends:
			require.Fail(t, "a call did not wait", "%v", err)
		case <-time.After(20 * time.Millisecond):
		}
		p.let <- nil
		for range 10 {
			require.NoError(t, <-ends)
		}
		assert.Equal(t, hourly.Limit-10, available(t, p.l, hourly))
	}
}

func TestCallsHearFromAProbeThatFails(t *testing.T) {
	t.Parallel()
	p := newProbing(t)
	ends := p.atOnce(t.Context(), 10, time.Minute)
	<-p.began
	worse := errors.New("worse")
	p.let <- worse
	for range 10 {
		require.ErrorIs(t, <-ends, clerkorg.ErrLimiterUnavailable)
	}
	_, err := p.l.Acquire(t.Context(), clerkorg.ReservationRequest{Quota: hourly})
	require.ErrorIs(t, err, worse)
}

func TestWaitForTheProbeIsBounded(t *testing.T) {
	t.Parallel()
	p := newProbing(t)
	probe := p.atOnce(t.Context(), 1, time.Minute)
	<-p.began
	ctx, cancel := context.WithCancel(t.Context())
	ends := p.atOnce(ctx, 1, time.Minute)
	cancel()
	require.ErrorIs(t, <-ends, context.Canceled)

	p.l.timeout = 4 * time.Millisecond
	require.ErrorIs(t, <-p.atOnce(t.Context(), 1, 20*time.Millisecond), errDown, "its own wait is over")
	require.ErrorIs(t, <-p.atOnce(t.Context(), 1, 0), errDown, "a quarter of the timeout is over")
	_, err := p.l.Acquire(t.Context(), clerkorg.ReservationRequest{Quota: instant})
	require.NoError(t, err, "what goes on in memory does not wait")
	p.let <- nil
	require.NoError(t, <-probe)
}
