package clerkorg

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"html"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// keyTail is the secret part of the key of these tests, none of which may be shown.
const (
	keyTail = "Canary0123456789xyz"
	spyKey  = "sk_test_" + keyTail
)

// spellings are the key as encoders write it.
func spellings() map[string]string {
	each := func(format string) string {
		var b strings.Builder
		for i := range len(spyKey) {
			fmt.Fprintf(&b, format, spyKey[i])
		}
		return b.String()
	}
	underscore := func(escaped string) string { return strings.ReplaceAll(spyKey, "_", escaped) }
	return map[string]string{
		"plain":                    spyKey,
		"with its scheme":          "Bearer " + spyKey,
		"lower case":               strings.ToLower(spyKey),
		"upper case":               strings.ToUpper(spyKey),
		"JSON":                     underscore(`\u005f`),
		"JSON, upper case":         underscore(`\u005F`),
		"JSON, every character":    each(`\u%04x`),
		"JSON in JSON":             underscore(`\\u005f`),
		"JSON in JSON in JSON":     underscore(`\\\\u005f`),
		"URL":                      underscore("%5F"),
		"URL, lower case":          underscore("%5f"),
		"URL, every character":     each("%%%02X"),
		"URL in a URL":             underscore("%255F"),
		"URL in a URL in a URL":    underscore("%25255f"),
		"HTML, by name":            underscore("&lowbar;"),
		"HTML, in decimals":        underscore("&#95;"),
		"HTML, in hexadecimals":    underscore("&#x5F;"),
		"Go":                       each(`\x%02x`),
		"escaped without a reason": underscore(`\_`),
		"cut off":                  spyKey[:len(spyKey)-3],
		"twice":                    spyKey + spyKey,
		"twice, almost":            "sk_test_sk_tes" + spyKey,
	}
}

var escapes = regexp.MustCompile(`\\+u[0-9a-fA-F]{4}|\\+x[0-9a-fA-F]{2}|%(?:25)*[0-9a-fA-F]{2}`)

// assertHidden looks for the key in everything that a program can print of v, or of
// the errors within it.
func assertHidden(t *testing.T, v any) {
	t.Helper()
	check := func(text string) {
		t.Helper()
		for range 4 { // escaped so many times over at most
			assert.NotContains(t, strings.ToLower(text), strings.ToLower(keyTail[:8]))
			text = html.UnescapeString(escapes.ReplaceAllStringFunc(text, func(escape string) string {
				value, err := strconv.ParseUint(strings.TrimLeft(escape, `\%ux`), 16, 8)
				if err != nil {
					return escape
				}
				return string([]byte{byte(value)})
			}))
		}
	}
	check(printed(t, v))
	err, ok := v.(error)
	if !ok {
		return
	}
	var walk func(error)
	walk = func(err error) {
		if err == nil {
			return
		}
		check(printed(t, err))
		switch err := err.(type) { //nolint:errorlint // This is the one error, not those within.
		case interface{ Unwrap() error }:
			walk(err.Unwrap())
		case interface{ Unwrap() []error }:
			for _, inner := range err.Unwrap() {
				walk(inner)
			}
		}
	}
	walk(err)
	if api, ok := asAPIError(err); ok {
		check(string(api.Body))
		check(api.TraceID)
		for _, detail := range api.Errors {
			check(fmt.Sprint(detail, string(detail.Code), detail.Meta.String()))
		}
	}
}

// spied has a create and a read made with spyKey, and looks for the key in what comes of
// them.
func spied(t *testing.T, opts []Option, check func(t *testing.T, call apiCall, err error)) {
	t.Helper()
	for _, call := range apiCalls {
		if call.name != "bulk" && call.name != "list" {
			continue
		}
		var book logBook
		client, err := NewClient(spyKey, append([]Option{
			WithRateLimiter(NewTokenBucket()), WithMaxRetries(0), WithMaxRateLimitWait(0), WithLogger(debugLogger(&book)),
		}, opts...)...)
		require.NoError(t, err)
		got, err := call.do(t.Context(), client.Organizations)
		if err != nil {
			assertHidden(t, err)
			slog.New(slog.NewTextHandler(&book, nil)).Error("failed", "error", err)
		} else {
			assertHidden(t, got)
		}
		assert.Contains(t, book.String(), "clerk api call")
		assertHidden(t, book.String())
		check(t, call, err)
	}
}

func byTransport(transport http.RoundTripper) []Option {
	return []Option{WithHTTPClient(&http.Client{Transport: transport})}
}

// TestKeyInAnswers: whatever repeats the key, in whatever spelling, does not make us
// repeat it.
func TestKeyInAnswers(t *testing.T) {
	t.Parallel()
	for name, spelling := range spellings() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			t.Run("body of Clerk's shape", func(t *testing.T) {
				body := strings.ReplaceAll(`{"errors":[{"code":"KEY","message":"KEY","long_message":"Bearer KEY is odd","meta":{"KEY":["KEY"]}}],"clerk_trace_id":"KEY"}`, "KEY", spelling)
				spied(t, byTransport(newRecorder(reply(400, body))), func(t *testing.T, _ apiCall, err error) {
					api, ok := asAPIError(err)
					require.True(t, ok)
					assert.Contains(t, string(api.Body), redacted)
				})
			})
			t.Run("page", func(t *testing.T) {
				body := "<pre>Authorization: Bearer " + spelling + "\nHost: x</pre>"
				spied(t, byTransport(newRecorder(reply(502, body))), func(t *testing.T, _ apiCall, err error) {
					api, ok := asAPIError(err)
					require.True(t, ok)
					assert.Contains(t, string(api.Body), "Host: x")
				})
			})
			t.Run("headers", func(t *testing.T) {
				names := []string{"Clerk-Trace-Id", "CF-Ray", "Location", "Content-Type", "Retry-After"}
				var all []string
				for _, name := range names {
					all = append(all, name, spelling)
				}
				for _, status := range []int{200, 302, 404, 429, 500} {
					spied(t, byTransport(newRecorder(reply(status, "{}", all...))), func(t *testing.T, _ apiCall, err error) {
						if api, ok := asAPIError(err); ok {
							assert.Contains(t, api.TraceID, redacted)
						}
					})
				}
			})
			t.Run("success", func(t *testing.T) {
				if strings.HasSuffix(name, " case") || name == "cut off" {
					return // long lists are not searched for these
				}
				forEachCall(t, func(t *testing.T, call apiCall) {
					body := strings.ReplaceAll(fixture(t, call.fixture), "org:member", strings.ReplaceAll(spelling, `\_`, `\u005f`))
					body = strings.ReplaceAll(body, `\x`, `\\x`) // JSON knows no such escape
					client, err := NewClient(spyKey, append(byTransport(newRecorder(reply(200, body))), WithRateLimiter(Unlimited()))...)
					require.NoError(t, err)
					got, err := call.do(t.Context(), client.Organizations)
					require.NoError(t, err)
					assertHidden(t, got)
				})
			})
			t.Run("error of the transport", func(t *testing.T) {
				failure := errors.New("proxy: cannot forward Bearer " + spelling)
				failures := []error{
					failure, fmt.Errorf("hidden: %w", failure), errors.Join(failure, syscall.ECONNRESET),
					fmt.Errorf("%s: %w", spelling, io.ErrUnexpectedEOF), &url.Error{Op: "Post", URL: "https://x/" + url.PathEscape(spelling), Err: failure},
					&net.OpError{Op: "dial", Net: "tcp", Err: fmt.Errorf("%s: %w", spelling, context.DeadlineExceeded)}, opaque{failure},
				}
				if name != "plain" {
					failures = failures[:1]
				}
				for _, err := range failures {
					spied(t, byTransport(newRecorder(failing(err))), func(t *testing.T, call apiCall, got error) {
						for _, target := range []error{failure, syscall.ECONNRESET, io.ErrUnexpectedEOF, context.DeadlineExceeded} {
							assert.Equal(t, errors.Is(err, target), errors.Is(got, target), "%v", target)
						}
						want, isNet := errors.AsType[net.Error](err)
						have, _ := errors.AsType[net.Error](got)
						if isNet {
							require.NotNil(t, have)
							assert.Equal(t, want.Timeout(), have.Timeout())
						}
						assert.Equal(t, call.creates(), isUnknown(got))
					})
				}
			})
			t.Run("body that breaks", func(t *testing.T) {
				broken := func(req *http.Request) (*http.Response, error) {
					body := io.MultiReader(strings.NewReader("{"), brokenReader{errors.New("malformed chunk " + spelling)})
					return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(body), ContentLength: -1, Request: req}, nil
				}
				spied(t, byTransport(newRecorder(broken)), func(t *testing.T, call apiCall, err error) {
					require.ErrorContains(t, err, "malformed chunk")
					assert.Equal(t, call.creates(), isUnknown(err))
				})
			})
		})
	}
}

// opaque is an error that shows nothing but what is within it, to errors.Is too.
type opaque struct{ err error }

func (o opaque) Error() string        { return "opaque" }
func (o opaque) Is(target error) bool { return target == o.err }
func (o opaque) Unwrap() error        { return o.err }

type brokenReader struct{ err error }

func (b brokenReader) Read([]byte) (int, error) { return 0, b.err }

// TestKeyInBrokenHTTP: net/http quotes what it cannot read.
func TestKeyInBrokenHTTP(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]string{
		"no HTTP":           "Authorization: Bearer KEY\r\n\r\n",
		"status":            "HTTP/1.1 KEY OK\r\n\r\n",
		"protocol":          "HTTP/KEY 200 OK\r\n\r\n",
		"reason":            "HTTP/1.1 404 KEY\r\nContent-Length: 0\r\n\r\n",
		"header line":       "HTTP/1.1 200 OK\r\nBearer KEY\r\n\r\n",
		"header name":       "HTTP/1.1 200 OK\r\nA KEY: x\r\n\r\n",
		"folded header":     "HTTP/1.1 200 OK\r\n KEY\r\n\r\n",
		"content length":    "HTTP/1.1 200 OK\r\nContent-Length: KEY\r\n\r\n",
		"content lengths":   "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: KEY\r\n\r\n",
		"transfer encoding": "HTTP/1.1 200 OK\r\nTransfer-Encoding: KEY\r\n\r\n",
		"location":          "HTTP/1.1 302 Found\r\nLocation: http://[KEY\r\nContent-Length: 0\r\n\r\n",
		"location of a 307": "HTTP/1.1 307 Temporary\r\nLocation: ://%zzKEY\r\nContent-Length: 0\r\n\r\n",
		"chunk size":        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nKEY\r\n",
		"trailer":           "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: KEY\r\n\r\n0\r\nBearer KEY\r\n\r\n",
		"content encoding":  "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nConnection: close\r\n\r\nKEY",
		"switched":          "HTTP/1.1 101 KEY\r\nUpgrade: KEY\r\nConnection: Upgrade\r\n\r\nKEY",
	} {
		for spelling, key := range map[string]string{"plain": spyKey, "escaped": strings.ReplaceAll(spyKey, "_", "%5F")} {
			t.Run(name+"/"+spelling, func(t *testing.T) {
				t.Parallel()
				base := serveRaw(t, func(conn net.Conn) {
					req, err := http.ReadRequest(bufio.NewReader(conn))
					if err == nil {
						_, _ = io.Copy(io.Discard, req.Body)
						_, _ = io.WriteString(conn, strings.ReplaceAll(answer, "KEY", key))
					}
				})
				spied(t, []Option{WithBaseURL(base)}, func(t *testing.T, call apiCall, err error) {
					require.Error(t, err)
					refused, ok := asAPIError(err)
					refusal := ok && (refused.StatusCode < 500)
					assert.Equal(t, call.creates() && !refusal, isUnknown(err), "%v", err)
				})
			})
		}
	}
}

func TestKeyInGoAway(t *testing.T) {
	t.Parallel()
	server := newHTTP2Server(t, func(conn http2Conn, stream uint32, _ int32) {
		conn.goAway(stream, codeEnhanceCalm, "too many requests of Bearer "+spyKey)
		conn.Close()
	})
	spied(t, []Option{WithBaseURL(server.url), WithHTTPClient(server.client)}, func(t *testing.T, call apiCall, err error) {
		require.ErrorContains(t, err, "GOAWAY")
		assert.Contains(t, err.Error(), redacted)
		assert.Equal(t, call.creates(), isUnknown(err))
	})
}

// TestRedact: what is not the key stays as it is.
func TestRedact(t *testing.T) {
	t.Parallel()
	key := newKeyRedactor(spyKey)
	for text, want := range map[string]string{
		"":                                       "",
		"sk_test_":                               "sk_test_",
		"sk_test_Other":                          "sk_test_Other",
		"sk_test_Can":                            "sk_test_Can",
		"s\\":                                    "s\\",
		"%":                                      "%",
		"&":                                      "&",
		"a" + spyKey + "b" + spyKey + "c":        "a" + redacted + "b" + redacted + "c",
		"%2525" + spyKey:                         "%2525" + redacted,
		strings.Repeat("\\", 50) + "u":           strings.Repeat("\\", 50) + "u",
		"ſk_test_" + keyTail:                     "ſk_test_" + keyTail,
		`{"a":"` + spyKey + `","b":"\u005f%5F"}`: `{"a":"` + redacted + `","b":"\u005f%5F"}`,
	} {
		assert.Equal(t, want, redact(key, text))
		assert.Equal(t, want, string(redact(key, []byte(text))))
	}
	odd := newKeyRedactor(`sk_test_!&"'/<>+=~\`)
	for _, spelling := range []string{
		odd.text, url.QueryEscape(odd.text), html.EscapeString(odd.text), fmt.Sprintf("%q", odd.text), fmt.Sprintf("%q", fmt.Sprintf("%q", odd.text)),
	} {
		assert.Equal(t, "<"+redacted+">", "<"+strings.Trim(redact(odd, spelling), `"\`)+">", spelling)
	}
}

// A search through the worst that a server can send is over in no time.
func TestRedactIsLinear(t *testing.T) {
	t.Parallel()
	key := newKeyRedactor(`sk_test_\\\\\\\\%%%%%%%%&&&&&&&&`)
	for _, unit := range []string{`\`, "%25", "&", "&amp;", "s", "sk_test_", `sk_test_\`, "sk_test_%25"} {
		text := strings.Repeat(unit, maxRefusal/len(unit))
		assert.NotEmpty(t, redact(key, text))
	}
}

// A long answer is searched only where something in it stands for a part of the key.
func TestMayBeEscaped(t *testing.T) {
	t.Parallel()
	key := newKeyRedactor("sk_test_" + strings.Repeat("aB3_", 8))
	for _, text := range []string{`\u0061`, `\\\\u0042`, `%61`, `%2562`, `x%5Fx`, `&#97;`, `&#x42;`, `& &amp; &#51;`, `% %%41`, `\x61`, `&lowbar;`} {
		assert.True(t, key.mayBeEscaped([]byte(text)), text)
	}
	for _, text := range []string{``, `aB3_`, `?a=1&b=2&c`, `%20%2F%3D`, `100%`, `\"`, `\`, `&`, `%`, `\u00e9\u003c`, `&amp;&quot;`} {
		assert.False(t, key.mayBeEscaped([]byte(text)), text)
	}
}
