package clerkhook

import (
	"encoding/json"
	"errors"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// faultShape is what every error of Verify looks like: words of this package, names
// of fields, numbers, and nothing else.
var faultShape = regexp.MustCompile(`^clerkhook: (` +
	`no usable signature: [a-z0-9 ,-]+|` +
	`no signature fits a secret and the body|` +
	`the body is longer than 1 MiB|` +
	`the timestamp is outside of the tolerance: it is [0-9.hms]+ (behind|ahead of) the clock here, and the tolerance is 5m0s|` +
	`not a readable event: (organization(Invitation|Membership)?\.[a-z]+: data: )?([a-z_.\[\]0-9]+: )?` +
	`(it has no type|there is no id|missing|expected [a-zA-Z0-9 .,{}\[\]":]+ at offset \d+))$`)

// FuzzVerify delivers anything with any headers. Nothing panics, no error holds
// anything of it, and what is accepted was signed.
func FuzzVerify(f *testing.F) {
	body := fixture(f, "invitation_accepted")
	good := signed(f, secretA, body)
	id, stamp, signature := good.Get("Svix-Id"), good.Get("Svix-Timestamp"), good.Get("Svix-Signature")
	f.Add(id, stamp, signature, body)
	f.Add(id, stamp, "v1a,x v2, "+signature+" v1,", body)
	f.Add(id, stamp, sign(f, secretB, id, stamp, body)+" "+signature, body)
	f.Add("", "", "", []byte(nil))
	f.Add("msg_1\x00", "-1", "v1,", []byte("{}"))
	f.Add(id, "9223372036854775807", signature, body)
	f.Add(id, "0"+stamp, strings.Repeat("v1,"+strings.Repeat("A", 43)+"= ", 30), body)
	f.Fuzz(func(t *testing.T, id, stamp, signature string, body []byte) {
		header := http.Header{"Svix-Id": {id}, "Svix-Timestamp": {stamp}, "Svix-Signature": {signature}}
		event, err := newTestVerifier(t).Verify(header, body)
		if err != nil {
			assert.Nil(t, event)
			assert.Regexp(t, faultShape, err.Error())
			return
		}
		want := sign(t, secretA, strings.TrimSpace(id), strings.TrimSpace(stamp), body)
		assert.Contains(t, strings.Fields(signature), want)
	})
}

// FuzzDecodeEvent delivers anything with a right signature. Nothing panics, no error
// holds anything of it, an event of an unknown type is refused only where it is not
// JSON, and data of a known type can be encoded again.
func FuzzDecodeEvent(f *testing.F) {
	for _, name := range []string{"invitation_created", "invitation_accepted", "membership_created", "organization_updated", "organization_deleted", "user_created"} {
		f.Add(fixture(f, name))
	}
	for _, body := range []string{"", "null", "{}", "[]", `{"type":"x"}`, `{"type":"organization.deleted","data":{"id":"a","deleted":1}}`, `{"type":"x","data":[[[`, `{"type":"\ud800","timestamp":1e400}`, `{"type":"x","timestamp":1779000000000000}`, `{"type":"x","timestamp":-9e17}`} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		event, err := newTestVerifier(t).Verify(signed(t, secretA, body), body)
		var plain struct {
			Type       string
			InstanceID string `json:"instance_id"`
		}
		if err != nil {
			assert.Nil(t, event)
			require.True(t, errors.Is(err, ErrMalformed) || errors.Is(err, ErrTooLarge))
			assert.Regexp(t, faultShape, err.Error())
			return
		}
		require.NoError(t, json.Unmarshal(body, &plain), "it is JSON")
		assert.NotEmpty(t, event.Type)
		_, err = json.Marshal(event)
		require.NoError(t, err)
		if raw, ok := event.Data.(json.RawMessage); ok && len(raw) > 0 {
			assert.True(t, json.Valid(raw))
		}
		assert.Equal(t, `clerkhook.Event(`, event.String()[:16])
	})
}
