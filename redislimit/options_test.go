package redislimit

import (
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/clerkorg/clerkorg-go"
)

func TestNew(t *testing.T) {
	t.Parallel()
	_, client := newMini(t)
	limiter, err := New(client, WithSecretKey(testKey), WithPrefix(""), WithTimeout(time.Minute), WithLocalFallback(3))
	require.NoError(t, err)
	assert.Implements(t, (*clerkorg.Seeder)(nil), limiter)
	_, err = New(client, WithNamespace("acme/production"))
	require.NoError(t, err)
}

func TestNewTellsEverythingThatIsWrong(t *testing.T) {
	t.Parallel()
	limiter, err := New(nil, WithSecretKey("pk_live_public"), WithNamespace(""), WithPrefix("a b"), WithTimeout(0), WithLocalFallback(0), nil)
	require.Nil(t, limiter)
	assert.Equal(t, []string{
		"redislimit: the Redis client is nil",
		"redislimit: secret key: must begin with sk_test_ or sk_live_ and hold printable ASCII without spaces",
		"redislimit: namespace: must not be empty",
		"redislimit: prefix: must be printable ASCII without spaces and braces",
		"redislimit: timeout: must be positive, is 0s",
		"redislimit: local fallback: must be for one process or more, is for 0",
		"redislimit: option 5 is nil",
	}, lines(t, err))

	var none *redis.Client
	_, err = New(none)
	assert.Equal(t, []string{
		"redislimit: the Redis client is nil",
		"redislimit: whose quotas? Give WithSecretKey or WithNamespace",
	}, lines(t, err))

	_, client := newMini(t)
	_, err = New(client, WithNamespace("acme"), WithSecretKey(testKey))
	assert.EqualError(t, err, "redislimit: secret key: one secret key or one namespace is enough")
	_, err = New(client, WithSecretKey("sk_live_two words"))
	assert.NotContains(t, err.Error(), "words", "the key is not repeated")
}

func lines(t *testing.T, err error) []string {
	t.Helper()
	joined, ok := err.(interface{ Unwrap() []error })
	require.True(t, ok, "%v", err)
	var texts []string
	for _, err := range joined.Unwrap() {
		texts = append(texts, err.Error())
	}
	return texts
}

func TestOwnersDiffer(t *testing.T) {
	t.Parallel()
	_, client := newMini(t)
	seen := map[string]bool{}
	for _, opt := range []Option{WithSecretKey("sk_test_a"), WithSecretKey("sk_live_a"), WithNamespace("sk_test_a"), WithNamespace("b")} {
		l, err := New(client, opt)
		require.NoError(t, err)
		assert.Len(t, l.owner, 32)
		seen[l.owner] = true
	}
	assert.Len(t, seen, 4)
}
