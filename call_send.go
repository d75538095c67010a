package clerkorg

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
)

// maxAnswer is how much of an answer is read.
const maxAnswer = 16 << 20

// roundTrip sends the request, once, and reads the answer to its end.
func (c *Client) roundTrip(ctx context.Context, call *call) (*answer, error) {
	if err := ctx.Err(); err != nil {
		return nil, call.fail(false, err)
	}
	var trace sendTrace
	req, err := c.newRequest(httptrace.WithClientTrace(ctx, trace.hooks()), call)
	if err != nil {
		return nil, call.fail(false, err)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, call.fail(trace.maybeSent(), withContextErr(ctx, err))
	}
	defer resp.Body.Close()
	c.clock.observe(resp.Header)
	body := buffers.Get().(*bytes.Buffer)
	if err := readAnswer(body, resp); err != nil {
		releaseBuffer(body)
		return nil, call.fail(true, withContextErr(ctx, err))
	}
	return &answer{status: resp.StatusCode, header: resp.Header, body: body}, nil
}

func (c *Client) newRequest(ctx context.Context, call *call) (*http.Request, error) {
	target := c.baseURL + call.path
	if call.query != "" {
		target += "?" + call.query
	}
	var body io.Reader
	if call.payload != nil {
		// A type that net/http does not know leaves GetBody unset, without which it
		// never replays a request on its own.
		body = struct{ io.Reader }{bytes.NewReader(call.payload)}
	}
	req, err := http.NewRequestWithContext(ctx, call.method, target, body)
	if err != nil {
		return nil, err
	}
	req.ContentLength = int64(len(call.payload))
	c.authorize(req.Header)
	req.Header.Set("Accept", "application/json")
	req.Header.Set("Clerk-API-Version", c.apiVersion)
	req.Header.Set("User-Agent", c.userAgent)
	if call.payload != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	return req, nil
}

// readAnswer reads all of it, so that the connection can be used again.
func readAnswer(body *bytes.Buffer, resp *http.Response) error {
	if resp.ContentLength > maxAnswer {
		return errTooLong
	}
	if resp.ContentLength > 0 {
		body.Grow(int(resp.ContentLength) + bytes.MinRead) // ReadFrom wants that much room at the end
	}
	n, err := body.ReadFrom(io.LimitReader(resp.Body, maxAnswer+1))
	switch {
	case err != nil:
		return err
	case n > maxAnswer:
		return errTooLong
	case resp.ContentLength > n && !resp.Uncompressed:
		return io.ErrUnexpectedEOF // a transport of the caller's own may not notice
	}
	return nil
}

var errTooLong = fmt.Errorf("the answer is longer than %d MiB", maxAnswer>>20)

// withContextErr makes the error of a context that has withContextErr visible in err: net/http
// reports the cause that it was cancelled with instead.
func withContextErr(ctx context.Context, err error) error {
	if over := ctx.Err(); over != nil && !errors.Is(err, over) {
		return fmt.Errorf("%w: %w", over, withoutURL(err))
	}
	return err
}

// sendTrace finds out whether a request left.
type sendTrace struct {
	traced atomic.Bool // the transport reports what it does
	wrote  atomic.Bool
}

func (d *sendTrace) hooks() *httptrace.ClientTrace {
	return &httptrace.ClientTrace{
		GetConn:      func(string) { d.traced.Store(true) },
		WroteHeaders: func() { d.wrote.Store(true) },
		WroteRequest: func(info httptrace.WroteRequestInfo) {
			if info.Err == nil { // otherwise WroteHeaders tells
				d.wrote.Store(true)
			}
		},
		GotFirstResponseByte: func() { d.wrote.Store(true) },
	}
}

// maybeSent is true unless the request certainly stayed. A transport that reports
// nothing may have sent it.
func (d *sendTrace) maybeSent() bool { return d.wrote.Load() || !d.traced.Load() }
