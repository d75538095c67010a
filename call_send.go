package clerkorg

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptrace"
	"time"
)

const (
	// maxAnswer is how much of an answer is read.
	maxAnswer = 16 << 20

	// maxRefusal is how much is read of the body of an answer that is no success, and
	// maxRefusalWait how long: what it is to say, its status has said.
	maxRefusal     = 1 << 20
	maxRefusalWait = 2 * time.Second
)

// roundTrip sends the request, once, and reads the answer.
func (c *Client) roundTrip(ctx context.Context, call *call) (*answer, error) {
	if err := ctx.Err(); err != nil {
		return nil, call.fail(false, err)
	}
	limited, cancel := context.WithTimeout(ctx, c.http.Timeout)
	defer cancel()
	_, direct := c.http.Transport.(*http.Transport)
	delivery := delivery{direct: direct}
	req, err := c.newRequest(httptrace.WithClientTrace(limited, delivery.hooks()), call, &delivery)
	if err != nil {
		return nil, call.fail(false, err)
	}
	resp, err := c.exchange(req)
	if err != nil {
		err = notProcessed(err)
		return nil, call.fail(delivery.maybeSent(limited, err), c.withContextErr(ctx, limited, err))
	}
	defer resp.Body.Close()
	if resp.StatusCode < http.StatusOK {
		// The body of a 101 is the connection itself: reading it has no end.
		return nil, call.fail(true, fmt.Errorf("status %d is no answer", resp.StatusCode))
	}
	c.clock.observe(resp.Header)
	// A transport of the caller's own may not end a read with the context.
	stop := context.AfterFunc(limited, func() { _ = resp.Body.Close() })
	defer stop()
	body := buffers.Get().(*bytes.Buffer)
	if isSuccess(resp.StatusCode) {
		err = readAnswer(body, resp)
	} else {
		readRefusal(body, resp, cancel)
	}
	if err != nil {
		releaseBuffer(body)
		return nil, call.fail(true, c.withContextErr(ctx, limited, err))
	}
	return &answer{status: resp.StatusCode, header: resp.Header, body: body}, nil
}

func isSuccess(status int) bool { return status >= 200 && status < 300 }

func (c *Client) newRequest(ctx context.Context, call *call, delivery *delivery) (*http.Request, error) {
	target := c.baseURL + call.path
	if call.query != "" {
		target += "?" + call.query
	}
	req, err := http.NewRequestWithContext(ctx, call.method, target, nil)
	if err != nil {
		return nil, err
	}
	delivery.target = req.URL
	maps.Copy(req.Header, c.header())
	if call.payload != nil {
		req.Header["Content-Type"] = jsonType
		delivery.body = new(payloadReader)
		delivery.body.bytes.Reset(call.payload)
		req.Body, req.ContentLength = delivery.body, int64(len(call.payload))
		if delivery.direct && c.speaksHTTP1.Load() {
			req.GetBody = replay
		}
	}
	return req, nil
}

// jsonType is shared by all requests, as the values of Client.header are: a transport
// that changes a header sets it, and does not write into its values.
var jsonType = []string{"application/json"}

// exchange hands a request to the transport. An http.Client would read the redirects
// that it is told not to follow, and ask for the body to send it there.
func (c *Client) exchange(req *http.Request) (*http.Response, error) {
	jar := c.http.Jar
	if jar != nil {
		for _, cookie := range jar.Cookies(req.URL) {
			req.AddCookie(cookie)
		}
	}
	resp, err := c.http.Transport.RoundTrip(req)
	switch {
	case err != nil:
		if strange, ok := errors.AsType[tls.RecordHeaderError](err); ok && string(strange.RecordHeader[:]) == "HTTP/" {
			return nil, http.ErrSchemeMismatch
		}
		return nil, err
	case resp == nil:
		return nil, errors.New("the transport returned neither an answer nor an error")
	case resp.Body == nil:
		resp.Body = http.NoBody
	}
	if http1 := resp.ProtoMajor == 1; http1 != c.speaksHTTP1.Load() {
		c.speaksHTTP1.Store(http1)
	}
	if jar != nil {
		if cookies := resp.Cookies(); len(cookies) > 0 {
			jar.SetCookies(req.URL, cookies)
		}
	}
	return resp, nil
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

// readRefusal reads what comes of the body of an answer that is no success, until it
// breaks, is long enough, or takes too long; cancel ends the request.
func readRefusal(body *bytes.Buffer, resp *http.Response, cancel context.CancelFunc) {
	timer := time.AfterFunc(maxRefusalWait, cancel)
	defer timer.Stop()
	_, _ = body.ReadFrom(io.LimitReader(resp.Body, maxRefusal))
}

// withContextErr makes the errors of contexts visible in err: that of the caller's, for
// which net/http reports the cause that it was cancelled with, or that of the limited
// one, which ends with the client's timeout.
func (c *Client) withContextErr(callers, limited context.Context, err error) error {
	over := callers.Err()
	switch {
	case over != nil && !errors.Is(err, over):
		return fmt.Errorf("%w: %w", over, withoutURL(err))
	case over == nil && limited.Err() != nil: // err comes of it
		return fmt.Errorf("no answer within %s: %w", c.http.Timeout, limited.Err())
	}
	return err
}
