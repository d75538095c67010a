package clerktest

import (
	"bytes"
	"context"
	"io"
	"maps"
	"net/http"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// reply is an answer, or what is left of it.
type reply struct {
	status int
	code   string // of the error in it
	header http.Header
	body   []byte
	hints  int           // how many informational answers precede it
	pause  time.Duration // before each byte that trickles
	ending ending
}

// ending is how an answer ends.
type ending int

const (
	complete       ending = iota
	resetInstead          // the connection is reset before it
	resetDuring           // the connection is reset in the middle of the body
	truncated             // the connection ends in the middle of the body
	truncatedChunk        // so does it, and no length was announced
	trickle               // byte by byte
	keptOpen              // never: the connection stays open
)

// half is what of the body comes before it breaks.
func (r reply) half() []byte { return r.body[:len(r.body)/2] }

func earlyHints() http.Header { return http.Header{"Link": {"</style.css>; rel=preload; as=style"}} }

// write answers over a socket. closing ends when the server closes.
func (r reply) write(closing context.Context, w http.ResponseWriter) {
	switch r.ending {
	case resetInstead:
		abort(w)
		return
	case keptOpen:
		r.keepOpen(closing, w)
		return
	default:
	}
	for range r.hints {
		maps.Copy(w.Header(), earlyHints())
		w.WriteHeader(http.StatusEarlyHints)
		clear(w.Header())
	}
	maps.Copy(w.Header(), r.header)
	w.WriteHeader(r.status)
	flush := http.NewResponseController(w).Flush
	switch r.ending {
	case truncated:
		// net/http closes a connection over which less came than announced.
		_, _ = w.Write(r.half())
	case truncatedChunk:
		_, _ = w.Write(r.half())
		_ = flush()
		panic(http.ErrAbortHandler)
	case resetDuring:
		_, _ = w.Write(r.half())
		_ = flush()
		abort(w)
	case trickle:
		for i := range r.body {
			if !wait(closing, r.pause) {
				panic(http.ErrAbortHandler)
			}
			if _, err := w.Write(r.body[i : i+1]); err != nil || flush() != nil {
				return
			}
		}
	default:
		_, _ = w.Write(r.body)
	}
}

// keepOpen sends the head of an answer, and then waits for the client to hang up. HTTP/2
// has no such thing: there the stream is reset.
func (r reply) keepOpen(closing context.Context, w http.ResponseWriter) {
	hijacker, ok := w.(http.Hijacker)
	if !ok {
		panic(http.ErrAbortHandler)
	}
	conn, _, err := hijacker.Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	defer conn.Close()
	stop := context.AfterFunc(closing, func() { _ = conn.Close() })
	defer stop()
	var head bytes.Buffer
	head.WriteString("HTTP/1.1 " + strconv.Itoa(r.status) + " " + http.StatusText(r.status) + "\r\n")
	_ = r.header.Write(&head)
	head.WriteString("\r\n")
	if _, err := conn.Write(head.Bytes()); err == nil {
		_, _ = io.Copy(io.Discard, conn)
	}
}

// response answers in memory.
func (r reply) response(req *http.Request) *http.Response {
	body := &responseBody{ctx: req.Context(), closed: make(chan struct{})}
	length := int64(len(r.body))
	switch r.ending {
	case truncated:
		body.reader = io.MultiReader(bytes.NewReader(r.half()), failure{io.ErrUnexpectedEOF})
	case truncatedChunk:
		body.reader = io.MultiReader(bytes.NewReader(r.half()), failure{io.ErrUnexpectedEOF})
		length = -1
	case resetDuring:
		body.reader = io.MultiReader(bytes.NewReader(r.half()), failure{opError("read", syscall.ECONNRESET)})
	case keptOpen:
		body.open, length = true, -1
	default:
		whole := bytes.NewReader(r.body)
		body.reader, body.left, body.pause = whole, whole.Len, r.pause
	}
	return &http.Response{
		Status:        strconv.Itoa(r.status) + " " + http.StatusText(r.status),
		StatusCode:    r.status,
		Proto:         "HTTP/1.1",
		ProtoMajor:    1,
		ProtoMinor:    1,
		Header:        r.header,
		Body:          body,
		ContentLength: length,
		Request:       req,
	}
}

// failure is where a body breaks.
type failure struct{ err error }

// Read implements [io.Reader].
func (f failure) Read([]byte) (int, error) { return 0, f.err }

// responseBody cannot be read after it was closed, as that of net/http.
type responseBody struct {
	ctx    context.Context // of the request
	reader io.Reader
	left   func() int    // how much of what trickles is left
	pause  time.Duration // before each byte; zero for all at once
	open   bool          // nothing comes until it is closed, whatever ctx says: the connection behind a 101
	closed chan struct{}
	once   sync.Once
}

// Read implements [io.Reader].
func (b *responseBody) Read(p []byte) (int, error) {
	if b.open {
		<-b.closed
	}
	select {
	case <-b.closed:
		return 0, http.ErrBodyReadAfterClose
	default:
	}
	if b.pause > 0 && b.left() > 0 && len(p) > 0 {
		p = p[:1]
		timer := time.NewTimer(b.pause)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-b.ctx.Done():
			return 0, context.Cause(b.ctx)
		case <-b.closed:
			return 0, http.ErrBodyReadAfterClose
		}
	}
	return b.reader.Read(p)
}

// Close implements [io.Closer].
func (b *responseBody) Close() error {
	b.once.Do(func() { close(b.closed) })
	return nil
}
