package clerkorg

import (
	"iter"
	"runtime"
	"sync"
	"time"
)

// Numbers that shape how inputs are pulled.
const (
	// maxPulled is how many inputs are pulled ahead of the run that takes them.
	maxPulled = 256

	// quietAfter is how long a sequence may pause before the run goes on with the
	// inputs that are there, instead of waiting for more of them.
	quietAfter = 100 * time.Millisecond

	// stopGrace is how long the end of a run waits for a sequence that is at work.
	stopGrace = time.Second
)

// feed pulls the inputs of a run from the caller's sequence, in a goroutine of its
// own: a sequence that blocks holds nothing up. It checks and encodes each input
// before it pulls the next one, so that a sequence may reuse what it yields.
type feed struct {
	wake chan struct{} // has an element when inputs were pulled, or the sequence ended
	done chan struct{} // closed when the goroutine has ended

	mu      sync.Mutex
	room    sync.Cond // signaled when inputs were taken, or the run ended
	pulled  []input
	last    time.Time // when the last one was pulled
	ended   bool      // no input follows those in pulled
	stopped bool      // no input is wanted
	parked  bool      // the sequence waits for room
	failure func()    // carries a panic of the sequence over to the goroutine that ranges
}

// input is one input as it was pulled: a row, and why it cannot be sent, if so.
type input struct {
	row *row
	err error
}

func newFeed(invitations iter.Seq[CreateInvitationParams]) *feed {
	f := &feed{wake: make(chan struct{}, 1), done: make(chan struct{}), last: time.Now()}
	f.room.L = &f.mu
	go f.pull(invitations)
	return f
}

func (f *feed) pull(invitations iter.Seq[CreateInvitationParams]) {
	completed := false
	defer func() {
		failure := recover()
		f.mu.Lock()
		defer f.mu.Unlock()
		switch {
		case failure != nil:
			f.failure = func() { panic(failure) }
		case !completed:
			f.failure = runtime.Goexit
		}
		f.ended = true
		f.notify()
		close(f.done)
	}()
	index := 0
	for params := range invitations {
		if !f.push(readInput(index, &params)) {
			break
		}
		index++
	}
	completed = true
}

// readInput checks an input, and encodes its metadata.
func readInput(index int, params *CreateInvitationParams) input {
	var p problems
	wire, _ := p.invitation(index, params, nil, nil)
	if params.Notify != nil {
		wire.Notify = new(*params.Notify)
	}
	return input{row: &row{index: index, wire: wire}, err: p.err()}
}

// push hands an input to the run, and reports whether another one is wanted.
func (f *feed) push(in input) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	for f.full() && !f.stopped {
		f.parked = true
		f.room.Wait()
		f.parked = false
	}
	if f.stopped {
		return false
	}
	f.pulled = append(f.pulled, in)
	f.last = time.Now()
	f.notify()
	return true
}

func (f *feed) notify() {
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// take returns at most n inputs, and whether no more will come after them. A panic
// of the sequence goes on here.
func (f *feed) take(n int) (taken []input, ended bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	n = min(n, len(f.pulled))
	if n > 0 && f.full() {
		f.last = time.Now() // the sequence goes on
	}
	taken, f.pulled = f.pulled[:n:n], f.pulled[n:]
	f.room.Signal()
	if f.ended && len(f.pulled) == 0 && f.failure != nil {
		defer f.failure()
	}
	return taken, f.ended && len(f.pulled) == 0
}

// full reports whether the sequence waits until inputs are taken. The caller holds f.mu.
func (f *feed) full() bool { return len(f.pulled) >= maxPulled }

// waiting tells how many inputs wait to be taken, and whether these are the last ones.
func (f *feed) waiting() (n int, ended bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.pulled), f.ended
}

// quietAt is when the sequence is quiet unless it yields before; zero where it waits
// itself, or has ended.
func (f *feed) quietAt() time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.full() || f.ended {
		return time.Time{}
	}
	return f.last.Add(quietAfter)
}

// stop ends the pulling. A sequence that is at work gets a moment to notice, so that
// it does not run beside what the caller does next; one that blocks is left behind.
func (f *feed) stop(grace time.Duration) {
	f.mu.Lock()
	f.stopped = true
	f.room.Signal()
	parked := f.parked
	f.mu.Unlock()
	if parked {
		grace = stopGrace
	}
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-f.done:
	case <-timer.C:
	}
}
