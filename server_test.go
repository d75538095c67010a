package clerkorg

import (
	"crypto/tls"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

// countingServer answers every request with the same body, over HTTP/1.
type countingServer struct {
	*httptest.Server
	arrived atomic.Int32
	status  atomic.Int32
}

func newCountingServer(t *testing.T, body string) *countingServer {
	t.Helper()
	s := new(countingServer)
	s.status.Store(http.StatusOK)
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		s.arrived.Add(1)
		w.Header().Set("Location", "/v1/elsewhere")
		w.WriteHeader(int(s.status.Load()))
		_, _ = io.WriteString(w, body)
	}))
	t.Cleanup(s.Close)
	return s
}

// The few frames of HTTP/2 (RFC 9113) that a server has to know.
const (
	frameData      = 0x0
	frameHeaders   = 0x1
	frameRSTStream = 0x3
	frameSettings  = 0x4
	framePing      = 0x6
	frameGoAway    = 0x7

	flagAck        = 0x1
	flagEndStream  = 0x1
	flagEndHeaders = 0x4

	codeNo            = 0x0
	codeProtocol      = 0x1
	codeInternal      = 0x2
	codeRefusedStream = 0x7
	codeCancel        = 0x8
	codeEnhanceCalm   = 0xb
)

// http2Server is an HTTP/2 server that says exactly what a test has it say, which that
// of net/http never would.
type http2Server struct {
	t       *testing.T
	url     string
	client  *http.Client // that trusts it
	arrived atomic.Int32 // whole requests

	// answer is asked once for each whole request, numbered from 1.
	answer func(conn http2Conn, stream uint32, number int32)
}

type http2Conn struct{ net.Conn }

func newHTTP2Server(t *testing.T, answer func(conn http2Conn, stream uint32, number int32)) *http2Server {
	t.Helper()
	certified := httptest.NewTLSServer(nil) // for its certificate
	t.Cleanup(certified.Close)
	transport := certified.Client().Transport.(*http.Transport).Clone()
	transport.ForceAttemptHTTP2 = true
	t.Cleanup(transport.CloseIdleConnections)
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{
		Certificates: certified.TLS.Certificates, NextProtos: []string{"h2"}, MinVersion: tls.VersionTLS12,
	})
	require.NoError(t, err)
	s := &http2Server{t: t, url: "https://" + listener.Addr().String(), client: &http.Client{Transport: transport}, answer: answer}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer conn.Close()
				s.serve(http2Conn{conn})
			})
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		transport.CloseIdleConnections()
	})
	return s
}

func (s *http2Server) serve(conn http2Conn) {
	preface := make([]byte, len("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"))
	if _, err := io.ReadFull(conn, preface); err != nil {
		return
	}
	conn.frame(frameSettings, 0, 0, nil)
	for {
		var head [9]byte
		if _, err := io.ReadFull(conn, head[:]); err != nil {
			return
		}
		payload := make([]byte, int(head[0])<<16|int(head[1])<<8|int(head[2]))
		if _, err := io.ReadFull(conn, payload); err != nil {
			return
		}
		kind, flags, stream := head[3], head[4], binary.BigEndian.Uint32(head[5:])&^(1<<31)
		switch {
		case kind == frameSettings && flags&flagAck == 0:
			conn.frame(frameSettings, flagAck, 0, nil)
		case kind == framePing && flags&flagAck == 0:
			conn.frame(framePing, flagAck, 0, payload)
		case (kind == frameHeaders || kind == frameData) && flags&flagEndStream != 0:
			s.answer(conn, stream, s.arrived.Add(1))
		}
	}
}

func (c http2Conn) frame(kind, flags byte, stream uint32, payload []byte) {
	head := []byte{byte(len(payload) >> 16), byte(len(payload) >> 8), byte(len(payload)), kind, flags}
	head = binary.BigEndian.AppendUint32(head, stream)
	_, _ = c.Write(append(head, payload...)) // a client that has gone is no failure of ours
}

// success answers 200 with a body; 0x88 is ":status: 200" in HPACK's static table.
func (c http2Conn) success(stream uint32, body string) {
	c.frame(frameHeaders, flagEndHeaders, stream, []byte{0x88})
	c.frame(frameData, flagEndStream, stream, []byte(body))
}

func (c http2Conn) reset(stream, code uint32) {
	c.frame(frameRSTStream, 0, stream, binary.BigEndian.AppendUint32(nil, code))
}

func (c http2Conn) goAway(last, code uint32, debug string) {
	payload := binary.BigEndian.AppendUint32(nil, last)
	payload = binary.BigEndian.AppendUint32(payload, code)
	c.frame(frameGoAway, 0, 0, append(payload, debug...))
}
