package redislimit

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/clerkorg/clerkorg-go"
)

var (
	//go:embed lua/common.lua
	commonLua string
	//go:embed lua/ledger.lua
	ledgerLua string
	//go:embed lua/quick.lua
	quickLua string
	//go:embed lua/grant.lua
	grantLua string
	//go:embed lua/take.lua
	takeLua string
	//go:embed lua/settle.lua
	settleLua string
	//go:embed lua/close.lua
	closeLua string
	//go:embed lua/seed.lua
	seedLua string
	//go:embed lua/state.lua
	stateLua string
)

// scripts are the steps, each of which Redis runs as one.
var scripts = struct{ take, settle, close, seed, state *redis.Script }{
	take: redis.NewScript(commonLua + quickLua +
		"local function grant(KEYS, ARGV)\n" + ledgerLua + grantLua + "\nend\n" + takeLua),
	settle: redis.NewScript(commonLua + ledgerLua + settleLua),
	close:  redis.NewScript(commonLua + ledgerLua + closeLua),
	seed:   redis.NewScript(commonLua + ledgerLua + seedLua),
	state:  redis.NewScript(commonLua + ledgerLua + stateLua),
}

// heedsContexts reports whether a client ends a round trip when its context does:
// by default those of go-redis do not.
func heedsContexts(client redis.UniversalClient) bool {
	switch c := client.(type) {
	case *redis.Client:
		return c.Options().ContextTimeoutEnabled
	case *redis.ClusterClient:
		return c.Options().ContextTimeoutEnabled
	case *redis.Ring:
		return c.Options().ContextTimeoutEnabled
	}
	return false
}

// roundTrip runs a script, and does not wait for its reply longer than ctx.
func (l *Limiter) roundTrip(ctx context.Context, script *redis.Script, keys []string, args []any) ([]int64, error) {
	if l.heeds {
		return script.Run(ctx, l.redis, keys, args...).Int64Slice()
	}
	// Where Redis hangs, this goroutine lives on until the client's own ReadTimeout.
	done := make(chan *redis.Cmd, 1)
	go func() { done <- script.Run(ctx, l.redis, keys, args...) }()
	select {
	case cmd := <-done:
		return cmd.Int64Slice()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// keys are those of a quota. The braces put all quotas of an owner into one slot of a
// cluster.
func (l *Limiter) keys(q clerkorg.Quota) []string {
	owner := l.prefix + "{" + l.owner + "}:"
	return []string{owner + "state:" + q.Name, owner + "requests:" + q.Name, owner + "line:" + q.Name}
}

// run runs a script whose reply has so many numbers, unless Redis is left alone. The
// first of args is the witness, or empty. Once the script is sent, the end of ctx does
// not break it off, since whether it ran would not be known.
func (l *Limiter) run(ctx context.Context, patience time.Duration, script *redis.Script, q clerkorg.Quota, numbers int, args ...any) ([]int64, error) {
	return l.exec(ctx, patience, script, l.keys(q), numbers, append(l.preamble(q), args...))
}

// preamble is what the arguments of a script begin with.
func (l *Limiter) preamble(q clerkorg.Quota) []any {
	return []any{q.Limit, micros(q.Window), micros(l.slack), micros(l.late)}
}

func (l *Limiter) exec(ctx context.Context, patience time.Duration, script *redis.Script, keys []string, numbers int, args []any) ([]int64, error) {
	if err := l.health.ask(ctx, patience); err != nil {
		if f, ok := errors.AsType[*failure](err); ok {
			return nil, &failure{text: f.text, err: f.err, unsent: true}
		}
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), l.timeout)
	defer cancel()
	reply, err := l.roundTrip(ctx, script, keys, args)
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		err = &failure{text: fmt.Sprintf("Redis did not answer within %s", l.timeout)}
	case err != nil:
		err = l.newFailure(err)
	case len(reply) < numbers:
		err = &failure{text: fmt.Sprintf("Redis answered with %d numbers", len(reply))}
	}
	lost, recovered := l.health.report(err)
	l.noteHealth(err, lost, recovered)
	if recovered {
		l.flushSoon(0)
	}
	return reply, err
}

// take takes a token, or returns how long to wait for it. It tells Redis news by the
// same script.
func (l *Limiter) take(ctx context.Context, w *waiter, id string, ahead int) (wait time.Duration, left int, err error) {
	for tries := 0; ; tries++ {
		if w.line.behind() {
			if err := l.catchUp(ctx, w.line, l.patience(w)); err != nil {
				return 0, 0, err
			}
		}
		witness, losses := w.line.expected(w.quota.Window + l.slack)
		if tries == 2 {
			witness = "" // Redis forgets what it was told just now; do not try for ever
		}
		reply, err := l.tryTake(ctx, w, witness, id, ahead)
		if err != nil {
			return 0, 0, err
		}
		if reply[0] < 0 {
			l.noteLoss(w.line, losses)
			continue
		}
		w.front, w.place = 0, 0
		if len(reply) > 4 {
			switch reply[0] {
			case 2:
				w.front = reply[4]
			case 0:
				w.place = reply[4]
			}
		}
		switch {
		case reply[0] == 1:
			w.line.took(id, true, l.memory(w.quota))
			return 0, int(reply[1]), nil
		case reply[1] < 0:
			return never, 0, nil
		default:
			return duration(reply[1]), 0, nil
		}
	}
}

// patience is how long a caller waits to hear from a probe whether Redis works: not at
// all where it can do without, else as long as for a token, and at least as long as a
// working Redis takes to answer.
func (l *Limiter) patience(w *waiter) time.Duration {
	if _, ok := l.share(w.quota); ok {
		return 0
	}
	return max(w.patience(), l.timeout/4)
}

// tryTake runs the script that takes a token. It carries news, unless another script
// does.
func (l *Limiter) tryTake(ctx context.Context, w *waiter, witness, id string, ahead int) ([]int64, error) {
	var told news
	turn := w.line.try()
	if turn {
		defer w.line.release()
		told = w.line.next()
	}
	now := l.now()
	args := append([]any{0}, l.preamble(w.quota)...)
	args = told.append(append(append(args, witness, id), w.arguments(ahead, told.closeFor(now))...), now, l.late)
	args[0] = len(args) - 1
	reply, err := l.exec(ctx, l.patience(w), scripts.take, l.keys(w.quota), 2, args)
	if err != nil {
		if f, ok := errors.AsType[*failure](err); ok && !f.unsent {
			// The script may have run all the same.
			w.line.settle(id, clerkorg.RequestNotSent, l.memory(w.quota))
			l.flushSoon(flushAfter)
		}
		return nil, err
	}
	if turn {
		w.line.confirm(told, l.memory(w.quota))
	}
	return reply, nil
}

// micros rounds up: a token must not come back too early.
func micros(d time.Duration) int64 {
	rest := d % time.Microsecond
	if rest > 0 {
		return int64(d/time.Microsecond) + 1
	}
	return int64(d / time.Microsecond)
}

func duration(micros int64) time.Duration { return time.Duration(micros) * time.Microsecond }
