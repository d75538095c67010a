package clerktest

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// FaultKind is what goes wrong in a [Fault].
type FaultKind int

// The kinds of faults. "The work" is what the call asks for. A call that the
// key or a rate limit refuses is answered with that refusal, where a fault
// would have answered with a status; what delays or breaks an answer strikes it like
// any other.
//
// FaultTruncate, FaultTruncateChunk, FaultResetDuring and FaultTrickle break the answer of
// FaultStatus, and the work is not done, where a Status is set.
const (
	// FaultStatus answers Status with an error of Clerk's shape. The work is not done.
	FaultStatus FaultKind = iota
	// FaultStatusAfter does the work and then answers like FaultStatus.
	FaultStatusAfter
	// FaultHTML answers Status with a page of HTML, as a proxy does. The work is not done.
	FaultHTML
	// FaultHTMLAfter does the work and then answers like FaultHTML.
	FaultHTMLAfter
	// FaultEmpty answers Status with an empty body. The work is not done.
	FaultEmpty
	// FaultEmptyAfter does the work and then answers like FaultEmpty.
	FaultEmptyAfter
	// FaultDelay does the work Delay later than it would have. It is done even
	// if the client has given up by then.
	FaultDelay
	// FaultDelayAfter does the work and sends the answer Delay later.
	FaultDelayAfter
	// FaultResetBefore resets the connection. The work is not done.
	FaultResetBefore
	// FaultResetAfter does the work and resets the connection instead of answering.
	FaultResetAfter
	// FaultTruncate does the work and breaks the connection in the middle of the
	// body, of which the full length was announced: reading it ends with
	// [io.ErrUnexpectedEOF].
	FaultTruncate
	// FaultRefuse refuses the connection, so that the request never leaves. It
	// does not count as a call. Only the in-memory transport can do that; over
	// a socket, where the request has arrived by then, it is FaultResetBefore.
	FaultRefuse
	// FaultTruncateChunk is FaultTruncate for a body whose length was not announced.
	FaultTruncateChunk
	// FaultResetDuring does the work and resets the connection, or the stream of
	// HTTP/2, in the middle of the body. Over a socket the reset may overtake what
	// was sent before it.
	FaultResetDuring
	// FaultTrickle does the work and sends the body a byte each Delay, or each second
	// if it is zero.
	FaultTrickle
	// FaultSwitchProtocols does the work, answers 101 Switching Protocols, and then
	// keeps the connection open without a word.
	FaultSwitchProtocols
	// FaultEarlyHints does the work, and sends 103 Early Hints three times before the
	// answer.
	FaultEarlyHints
	// FaultCount does the work and answers lists with Count items: the last ones are
	// left out, or the last one is repeated.
	FaultCount
	// FaultBareArray does the work and answers lists as [...], without an object.
	FaultBareArray
	// FaultEchoBody answers Status with an error of Clerk's shape that repeats the
	// Authorization header of the request, plain and in escaped spellings. The work is
	// not done.
	FaultEchoBody
	// FaultEchoHeader does the work and repeats the Authorization header of the request
	// in the headers Clerk-Trace-Id and CF-Ray, and escaped in Location.
	FaultEchoHeader
)

var faultNames = [...]string{
	FaultStatus:      "status",
	FaultStatusAfter: "status-after",
	FaultHTML:        "html",
	FaultHTMLAfter:   "html-after",
	FaultEmpty:       "empty",
	FaultEmptyAfter:  "empty-after",
	FaultDelay:       "delay",
	FaultDelayAfter:  "delay-after",
	FaultResetBefore: "reset-before",
	FaultResetAfter:  "reset-after",
	FaultTruncate:    "truncate",
	FaultRefuse:      "refuse",

	FaultTruncateChunk:   "truncate-chunk",
	FaultResetDuring:     "reset-during",
	FaultTrickle:         "trickle",
	FaultSwitchProtocols: "switch-protocols",
	FaultEarlyHints:      "early-hints",
	FaultCount:           "count",
	FaultBareArray:       "bare-array",
	FaultEchoBody:        "echo-body",
	FaultEchoHeader:      "echo-header",
}

// String returns the name of the kind, such as "reset-after".
func (k FaultKind) String() string {
	if k < 0 || int(k) >= len(faultNames) {
		return "unknown"
	}
	return faultNames[k]
}

// ParseFaultKind returns the kind with a name, and whether there is one.
func ParseFaultKind(name string) (kind FaultKind, ok bool) {
	i := slices.Index(faultNames[:], name)
	return FaultKind(max(0, i)), i >= 0
}

// Fault is a failure of some calls: those of Operation that satisfy every one
// of Calls, Probability and While that is set. With none set it strikes every
// call.
type Fault struct {
	Operation Operation // OpAny, the zero value, for all

	// Calls are the numbers of the calls to strike, where 1 is the first call
	// of the Operation after the fault was injected.
	Calls []int
	// Probability, from 0 to 1, strikes calls at random. Zero leaves the choice
	// to the other fields.
	Probability float64
	// While strikes the calls made at a time for which it is true: an outage.
	// It may be called by several goroutines at once.
	While func(now time.Time) bool

	Kind FaultKind
	// Status is the HTTP status of the kinds that answer with one. If it is
	// zero, it is 500, or 502 for HTML, 200 for an empty body, or 400 for an echo.
	Status int
	// Code is the error code of FaultStatus. If it is empty, it is the one Clerk
	// uses for the status.
	Code string
	// RetryAfter, in seconds, is sent as a header if it is positive.
	RetryAfter int
	// Delay is the extra time of FaultDelay and FaultDelayAfter, and the time that each
	// byte of FaultTrickle takes.
	Delay time.Duration
	// Count is the number of items of FaultCount; less than none is none.
	Count int
}

// injected is a fault with its memory.
type injected struct {
	fault Fault
	seen  int // calls of the operation so far; guarded by faults.mu
}

type faults struct {
	mu  sync.Mutex
	all []*injected // copied when changed
}

// Inject activates a fault. The returned function removes it, and may be called
// more than once. Where several faults would strike a call,
// the one injected first does, alone. Calls are numbered, and While is asked,
// as they leave the client (in memory) or arrive (over a socket).
func (s *Server) Inject(f Fault) (remove func()) {
	f.Calls = slices.Clone(f.Calls)
	added := &injected{fault: f}
	s.faults.change(func(all []*injected) []*injected { return append(all, added) })
	return func() {
		s.faults.change(func(all []*injected) []*injected {
			return slices.DeleteFunc(all, func(i *injected) bool { return i == added })
		})
	}
}

func (f *faults) change(edit func([]*injected) []*injected) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.all = edit(slices.Clone(f.all))
}

// pick returns the fault that strikes a call of op, or nil.
func (f *faults) pick(op Operation, now time.Time, r *randomness) *Fault {
	f.mu.Lock()
	all := f.all
	numbers := make([]int, len(all))
	for i, in := range all {
		if in.fault.Operation == OpAny || in.fault.Operation == op {
			in.seen++
			numbers[i] = in.seen
		}
	}
	f.mu.Unlock()

	// While is the caller's code: it runs without a lock.
	for i, in := range all {
		if numbers[i] > 0 && in.fault.strikes(numbers[i], now, r) {
			return &in.fault
		}
	}
	return nil
}

func (f *Fault) strikes(number int, now time.Time, r *randomness) bool {
	if len(f.Calls) > 0 && !slices.Contains(f.Calls, number) {
		return false
	}
	if f.While != nil && !f.While(now) {
		return false
	}
	return f.Probability <= 0 || r.chance(f.Probability)
}

// is tells whether a fault, which may be nil, is of one of the kinds.
func (f *Fault) is(kinds ...FaultKind) bool {
	return f != nil && slices.Contains(kinds, f.Kind)
}

// status is Status or what stands in for zero and for numbers HTTP does not have.
func (f *Fault) status() int {
	switch {
	case f.Status >= 200 && f.Status <= 599:
		return f.Status
	case f.is(FaultHTML, FaultHTMLAfter):
		return 502
	case f.is(FaultEmpty, FaultEmptyAfter):
		return 200
	case f.is(FaultEchoBody):
		return 400
	default:
		return 500
	}
}

// instead tells whether a fault, which may be nil, answers in place of the work.
func (f *Fault) instead() bool {
	return f.is(FaultStatus, FaultHTML, FaultEmpty, FaultEchoBody) ||
		f.is(FaultTruncate, FaultTruncateChunk, FaultResetDuring, FaultTrickle) && f.Status != 0
}

// strike does to an answer what the fault is about. header is that of the request.
func (f *Fault) strike(r *reply, header http.Header) {
	switch f.Kind {
	case FaultResetBefore, FaultResetAfter, FaultRefuse:
		*r = reply{ending: resetInstead}
	case FaultTruncate:
		r.ending = truncated
	case FaultTruncateChunk:
		r.ending = truncatedChunk
		r.header.Del("Content-Length")
	case FaultResetDuring:
		r.ending = resetDuring
	case FaultTrickle:
		r.ending, r.pause = trickle, f.Delay
		if r.pause <= 0 {
			r.pause = time.Second
		}
	case FaultSwitchProtocols:
		*r = reply{status: http.StatusSwitchingProtocols, header: http.Header{"Connection": {"Upgrade"}, "Upgrade": {"clerktest"}}, ending: keptOpen}
	case FaultEarlyHints:
		r.hints = 3
	case FaultEchoHeader:
		key := header.Get("Authorization")
		r.header.Set("Clerk-Trace-Id", key)
		r.header.Set("Cf-Ray", key)
		r.header.Set("Location", "/?authorization="+url.QueryEscape(key))
	}
}

// reply is what a fault of an answering kind answers to a request with the header.
func (f *Fault) reply(s *Server, header http.Header) reply {
	status := f.status()
	var r reply
	switch f.Kind {
	case FaultHTML, FaultHTMLAfter:
		page := fmt.Sprintf("<!DOCTYPE html>\n<html><head><title>%[1]d</title></head><body><h1>Error %[1]d</h1></body></html>\n", status)
		r = s.newReply(status, "text/html; charset=UTF-8", []byte(page))
	case FaultEmpty, FaultEmptyAfter:
		r = s.newReply(status, "", nil)
	default:
		code := f.Code
		if code == "" {
			code = codeOf(status)
		}
		long := "A test asked for this failure."
		if f.Kind == FaultEchoBody {
			long = echo(header.Get("Authorization"))
		}
		r = s.errorReply(newError(status, code, "injected fault", long))
	}
	if f.RetryAfter > 0 {
		r.header.Set("Retry-After", strconv.Itoa(f.RetryAfter))
	}
	return r
}

// echo repeats text in several spellings: as it is, as in a URL, as in JSON within JSON,
// and as in HTML.
func echo(text string) string {
	return fmt.Sprintf("Unexpected %s, %s, %s, %s.", text,
		strings.ReplaceAll(url.QueryEscape(text), "_", "%5F"), strings.ReplaceAll(text, "_", `\u005f`), strings.ReplaceAll(text, "_", "&#95;"))
}
