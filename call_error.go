package clerkorg

import (
	"bytes"
	"cmp"
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/clerkorg/clerkorg-go/internal/jsonwire"
)

// maxErrorBody is how much of a failed call's answer an APIError keeps.
const maxErrorBody = 512

// toError turns answers that are no success into errors. A create that the server
// failed halfway (any 5xx, but a 503 that says when to come back) has an unknown
// outcome.
func (c *Client) toError(next handler) handler {
	return func(ctx context.Context, call *call) (*answer, error) {
		got, err := next(ctx, call)
		if err != nil || (got.status >= 200 && got.status < 300) {
			return got, err
		}
		defer releaseBuffer(got.body)
		api := c.newAPIError(call, got)
		halfway := api.StatusCode >= 500 || api.StatusCode == http.StatusRequestTimeout
		refused := api.StatusCode == http.StatusServiceUnavailable && api.RetryAfter > 0
		if call.creates() && halfway && !refused {
			return nil, &callError{err: api, sent: true, create: true}
		}
		return nil, api
	}
}

func (c *Client) newAPIError(call *call, got *answer) *APIError {
	// The answer may repeat the key; the error must not.
	body := c.redact(got.body.Bytes())
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
		RetryAfter:  retryAfter(got.header, time.Now()),
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

// retryAfter reads a Retry-After header, in seconds or as a date. It is 0 where
// there is none.
func retryAfter(header http.Header, now time.Time) time.Duration {
	text := strings.TrimSpace(header.Get("Retry-After"))
	digits := strings.Trim(text, "0123456789.") == "" // ParseFloat also reads "Inf" and "1e9"
	if seconds, err := strconv.ParseFloat(text, 64); err == nil && digits {
		const most = 1 << 31 // keeps nonsense from overflowing
		return max(shortestWait, time.Duration(min(seconds, most)*float64(time.Second)))
	}
	if at, err := http.ParseTime(text); err == nil {
		return max(shortestWait, at.Sub(now))
	}
	return 0
}
