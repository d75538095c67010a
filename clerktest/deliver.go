package clerktest

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"
)

// answerTime is how long a receiver may take.
const answerTime = 15 * time.Second

// webhooks delivers events. A goroutine makes the attempts that are due, one after
// another, and ends when there is none; what is due later is a timer.
type webhooks struct {
	webhookConfig
	instanceID string
	now        func() time.Time
	client     *http.Client

	closing context.Context
	close   context.CancelFunc

	mu      sync.Mutex // guards the rest
	held    []*message // collected to be reordered
	waiting []*message // for their time, the next one first
	due     []*message
	working bool
	open    int           // events that are not done with
	idle    chan struct{} // closed when none is open
	log     []Delivery
}

// message is an event on its way. It is in one place at a time, whose holder may
// change it.
type message struct {
	id, kind string
	body     []byte
	next     time.Time // of the next attempt, by package time
	attempts int
	failures int
	copies   int // deliveries after the first one that was accepted
}

func newWebhooks(c *webhookConfig, now func() time.Time, random *randomness) *webhooks {
	w := &webhooks{webhookConfig: *c, now: now, instanceID: random.id("ins_"), idle: make(chan struct{})}
	close(w.idle)
	if w.secret == "" {
		w.key = newWebhookKey()
		w.secret = "whsec_" + base64.StdEncoding.EncodeToString(w.key)
	}
	w.closing, w.close = context.WithCancel(context.Background())
	w.client = &http.Client{
		Transport:     &http.Transport{Proxy: http.ProxyFromEnvironment},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, // is a failure
	}
	return w
}

// add takes a new event.
func (w *webhooks) add(m *message) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.open == 0 {
		w.idle = make(chan struct{})
	}
	w.open++
	if w.reorder == 0 {
		w.schedule(m, w.firstDelay())
		return
	}
	w.held = append(w.held, m)
	if len(w.held) == 1 {
		time.AfterFunc(w.reorder, w.release)
	}
}

func (w *webhooks) firstDelay() time.Duration {
	if w.delay == nil {
		return 0
	}
	return w.delay()
}

// release lets go what was collected.
func (w *webhooks) release() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, m := range slices.Backward(w.held) {
		w.schedule(m, w.firstDelay())
	}
	w.held = nil
}

// schedule makes an attempt due after a while. The caller holds w.mu.
func (w *webhooks) schedule(m *message, in time.Duration) {
	m.next = time.Now().Add(in)
	w.waiting = append(w.waiting, m)
	slices.SortStableFunc(w.waiting, func(a, b *message) int { return a.next.Compare(b.next) })
	if in <= 0 {
		w.wake()
		return
	}
	time.AfterFunc(in, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.wake()
	})
}

// wake takes up all that is due. Timers of the same moment run in any order; attempts
// are made in the order in which they were scheduled. The caller holds w.mu.
func (w *webhooks) wake() {
	for len(w.waiting) > 0 && !w.waiting[0].next.After(time.Now()) {
		w.due = append(w.due, w.waiting[0])
		w.waiting = w.waiting[1:]
	}
	if len(w.due) > 0 && !w.working {
		w.working = true
		go w.work()
	}
}

func (w *webhooks) work() {
	for {
		w.mu.Lock()
		if len(w.due) == 0 || w.closing.Err() != nil {
			w.working = false
			w.mu.Unlock()
			return
		}
		m := w.due[0]
		w.due = w.due[1:]
		w.mu.Unlock()
		w.attempt(m)
	}
}

// attempt makes one attempt and decides whether there is to be another.
func (w *webhooks) attempt(m *message) {
	m.attempts++
	made := Delivery{Time: w.now(), EventID: m.id, Type: m.kind, Attempt: m.attempts}
	if m.attempts > w.drops {
		made.Status, made.Err = w.send(m, made.Time)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.log = append(w.log, made)
	switch {
	case made.Status/100 != 2 && m.failures < len(w.retries):
		m.failures++
		w.schedule(m, w.retries[m.failures-1])
	case made.Status/100 == 2 && m.copies < w.duplicates:
		m.copies++
		w.schedule(m, 0)
	default:
		w.open--
		if w.open == 0 {
			close(w.idle)
		}
	}
}

func (w *webhooks) whenIdle() <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.idle
}

// send makes a request and waits for the status of its answer.
func (w *webhooks) send(m *message, at time.Time) (int, error) {
	ctx, cancel := context.WithTimeout(w.closing, answerTime)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.url, bytes.NewReader(m.body)) //nolint:gosec // The test chooses the URL.
	if err != nil {
		return 0, err
	}
	timestamp := strconv.FormatInt(at.Unix(), 10)
	mac := hmac.New(sha256.New, w.key)
	fmt.Fprintf(mac, "%s.%s.%s", m.id, timestamp, m.body)
	req.Header.Set("Content-Type", jsonType)
	req.Header.Set("User-Agent", "clerktest")
	req.Header.Set("Svix-Id", m.id)
	req.Header.Set("Svix-Timestamp", timestamp)
	req.Header.Set("Svix-Signature", "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	if w.handler != nil {
		return w.hand(req)
	}
	resp, err := w.client.Do(req) //nolint:gosec // The same.
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, maxBody)) // so that the connection is used again
	return resp.StatusCode, nil
}

// hand hands a request to the handler, as the server of net/http would.
func (w *webhooks) hand(req *http.Request) (int, error) {
	req.RequestURI, req.RemoteAddr = req.URL.RequestURI(), "192.0.2.1:49152"
	type outcome struct {
		status int
		err    error
	}
	ended := make(chan outcome, 1)
	go func() {
		answer := &statusRecorder{header: http.Header{}}
		defer func() {
			if p := recover(); p != nil {
				ended <- outcome{0, fmt.Errorf("clerktest: the webhook handler panicked: %v", p)}
			}
		}()
		w.handler.ServeHTTP(answer, req)
		answer.WriteHeader(http.StatusOK) // if it has not written any
		ended <- outcome{answer.status, nil}
	}()
	select {
	case got := <-ended:
		return got.status, got.err
	case <-req.Context().Done():
		return 0, errors.New("clerktest: the webhook handler has not answered in time")
	}
}

// statusRecorder keeps nothing of an answer but its status.
type statusRecorder struct {
	header http.Header
	status int
}

// Header implements [http.ResponseWriter].
func (r *statusRecorder) Header() http.Header { return r.header }

// Write implements [http.ResponseWriter].
func (r *statusRecorder) Write(p []byte) (int, error) {
	r.WriteHeader(http.StatusOK)
	return len(p), nil
}

// WriteHeader implements [http.ResponseWriter].
func (r *statusRecorder) WriteHeader(status int) {
	if r.status == 0 && status >= http.StatusOK { // the others are hints
		r.status = status
	}
}
