package clerkorg

import (
	"context"
	"fmt"
	"maps"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/clerkorg/clerkorg-go/internal/ledger"
)

// TokenBucket keeps quotas in the memory of one process. Each quota has Limit
// tokens. A token is free again one window + 5 s after its request was answered,
// 60 s later if no answer came, and at once if the request was not sent. So no
// window of the server, wherever it begins, contains more than Limit requests, and
// all Limit are used.
//
// Waiters are served in the order of their arrival, those with a smaller reserve
// first. A 429 closes the quota. It also turns a guard on, for windows of a minute
// or more, which holds back what a server that weighs its previous window refuses.
// The guard turns off after two windows without a 429 and with fewer than Limit
// requests.
//
// A TokenBucket starts no goroutine, and has timers only while callers wait.
type TokenBucket struct {
	birth   time.Time
	ledgers atomic.Pointer[map[string]*bucketLedger]
	mu      sync.Mutex // serializes changes of ledgers

	// remember, if set, is called when an empty record gets its first request.
	remember func()
}

// NewTokenBucket returns a [TokenBucket] with all tokens of every quota free.
// Clients with the same secret key share a bucket without it.
func NewTokenBucket() *TokenBucket {
	b := &TokenBucket{birth: time.Now()}
	b.ledgers.Store(&map[string]*bucketLedger{})
	return b
}

// bucketLedger is one quota of a bucket, with its waiters.
type bucketLedger struct {
	bucket *TokenBucket
	born   time.Duration // when the bucket was first asked for this quota
	quota  atomic.Pointer[Quota]

	// free is how many tokens can be taken without the lock. They are lent by memory
	// while the queue is empty, and reclaimed by lock.
	_    cacheLine // what is only read, what takers write and what settlers write
	free atomic.Int64
	_    cacheLine

	mu     sync.Mutex
	memory ledger.Ledger
	queue  queue
	timer  *time.Timer // for the first waiter; nil while the queue is empty
}

// cacheLine keeps fields that different cores write apart.
type cacheLine [64]byte

// lock takes the lock, and reclaims the tokens that can be taken without it.
func (l *bucketLedger) lock() {
	l.mu.Lock()
	l.memory.Reclaim(int(l.free.Swap(0)))
}

func (l *bucketLedger) unlock() {
	if l.queue.empty() {
		l.free.Store(int64(l.memory.Lend()))
	}
	l.mu.Unlock()
}

// takeFree takes a token without the lock, if there is one, and returns how many
// are left.
func (l *bucketLedger) takeFree(reserve int) (left int, ok bool) {
	for {
		n := l.free.Load()
		if n <= int64(reserve) {
			return 0, false
		}
		if l.free.CompareAndSwap(n, n-1) {
			return int(n - 1), true
		}
	}
}

func (b *TokenBucket) now() time.Duration { return time.Since(b.birth) }

func (b *TokenBucket) time(at time.Duration) time.Time { return b.birth.Add(at) }

// of returns the ledger of a quota.
func (b *TokenBucket) of(q Quota) *bucketLedger {
	l := (*b.ledgers.Load())[q.Name]
	if l == nil {
		l = b.add(q)
	}
	if *l.quota.Load() != q { // clients of one key may have been told different limits
		own := q // q itself stays on the stack
		l.lock()
		l.quota.Store(&own)
		l.memory.Limit, l.memory.Window = q.Limit, q.Window
		l.unlock()
	}
	return l
}

func (b *TokenBucket) add(q Quota) *bucketLedger {
	b.mu.Lock()
	defer b.mu.Unlock()
	old := *b.ledgers.Load()
	if l := old[q.Name]; l != nil {
		return l
	}
	l := &bucketLedger{bucket: b, born: b.now()}
	l.quota.Store(&Quota{})
	all := make(map[string]*bucketLedger, len(old)+1)
	maps.Copy(all, old)
	all[q.Name] = l
	b.ledgers.Store(&all)
	return l
}

// Acquire implements [RateLimiter]. A wait that cannot end within req.MaxWait, or
// before the deadline of ctx, is refused at once with a [*RateLimitError]; in the
// second case errors.Is also finds [context.DeadlineExceeded] in it. A wait that
// becomes too long later, because requests before it are answered late, ends with
// the same error after req.MaxWait at the latest.
func (b *TokenBucket) Acquire(ctx context.Context, req ReservationRequest) (Reservation, error) {
	if err := ctx.Err(); err != nil {
		return Reservation{}, err
	}
	l := b.of(req.Quota)
	if left, ok := l.takeFree(req.Reserve); ok {
		return Reservation{Quota: req.Quota, Left: left, ledger: l}, nil
	}
	l.lock()
	if l.queue.empty() && l.memory.Take(b.now(), req.Reserve) {
		reservation := Reservation{Quota: req.Quota, Left: l.memory.Left(), ledger: l}
		l.unlock()
		return reservation, nil
	}
	w, err := l.enqueue(ctx, req)
	l.unlock()
	if err != nil {
		return Reservation{}, err
	}
	return l.wait(ctx, w)
}

// Settle implements [RateLimiter].
func (b *TokenBucket) Settle(_ context.Context, reservation Reservation, outcome RequestOutcome) error {
	l := reservation.ledger
	if l == nil || l.bucket != b {
		return fmt.Errorf("clerkorg: a reservation of %s that this bucket did not make", reservation.Quota.Name)
	}
	if outcome < RequestNotSent || outcome > RequestUnanswered {
		return fmt.Errorf("clerkorg: outcome %d is unknown", outcome)
	}
	if first := l.settle(outcome); first && b.remember != nil {
		b.remember()
	}
	return nil
}

// settle reports whether the record was empty before.
func (l *bucketLedger) settle(outcome RequestOutcome) (first bool) {
	now := l.bucket.now()
	l.mu.Lock() // the tokens that can be taken without the lock do not matter here
	first = outcome != RequestNotSent && l.memory.Empty()
	switch outcome {
	case RequestNotSent:
		l.memory.Return()
	case RequestAnswered:
		l.memory.Spend(now, now)
	case RequestUnanswered:
		l.memory.Spend(now, now+LateArrival)
	}
	if !l.queue.empty() {
		l.dispatch(now) // the first wait may have become shorter or longer
	}
	l.mu.Unlock()
	return first
}

// CloseUntil implements [RateLimiter]. It also turns the guard on: a refusal
// although a token was free is the sign of a server that weighs its previous
// window, or of another process with the same key.
func (b *TokenBucket) CloseUntil(_ context.Context, quota Quota, until time.Time) error {
	l := b.of(quota)
	l.lock()
	now := b.now()
	l.memory.Close(now, now+time.Until(until))
	l.review(now)
	l.unlock()
	if b.remember != nil {
		b.remember()
	}
	return nil
}

// State implements [RateLimiter].
func (b *TokenBucket) State(_ context.Context, quota Quota) (QuotaState, error) {
	l := b.of(quota)
	l.lock()
	defer l.unlock()
	now := b.now()
	state := QuotaState{Quota: quota}
	// The first tokens belong to the waiters.
	if l.queue.empty() {
		state.Available = l.memory.Available(now)
	}
	next := l.memory.NextReturn(now)
	if state.Available == 0 {
		next = l.turn(now, l.queue.before(math.MaxInt), 0)
	}
	if next > now {
		state.NextAt = b.time(next)
	}
	if closed := l.memory.ClosedUntil(); closed > now {
		state.ClosedUntil = b.time(closed)
	}
	return state, nil
}

// Seed records requests that other processes, or earlier ones, made before the
// first use of the quota here. Each of them holds a token until one window + 5 s
// after its time. Times after that first use are ignored, since the bucket has
// recorded those requests itself, and so are times of an earlier Seed.
func (b *TokenBucket) Seed(_ context.Context, quota Quota, times ...time.Time) error {
	l := b.of(quota)
	moments := make([]time.Duration, 0, len(times))
	for _, t := range times {
		// Round drops the monotonic reading: these times come from elsewhere.
		if at := t.Round(0).Sub(b.birth); at < l.born {
			moments = append(moments, at)
		}
	}
	l.lock()
	now := b.now()
	l.memory.Seed(now, moments)
	remembers := !l.memory.Empty()
	l.review(now)
	l.unlock()
	if remembers && b.remember != nil {
		b.remember()
	}
	return nil
}

// idle reports whether the bucket has nothing on record and no waiters.
func (b *TokenBucket) idle() bool {
	for _, l := range *b.ledgers.Load() {
		l.lock()
		idle := l.memory.Idle(b.now()) && l.queue.empty()
		l.unlock()
		if !idle {
			return false
		}
	}
	return true
}
