package clerkhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	secretA = "whsec_bSKxTvQ9uMXkZ0rWJp2cEYg7aH4dLn5s" // 24 bytes
	secretB = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
)

// noon is what the clock of a verifier shows in most tests.
var noon = time.Date(2026, 5, 17, 12, 0, 0, 0, time.UTC)

func newTestVerifier(tb testing.TB, opts ...Option) *Verifier {
	tb.Helper()
	v, err := NewVerifier(secretA, append([]Option{WithClock(func() time.Time { return noon })}, opts...)...)
	require.NoError(tb, err)
	return v
}

// sign returns a signature as the specification describes it.
func sign(tb testing.TB, secret, id, timestamp string, body []byte) string {
	tb.Helper()
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	require.NoError(tb, err)
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(id + "." + timestamp + "." + string(body)))
	return "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// signed returns the headers of a delivery at noon.
func signed(tb testing.TB, secret string, body []byte) http.Header {
	tb.Helper()
	return signedAt(tb, secret, "msg_1", noon, body)
}

func signedAt(tb testing.TB, secret, id string, at time.Time, body []byte) http.Header {
	tb.Helper()
	timestamp := strconv.FormatInt(at.Unix(), 10)
	return http.Header{
		"Svix-Id":        {id},
		"Svix-Timestamp": {timestamp},
		"Svix-Signature": {sign(tb, secret, id, timestamp, body)},
	}
}

func fixture(tb testing.TB, name string) []byte {
	tb.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name+".json"))
	require.NoError(tb, err)
	return data
}

// verified verifies a fixture and returns its event.
func verified(t *testing.T, name string) *Event {
	t.Helper()
	body := fixture(t, name)
	event, err := newTestVerifier(t).Verify(signed(t, secretA, body), body)
	require.NoError(t, err)
	return event
}

// private is what the fixtures hold and no error, log or printed event may.
var private = []string{"example.com", "ticket", "secret-plan", "9007199254740993", "192.0.2.1", "Lovelace", "Babbage", secretA[6:], secretB[6:]}

func assertDiscreet(tb testing.TB, text string) {
	tb.Helper()
	for _, word := range private {
		assert.NotContains(tb, text, word)
	}
}
