package clerktest

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptrace"
	"syscall"
	"time"
)

// Transport returns the server without a socket, as a [http.RoundTripper] for
// the Transport of an [http.Client]. The scheme and the host of a request do not
// matter. It needs no Close, and it may be used by several goroutines at once
// and within testing/synctest bubbles: latencies and delays are timers, and no
// goroutine waits for them but the caller.
//
// It calls the hooks of [net/http/httptrace] as the transport of net/http does
// for a fresh connection. If the context of a request ends while the request is
// under way, RoundTrip returns at once with the cause of that; the server still
// carries the request out at its time, as long as the program (or the bubble)
// lives.
func (s *Server) Transport() http.RoundTripper { return &transport{s} }

type transport struct{ s *Server }

// RoundTrip implements [http.RoundTripper].
func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx := req.Context()
	if ctx.Err() != nil {
		closeBody(req)
		return nil, context.Cause(ctx)
	}
	if req.URL == nil {
		closeBody(req)
		return nil, errors.New("clerktest: request without a URL")
	}
	// The server must not see what the caller changes afterwards.
	sent := req.Clone(context.WithoutCancel(ctx))
	v := t.s.newVisit(sent)

	hooks := hooks{httptrace.ContextClientTrace(ctx)}
	hooks.getConn(hostPort(req))
	if v.fault.is(FaultRefuse) {
		closeBody(req)
		err := opError("dial", syscall.ECONNREFUSED)
		hooks.connect(err)
		return nil, err
	}
	hooks.connect(nil)
	hooks.gotConn()
	hooks.wroteHeaders()
	body, err := readBody(req)
	hooks.wroteRequest(err)
	if err != nil {
		return nil, err
	}
	v.body = body

	answered := make(chan struct{})
	v.travel(func() { close(answered) })
	select {
	case <-answered:
	case <-ctx.Done():
		// Both may be ready; an answer that is there is not thrown away.
		select {
		case <-answered:
		default:
			return nil, context.Cause(ctx)
		}
	}
	if v.reply.ending == resetInstead {
		return nil, opError("read", syscall.ECONNRESET)
	}
	hooks.gotFirstResponseByte()
	for range v.reply.hints {
		if err := hooks.got1xxResponse(http.StatusEarlyHints, earlyHints()); err != nil {
			return nil, err
		}
	}
	return v.reply.response(req), nil
}

// travel takes a visit there and back, with timers for what takes time. Timers,
// because a bubble whose test has returned may leave timers behind but no
// goroutine that sleeps.
func (v *visit) travel(arrived func()) {
	after(v.s.oneWay(), func() {
		v.arrive()
		after(v.delayBefore(), func() {
			v.work()
			after(v.s.oneWay()+v.delayAfter(), arrived)
		})
	})
}

// after calls f at once, on this goroutine, where there is nothing to wait for.
func after(d time.Duration, f func()) {
	if d <= 0 {
		f()
		return
	}
	time.AfterFunc(d, f)
}

func closeBody(req *http.Request) {
	if req.Body != nil {
		_ = req.Body.Close()
	}
}

func readBody(req *http.Request) ([]byte, error) {
	if req.Body == nil {
		return nil, nil
	}
	defer closeBody(req)
	return io.ReadAll(req.Body)
}
