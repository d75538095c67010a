package clerkhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"hash"
	"strings"
	"sync"
)

const (
	secretPrefix = "whsec_"
	minKeyBytes  = 16 // 128 bits
)

// A macFunc puts the HMAC of a delivery into sum. It holds the key, and is a
// function because no printer, encoder or logger can look into one.
type macFunc func(sum *[sha256.Size]byte, id, timestamp string, body []byte)

// parseSecret says what is wrong with a secret in words that follow its name and
// show nothing of it.
func parseSecret(secret string) (macFunc, error) {
	encoded, prefixed := strings.CutPrefix(secret, secretPrefix)
	switch {
	case secret == "":
		return nil, errors.New("is empty; it must begin with " + secretPrefix)
	case strings.TrimSpace(secret) == "":
		return nil, errors.New("is blank; it must begin with " + secretPrefix)
	case strings.TrimRight(secret, "\r\n") != secret:
		return nil, errors.New("ends with a line break")
	case strings.TrimSpace(secret) != secret:
		return nil, errors.New("has blanks around it")
	case strings.Trim(secret, "\"'`") != secret:
		return nil, errors.New("has quotation marks around it")
	case strings.HasPrefix(secret, "sk_") || strings.HasPrefix(secret, "pk_"):
		return nil, errors.New("is a key of the API, as it begins with " + secret[:3] + "; signing secrets begin with " + secretPrefix)
	case !prefixed:
		return nil, errors.New("must begin with " + secretPrefix)
	case encoded == "":
		return nil, errors.New("has nothing behind " + secretPrefix)
	case strings.ContainsAny(encoded, " \t\r\n"): // base64 decoding would skip line breaks
		return nil, errors.New("must not hold a blank or a line break: each secret is an argument of its own")
	}
	key, err := base64.StdEncoding.Strict().DecodeString(encoded)
	switch {
	case err != nil: // which quotes the text
		return nil, errors.New("must be standard base64 behind " + secretPrefix)
	case len(key) < minKeyBytes:
		return nil, errors.New("is too short: it must hold at least 16 bytes in base64")
	}
	return newMAC(key), nil
}

// mac is an HMAC with its key, and room for what is hashed before the body.
type mac struct {
	hash hash.Hash
	head []byte
	sum  []byte
}

func newMAC(key []byte) macFunc {
	pool := sync.Pool{New: func() any { return &mac{hash: hmac.New(sha256.New, key)} }}
	return func(sum *[sha256.Size]byte, id, timestamp string, body []byte) {
		m := pool.Get().(*mac)
		defer pool.Put(m)
		m.head = append(m.head[:0], id...)
		m.head = append(m.head, '.')
		m.head = append(m.head, timestamp...)
		m.head = append(m.head, '.')
		m.hash.Reset()
		m.hash.Write(m.head)
		m.hash.Write(body)
		m.sum = m.hash.Sum(m.sum[:0])
		copy(sum[:], m.sum)
	}
}
