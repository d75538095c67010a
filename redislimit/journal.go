package redislimit

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/clerkorg/clerkorg-go"
)

const (
	// batchSize and seedBatch are how many settlements or seeds one script is told at
	// the most, so that none keeps Redis busy for long.
	batchSize = 24
	seedBatch = 12

	// maxSettlements bounds what a journal holds, of what is told and what is not. A
	// token is granted at most Limit times in a window, so no real quota comes near.
	// Of more, the oldest are dropped: Redis holds their tokens until it gives them up.
	maxSettlements = 1 << 14
)

// settlement is the outcome of the request of a token, or zero while that is out.
type settlement struct {
	token   string
	outcome clerkorg.RequestOutcome
	at      time.Time // when it was settled, or taken
}

// seed is a request of another client's.
type seed struct {
	at  int64 // in microseconds of the server's clock
	nth int   // of the requests at that very moment, from 1
}

func (s seed) compare(other seed) int {
	return cmp.Or(cmp.Compare(s.at, other.at), cmp.Compare(s.nth, other.nth))
}

// journal is what a process knows of its tokens of one quota: what Redis has not been
// told yet, and what it has to be told again should it lose its memory.
type journal struct {
	now func() time.Time

	// turn holds a value while a script that carries news is under way, so that Redis
	// is told in the order in which things happened.
	turn chan struct{}

	mu       sync.Mutex
	inFlight map[string]time.Time // tokens that are not settled, and when they were taken
	sweepAt  int                  // the length of inFlight at which abandoned tokens are forgotten
	untold   []settlement
	told     []settlement // those that count still
	seeds    []seed       // likewise

	closed      time.Time // until when the server has closed the quota
	guarded     bool      // whether it ever has
	closeUntold bool

	witness settlement // the last token that Redis granted
	lost    bool       // whether Redis has to be told everything again
	losses  int        // how often it had to be
}

func newJournal(now func() time.Time) *journal {
	return &journal{now: now, turn: make(chan struct{}, 1), inFlight: map[string]time.Time{}}
}

// memory is how long Redis remembers a request at the most.
func (l *Limiter) memory(q clerkorg.Quota) time.Duration {
	if q.Window >= shortestGuarded {
		return 2*q.Window + l.slack + l.late
	}
	return q.Window + l.slack + l.late
}

// shortestGuarded is the shortest window that the guard is kept for, as in the scripts.
const shortestGuarded = time.Minute

// took notes a token. Redis is expected to know those that it granted itself.
func (j *journal) took(token string, byRedis bool, memory time.Duration) {
	j.mu.Lock()
	defer j.mu.Unlock()
	now := j.now()
	if len(j.inFlight) >= j.sweepAt {
		for token, taken := range j.inFlight {
			if now.Sub(taken) > memory {
				delete(j.inFlight, token)
			}
		}
		j.sweepAt = 2*len(j.inFlight) + batchSize
	}
	j.inFlight[token] = now
	if byRedis {
		j.witness = settlement{token: token, at: now}
	}
}

// forget drops a token that Redis need not be told of.
func (j *journal) forget(token string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	delete(j.inFlight, token)
}

// settle notes the outcome of a request, which Redis has to be told.
func (j *journal) settle(token string, outcome clerkorg.RequestOutcome, memory time.Duration) {
	j.mu.Lock()
	defer j.mu.Unlock()
	delete(j.inFlight, token)
	if token == j.witness.token && outcome == clerkorg.RequestNotSent {
		j.witness = settlement{} // Redis is going to forget it
		if n := len(j.told); n > 0 {
			j.witness = j.told[n-1]
		}
	}
	if len(j.turn) == 0 { // or the first of them are being told
		j.untold = j.recent(j.untold, memory)
	}
	j.untold = append(j.untold, settlement{token, outcome, j.now()})
}

// recent drops from the front what is too old to matter, or too much.
func (j *journal) recent(all []settlement, memory time.Duration) []settlement {
	for now := j.now(); len(all) > 0 && (now.Sub(all[0].at) > memory || len(all) >= maxSettlements); {
		all = all[1:]
	}
	return all
}

// close notes that the server closed the quota, and reports whether it is the first time.
func (j *journal) close(until time.Time, told bool) (first bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	first = !j.guarded
	if until.After(j.closed) {
		j.closed = until
	}
	j.guarded = true
	j.closeUntold = !told
	return first
}

// seed notes what Redis was told of other clients' requests.
func (j *journal) seed(seeds []seed) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.seeds = slices.Compact(slices.SortedFunc(slices.Values(append(j.seeds, seeds...)), seed.compare))
}

// expected returns a token that Redis must know, or nothing where none is to be
// expected, and a number for [journal.lose].
func (j *journal) expected(window time.Duration) (witness string, losses int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.now().Sub(j.witness.at) < window {
		witness = j.witness.token
	}
	return witness, j.losses
}

// lose notes that Redis did not know the token it was expected to, and reports whether
// no other caller has noted that since.
func (j *journal) lose(losses int) (noted bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if losses != j.losses {
		return false
	}
	j.losses++
	j.lost = true
	return true
}

// behind reports whether Redis knows too little to grant a token: it has lost its
// memory, or there is more news than the script that takes the token carries.
func (j *journal) behind() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.lost || len(j.untold) > batchSize
}

// tells reports whether there is anything to tell Redis, of what it would remember.
func (j *journal) tells(memory time.Duration) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.turn) == 0 {
		j.untold = j.recent(j.untold, memory)
		j.closeUntold = j.closeUntold && j.now().Sub(j.closed) < memory
	}
	return len(j.untold) > 0 || j.closeUntold || j.lost
}

// returned is how many of the tokens that Redis counts as in flight are free.
func (j *journal) returned() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	n := 0
	for _, s := range j.untold {
		if s.outcome == clerkorg.RequestNotSent {
			n++
		}
	}
	return n
}

// news is what a script tells Redis, beside what it is there for.
type news struct {
	settlements []settlement
	closing     bool
	closed      time.Time
}

func (n news) empty() bool { return len(n.settlements) == 0 && !n.closing }

// closeFor is an argument of scripts: how long from now the quota is to be closed, or
// nothing.
func (n news) closeFor(now time.Time) any {
	if !n.closing {
		return ""
	}
	return micros(max(0, n.closed.Sub(now)))
}

// append appends the settlements, as they look at now, to the arguments of a script.
func (n news) append(args []any, now time.Time, late time.Duration) []any {
	for _, s := range n.settlements {
		var moment any = "" // the request never left
		switch s.outcome {
		case 0:
			moment = "f" + strconv.FormatInt(micros(s.at.Sub(now)+late), 10)
		case clerkorg.RequestAnswered:
			moment = micros(s.at.Sub(now))
		case clerkorg.RequestUnanswered:
			moment = micros(s.at.Sub(now) + late)
		}
		args = append(args, s.token, moment)
	}
	return args
}

// await waits for the turn to tell news.
func (j *journal) await(ctx context.Context) error {
	select {
	case j.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// try takes the turn if it is free.
func (j *journal) try() bool {
	select {
	case j.turn <- struct{}{}:
		return true
	default:
		return false
	}
}

func (j *journal) release() { <-j.turn }

// next is what Redis is to be told next. It takes the turn to ask for it.
func (j *journal) next() news {
	j.mu.Lock()
	defer j.mu.Unlock()
	n := min(len(j.untold), batchSize)
	return news{slices.Clone(j.untold[:n]), j.closeUntold, j.closed}
}

// confirm notes that Redis has been told. It takes the turn too.
func (j *journal) confirm(n news, memory time.Duration) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.untold = j.untold[len(n.settlements):]
	j.told = j.recent(j.told, memory)
	for _, s := range n.settlements {
		if s.outcome == clerkorg.RequestAnswered || s.outcome == clerkorg.RequestUnanswered {
			j.told = append(j.told, s)
		}
	}
	if n.closing && j.closed.Equal(n.closed) {
		j.closeUntold = false
	}
}

// restore makes news of everything that a Redis without its memory does not know,
// and returns the seeds that it has to be told first. It takes the turn too.
func (j *journal) restore(memory time.Duration) (seeds []seed, lost bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if !j.lost {
		return nil, false
	}
	all := slices.Clone(j.recent(j.told, memory))
	for token, at := range j.inFlight {
		all = append(all, settlement{token: token, at: at})
	}
	j.untold, j.told = append(all, j.untold...), nil
	j.closeUntold = j.guarded
	oldest := j.now().Add(-memory).UnixMicro()
	j.seeds = slices.DeleteFunc(j.seeds, func(s seed) bool { return s.at < oldest })
	j.lost = false
	return slices.Clone(j.seeds), true
}

// restoreAgain notes that the seeds could not be told.
func (j *journal) restoreAgain() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.lost = true
}
