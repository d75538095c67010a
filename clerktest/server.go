package clerktest

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// Server is a Clerk instance in memory: one secret key, its organizations and
// its rate limits. It is an [http.Handler], it listens on a loopback address
// once [Server.URL] or [Server.Start] is called, and it is reached without any
// socket through [Server.Transport]; all three are the same instance. Its methods
// may be called by several goroutines at once.
type Server struct {
	config     config
	key        string
	retryAfter bool
	orgID      string
	adminID    string
	random     *randomness
	faults     faults
	webhooks   *webhooks // nil without WithWebhook

	latencyMu sync.Mutex   // calls of config.latency do not overlap
	ahead     atomic.Int64 // how far the clock was advanced
	mounts    atomic.Pointer[mount]

	mu          sync.Mutex // guards the rest
	state       *state
	quotas      map[Operation]*quota
	calls       []*Call
	counts      map[Operation]int
	rateLimited int

	listenMu sync.Mutex // guards the listening side
	url      string
	stop     func()
	closed   bool
}

// NewServer returns a server with one organization that has one member, an
// admin. It starts nothing: there is nothing to close unless [Server.URL] or
// [Server.Start] is called.
func NewServer(opts ...Option) *Server {
	c := newConfig(opts)
	s := &Server{
		config:     c,
		key:        c.secretKey,
		retryAfter: c.retryAfter,
		random:     newRandomness(c.seed),
	}
	if s.key == "" {
		s.key = newSecretKey(c.live)
	}
	s.begin()
	if c.webhook != nil {
		s.webhooks = newWebhooks(c.webhook, s.now, s.random)
	}
	return s
}

func (s *Server) now() time.Time { return s.config.clock().Add(time.Duration(s.ahead.Load())) }

// SecretKey returns the key that requests have to carry.
func (s *Server) SecretKey() string { return s.key }

// OrganizationID returns the id of the organization that exists from the start.
func (s *Server) OrganizationID() string { return s.orgID }

// AdminUserID returns the id of the user, admin@example.com, who is an admin of
// the organization that exists from the start.
func (s *Server) AdminUserID() string { return s.adminID }

// Calls returns the requests that arrived, in that order. A request to which
// [FaultRefuse] happened in memory did not arrive.
func (s *Server) Calls() []Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	calls := make([]Call, len(s.calls))
	for i, call := range s.calls {
		calls[i] = *call
	}
	return calls
}

// CallCount returns how many requests for an operation arrived, refused ones
// included. [OpAny] counts all requests.
func (s *Server) CallCount(op Operation) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if op == OpAny {
		return len(s.calls)
	}
	return s.counts[op]
}

// RateLimited returns how many requests the server's rate limits refused. A 429
// that a [Fault] made up is not among them.
func (s *Server) RateLimited() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.rateLimited
}

// URL returns "http://127.0.0.1:" and the port of the server, without a path. The
// first call starts listening, unless [Server.Start] did. It returns an empty
// string if that fails; use Start to learn why. Inside a testing/synctest
// bubble use [Server.Transport] instead: time stands still while a goroutine
// waits for a socket.
func (s *Server) URL() string {
	s.listenMu.Lock()
	defer s.listenMu.Unlock()
	if s.url == "" {
		_ = s.listen("127.0.0.1:0")
	}
	return s.url
}

// Start listens on addr, a host and a port as in [net.Listen], where port 0
// stands for any free one. It fails if the server listens already or was closed.
func (s *Server) Start(addr string) error {
	s.listenMu.Lock()
	defer s.listenMu.Unlock()
	return s.listen(addr)
}

func (s *Server) listen(addr string) error {
	if s.closed {
		return errors.New("clerktest: the server was closed")
	}
	if s.url != "" {
		return errors.New("clerktest: the server listens already")
	}
	listener, err := new(net.ListenConfig).Listen(context.Background(), "tcp", addr)
	if err != nil {
		return err
	}
	// Requests that wait for a latency or a delay stop waiting on Close.
	closing, stopWaiting := context.WithCancel(context.Background())
	server := &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			s.serve(closing, w, r)
		}),
		ReadHeaderTimeout: time.Minute,
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(listener) // ends with ErrServerClosed
	}()
	s.url = "http://" + listener.Addr().String()
	s.stop = func() {
		_ = server.Close()
		stopWaiting()
		<-done
	}
	return nil
}

// Close stops listening, breaks the connections there are, and ends the delivery of
// webhooks. State and Transport stay usable. A second call does nothing.
func (s *Server) Close() {
	s.listenMu.Lock()
	defer s.listenMu.Unlock()
	s.closed = true
	if s.webhooks != nil {
		s.webhooks.close()
		s.webhooks.client.CloseIdleConnections()
	}
	if s.stop != nil {
		s.stop()
		s.stop = nil
	}
}

// ServeHTTP answers one request, with the latency and the faults there are. A
// reset needs a connection that can be hijacked, as that of HTTP/1; on any
// other it panics with [http.ErrAbortHandler], which net/http expects.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.serve(context.Background(), w, r)
}

// serve takes a request to the handler of its path, if it has one, and otherwise
// through its visit. It does not ask whether the client
// is still there: neither would the real server's database. closing ends when the
// server closes.
func (s *Server) serve(closing context.Context, w http.ResponseWriter, r *http.Request) {
	if mounted := s.mounts.Load(); mounted != nil && mounted.has(r.URL.Path) {
		mounted.handler.ServeHTTP(w, r)
		return
	}
	v := s.newVisit(r)
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody+1))
	if err != nil {
		// An incomplete request is not processed.
		abort(w)
		return
	}
	v.body = body
	if !wait(closing, s.oneWay()) {
		abort(w)
		return
	}
	v.arrive()
	if !wait(closing, v.delayBefore()) {
		abort(w)
		return
	}
	v.work()
	if !wait(closing, s.oneWay()+v.delayAfter()) {
		abort(w)
		return
	}
	v.reply.write(closing, w)
}

// wait waits for d, and reports whether ctx did not end meanwhile.
func wait(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// oneWay asks for the latency of a request or of an answer.
func (s *Server) oneWay() time.Duration {
	if s.config.latency == nil {
		return 0
	}
	s.latencyMu.Lock()
	defer s.latencyMu.Unlock()
	return max(0, s.config.latency())
}

// abort ends the connection with a reset, for which a zero linger is what makes
// the difference to an orderly end.
func abort(w http.ResponseWriter) {
	hijacker, ok := w.(http.Hijacker)
	if !ok {
		panic(http.ErrAbortHandler)
	}
	conn, _, err := hijacker.Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}
