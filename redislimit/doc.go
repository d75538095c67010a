// Package redislimit keeps the quotas of package clerkorg in Redis, so that all
// processes with one Clerk secret key share them.
//
//	limiter, err := redislimit.New(rdb, redislimit.WithSecretKey(secretKey))
//	if err != nil {
//		return err
//	}
//	client, err := clerkorg.NewClient(secretKey, clerkorg.WithRateLimiter(limiter))
//
// The promise is that of [clerkorg.TokenBucket]: no window of the server's holds
// more requests than the quota allows, each token comes back a window + 5 s after
// its own request was answered, and after a 429 nobody sends before the server
// allows it. Taking a token is one round trip, settling it another.
//
// # Clocks
//
// Only Redis tells the time. How long a quota is closed travels as a duration,
// and what [clerkorg.Seeder] is told travels as the server's own times, so the
// clocks of the processes do not matter. Where Redis fails over to a node whose
// clock differs by more than 5 s, tokens come back as much too early or too late.
//
// # Holders that die
//
// A token that is never settled counts as a request that is never answered: it
// comes back a window + 65 s after it was taken. So does one whose request takes
// longer than 60 s, until it is settled; keep the timeout of the HTTP client below
// that.
//
// # Waiting
//
// Within a process those who wait for a quota are served in order, those with a
// smaller reserve first, and only the first of them asks Redis, when the token it
// was told of comes back. Processes are served in no particular order. A call whose
// context ends while Redis is asked returns when Redis has answered, or after
// [WithTimeout], since a token that was taken must be given back.
//
// # When Redis fails
//
// Quotas with windows of a minute or more fail closed: nothing is sent, and the
// error matches [clerkorg.ErrLimiterUnavailable] and wraps what Redis said. Shorter ones,
// as the quota of the whole instance, go on in the memory of each process, so that
// reads keep working; [WithLocalFallback] does that for all. After a failure one
// call in a second tries Redis again, and the first that succeeds tells it what
// happened meanwhile: requests sent on local tokens, tokens that could not be
// settled, and a 429.
//
// A Redis that restarts without its data has forgotten the quota. Then
// [clerkorg.Seeder], which the limiter implements, can tell it of the last
// window's requests, and the server's 429 close what is left.
//
// # Redis
//
// It takes Redis 6.2 or Valkey, alone or as a cluster: the keys of a quota share
// a slot. Give the Redis client ContextTimeoutEnabled: without it a Redis that
// hangs keeps a goroutine and a connection, one a second at most, until the
// client's own ReadTimeout. Set the maxmemory-policy to noeviction, or the quota may
// be forgotten. The keys hold a hash of the secret key, never the key, and expire
// by themselves: after two windows in which nobody used the quota, or, where the
// server has refused a request, after a week, since the guard against further
// refusals stays on for as long.
package redislimit
