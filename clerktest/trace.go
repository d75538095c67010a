package clerktest

import (
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"os"
	"syscall"
	"time"
)

// serverAddr is where connections that do not exist lead.
var serverAddr = &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 443}

// hooks calls those of a httptrace that are there. A client that wants to know
// whether a request left asks them.
type hooks struct{ trace *httptrace.ClientTrace }

func (h hooks) getConn(hostPort string) {
	if h.trace != nil && h.trace.GetConn != nil {
		h.trace.GetConn(hostPort)
	}
}

func (h hooks) connect(err error) {
	if h.trace == nil {
		return
	}
	if h.trace.ConnectStart != nil {
		h.trace.ConnectStart("tcp", serverAddr.String())
	}
	if h.trace.ConnectDone != nil {
		h.trace.ConnectDone("tcp", serverAddr.String(), err)
	}
}

func (h hooks) gotConn() {
	if h.trace != nil && h.trace.GotConn != nil {
		h.trace.GotConn(httptrace.GotConnInfo{Conn: noConn{}})
	}
}

func (h hooks) wroteHeaders() {
	if h.trace != nil && h.trace.WroteHeaders != nil {
		h.trace.WroteHeaders()
	}
}

func (h hooks) wroteRequest(err error) {
	if h.trace != nil && h.trace.WroteRequest != nil {
		h.trace.WroteRequest(httptrace.WroteRequestInfo{Err: err})
	}
}

func (h hooks) gotFirstResponseByte() {
	if h.trace != nil && h.trace.GotFirstResponseByte != nil {
		h.trace.GotFirstResponseByte()
	}
}

func (h hooks) got1xxResponse(status int, header http.Header) error {
	if h.trace == nil || h.trace.Got1xxResponse == nil {
		return nil
	}
	return h.trace.Got1xxResponse(status, textproto.MIMEHeader(header))
}

// opError is what a real connection fails with.
func opError(op string, errno syscall.Errno) error {
	syscallName := op
	if op == "dial" {
		syscallName = "connect"
	}
	return &net.OpError{Op: op, Net: "tcp", Addr: serverAddr, Err: os.NewSyscallError(syscallName, errno)}
}

func hostPort(req *http.Request) string {
	port := req.URL.Port()
	if port == "" {
		port = "443"
		if req.URL.Scheme == "http" {
			port = "80"
		}
	}
	return net.JoinHostPort(req.URL.Hostname(), port)
}

// noConn is the connection that GotConn tells about, for hooks that ask for its
// addresses.
type noConn struct{}

// LocalAddr returns an address like that of a real connection.
func (noConn) LocalAddr() net.Addr { return serverAddr }

// RemoteAddr returns an address like that of a real connection.
func (noConn) RemoteAddr() net.Addr { return serverAddr }

// Close does nothing.
func (noConn) Close() error { return nil }

// Read fails: there is nothing behind the connection.
func (noConn) Read([]byte) (int, error) { return 0, net.ErrClosed }

// Write fails: there is nothing behind the connection.
func (noConn) Write([]byte) (int, error) { return 0, net.ErrClosed }

// SetDeadline does nothing.
func (noConn) SetDeadline(time.Time) error { return nil }

// SetReadDeadline does nothing.
func (noConn) SetReadDeadline(time.Time) error { return nil }

// SetWriteDeadline does nothing.
func (noConn) SetWriteDeadline(time.Time) error { return nil }
