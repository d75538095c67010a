package clerkorg

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"time"
)

// Version is the version of this package; with -dev, the one that comes next. The
// User-Agent header holds it.
const Version = "0.2.0-dev"

// Defaults of a [Client].
const (
	DefaultBaseURL          = "https://api.clerk.com/v1"
	DefaultAPIVersion       = "2026-05-12"
	DefaultTimeout          = 30 * time.Second // of one request
	DefaultMaxRetries       = 3
	DefaultMaxRateLimitWait = 10 * time.Second
)

// Client calls Clerk's Backend API with one secret key. It is safe for concurrent
// use, and a program needs only one. Printing or logging it does not show the key.
type Client struct {
	// Organizations has the calls about organizations.
	Organizations *OrganizationsService

	// Invitations has the calls about invitations into no organization: to sign up.
	Invitations *InvitationsService

	baseURL    string
	apiVersion string
	userAgent  string
	http       *http.Client
	logger     *slog.Logger
	observers  []Observer // the one that writes to logger is among them
	limiter    RateLimiter
	quotas     map[string]Quota
	reserve    map[string]int // tokens to leave to others, by quota
	maxWait    time.Duration
	maxRetries int
	backoff    time.Duration // before the first retry, about; tests that use sockets have less
	clock      *serverClock  // nil where the server's time does not matter

	// header is what every request says, the secret key included; secret is what takes
	// the key out of all that comes back. They are functions because no printer, encoder
	// or logger can look into one.
	header func() http.Header
	secret func() keyRedactor

	// speaksHTTP1 tells whether the last answer came over HTTP/1. Copies share it.
	speaksHTTP1 *atomic.Bool

	handle handler
}

// NewClient returns a client for the secret key of an instance ("sk_test_…" or
// "sk_live_…", from the API keys page of Clerk's dashboard). All options are
// checked; the error lists everything that is wrong, and never repeats the key.
//
// Clients of one process with the same key share their quota, unless
// [WithRateLimiter] says otherwise.
func NewClient(secretKey string, opts ...Option) (*Client, error) {
	return newClient("secret key", secretKey, opts)
}

// newClient is NewClient for a key that errors call by keyName.
func newClient(keyName, secretKey string, opts []Option) (*Client, error) {
	c := &Client{
		baseURL:    DefaultBaseURL,
		apiVersion: DefaultAPIVersion,
		userAgent:  "clerkorg-go/" + Version,
		http:       &http.Client{},
		quotas:     builtinQuotas(strings.HasPrefix(secretKey, "sk_live_")),
		maxWait:    DefaultMaxRateLimitWait,
		maxRetries: DefaultMaxRetries,
		backoff:    500 * time.Millisecond,
	}
	var faults []error
	if fault := secretKeyFault(secretKey); fault != "" {
		faults = append(faults, fmt.Errorf("clerkorg: the %s %s", keyName, fault))
	}
	for i, opt := range opts {
		if opt == nil {
			faults = append(faults, fmt.Errorf("clerkorg: option %d is nil", i))
		} else if err := opt(c); err != nil {
			faults = append(faults, fmt.Errorf("clerkorg: %w", err))
		}
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	if c.logger != nil {
		c.observers = append(c.observers, logObserver{c.logger})
	}
	c.http = prepareHTTPClient(c.http)
	header := http.Header{}
	header.Set("Authorization", "Bearer "+secretKey)
	header.Set("Accept", "application/json")
	header.Set("Clerk-API-Version", c.apiVersion)
	header.Set("User-Agent", c.userAgent)
	c.header = func() http.Header { return header }
	hidden := newKeyRedactor(secretKey)
	c.secret = func() keyRedactor { return hidden }
	c.speaksHTTP1 = new(atomic.Bool)
	if c.limiter == nil {
		c.limiter = sharedLimiters.bucket(secretKey)
	}
	c.ready()
	return c, nil
}

// ready puts together what depends on the fields of a client.
func (c *Client) ready() {
	c.handle = c.chain()
	c.Organizations = &OrganizationsService{client: c}
	c.Invitations = &InvitationsService{client: c}
}

// NewClientFromEnv returns a client for the secret key in the environment variable
// CLERK_SECRET_KEY. Where CLERK_API_URL is set, it is the base URL, as with
// [WithBaseURL]. Options take precedence over the environment. The error lists
// everything that is wrong, by the name of the variable, and never repeats the key.
func NewClientFromEnv(opts ...Option) (*Client, error) {
	if base := os.Getenv("CLERK_API_URL"); base != "" {
		fromEnv := func(c *Client) error {
			if err := WithBaseURL(base)(c); err != nil {
				return fmt.Errorf("CLERK_API_URL: %w", err)
			}
			return nil
		}
		opts = append([]Option{fromEnv}, opts...)
	}
	const variable = "environment variable CLERK_SECRET_KEY"
	secretKey, set := os.LookupEnv("CLERK_SECRET_KEY")
	if !set {
		return nil, errors.New("clerkorg: the " + variable + " is not set")
	}
	return newClient(variable, secretKey, opts)
}

// Quota returns how many tokens are left of one of the quotas ([QuotaBulk],
// [QuotaCreate], [QuotaApplicationBulk], [QuotaApplicationCreate], [QuotaInstance]), and
// when the next one comes back. It sends no request to Clerk. Where the limiter cannot be
// asked, the error matches [ErrLimiterUnavailable]; another name is an error too.
func (c *Client) Quota(ctx context.Context, name string) (QuotaState, error) {
	quota, ok := c.quotas[name]
	if !ok {
		return QuotaState{}, fmt.Errorf("clerkorg: there is no quota named %q", name)
	}
	state, err := c.limiter.State(ctx, quota)
	if err != nil && ctx.Err() == nil {
		return QuotaState{}, &limiterError{quota: quota, err: err}
	}
	return state, err
}

// String describes the client without its key.
func (c *Client) String() string {
	if c == nil {
		return "clerkorg.Client(nil)"
	}
	return "clerkorg.Client(" + c.baseURL + ")"
}

// GoString is String, so that %#v does not print the fields of a client.
func (c *Client) GoString() string { return c.String() }

// LogValue describes the client to a logger.
func (c *Client) LogValue() slog.Value { return slog.StringValue(c.String()) }

// MarshalText describes the client to an encoder.
func (c *Client) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// prepareHTTPClient copies a client and fills in what it leaves open. What the copy
// does about redirects does not count: none is followed, since it would take the secret
// key along.
func prepareHTTPClient(given *http.Client) *http.Client {
	own := *given
	if own.Timeout <= 0 {
		own.Timeout = DefaultTimeout
	}
	if own.Transport == nil {
		own.Transport = defaultTransport()
	}
	return &own
}

// maxResponseHeader is how long the headers of an answer may be.
const maxResponseHeader = 1 << 20

// defaultTransport keeps more idle connections to its one host than the two of
// net/http, so that a burst does not dial for every call.
func defaultTransport() http.RoundTripper {
	standard, ok := http.DefaultTransport.(*http.Transport)
	if !ok { // replaced, by a test or a tracer, for all clients of the process
		return http.DefaultTransport
	}
	own := standard.Clone()
	own.MaxIdleConnsPerHost = 64
	own.MaxResponseHeaderBytes = maxResponseHeader
	return own
}

// with returns a client with the same limiter and another patience.
func (c *Client) with(maxWait time.Duration, maxRetries int, reserve map[string]int) *Client {
	own := *c
	own.maxWait, own.maxRetries, own.reserve = maxWait, maxRetries, reserve
	own.ready()
	return &own
}
