package redislimit

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/clerkorg/clerkorg-go"
)

var (
	//go:embed lua/ledger.lua
	ledgerLua string
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

// scripts are the steps, each of which Redis does at one stroke.
var scripts = struct{ take, settle, close, seed, state *redis.Script }{
	take:   redis.NewScript(ledgerLua + takeLua),
	settle: redis.NewScript(ledgerLua + settleLua),
	close:  redis.NewScript(ledgerLua + closeLua),
	seed:   redis.NewScript(ledgerLua + seedLua),
	state:  redis.NewScript(ledgerLua + stateLua),
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
func (l *limiter) roundTrip(ctx context.Context, script *redis.Script, keys []string, args []any) ([]int64, error) {
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

// keys are those of a quota. The braces put them into one slot of a cluster.
func (l *limiter) keys(q clerkorg.Quota) []string {
	state := l.prefix + "{" + l.owner + ":" + strings.ReplaceAll(q.Name, "}", "%7D") + "}"
	return []string{state, state + ":log", state + ":flight"}
}

// run runs a script whose reply has so many numbers, unless Redis is left alone.
func (l *limiter) run(ctx context.Context, script *redis.Script, q clerkorg.Quota, numbers int, args ...any) ([]int64, error) {
	if err := l.health.ask(); err != nil {
		return nil, err
	}
	return l.send(ctx, script, q, numbers, args...)
}

// send sends a script. From here on the end of ctx does not break it off, since
// then nobody would know whether it ran.
func (l *limiter) send(ctx context.Context, script *redis.Script, q clerkorg.Quota, numbers int, args ...any) ([]int64, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), l.timeout)
	defer cancel()
	all := append([]any{q.Limit, micros(q.Window), micros(l.slack), micros(l.late)}, args...)
	reply, err := l.roundTrip(ctx, script, l.keys(q), all)
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		// It is our own, and must not look like that of the call.
		err = fmt.Errorf("redislimit: Redis did not answer within %s", l.timeout)
	case err != nil:
		err = fmt.Errorf("redislimit: %w", err)
	case len(reply) < numbers:
		err = fmt.Errorf("redislimit: Redis answered with %d numbers", len(reply))
	}
	l.health.report(err)
	return reply, err
}

// take takes a token, or returns how long to wait for it. It tells Redis all that
// is owed in the same breath.
func (l *limiter) take(ctx context.Context, w *waiter, id string, ahead int) (wait time.Duration, left int, err error) {
	if err := l.health.ask(); err != nil {
		return 0, 0, err
	}
	debts, closed := w.line.owing()
	var shut any = ""
	if !closed.IsZero() {
		shut = micros(time.Until(closed))
	}
	args := l.tell(time.Now(), []any{id, w.reserve, ahead, shut}, debts...)
	reply, err := l.send(ctx, scripts.take, w.quota, 2, args...)
	if err != nil {
		if dial, ok := errors.AsType[*net.OpError](err); !ok || dial.Op != "dial" { // it may have run all the same
			w.line.owe(debt{token: id, outcome: clerkorg.RequestNotSent, at: time.Now()}, l.memory(w.quota))
		}
		return 0, 0, err
	}
	w.line.paid(debts, closed)
	switch {
	case reply[0] == 1:
		return 0, int(reply[1]), nil
	case reply[1] < 0:
		return never, 0, nil
	default:
		return duration(reply[1]), 0, nil
	}
}

// micros rounds up: nobody is to come too early.
func micros(d time.Duration) int64 {
	rest := d % time.Microsecond
	if rest > 0 {
		return int64(d/time.Microsecond) + 1
	}
	return int64(d / time.Microsecond)
}

func duration(micros int64) time.Duration { return time.Duration(micros) * time.Microsecond }
