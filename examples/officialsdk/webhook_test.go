package officialsdk

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	svix "github.com/svix/svix-webhooks/go"

	"github.com/clerkorg/clerkorg-go/clerkhook"
)

// delivery is a webhook on its way, and what was done to it.
type delivery struct {
	what   string
	header http.Header
	body   []byte

	// stricter says that clerkhook is to refuse what the libraries accept.
	stricter bool
}

// TestWebhooksAsSvixAndStandardWebhooks delivers what the libraries sign, whole and
// damaged in every way there is, to them and to clerkhook: they agree.
func TestWebhooksAsSvixAndStandardWebhooks(t *testing.T) {
	t.Parallel()
	const seed = 1
	random := rand.New(rand.NewPCG(seed, seed))
	accepted, refused := 0, 0
	for range 300 {
		secret := newSecret(random)
		theirs, err := svix.NewWebhook(secret)
		require.NoError(t, err)
		standard, err := standardwebhooks.NewWebhook(secret)
		require.NoError(t, err)
		ours, err := clerkhook.NewVerifier(secret)
		require.NoError(t, err)
		for _, d := range deliveries(t, random, theirs, standard) {
			svixSays := theirs.Verify(d.body, d.header)
			standardSays := standard.Verify(d.body, unbranded(d.header))
			require.Equal(t, svixSays == nil, standardSays == nil, d.what)
			for _, header := range []http.Header{d.header, unbranded(d.header)} {
				event, err := ours.Verify(header, d.body)
				if svixSays == nil && !d.stricter {
					require.NoError(t, err, d.what)
					require.Equal(t, clerkhook.EventType("user.created"), event.Type)
					accepted++
					continue
				}
				require.Error(t, err, d.what)
				refused++
			}
		}
	}
	assert.Greater(t, accepted, 3000)
	assert.Greater(t, refused, 6000)
}

func newSecret(random *rand.Rand) string {
	key := make([]byte, 24+random.IntN(41)) // as long as the specification says
	for i := range key {
		key[i] = byte(random.Uint32())
	}
	return "whsec_" + base64.StdEncoding.EncodeToString(key)
}

func deliveries(t *testing.T, random *rand.Rand, theirs *svix.Webhook, standard *standardwebhooks.Webhook) []delivery {
	t.Helper()
	body := fmt.Appendf(nil, `{"type":"user.created","data":{"id":"user_%d","first_name":"Zo\u00eb ü"}}`, random.Uint64())
	if random.IntN(2) == 0 {
		body = append(body, " \n"...)
	}
	id := "msg_" + strconv.FormatUint(random.Uint64(), 36)
	now := time.Now()
	header := signedBy(t, theirs, id, now, body)
	signature := header.Get("Svix-Signature")
	fromStandard, err := standard.Sign(id, now, body)
	require.NoError(t, err)
	require.Equal(t, fromStandard, signature)

	with := func(what, name, value string) delivery {
		h := header.Clone()
		h.Set(name, value)
		return delivery{what: what, header: h, body: body}
	}
	other := "v1," + base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{7}, 32))
	flipped := []byte(signature)
	flipped[3+random.IntN(len(flipped)-4)] ^= 1
	changed := bytes.Clone(body)
	changed[random.IntN(len(changed))] ^= 1
	without := func(name string) delivery {
		h := header.Clone()
		h.Del(name)
		return delivery{what: "without " + name, header: h, body: body}
	}
	all := []delivery{
		{what: "whole", header: header, body: body},
		with("two signatures", "Svix-Signature", other+" "+signature),
		with("two signatures, turned round", "Svix-Signature", signature+" "+other),
		with("another version before", "Svix-Signature", "v1a,"+signature[3:]+" "+signature),
		with("another version only", "Svix-Signature", "v1a,"+signature[3:]),
		with("v2", "Svix-Signature", "v2,"+signature[3:]),
		with("two blanks", "Svix-Signature", other+"  "+signature),
		with("no version", "Svix-Signature", signature[3:]),
		with("another signature", "Svix-Signature", other),
		with("a bit of it flipped", "Svix-Signature", string(flipped)),
		with("cut", "Svix-Signature", signature[:len(signature)-1]),
		with("longer", "Svix-Signature", signature+"A"),
		with("no signature", "Svix-Signature", "v1,"),
		with("garbage", "Svix-Signature", ",,, v1 , v1,, ="),
		with("another id", "Svix-Id", id+"x"),
		with("another time", "Svix-Timestamp", strconv.FormatInt(now.Unix()+1, 10)),
		with("no time", "Svix-Timestamp", "now"),
		with("a time that overflows", "Svix-Timestamp", strings.Repeat("9", 30)),
		without("Svix-Id"), without("Svix-Timestamp"), without("Svix-Signature"),
		{what: "another body", header: header, body: changed},
		{what: "an empty body", header: header},
		{what: "more body", header: header, body: append(bytes.Clone(body), '\n')},
	}
	for _, off := range []time.Duration{-6 * time.Minute, -301 * time.Second, -290 * time.Second, -time.Second, time.Second, 290 * time.Second, 302 * time.Second, time.Hour} {
		all = append(all, delivery{what: off.String() + " from now", header: signedBy(t, theirs, id, now.Add(off), body), body: body})
	}
	// A header that is there twice: the libraries take the first value.
	twice := header.Clone()
	twice.Add("Svix-Id", "msg_other")
	tail := with("something behind the signature", "Svix-Signature", signature+",more")
	plus := with("a time with a sign", "Svix-Timestamp", "+"+header.Get("Svix-Timestamp"))
	tail.stricter, plus.stricter = true, true
	return append(all, tail, plus, delivery{what: "two ids", header: twice, body: body, stricter: true})
}

func signedBy(t *testing.T, theirs *svix.Webhook, id string, at time.Time, body []byte) http.Header {
	t.Helper()
	signature, err := theirs.Sign(id, at, body)
	require.NoError(t, err)
	h := http.Header{}
	h.Set("svix-id", id)
	h.Set("svix-timestamp", strconv.FormatInt(at.Unix(), 10))
	h.Set("svix-signature", signature)
	return h
}

// unbranded has the names of Standard Webhooks.
func unbranded(header http.Header) http.Header {
	renamed := http.Header{}
	for name, values := range header {
		renamed[strings.Replace(name, "Svix-", "Webhook-", 1)] = values
	}
	return renamed
}
