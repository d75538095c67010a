package clerkorg

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestHTTP2: a request that the server certainly did not process is sent again; one
// that it may have processed is not. Every call begins on a connection of its own and
// then on one that was used.
func TestHTTP2(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		say   func(conn http2Conn, stream uint32)
		known bool // that it was not processed
	}{
		"stream refused":            {func(c http2Conn, s uint32) { c.reset(s, codeRefusedStream) }, true},
		"going away, not seen":      {func(c http2Conn, s uint32) { c.goAway(s-1, codeNo, "") }, true},
		"going away, seen":          {func(c http2Conn, s uint32) { c.goAway(s, codeNo, ""); c.Close() }, false},
		"going away, and an error":  {func(c http2Conn, s uint32) { c.goAway(s, codeInternal, "oops"); c.Close() }, false},
		"reset: internal error":     {func(c http2Conn, s uint32) { c.reset(s, codeInternal) }, false},
		"reset: protocol error":     {func(c http2Conn, s uint32) { c.reset(s, codeProtocol) }, false}, // which net/http would send again
		"reset: no error":           {func(c http2Conn, s uint32) { c.reset(s, codeNo) }, false},
		"reset: cancel":             {func(c http2Conn, s uint32) { c.reset(s, codeCancel) }, false},
		"reset: enhance your calm":  {func(c http2Conn, s uint32) { c.reset(s, codeEnhanceCalm) }, false},
		"closed":                    {func(c http2Conn, _ uint32) { c.Close() }, false},
		"answer without an end":     {func(c http2Conn, s uint32) { c.frame(frameHeaders, flagEndHeaders, s, []byte{0x88}); c.Close() }, false},
		"headers that are not HTTP": {func(c http2Conn, s uint32) { c.frame(frameHeaders, flagEndHeaders, s, []byte{0xff}) }, false},
	} {
		for _, used := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/%t", name, used), func(t *testing.T) {
				t.Parallel()
				forEachCall(t, func(t *testing.T, call apiCall) {
					before := int32(0)
					if used {
						before = 1
					}
					body := fixture(t, call.fixture)
					server := newHTTP2Server(t, func(conn http2Conn, stream uint32, number int32) {
						if number == before+1 {
							test.say(conn, stream)
							return
						}
						conn.success(stream, body)
					})
					client, err := NewClient(newKey(), WithBaseURL(server.url), WithHTTPClient(server.client), WithMaxRateLimitWait(0), withQuickRetries)
					require.NoError(t, err)
					if used {
						_, err = call.do(t.Context(), client.Organizations)
						require.NoError(t, err)
					}
					got, err := call.do(t.Context(), client.Organizations)
					if !call.creates() || test.known {
						require.NoError(t, err)
						assert.Equal(t, before+2, server.arrived.Load())
						return
					}
					assert.True(t, isNil(got))
					assert.ErrorIs(t, err, ErrOutcomeUnknown)
					assert.Equal(t, before+1, server.arrived.Load())
				})
			})
		}
	}
}

// TestRefusedForGood: what a server refuses without an end is told after as many tries
// as there are retries, and as not sent.
func TestRefusedForGood(t *testing.T) {
	t.Parallel()
	server := newHTTP2Server(t, func(conn http2Conn, stream uint32, _ int32) { conn.reset(stream, codeRefusedStream) })
	client, err := NewClient(newKey(), WithBaseURL(server.url), WithHTTPClient(server.client), WithMaxRetries(1), withQuickRetries)
	require.NoError(t, err)
	_, err = client.Organizations.CreateInvitationBulk(t.Context(), "org_1", someone())
	require.Error(t, err)
	assert.NotErrorIs(t, err, ErrOutcomeUnknown)
	assert.Contains(t, err.Error(), "REFUSED_STREAM")
	assert.NotContains(t, err.Error(), "GetBody")
	assert.EqualValues(t, 2, server.arrived.Load())
	state, err := client.Quota(t.Context(), QuotaBulk)
	require.NoError(t, err)
	assert.Equal(t, 50, state.Available)
}
