package clerkorg

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/google/go-querystring/query"

	"github.com/clerkorg/clerkorg-go/internal/jsonwire"
)

// call is one call of the API, on its way through the handlers.
type call struct {
	method   string
	template string    // path with names in braces; what logs show
	ids      [2]string // what takes the place of the names, in order
	query    string
	body     any   // nil where there is none
	bodySize int   // about how long it will be; 0 where nobody cares
	quota    Quota // the endpoint's own; zero where the instance's alone counts

	path      string        // template with the ids, escaped; what is sent
	payload   []byte        // body, encoded once; every attempt sends the same
	attempt   int           // 1 for the first
	failed    failedAttempt // the one before, for the log
	remaining int           // tokens left in the quota of the call, once one was taken
	waited    time.Duration // for quota, over all attempts
}

// creates reports whether the call may not be repeated blindly.
func (c *call) creates() bool { return c.method != http.MethodGet }

// answer is what came back for a call: its status, its headers, and its body,
// read to the end.
type answer struct {
	status int
	header http.Header
	body   *bytes.Buffer
}

// handler carries out a call, or a step of it before the next handler.
type handler func(ctx context.Context, c *call) (*answer, error)

// chain is the way of a call, outermost step first. A token is taken, and a line
// logged, for every attempt.
func (c *Client) chain() handler {
	return c.retry(
		c.log(
			c.acquireQuota(
				c.toError(
					c.roundTrip))))
}

// send carries out a call and decodes its answer. Whatever it returns with an
// error is the zero value.
func send[T any](ctx context.Context, client *Client, c *call, decode func([]byte) (T, error)) (T, error) {
	var none T
	c.path = c.escapedPath()
	if c.body != nil {
		payload, err := jsonwire.Append(make([]byte, 0, c.bodySize), c.body)
		if err != nil {
			return none, &callError{err: err}
		}
		c.payload = payload
	}
	got, err := client.handle(ctx, c)
	if err != nil {
		return none, err
	}
	defer releaseBuffer(got.body)
	value, err := decode(got.body.Bytes())
	if err != nil {
		return none, c.unreadable(got, err)
	}
	return value, nil
}

func decode[T any](data []byte) (*T, error) {
	value := new(T)
	if err := jsonwire.Unmarshal(data, value); err != nil {
		return nil, err
	}
	return value, nil
}

// escapedPath puts the ids into the template, each as one segment.
func (c *call) escapedPath() string {
	path := c.template
	for _, id := range c.ids {
		from, to := strings.IndexByte(path, '{'), strings.IndexByte(path, '}')
		if from < 0 {
			break
		}
		path = path[:from] + url.PathEscape(id) + path[to+1:]
	}
	return path
}

// buffers holds the bodies of answers between calls.
var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// maxPooledBuffer keeps one very long answer from staying in memory for ever.
const maxPooledBuffer = 1 << 20

func releaseBuffer(b *bytes.Buffer) {
	if b.Cap() <= maxPooledBuffer {
		b.Reset()
		buffers.Put(b)
	}
}

// fail wraps what kept a call from having an answer.
func (c *call) fail(sent bool, err error) error {
	err = withoutURL(err)
	return &callError{
		err:    fmt.Errorf("%s %s: %w", c.method, c.path, err),
		sent:   sent,
		create: c.creates(),
	}
}

// withoutURL takes an error out of every url.Error around it: they repeat the URL,
// whose query can name an e-mail address.
func withoutURL(err error) error {
	for {
		outer, ok := errors.AsType[*url.Error](err)
		if !ok || outer.Err == nil {
			return err
		}
		err = outer.Err
	}
}

func isSent(err error) bool {
	failed, ok := errors.AsType[*callError](err)
	return ok && failed.sent
}

func traceID(header http.Header) string {
	return cmp.Or(header.Get("Clerk-Trace-Id"), header.Get("CF-Ray"))
}

// list sends a call with a query, for a page of something. An answer without a
// list in it is no empty page: nobody is to be invited because of it.
func list[T any, P interface {
	*T
	isPage() bool
}](ctx context.Context, c *Client, params any, list *call) (*T, error) {
	values, err := query.Values(params) // of a nil pointer: none
	if err != nil {
		return nil, fmt.Errorf("clerkorg: query of %s: %w", list.template, err)
	}
	list.method = http.MethodGet
	list.query = values.Encode()
	return send(ctx, c, list, func(data []byte) (*T, error) {
		value, err := decode[T](data)
		if err == nil && !P(value).isPage() {
			return nil, errors.New("the answer holds no list")
		}
		return value, err
	})
}

// valueOf copies params, so that a walk does not change when they do.
func valueOf[T any](params *T) T {
	if params == nil {
		var none T
		return none
	}
	return *params
}
