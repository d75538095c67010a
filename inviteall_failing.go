package clerkorg

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"
)

// runError says what ended a run, or decided a row, and wraps why.
type runError struct {
	text string
	is   error // what the error matches besides; may be nil
	err  error // never nil
}

func (e *runError) Error() string {
	return e.text + ": " + strings.TrimPrefix(e.err.Error(), "clerkorg: ")
}

func (e *runError) Unwrap() []error {
	if e.is == nil {
		return []error{e.err}
	}
	return []error{e.is, e.err}
}

// LogValue keeps the server's sentences, which may name an address, out of the log.
func (e *runError) LogValue() slog.Value {
	return slog.GroupValue(slog.String("reason", e.text), slog.Any("cause", e.err))
}

// streak counts failures in a row, of one kind of call.
type streak struct {
	failures int
	since    time.Time
}

// backoff is how long to pause: not at all at first, then twice as long each
// time, up to a minute.
func (s *streak) backoff() time.Duration {
	if !s.repeated() {
		return 0
	}
	return min(time.Minute, time.Second<<min(s.failures-2, 10))
}

// repeated reports whether there has been more than one failure.
func (s *streak) repeated() bool { return s.failures > 1 }

// succeeded notes that such calls work.
func (r *inviteRun) succeeded(s *streak) {
	s.failures = 0
	if r.reads.failures+r.sends.failures == 0 {
		r.progress.Err, r.progress.FailingSince = nil, time.Time{}
	}
}

// failed notes that a call has failed, and pauses. It gives up after MaxOutage.
func (r *inviteRun) failed(s *streak, err error) {
	now := time.Now()
	if r.progress.Err == nil {
		r.progress.FailingSince = now
	}
	r.progress.Err = err
	if s.failures == 0 {
		s.since = now
	}
	s.failures++
	if down := now.Sub(s.since); down > r.opts.MaxOutage {
		r.stop(&runError{text: fmt.Sprintf("clerkorg: no call has succeeded for %s", down.Round(time.Second)), err: err})
		return
	}
	r.pause(s.backoff())
}

func (r *inviteRun) pause(d time.Duration) {
	if until := time.Now().Add(d); until.After(r.pauseUntil) {
		r.pauseUntil = until
	}
}

// readFailed handles a read that failed, and reports whether to retry it.
func (r *inviteRun) readFailed(err error) (retry bool) {
	var invalid *ValidationError
	api, _ := errors.AsType[*APIError](err)
	switch {
	case r.ctx.Err() != nil:
		return false
	case errors.As(err, &invalid), api != nil && !momentary(api):
		r.stop(err)
		return false
	}
	r.failed(&r.reads, err)
	return r.fatal == nil
}

// momentary reports whether a refusal is about the moment, not about what was
// asked: the server is busy or out of order, or something in front of it is.
func momentary(api *APIError) bool {
	switch api.StatusCode {
	case http.StatusRequestTimeout, http.StatusConflict, http.StatusLocked, http.StatusTooEarly, http.StatusTooManyRequests:
		return true
	case http.StatusForbidden:
		return len(api.Errors) == 0 // a firewall's, not Clerk's
	}
	return api.StatusCode >= 500 || api.StatusCode < 200
}

// unexplained reports whether a refusal lacks Clerk's words, which were cut off or are
// those of something in front of it. The batch is asked about again, once it is known
// that it was not created in part.
func unexplained(api *APIError) bool {
	if api == nil || len(api.Errors) > 0 {
		return false
	}
	switch api.StatusCode {
	case http.StatusBadRequest, http.StatusForbidden, http.StatusNotFound, http.StatusUnprocessableEntity:
		return true
	}
	return false
}

// aboutAddresses reports whether a read may have been refused because of the
// addresses that it asked about, or because they are too many.
func aboutAddresses(err error) bool {
	api, ok := errors.AsType[*APIError](err)
	if !ok {
		return false
	}
	switch api.StatusCode {
	case http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusRequestURITooLong,
		http.StatusUnprocessableEntity, http.StatusRequestHeaderFieldsTooLarge:
		return true
	}
	return false
}
