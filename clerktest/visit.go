package clerktest

import (
	"crypto/subtle"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Call is what the server remembers of one request.
type Call struct {
	Time      time.Time // of arrival
	Operation Operation // OpAny if the path or the method is unknown
	Method    string
	Path      string        // as it was sent, without the query
	Status    int           // 0 if no answer was sent, or not yet
	Code      string        // of the error in the answer
	Duration  time.Duration // from its arrival to its answer, without the way back
	Invited   int           // how many invitations it created
	Refused   bool          // whether a rate limit refused it
}

// visit is one request on its way through the server. Both transports take it
// through the same steps: arrive, delayBefore, work, delayAfter.
type visit struct {
	s       *Server
	method  string
	path    string
	query   url.Values
	header  http.Header
	body    []byte
	route   route
	fault   *Fault // nil if nothing goes wrong
	tooLong bool   // whether its URL is too long for the proxy

	call    *Call     // its entry in the ledger
	refusal *apiError // of the key, of a quota or of the path
	reply   reply
}

// maxBody is far more than ten invitations with all their metadata need.
const maxBody = 1 << 20

func (s *Server) newVisit(r *http.Request) *visit {
	v := &visit{
		s:      s,
		method: r.Method,
		path:   r.URL.Path,
		query:  r.URL.Query(),
		header: r.Header,
		route:  resolve(r.Method, r.URL.EscapedPath()),
	}
	v.tooLong = s.config.maxURL > 0 && len(r.URL.RequestURI()) > s.config.maxURL
	v.fault = s.faults.pick(v.route.op, s.now(), s.random)
	return v
}

// arrive is the moment that counts against the quotas.
func (v *visit) arrive() {
	s := v.s
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	v.call = &Call{Time: now, Operation: v.route.op, Method: v.method, Path: v.path}
	s.calls = append(s.calls, v.call)
	s.counts[v.route.op]++

	if v.tooLong {
		return
	}
	if v.refusal = s.authenticate(v.header); v.refusal != nil {
		return
	}
	if v.refusal = s.admit(v.route.op, now); v.refusal != nil {
		v.call.Refused = true
		s.rateLimited++
		return
	}
	v.refusal = v.misdirected()
}

func (s *Server) authenticate(h http.Header) *apiError {
	scheme, key, found := strings.Cut(h.Get("Authorization"), " ")
	if !found || !strings.EqualFold(scheme, "Bearer") || key == "" {
		return newError(http.StatusUnauthorized, "authorization_header_format_invalid", "unreadable Authorization header",
			"The Authorization header has to be the word Bearer, a space and the secret key.")
	}
	if subtle.ConstantTimeCompare([]byte(key), []byte(s.key)) != 1 {
		return newError(http.StatusUnauthorized, "clerk_key_invalid", "unknown secret key", "No instance has this secret key.")
	}
	return nil
}

// misdirected refuses what no operation can answer.
func (v *visit) misdirected() *apiError {
	switch {
	case v.route.op == OpAny && v.route.allow != "":
		e := newError(http.StatusMethodNotAllowed, "bad_request", "wrong method", "This path does not accept "+v.method+".")
		e.header = http.Header{"Allow": {v.route.allow}}
		return e
	case v.route.op == OpAny:
		return notFound("path")
	case len(v.body) > maxBody:
		return newError(http.StatusRequestEntityTooLarge, "request_body_too_large", "body too large", "The body may hold 1 MiB at most.")
	case len(v.body) > 0 && !jsonContent(v.header.Get("Content-Type")):
		return newError(http.StatusUnsupportedMediaType, "unsupported_content_type", "unsupported content type",
			"The Content-Type has to be application/json.")
	}
	return nil
}

// jsonContent accepts a missing type too: the body will tell.
func jsonContent(contentType string) bool {
	media, _, _ := strings.Cut(contentType, ";")
	media = strings.TrimSpace(media)
	return media == "" || strings.EqualFold(media, "application/json")
}

func (v *visit) delayBefore() time.Duration {
	if v.fault.is(FaultDelay) {
		return v.fault.Delay
	}
	return 0
}

func (v *visit) delayAfter() time.Duration {
	if v.fault.is(FaultDelayAfter) {
		return v.fault.Delay
	}
	return 0
}

// work does what the call asks for, unless something prevents it, and makes
// the reply.
func (v *visit) work() {
	v.reply = v.answer()
	if v.fault != nil {
		v.fault.strike(&v.reply, v.header)
	}
	v.s.mu.Lock()
	v.call.Status, v.call.Code, v.call.Duration = v.reply.status, v.reply.code, v.s.now().Sub(v.call.Time)
	v.s.mu.Unlock()
}

func (v *visit) answer() reply {
	if v.tooLong {
		page := Fault{Kind: FaultHTML, Status: http.StatusRequestURITooLong}
		return page.reply(v.s, nil)
	}
	if v.refusal != nil {
		return v.s.errorReply(v.refusal)
	}
	if v.fault.is(FaultResetBefore, FaultRefuse) {
		return reply{}
	}
	if v.fault.instead() {
		return v.fault.reply(v.s, v.header)
	}
	result, err := v.operate()
	switch {
	case v.fault.is(FaultStatusAfter, FaultHTMLAfter, FaultEmptyAfter):
		return v.fault.reply(v.s, v.header)
	case err != nil:
		return v.s.errorReply(err)
	default:
		return v.s.newReply(http.StatusOK, jsonType, encode(v.arrange(result)))
	}
}

// arrange gives a list the shape that an option or a fault asks for.
func (v *visit) arrange(result any) any {
	list, ok := result.(list)
	if !ok {
		return result
	}
	if v.fault.is(FaultCount) {
		list = list.of(max(0, v.fault.Count))
	}
	if v.fault.is(FaultBareArray) || v.s.config.bareArrays && v.route.op == OpBulk || v.route.op == OpApplicationBulk {
		return list.bare()
	}
	return list
}

func (v *visit) operate() (any, *apiError) {
	switch v.route.op {
	case OpBulk:
		return v.s.bulk(v)
	case OpCreate:
		return v.s.create(v)
	case OpList:
		return v.s.list(v)
	case OpGet:
		return v.s.get(v)
	case OpRevoke:
		return v.s.revoke(v)
	case OpListInstance:
		return v.s.listInstance(v)
	case OpMemberships:
		return v.s.memberships(v)
	case OpUsers:
		return v.s.users(v)
	case OpUserCount:
		return v.s.userCount(v)
	case OpRoles:
		return v.s.roles(v)
	case OpCreateOrganization:
		return v.s.createOrganization(v)
	case OpApplicationBulk:
		return v.s.applicationBulk(v)
	case OpApplicationCreate:
		return v.s.applicationCreate(v)
	case OpApplicationList:
		return v.s.applicationList(v)
	case OpApplicationRevoke:
		return v.s.applicationRevoke(v)
	default:
		return v.s.getOrganization(v)
	}
}

// jsonType has no charset: @clerk/backend compares the whole header.
const jsonType = "application/json"

func (s *Server) newReply(status int, contentType string, body []byte) reply {
	h := http.Header{}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	if contentType != "" {
		h.Set("Content-Type", contentType)
	}
	h.Set("Date", s.now().UTC().Format(http.TimeFormat))
	h.Set("Clerk-Trace-Id", s.random.hex(32))
	h.Set("Cf-Ray", s.random.hex(16)+"-TST")
	return reply{status: status, header: h, body: body}
}

func (s *Server) errorReply(e *apiError) reply {
	r := s.newReply(e.status, jsonType, nil)
	r.code = e.Code
	maps.Copy(r.header, e.header)
	r.body = encode(errorsJSON{Errors: []*apiError{e}, TraceID: r.header.Get("Clerk-Trace-Id")})
	r.header.Set("Content-Length", strconv.Itoa(len(r.body)))
	return r
}
