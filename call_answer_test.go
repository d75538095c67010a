package clerkorg

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestStatusesThatMeanNothing: they leave the outcome of a create unknown. None below
// 200 is read as an answer.
func TestStatusesThatMeanNothing(t *testing.T) {
	t.Parallel()
	for _, status := range []int{-1, 0, 1, 99, 100, 101, 103, 199, 600, 999} {
		t.Run(strconv.Itoa(status), func(t *testing.T) {
			t.Parallel()
			forEachCall(t, func(t *testing.T, call apiCall) {
				synctest.Test(t, func(t *testing.T) {
					recorder := newRecorder(reply(status, fixture(t, call.fixture), "Retry-After", "1"), reply(200, fixture(t, call.fixture)))
					client := newTestClient(t, recorder)
					got, err := call.do(t.Context(), client.Organizations)
					if !call.creates() && status < 200 {
						require.NoError(t, err, "a read is repeated, as after any other failure")
						assert.Equal(t, 2, recorder.count())
						return
					}
					assert.True(t, isNil(got))
					assert.Equal(t, call.creates(), isUnknown(err), "%v", err)
					_, answered := asAPIError(err)
					assert.Equal(t, status >= 200, answered)
					assert.ErrorContains(t, err, strconv.Itoa(status))
					assert.Equal(t, 1, recorder.count())
				})
			})
		})
	}
}

// TestSwitchingProtocols: the body of a 101 is the connection itself, which no timeout
// and no context ends.
func TestSwitchingProtocols(t *testing.T) {
	t.Parallel()
	forEachCall(t, func(t *testing.T, call apiCall) {
		var arrived atomic.Int32
		hungUp := make(chan error, 4)
		base := serveRaw(t, func(conn net.Conn) {
			in := bufio.NewReader(conn)
			req, err := http.ReadRequest(in)
			if err != nil {
				return
			}
			_, _ = io.Copy(io.Discard, req.Body)
			arrived.Add(1)
			_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n")
			_, err = in.ReadByte()
			hungUp <- err
		})
		client, err := NewClient(newKey(), WithBaseURL(base), WithMaxRetries(0))
		require.NoError(t, err)
		got, err := call.do(t.Context(), client.Organizations)
		assert.True(t, isNil(got))
		assert.ErrorContains(t, err, "101")
		assert.Equal(t, call.creates(), isUnknown(err))
		assert.EqualValues(t, 1, arrived.Load())
		assert.ErrorIs(t, <-hungUp, io.EOF)
	})
}

// slowly yields a byte of text every second, and ends as the context does.
type slowly struct {
	ctx  context.Context
	text string
}

func (s *slowly) Read(p []byte) (int, error) {
	if s.text == "" {
		return 0, io.EOF
	}
	if !sleep(s.ctx, time.Second) {
		return 0, context.Cause(s.ctx)
	}
	n := copy(p[:1], s.text)
	s.text = s.text[n:]
	return n, nil
}

// TestRefusalsWhoseBodyBreaks keep the meaning of their status.
func TestRefusalsWhoseBodyBreaks(t *testing.T) {
	t.Parallel()
	const begin = `{"errors":[{"code":"x"`
	for name, body := range map[string]func(ctx context.Context) (io.ReadCloser, int64){
		"empty": func(context.Context) (io.ReadCloser, int64) { return nil, 0 },
		"truncated": func(context.Context) (io.ReadCloser, int64) {
			return io.NopCloser(io.MultiReader(strings.NewReader(begin), brokenReader{io.ErrUnexpectedEOF})), 100
		},
		"short": func(context.Context) (io.ReadCloser, int64) { return io.NopCloser(strings.NewReader(begin)), 100 },
		"endless": func(context.Context) (io.ReadCloser, int64) {
			return io.NopCloser(io.MultiReader(strings.NewReader(begin), endless(1<<40, ""))), -1
		},
		"announced to be endless": func(context.Context) (io.ReadCloser, int64) {
			return io.NopCloser(io.MultiReader(strings.NewReader(begin), endless(1<<40, ""))), 1 << 41
		},
		"trickling": func(ctx context.Context) (io.ReadCloser, int64) {
			return io.NopCloser(&slowly{ctx, strings.Repeat(begin, 1000)}), -1
		},
		"stuck, deaf to the context": func(context.Context) (io.ReadCloser, int64) {
			reader, writer := io.Pipe()
			go func() { _, _ = io.WriteString(writer, begin) }()
			return reader, -1
		},
	} {
		for _, test := range []struct {
			status int
			is     []error
		}{
			{400, nil}, {401, []error{ErrUnauthorized}}, {403, []error{ErrForbidden}}, {404, []error{ErrNotFound}}, {422, nil}, {429, []error{ErrRateLimited}},
		} {
			t.Run(fmt.Sprintf("%s/%d", name, test.status), func(t *testing.T) {
				t.Parallel()
				forEachCall(t, func(t *testing.T, call apiCall) {
					synctest.Test(t, func(t *testing.T) {
						sent := 0
						client := newTestClient(t, transportFunc(func(req *http.Request) (*http.Response, error) {
							sent++
							body, length := body(req.Context())
							header := http.Header{"Retry-After": {"3600"}, "Cf-Ray": {"ray_1"}}
							return &http.Response{StatusCode: test.status, Header: header, Body: body, ContentLength: length, Request: req}, nil
						}))
						start := time.Now()
						_, err := call.do(t.Context(), client.Organizations)
						assert.LessOrEqual(t, time.Since(start), maxRefusalWait)
						assert.Equal(t, test.is, matches(err), "%v", err)
						api, ok := asAPIError(err)
						require.True(t, ok)
						assert.Equal(t, test.status, api.StatusCode)
						assert.Equal(t, "ray_1", api.TraceID)
						assert.Equal(t, time.Hour, api.RetryAfter)
						if name != "empty" {
							assert.True(t, strings.HasPrefix(string(api.Body), begin[:1]), "what came is kept")
						}
						if test.status == http.StatusTooManyRequests {
							_, err = call.do(t.Context(), client.Organizations)
							assert.ErrorIs(t, err, ErrRateLimited)
							assert.Equal(t, 1, sent, "the quota is closed")
						}
					})
				})
			})
		}
	}
}

// TestRefusalInTheEndOfTime: a status that came before the context ended stands.
func TestRefusalInTheEndOfTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		client := newTestClient(t, transportFunc(func(req *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: http.StatusForbidden, Body: io.NopCloser(&slowly{req.Context(), "{}"}), ContentLength: 2, Request: req}, nil
		}))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second/2)
		defer cancel()
		start := time.Now()
		_, err := client.Organizations.CreateInvitationBulk(ctx, "org_1", someone())
		assert.ErrorIs(t, err, ErrForbidden)
		assert.NotErrorIs(t, err, ErrOutcomeUnknown)
		assert.Equal(t, time.Second/2, time.Since(start))
	})
}

// TestSuccessesThatNeverEnd: also those of a transport that does not look at contexts.
func TestSuccessesThatNeverEnd(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]func(ctx context.Context) io.ReadCloser{
		"trickling":                  func(ctx context.Context) io.ReadCloser { return io.NopCloser(&slowly{ctx, strings.Repeat(" ", 1000)}) },
		"stuck, deaf to the context": func(context.Context) io.ReadCloser { reader, _ := io.Pipe(); return reader },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			forEachCall(t, func(t *testing.T, call apiCall) {
				synctest.Test(t, func(t *testing.T) {
					client := newTestClient(t, transportFunc(func(req *http.Request) (*http.Response, error) {
						return &http.Response{StatusCode: http.StatusOK, Body: body(req.Context()), ContentLength: -1, Request: req}, nil
					}), WithMaxRetries(0))
					start := time.Now()
					_, err := call.do(t.Context(), client.Organizations)
					assert.Equal(t, DefaultTimeout, time.Since(start))
					assert.ErrorIs(t, err, context.DeadlineExceeded)
					assert.ErrorContains(t, err, "no answer within 30s")
					timeout, ok := errors.AsType[net.Error](err)
					assert.True(t, ok && timeout.Timeout())
					assert.Equal(t, call.creates(), isUnknown(err))

					ctx, cancel := context.WithCancel(t.Context())
					time.AfterFunc(time.Second, cancel)
					start = time.Now()
					_, err = call.do(ctx, client.Organizations)
					assert.Equal(t, time.Second, time.Since(start))
					assert.ErrorIs(t, err, context.Canceled)
					assert.Equal(t, call.creates(), isUnknown(err))
				})
			})
		})
	}
}

// TestTransportsWithoutAnAnswer: a transport that breaks its contract is no reason to
// panic.
func TestTransportsWithoutAnAnswer(t *testing.T) {
	t.Parallel()
	forEachCall(t, func(t *testing.T, call apiCall) {
		client := newTestClient(t, transportFunc(func(*http.Request) (*http.Response, error) { return nil, nil }), WithMaxRetries(0))
		_, err := call.do(t.Context(), client.Organizations)
		require.Error(t, err)
		assert.Equal(t, call.creates(), isUnknown(err))
		client = newTestClient(t, transportFunc(func(*http.Request) (*http.Response, error) { return &http.Response{StatusCode: http.StatusOK}, nil }), WithMaxRetries(0))
		_, err = call.do(t.Context(), client.Organizations)
		require.Error(t, err)
		assert.Equal(t, call.creates(), isUnknown(err))
	})
}

// TestRetryAfterIsBelievedWithinReason: a nonsensical one closes the quota for a day,
// not for the rest of our lives; then one call asks again.
func TestRetryAfterIsBelievedWithinReason(t *testing.T) {
	t.Parallel()
	for _, status := range []int{429, 503} {
		for _, text := range []string{
			"Fri, 31 Dec 9999 23:59:59 GMT", "4000000000", "1779000000000", strings.Repeat("9", 400), "86401",
			"Sun, 06 Nov 2094 08:49:37 GMT", "99999999999999999999.5",
		} {
			t.Run(fmt.Sprintf("%d %s", status, text[:min(40, len(text))]), func(t *testing.T) {
				t.Parallel()
				for name, test := range map[string]struct {
					window, closed time.Duration
				}{
					"an hour": {time.Hour, 24 * time.Hour},
					"a day":   {24 * time.Hour, 240 * time.Hour},
					"an age":  {1 << 62, 3650 * 24 * time.Hour},
				} {
					synctest.Test(t, func(t *testing.T) {
						if name != "an hour" && text == "86401" {
							return
						}
						recorder := newRecorder(reply(status, "", "Retry-After", text))
						client := newTestClient(t, recorder, WithQuotas(Quota{QuotaBulk, 5, test.window}))
						bulk := func() error {
							_, err := client.Organizations.CreateInvitationBulk(t.Context(), "org_1", someone())
							require.Error(t, err)
							return err
						}
						err := bulk()
						api, ok := asAPIError(err)
						require.True(t, ok)
						assert.Equal(t, test.closed, api.RetryAfter)
						assert.Equal(t, 1, recorder.count())
						if status != http.StatusTooManyRequests {
							return
						}
						for range 5 {
							assert.ErrorIs(t, bulk(), ErrRateLimited)
						}
						assert.Equal(t, 1, recorder.count(), "the quota is closed")
						time.Sleep(test.closed + time.Minute)
						assert.ErrorIs(t, bulk(), ErrRateLimited)
						assert.ErrorIs(t, bulk(), ErrRateLimited)
						assert.Equal(t, 2, recorder.count(), "one call asks again")
					})
				}
			})
		}
	}
}

// A date is by the clock of the server, which may be wrong.
func TestRetryAfterByTheServersClock(t *testing.T) {
	t.Parallel()
	now := time.Now()
	for _, off := range []time.Duration{-10 * time.Minute, 0, 10 * time.Minute, 24 * 365 * time.Hour} {
		theirs := now.Add(off).UTC().Truncate(time.Second)
		header := http.Header{"Date": {theirs.Format(http.TimeFormat)}, "Retry-After": {theirs.Add(time.Minute).Format(http.TimeFormat)}}
		assert.Equal(t, time.Minute, retryAfter(header, now, time.Hour))
	}
}

// TestResponseHeadersAreBounded with a transport of our own.
func TestResponseHeadersAreBounded(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		line  string
		count int
		ok    bool
	}{
		"half a megabyte":       {"X: " + strings.Repeat("y", 1<<19) + "\r\n", 1, true},
		"one long line":         {"X: " + strings.Repeat("y", 1<<20) + "\r\n", 1, false},
		"many lines":            {"X: " + strings.Repeat("y", 1000) + "\r\n", 1100, false},
		"early hints for ever":  {"\r\nHTTP/1.1 103 Early Hints\r\nLink: " + strings.Repeat("y", 1000) + "\r\n", 1 << 20, false},
		"early hints, and then": {"\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n", 10, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			forEachCall(t, func(t *testing.T, call apiCall) {
				base := serveRaw(t, func(conn net.Conn) {
					req, err := http.ReadRequest(bufio.NewReader(conn))
					if err != nil {
						return
					}
					_, _ = io.Copy(io.Discard, req.Body)
					first := "HTTP/1.1 200 OK\r\n"
					if strings.HasPrefix(name, "early") {
						first = "HTTP/1.1 103 Early Hints\r\n"
					}
					_, err = io.WriteString(conn, first)
					for i := 0; i < test.count && err == nil; i++ {
						_, err = io.WriteString(conn, test.line)
					}
					if strings.HasPrefix(name, "early") {
						_, _ = io.WriteString(conn, "\r\nHTTP/1.1 200 OK\r\n")
					}
					body := fixture(t, call.fixture)
					fmt.Fprintf(conn, "Content-Length: %d\r\nConnection: close\r\n\r\n%s", len(body), body)
				})
				client, err := NewClient(newKey(), WithBaseURL(base), WithMaxRetries(0))
				require.NoError(t, err)
				_, err = call.do(t.Context(), client.Organizations)
				if test.ok {
					require.NoError(t, err)
					return
				}
				require.Error(t, err)
				assert.Equal(t, call.creates(), isUnknown(err))
			})
		})
	}
}

// TestCookies: a jar that the caller's client has is used.
func TestCookies(t *testing.T) {
	t.Parallel()
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	recorder := newRecorder(reply(200, fixture(t, "invitation.json"), "Set-Cookie", "a=b"))
	client := newTestClient(t, nil, WithHTTPClient(&http.Client{Transport: recorder, Jar: jar}))
	for range 2 {
		_, err = client.Organizations.GetInvitation(t.Context(), "org_1", "inv_1")
		require.NoError(t, err)
	}
	assert.Empty(t, recorder.requests[0].Cookies())
	require.Len(t, recorder.requests[1].Cookies(), 1)
	assert.Equal(t, "b", recorder.requests[1].Cookies()[0].Value)
}
