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

// call is one call of the API, as it passes through the handlers.
type call struct {
	operation string // its name for observers
	method    string
	template  string    // path with names in braces; observers see it
	ids       [2]string // values of the names, in order
	query     string
	body      wireBody // nil where there is none

	quota     Quota         // of the endpoint; zero where only that of the instance applies
	path      string        // template with the ids, escaped, as it is sent
	payload   []byte        // body, encoded once for all attempts
	attempt   int           // 1 for the first
	took      string        // the quota of which the attempt has a token; that of the endpoint, if it has one
	remaining int           // tokens left in it after that one was taken
	waited    time.Duration // for quota, in all attempts together
	observed  *observed     // nil where there are no observers
}

// wireBody is the body of a call.
type wireBody interface {
	sizeOnWire() int              // the length of its JSON, estimated
	appendJSON(dst []byte) []byte // without white space
}

func sizeOfArray[T any, W interface {
	*T
	wireBody
}](items []T) int {
	size := 2
	for i := range items {
		size += W(&items[i]).sizeOnWire()
	}
	return size
}

func appendArray[T any, W interface {
	*T
	wireBody
}](dst []byte, items []T) []byte {
	dst = append(dst, '[')
	for i := range items {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = W(&items[i]).appendJSON(dst)
	}
	return append(dst, ']')
}

// creates reports whether repeating the call could do something twice.
func (c *call) creates() bool { return c.method != http.MethodGet }

// answer is the server's answer to a call: its status, its headers, and its body,
// read to the end.
type answer struct {
	status int
	header http.Header
	body   *bytes.Buffer
}

// handler carries out a call, or a step of it before the next handler.
type handler func(ctx context.Context, c *call) (*answer, error)

// chain puts the steps of a call in their order, the outermost first. Every attempt
// takes a token and is observed.
func (c *Client) chain() handler {
	return c.retry(
		c.observe(
			c.acquireQuota(
				c.toError(
					c.withoutKey(
						c.roundTrip)))))
}

// send carries out a call and decodes its answer. With an error it returns the zero
// value.
func send[T any](ctx context.Context, client *Client, c *call, decode func([]byte) (T, error)) (value T, err error) {
	var none T
	if len(client.observers) > 0 {
		ctx = client.startCall(ctx, c)
		defer func() { client.endCall(ctx, c, err) }()
	}
	c.path = c.escapedPath()
	c.quota = client.quotas[endpointQuota(c.method, c.template)]
	if c.body != nil {
		c.payload = c.body.appendJSON(make([]byte, 0, c.body.sizeOnWire()))
	}
	got, err := client.handle(ctx, c)
	if err != nil {
		return none, err
	}
	defer releaseBuffer(got.body)
	value, err = decode(got.body.Bytes())
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

// escapedPath returns the template with the ids in it, each as one segment.
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

// maxPooledBuffer keeps the memory of a very long answer from staying in the pool.
const maxPooledBuffer = 1 << 20

func releaseBuffer(b *bytes.Buffer) {
	if b.Cap() <= maxPooledBuffer {
		b.Reset()
		buffers.Put(b)
	}
}

// fail wraps the cause of a call that got no usable answer.
func (c *call) fail(sent bool, err error) error {
	err = withoutURL(err)
	return &callError{
		err:    fmt.Errorf("%s %s: %w", c.method, c.path, err),
		sent:   sent,
		create: c.creates(),
	}
}

// withoutURL unwraps an error from every url.Error around it: these repeat the URL,
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

// list sends a call with a query and decodes a page. An answer without a list is an
// error, not an empty page: that would look as if no address were invited yet.
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

// valueOf copies params, so that later changes to them do not affect an iterator.
func valueOf[T any](params *T) T {
	if params == nil {
		var none T
		return none
	}
	return *params
}
