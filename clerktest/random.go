package clerktest

import (
	cryptorand "crypto/rand"
	"math/rand/v2"
	"sync"
)

const base62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// randomness makes ids and decides chances. It is safe for concurrent use.
type randomness struct {
	mu   sync.Mutex
	rand *rand.Rand
}

func newRandomness(seed *uint64) *randomness {
	if seed == nil {
		return &randomness{rand: rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))} //nolint:gosec // Ids have to differ, not to be secret.
	}
	return &randomness{rand: rand.New(rand.NewPCG(*seed, 0))} //nolint:gosec // The same.
}

// id returns prefix and 27 characters of base62, as Clerk's ids have.
func (r *randomness) id(prefix string) string {
	return r.text(prefix, base62, 27)
}

// hex returns n hexadecimal digits.
func (r *randomness) hex(n int) string {
	return r.text("", base62[:10]+"abcdef", n)
}

func (r *randomness) text(prefix, alphabet string, n int) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	b := make([]byte, 0, 64)
	b = append(b, prefix...)
	for range n {
		b = append(b, alphabet[r.rand.IntN(len(alphabet))])
	}
	return string(b)
}

// chance is true with probability p.
func (r *randomness) chance(p float64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.rand.Float64() < p
}

// newSecretKey ignores the seed; see [WithRandom].
func newSecretKey(live bool) string {
	if live {
		return "sk_live_" + cryptorand.Text()
	}
	return "sk_test_" + cryptorand.Text()
}
