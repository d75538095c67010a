package clerkhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	maxIDBytes  = 256               // a Deduplicator has to remember them
	maxUnixTime = 1_000_000_000_000 // far enough from overflowing
)

// delivery is what the headers of a request say.
type delivery struct {
	id         string
	timestamp  string // as it was signed
	sent       int64  // the same, in seconds since 1970
	signatures []string
}

// readHeader takes the headers of Svix where all three are there, and otherwise
// those of Standard Webhooks.
func readHeader(header http.Header) (delivery, error) {
	for _, prefix := range [...]string{"Svix-", "Webhook-"} {
		ids, times := valuesOf(header, prefix+"Id"), valuesOf(header, prefix+"Timestamp")
		signatures := valuesOf(header, prefix+"Signature")
		if isBlank(ids) || isBlank(times) || isBlank(signatures) {
			continue
		}
		d := delivery{id: strings.TrimSpace(ids[0]), timestamp: strings.TrimSpace(times[0]), signatures: signatures}
		d.sent, _ = strconv.ParseInt(d.timestamp, 10, 64)
		switch {
		case isAmbiguous(ids) || isAmbiguous(times):
			return delivery{}, fmt.Errorf("%w: the id or the timestamp is there twice, with different values", ErrNoSignature)
		case len(d.id) > maxIDBytes:
			return delivery{}, fmt.Errorf("%w: the id is longer than %d bytes", ErrNoSignature, maxIDBytes)
		case d.sent <= 0 || d.sent > maxUnixTime || strconv.FormatInt(d.sent, 10) != d.timestamp:
			return delivery{}, fmt.Errorf("%w: the timestamp is not a number of seconds since 1970", ErrNoSignature)
		}
		return d, nil
	}
	return delivery{}, fmt.Errorf("%w: svix-id, svix-timestamp and svix-signature must be there, and not empty", ErrNoSignature)
}

// valuesOf also finds a header that was put under its lower-case name, as in HTTP/2
// and in gateways that hand over a plain map.
func valuesOf(header http.Header, name string) []string {
	if values := header[name]; len(values) > 0 {
		return values
	}
	return header[strings.ToLower(name)]
}

func isBlank(values []string) bool {
	return !slices.ContainsFunc(values, func(v string) bool { return strings.TrimSpace(v) != "" })
}

func isAmbiguous(values []string) bool {
	return slices.ContainsFunc(values[1:], func(v string) bool { return strings.TrimSpace(v) != strings.TrimSpace(values[0]) })
}

// checkSignature looks for a signature that is that of one of the keys. How long a
// comparison takes does not depend on how much is equal.
func (d *delivery) checkSignature(keys []macFunc, body []byte) error {
	given := make([][sha256.Size]byte, 0, 2) // two while a secret is being replaced
	for _, line := range d.signatures {
		for entry := range strings.FieldsSeq(line) {
			encoded, isV1 := strings.CutPrefix(entry, "v1,")
			if !isV1 {
				continue // of another version, or none at all
			}
			if sum, ok := decodeSum(encoded); ok {
				given = append(given, sum)
			}
		}
	}
	if len(given) == 0 {
		return fmt.Errorf("%w: there is none of version v1", ErrNoSignature)
	}
	var expected [sha256.Size]byte
	for _, key := range keys {
		key(&expected, d.id, d.timestamp, body)
		for i := range given {
			if hmac.Equal(given[i][:], expected[:]) {
				return nil
			}
		}
	}
	return ErrBadSignature
}

var strictBase64 = base64.StdEncoding.Strict()

func decodeSum(encoded string) (sum [sha256.Size]byte, ok bool) {
	var in [sha256.Size/3*4 + 4]byte // what 32 bytes are in base64
	var out [sha256.Size + 1]byte
	if len(encoded) != len(in) {
		return sum, false
	}
	copy(in[:], encoded)
	n, err := strictBase64.Decode(out[:], in[:])
	if err != nil || n != len(sum) {
		return sum, false
	}
	copy(sum[:], out[:])
	return sum, true
}

// checkTime refuses what was sent further from now than the tolerance.
func (d *delivery) checkTime(tolerance time.Duration, now time.Time) error {
	off := now.Sub(time.Unix(d.sent, 0))
	switch {
	case off > tolerance:
		return fmt.Errorf("%w: it is %s behind the clock here, and the tolerance is %s", ErrStale, off.Round(time.Second), tolerance)
	case off < -tolerance:
		return fmt.Errorf("%w: it is %s ahead of the clock here, and the tolerance is %s", ErrStale, (-off).Round(time.Second), tolerance)
	}
	return nil
}

// Why a delivery is refused, for errors.Is. The errors of [Verifier.Verify] say more,
// and hold nothing of what was delivered.
var (
	// ErrNoSignature: a header is missing, empty, unreadable or there twice, or none
	// of the signatures has the version v1. The request comes from elsewhere, or
	// something on the way has changed its headers.
	ErrNoSignature = errors.New("clerkhook: no usable signature")

	// ErrBadSignature: no signature is that of one of the secrets. The secret is that
	// of another endpoint, or the body is not the one that was sent.
	ErrBadSignature = errors.New("clerkhook: no signature fits a secret and the body")

	// ErrStale: the delivery is signed as it should be, but its timestamp is further
	// from the clock here than the tolerance. It was held back or sent again by
	// another than Clerk, or the clock is wrong.
	ErrStale = errors.New("clerkhook: the timestamp is outside of the tolerance")

	// ErrTooLarge: the body is longer than [MaxBody].
	ErrTooLarge = errors.New("clerkhook: the body is longer than 1 MiB")

	// ErrMalformed: the delivery is signed as it should be, but is not an event, or
	// its data are not what an event of its type holds.
	ErrMalformed = errors.New("clerkhook: not a readable event")
)
