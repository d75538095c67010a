package clerkorg

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/clerkorg/clerkorg-go/internal/jsonwire"
)

// maxErrorBody is how much of a failed call's answer an APIError keeps.
const maxErrorBody = 512

// toError turns answers that are no success into errors. A create has an unknown
// outcome where the server failed halfway (408, any 5xx but a 503 that says when to come
// back), where it points to a result elsewhere (303), and where the status means nothing
// (above 599).
func (c *Client) toError(next handler) handler {
	return func(ctx context.Context, call *call) (*answer, error) {
		got, err := next(ctx, call)
		if err != nil || isSuccess(got.status) {
			return got, err
		}
		defer releaseBuffer(got.body)
		api := c.newAPIError(call, got)
		halfway := api.StatusCode >= 500 || api.StatusCode == http.StatusRequestTimeout || api.StatusCode == http.StatusSeeOther
		refused := api.StatusCode == http.StatusServiceUnavailable && api.RetryAfter > 0
		if call.creates() && halfway && !refused {
			return nil, &callError{err: api, sent: true, create: true}
		}
		return nil, api
	}
}

func (c *Client) newAPIError(call *call, got *answer) *APIError {
	body := got.body.Bytes()
	var parsed struct {
		Errors  []ErrorDetail `json:"errors"`
		TraceID string        `json:"clerk_trace_id"`
	}
	if err := jsonwire.Unmarshal(body, &parsed); err != nil {
		parsed.Errors, parsed.TraceID = nil, ""
	}
	api := &APIError{
		StatusCode:  got.status,
		Errors:      parsed.Errors,
		TraceID:     cmp.Or(parsed.TraceID, traceID(got.header)),
		Method:      call.method,
		Path:        call.path,
		RetryAfter:  retryAfter(got.header, time.Now(), c.longestWait(call)),
		ContentType: mediaType(got.header),
		Body:        bytes.Clone(body[:min(len(body), maxErrorBody)]),
		template:    call.template,
	}
	if len(api.Errors) == 0 {
		api.foreign = c.describeForeign(got)
	}
	return api
}

// shortestWait is what "now" in a Retry-After means: the header counts seconds.
const shortestWait = time.Second

// longestWait is how far a Retry-After is believed: a day, or ten windows of the call's
// quota where those are longer. After that one call asks again. A time in milliseconds,
// or a date in the year 9999, would close the quota of the key for good.
func (c *Client) longestWait(call *call) time.Duration {
	window := call.quota.Window
	if window == 0 {
		window = c.quotas[QuotaInstance].Window
	}
	const day = 24 * time.Hour
	return max(day, 10*min(window, 365*day)) // more would overflow
}

// retryAfter reads a Retry-After header, in seconds or as a date, which is by the
// server's clock where the answer is dated. It is 0 where there is none, and longest at
// most.
func retryAfter(header http.Header, now time.Time, longest time.Duration) time.Duration {
	text := strings.TrimSpace(header.Get("Retry-After"))
	digits := strings.Trim(text, "0123456789.") == "" // ParseFloat also reads "Inf" and "1e9"
	if seconds, err := strconv.ParseFloat(text, 64); digits && (err == nil || errors.Is(err, strconv.ErrRange)) {
		return max(shortestWait, time.Duration(min(seconds, longest.Seconds())*float64(time.Second)))
	}
	if at, err := http.ParseTime(text); err == nil {
		if dated, err := http.ParseTime(header.Get("Date")); err == nil {
			now = dated
		}
		return min(max(shortestWait, at.Sub(now)), longest) // Sub stops at the longest Duration there is
	}
	return 0
}
