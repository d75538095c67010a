package clerkorg

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Option configures a [Client]. [NewClient] checks it.
type Option func(*Client) error

// WithBaseURL sends the calls to another base URL than [DefaultBaseURL], with or
// without /v1 at its end: "https://api.clerk.com" and "https://api.clerk.com/v1" are
// the same. It must be https; plain http is for loopback only. A path in front of
// /v1 is kept; one behind it, and another version, are errors.
func WithBaseURL(base string) Option {
	return func(c *Client) error {
		u, err := url.Parse(base)
		switch fault := cmp.Or(edgeFault(base), invisibleFault(base)); {
		case fault != "":
			return errors.New("base URL: " + fault)
		case err != nil || u.Hostname() == "" || u.Opaque != "":
			return errors.New("base URL: must be absolute, as in https://api.clerk.com") // the text may hold a password
		case u.User != nil:
			return errors.New("base URL: must not hold a user or a password")
		case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
			return errors.New("base URL: must not have a query or a fragment")
		case u.Scheme == "http" && !isLoopback(u.Hostname()):
			return errors.New("base URL: must be https; http is for loopback only")
		case u.Scheme != "http" && u.Scheme != "https":
			return errors.New("base URL: must be https")
		}
		if fault := hostFault(u); fault != "" {
			return errors.New("base URL: " + fault)
		}
		path, fault := versioned(strings.TrimRight(u.EscapedPath(), "/"))
		if fault != "" {
			return errors.New("base URL: " + fault)
		}
		c.baseURL = u.Scheme + "://" + u.Host + path
		return nil
	}
}

var versionShape = regexp.MustCompile(`^[vV][0-9]+$`)

// versioned returns the path of a base URL with /v1 at its end, or says why that
// is not what was meant.
func versioned(path string) (with, fault string) {
	segments := strings.Split(path, "/")
	last := segments[len(segments)-1]
	switch {
	case strings.Contains(path, "//") || slices.Contains(segments, ".") || slices.Contains(segments, ".."):
		return "", "must not have empty or dot segments in its path"
	case last == "v1":
		return path, ""
	case versionShape.MatchString(last):
		return "", "must end in /v1, the only version that this package speaks, or have none"
	case slices.ContainsFunc(segments, versionShape.MatchString):
		return "", "must not go on after the version: calls add their own paths"
	}
	return path + "/v1", ""
}

func isLoopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	address, err := netip.ParseAddr(host)
	return err == nil && address.IsLoopback()
}

// WithHTTPClient sends the calls through a copy of client. No redirect is followed,
// since the secret key must not go to another host. A timeout of zero becomes
// [DefaultTimeout], and a nil transport one with more idle connections than that of
// net/http.
func WithHTTPClient(client *http.Client) Option {
	return func(c *Client) error {
		if client == nil {
			return errors.New("HTTP client: must not be nil")
		}
		c.http = client
		return nil
	}
}

// WithUserAgent appends product, as in "importer/1.2", to the User-Agent of this
// package.
func WithUserAgent(product string) Option {
	return func(c *Client) error {
		if product == "" || strings.ContainsFunc(product, func(r rune) bool { return r < ' ' || r > '~' }) {
			return errors.New("user agent: must be printable ASCII, and not empty")
		}
		c.userAgent = "clerkorg-go/" + Version + " " + product
		return nil
	}
}

var apiVersionShape = regexp.MustCompile(`^\d{4}-\d{2}-\d{2}$`)

// WithAPIVersion asks for another version of the API than [DefaultAPIVersion],
// the one that this package was written for. Versions are dates.
func WithAPIVersion(version string) Option {
	return func(c *Client) error {
		if !apiVersionShape.MatchString(version) {
			return errors.New("API version: must be a date, as in " + DefaultAPIVersion)
		}
		c.apiVersion = version
		return nil
	}
}

// WithRateLimiter keeps the quotas in limiter, in place of the bucket that all clients
// with the same key share: a bucket for this client alone ([NewTokenBucket]), one in
// Redis, or [Unlimited].
func WithRateLimiter(limiter RateLimiter) Option {
	return func(c *Client) error {
		if limiter == nil {
			return errors.New("rate limiter: must not be nil")
		}
		c.limiter = limiter
		return nil
	}
}

// WithQuotas replaces built-in quotas by name ([QuotaBulk], [QuotaCreate],
// [QuotaApplicationBulk], [QuotaApplicationCreate], [QuotaInstance]), for instances with
// other limits.
func WithQuotas(quotas ...Quota) Option {
	return func(c *Client) error {
		own := maps.Clone(c.quotas)
		for _, quota := range quotas {
			if err := quota.check(); err != nil {
				return fmt.Errorf("quotas: %w", err)
			}
			if _, known := own[quota.Name]; !known {
				return fmt.Errorf("quotas: no quota is named %q", quota.Name)
			}
			own[quota.Name] = quota
		}
		c.quotas = own
		return nil
	}
}

// WithMaxRateLimitWait limits how long a call waits for quota in all its attempts
// together, for the limiter or because the server asked for it, before it fails with a
// [*RateLimitError]. The default is 10 s; with zero a call never waits.
func WithMaxRateLimitWait(wait time.Duration) Option {
	return func(c *Client) error {
		if wait < 0 {
			return fmt.Errorf("rate limit wait: must not be negative, is %s", wait)
		}
		c.maxWait = wait
		return nil
	}
}

// WithMaxRetries limits how often a call is sent again where that cannot do anything
// twice. The default is 3; with zero no call is sent again.
func WithMaxRetries(retries int) Option {
	return func(c *Client) error {
		if retries < 0 {
			return fmt.Errorf("retries: must not be negative, are %d", retries)
		}
		c.maxRetries = retries
		return nil
	}
}

// WithLogger writes a line for every attempt of a call: method, path template, attempt,
// duration, quota left, and status, trace id, codes and media type of the answer, or why
// there is none. Its level is debug, but warn
//   - for an attempt that repeats another one, after which failure and after what wait;
//   - for a request that never left, with the kind of its cause ("dns", "refused",
//     "tls", "timeout", "limiter unavailable" and so on), unless the caller cancelled it
//     or the client's own ledger has refused it;
//   - for a rate limiter that could not be told the outcome of a call.
//
// No line holds the key or an e-mail address.
func WithLogger(logger *slog.Logger) Option {
	return func(c *Client) error {
		if logger == nil {
			return errors.New("logger: must not be nil")
		}
		c.logger = logger
		return nil
	}
}

// WithObserver tells observer of every call and every attempt. Given more than once, each
// is told: of beginnings in the order of the options, of ends in the reverse order.
func WithObserver(observer Observer) Option {
	return func(c *Client) error {
		if observer == nil {
			return errors.New("observer: must not be nil")
		}
		c.observers = append(c.observers, observer)
		return nil
	}
}
