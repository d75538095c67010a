package bench

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/clerkorg/clerkorg-go/clerkhook"
)

const webhookSecret = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="

// floorWebhook verifies a delivery with the key and decodes it, in as few steps as
// that takes.
func floorWebhook(key []byte, header http.Header, body []byte) (*floorEvent, error) {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(header.Get("Svix-Id") + "." + header.Get("Svix-Timestamp") + "."))
	mac.Write(body)
	given, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(header.Get("Svix-Signature"), "v1,"))
	if err != nil || !hmac.Equal(given, mac.Sum(nil)) {
		return nil, errors.New("bad signature")
	}
	sent, err := strconv.ParseInt(header.Get("Svix-Timestamp"), 10, 64)
	if err != nil || time.Since(time.Unix(sent, 0)).Abs() > 5*time.Minute {
		return nil, errors.New("bad timestamp")
	}
	event := new(floorEvent)
	return event, json.Unmarshal(body, event)
}

type floorEvent struct {
	Type       string `json:"type"`
	Timestamp  int64  `json:"timestamp"`
	InstanceID string `json:"instance_id"`
	Data       struct {
		floorInvitation
		UserID string `json:"user_id"`
	} `json:"data"`
}

// BenchmarkWebhook verifies and decodes an event. Its target is 1.2.
func BenchmarkWebhook(b *testing.B) {
	var list struct {
		Data []map[string]any `json:"data"`
	}
	require.NoError(b, json.Unmarshal(answer(1, 458), &list))
	list.Data[0]["user_id"] = "user_2bqLZ4pVn8xT0yQmWc7RkJd1sHf"
	body, err := json.Marshal(map[string]any{
		"object": "event", "type": "organizationInvitation.accepted", "timestamp": 1779009000456, "instance_id": "ins_1", "data": list.Data[0],
		"event_attributes": map[string]any{"http_request": map[string]any{"client_ip": "192.0.2.1", "user_agent": "Mozilla/5.0"}},
	})
	require.NoError(b, err)
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(webhookSecret, "whsec_"))
	require.NoError(b, err)
	now := strconv.FormatInt(time.Now().Unix(), 10)
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte("msg_2b." + now + "." + string(body)))
	header := http.Header{
		"Svix-Id": {"msg_2b"}, "Svix-Timestamp": {now}, "Svix-Signature": {"v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))},
	}
	verifier, err := clerkhook.NewVerifier(webhookSecret)
	require.NoError(b, err)
	event, err := verifier.Verify(header, body)
	require.NoError(b, err)
	want, err := floorWebhook(key, header, body)
	require.NoError(b, err)
	invitation := event.Data.(*clerkhook.Invitation)
	require.Equal(b, want.Data.UserID, invitation.UserID)
	require.Equal(b, want.Data.URL, invitation.URL)
	compare(b,
		func(context.Context) error {
			_, err := verifier.Verify(header, body)
			return err
		},
		func(context.Context) error {
			_, err := floorWebhook(key, header, body)
			return err
		})
}
