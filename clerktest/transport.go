package clerktest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptrace"
	"strconv"
	"sync/atomic"
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
	if v.reply.reset {
		return nil, opError("read", syscall.ECONNRESET)
	}
	hooks.gotFirstResponseByte()
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

func (r reply) response(req *http.Request) *http.Response {
	var body io.Reader = bytes.NewReader(r.body)
	if r.truncated {
		body = io.MultiReader(bytes.NewReader(r.body[:len(r.body)/2]), brokenReader{})
	}
	return &http.Response{
		Status:        strconv.Itoa(r.status) + " " + http.StatusText(r.status),
		StatusCode:    r.status,
		Proto:         "HTTP/1.1",
		ProtoMajor:    1,
		ProtoMinor:    1,
		Header:        r.header,
		Body:          &responseBody{reader: body},
		ContentLength: int64(len(r.body)),
		Request:       req,
	}
}

// brokenReader is where a truncated body ends.
type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// responseBody cannot be read after it was closed, as that of net/http.
type responseBody struct {
	reader io.Reader
	closed atomic.Bool
}

// Read implements [io.Reader].
func (b *responseBody) Read(p []byte) (int, error) {
	if b.closed.Load() {
		return 0, http.ErrBodyReadAfterClose
	}
	return b.reader.Read(p)
}

// Close implements [io.Closer].
func (b *responseBody) Close() error {
	b.closed.Store(true)
	return nil
}
