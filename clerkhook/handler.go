package clerkhook

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
)

// HandlerOption configures a [Handler].
type HandlerOption func(*handler)

// WithDeduplicator hands each event to the callback until that returns nil, and not
// once more: later deliveries of it are answered with 204.
func WithDeduplicator(d Deduplicator) HandlerOption {
	return func(h *handler) { h.deduplicator = d }
}

// WithErrorFunc calls report for all that goes wrong: a delivery that is refused (the
// event is nil, and the error is one of [Verifier.Verify]), an error of the callback,
// an error of the deduplicator. The errors of this package hold nothing of what was
// delivered; what those of the callback hold, the callback decides. The function may
// be called by several goroutines at once. Without it nothing is reported.
func WithErrorFunc(report func(ctx context.Context, event *Event, err error)) HandlerOption {
	return func(h *handler) { h.report = report }
}

// Handler returns a handler for the URL of a webhook endpoint. It verifies each
// delivery and hands its event to the callback, with the context of the request,
// which ends where the sender stops waiting. It answers
//
//   - 204 where the callback returns nil;
//   - 500 where the callback or the deduplicator returns an error, so that the event
//     is delivered again;
//   - 400 where the delivery is not signed, not recent or not readable, and 413 where
//     its body is longer than [MaxBody];
//   - 405 for other methods than POST.
//
// The answer to a refused delivery says why; no answer holds the text of an error of
// the callback. Where the callback panics, the event is not taken for handled.
// Handler panics if the verifier or the callback is nil.
func Handler(v *Verifier, callback func(context.Context, *Event) error, opts ...HandlerOption) http.Handler {
	if v == nil || callback == nil {
		panic("clerkhook: Handler needs a verifier and a callback")
	}
	h := &handler{verifier: v, callback: callback}
	for _, opt := range opts {
		if opt != nil {
			opt(h)
		}
	}
	return h
}

type handler struct {
	verifier     *Verifier
	callback     func(context.Context, *Event) error
	deduplicator Deduplicator
	report       func(context.Context, *Event, error)
}

// ServeHTTP implements [http.Handler].
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		http.Error(w, http.StatusText(http.StatusMethodNotAllowed), http.StatusMethodNotAllowed)
		return
	}
	event, err := h.receive(w, r)
	if err != nil {
		h.failed(r.Context(), nil, err)
		status := http.StatusBadRequest
		if errors.Is(err, ErrTooLarge) {
			status = http.StatusRequestEntityTooLarge
		}
		http.Error(w, err.Error(), status)
		return
	}
	if err := h.handle(r.Context(), event); err != nil {
		h.failed(r.Context(), event, err)
		http.Error(w, "the event could not be handled", http.StatusInternalServerError)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func (h *handler) receive(w http.ResponseWriter, r *http.Request) (*Event, error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxBody))
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return nil, ErrTooLarge
	}
	if err != nil {
		return nil, errors.New("clerkhook: the body cannot be read to its end")
	}
	return h.verifier.Verify(r.Header, body)
}

func (h *handler) handle(ctx context.Context, event *Event) error {
	if h.deduplicator == nil {
		return h.callback(ctx, event)
	}
	claimed, err := h.deduplicator.Claim(ctx, event.ID)
	if err != nil {
		return fmt.Errorf("clerkhook: the deduplicator cannot claim an event: %w", err)
	}
	if !claimed {
		return nil
	}
	handled := false
	defer func() { // also where the callback panics
		// The sender may have gone; the outcome is to be remembered all the same.
		if err := h.deduplicator.Settle(context.WithoutCancel(ctx), event.ID, handled); err != nil {
			h.failed(ctx, event, fmt.Errorf("clerkhook: the deduplicator cannot settle an event: %w", err))
		}
	}()
	err = h.callback(ctx, event)
	handled = err == nil
	return err
}

func (h *handler) failed(ctx context.Context, event *Event, err error) {
	if h.report != nil {
		h.report(ctx, event, err)
	}
}
