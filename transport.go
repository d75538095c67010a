package clerkorg

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"time"
)

// NewTransport returns a transport for another client of the same secret key, such as
// Clerk's own SDK: it keeps the quotas of this package for the requests that carry the
// key to Clerk, in the bucket that a [Client] with the key uses in this process, or in
// that of [WithRateLimiter].
//
//	transport, err := clerkorg.NewTransport(secretKey)
//	if err != nil {
//		return err
//	}
//	clerk.SetBackend(clerk.NewBackend(&clerk.BackendConfig{Key: &secretKey, HTTPClient: &http.Client{Transport: transport}}))
//
// A request waits for its quota for as long as [WithMaxRateLimitWait] allows, which counts
// in its client's timeout. Where that is not long enough, it is not sent: the error is, through errors.As, a
// [*RateLimitError]. One that matches [ErrLimiterUnavailable] says that the limiter could
// not be asked. A 429 is returned as it comes, and closes the quota. Nothing is sent
// again.
//
// The requests meant are those to the host of [WithBaseURL] with the key in their
// Authorization header. Others pass untouched. A redirect of one of them to another
// scheme, host or port loses its Location, so that the client does not follow it with the
// key.
//
// Options about calls that the package itself makes (user agent, API version, retries,
// logger, observers) have no effect. The transport of [WithHTTPClient] is what sends; its timeout
// and cookies do not count. The error of wrong options is that of [NewClient].
func NewTransport(secretKey string, opts ...Option) (http.RoundTripper, error) {
	client, err := NewClient(secretKey, opts...)
	if err != nil {
		return nil, err
	}
	base, err := url.Parse(client.baseURL)
	if err != nil {
		return nil, err // cannot be: the option has parsed it
	}
	return &quotaTransport{client: client, base: base}, nil
}

type quotaTransport struct {
	client *Client
	base   *url.URL
}

// RoundTrip sends a request when it has its tokens.
func (t *quotaTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	if !t.concerns(req) {
		return t.client.http.Transport.RoundTrip(req)
	}
	path, _ := strings.CutPrefix(req.URL.EscapedPath(), t.base.EscapedPath())
	request := &call{
		method: req.Method,
		path:   path,
		quota:  t.client.quotas[endpointQuota(req.Method, path)],
	}
	var resp *http.Response
	var failure error // of the transport below
	_, err := t.client.acquireQuota(func(ctx context.Context, c *call) (*answer, error) {
		var sent bool
		resp, sent, failure = t.send(ctx, req) //nolint:bodyclose // the caller of RoundTrip closes it
		switch {
		case failure != nil:
			return nil, &callError{err: failure, sent: sent}
		case resp.StatusCode == http.StatusTooManyRequests:
			wait := retryAfter(resp.Header, time.Now(), t.client.longestWait(c))
			return nil, &APIError{StatusCode: resp.StatusCode, RetryAfter: wait}
		}
		return nil, nil
	})(req.Context(), request)
	switch {
	case failure != nil:
		return nil, failure
	case resp != nil: // err says no more than that it is a 429
		t.stay(resp)
		return resp, nil
	}
	if req.Body != nil {
		_ = req.Body.Close()
	}
	return nil, err
}

// send sends a request, and reports whether one that failed may have left.
func (t *quotaTransport) send(ctx context.Context, req *http.Request) (resp *http.Response, sent bool, err error) {
	_, direct := t.client.http.Transport.(*http.Transport)
	delivery := delivery{direct: direct, target: req.URL}
	req = req.WithContext(httptrace.WithClientTrace(ctx, delivery.hooks()))
	if !direct || !t.client.speaksHTTP1.Load() {
		req.GetBody = nil // net/http would send it again by itself, without a token
	}
	resp, err = t.client.http.Transport.RoundTrip(req)
	if err == nil && resp == nil {
		err = errors.New("clerkorg: the transport returned neither an answer nor an error")
	}
	if err != nil {
		unseen := !direct && req.Body != nil // whether a foreign transport has read of it
		return nil, unseen || delivery.maybeSent(ctx, notProcessed(err)), err
	}
	t.client.speaksHTTP1.Store(resp.ProtoMajor == 1)
	return resp, true, nil
}

// CloseIdleConnections does so for the transport below.
func (t *quotaTransport) CloseIdleConnections() {
	if next, ok := t.client.http.Transport.(interface{ CloseIdleConnections() }); ok {
		next.CloseIdleConnections()
	}
}

// concerns reports whether a request carries the key to Clerk.
func (t *quotaTransport) concerns(req *http.Request) bool {
	return sameOrigin(req.URL, t.base) && req.Header.Get("Authorization") == t.client.header().Get("Authorization")
}

// stay takes a redirect's target away where it is not the same server.
func (t *quotaTransport) stay(resp *http.Response) {
	target, err := t.base.Parse(resp.Header.Get("Location"))
	if err != nil || !sameOrigin(target, t.base) {
		resp.Header.Del("Location")
	}
}

func sameOrigin(a, b *url.URL) bool {
	return strings.EqualFold(a.Scheme, b.Scheme) && strings.EqualFold(addressOf(a), addressOf(b))
}
