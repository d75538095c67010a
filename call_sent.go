package clerkorg

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync/atomic"
)

// delivery finds out whether a request left. In doubt it has.
type delivery struct {
	// direct tells that the transport is that of net/http itself. Any other may send the
	// request without reporting it, and make requests of its own with this context.
	direct bool
	target *url.URL
	body   *payloadReader // nil where there is none

	dialed atomic.Bool                           // a connection to target was asked for
	conn   atomic.Pointer[httptrace.GotConnInfo] // the last that was found
	wrote  atomic.Bool                           // something was written to a connection
}

func (d *delivery) hooks() *httptrace.ClientTrace {
	return &httptrace.ClientTrace{
		GetConn: func(hostPort string) {
			// A proxy has another name than the target.
			if d.direct || strings.EqualFold(hostPort, addressOf(d.target)) {
				d.dialed.Store(true)
			}
		},
		GotConn:      func(info httptrace.GotConnInfo) { d.conn.Store(&info) },
		WroteHeaders: func() { d.wrote.Store(true) },
		WroteRequest: func(info httptrace.WroteRequestInfo) {
			if info.Err == nil { // otherwise WroteHeaders tells
				d.wrote.Store(true)
			}
		},
		GotFirstResponseByte: func() { d.wrote.Store(true) },
	}
}

// addressOf is the host and port of a URL, as GetConn names them.
func addressOf(target *url.URL) string {
	port := target.Port()
	if port == "" {
		port = "443"
		if target.Scheme == "http" {
			port = "80"
		}
	}
	return net.JoinHostPort(target.Hostname(), port)
}

// maybeSent is false where a request that failed with err certainly had no effect: it
// stayed, or the server says that it did not process it. The context is that of the
// request.
func (d *delivery) maybeSent(ctx context.Context, err error) bool {
	switch {
	case d.direct && (d.untouched(err) || errors.Is(err, errNotProcessed)):
		return false
	case d.wrote.Load() || !d.dialed.Load():
		return true
	case ctx.Err() != nil && d.conn.Load() != nil:
		return true // HTTP/2 may write what was given up a moment before
	}
	// A request may have been written without a report, but not without its body.
	return !d.direct && d.body != nil && d.body.read.Load()
}

// errUntouched is what a kept HTTP/1 connection fails with that took not one byte.
var errUntouched = errors.New("the connection was closed before the request left")

// replay is a request's GetBody. net/http asks for the body again where it would send
// the request again by itself, without a token; with HTTP/1, and none of our headers
// telling it that the request is idempotent, only where nothing was written.
func replay() (io.ReadCloser, error) { return nil, errUntouched }

// untouched reports whether err tells that not one byte was taken. With HTTP/2
// net/http asks for a replay after a PROTOCOL_ERROR as well, which says no such thing.
func (d *delivery) untouched(err error) bool {
	conn := d.conn.Load()
	if conn == nil || !errors.Is(err, errUntouched) {
		return false
	}
	secure, ok := conn.Conn.(*tls.Conn)
	return !ok || secure.ConnectionState().NegotiatedProtocol != "h2"
}

// errNotProcessed marks requests that an HTTP/2 server did not process, by its own
// account: it refused the stream, or went away and named an earlier one as the last.
var errNotProcessed = errors.New("the server did not process the request")

// notProcessed gives the errors of net/http that tell so a type. A request without
// GetBody makes net/http name its reason to send it again, in a text. Where another
// version words it differently, the request counts as sent.
func notProcessed(err error) error {
	reason, ok := strings.CutPrefix(err.Error(), "http2: Transport: cannot retry err [")
	if !ok {
		return err
	}
	reason, _, ok = strings.Cut(reason, "] after Request.Body was written")
	if ok && (strings.Contains(reason, "; REFUSED_STREAM;") || strings.HasSuffix(reason, "graceful shutdown GOAWAY")) {
		return fmt.Errorf("%w: %s", errNotProcessed, reason)
	}
	return err
}

// payloadReader is the body of a request. It knows whether anything of it was read. Of
// a type that net/http does not know, it leaves GetBody to us.
type payloadReader struct {
	bytes  bytes.Reader
	read   atomic.Bool
	closed atomic.Bool
}

func (p *payloadReader) Read(b []byte) (int, error) {
	p.read.Store(true)
	if p.closed.Load() {
		return 0, http.ErrBodyReadAfterClose
	}
	return p.bytes.Read(b)
}

func (p *payloadReader) Close() error {
	p.closed.Store(true)
	return nil
}
