package ops

import (
	"errors"

	"github.com/redis/go-redis/v9"
)

// DialRedis returns a client for the Redis at url that fails as a limiter needs it: soon,
// and with the cause.
func DialRedis(url string) (*redis.Client, error) {
	given, err := redis.ParseURL(url)
	if err != nil {
		return nil, errors.New("REDIS_URL cannot be read") // it may hold a password
	}
	given.ContextTimeoutEnabled = true // without it a Redis that hangs holds up callers
	given.DialerRetries = 1            // or the limiter's time is over before the cause is known
	return redis.NewClient(given), nil
}
