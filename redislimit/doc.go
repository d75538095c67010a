// Package redislimit keeps the quotas of package clerkorg in Redis, so that all
// processes with one Clerk secret key share them.
//
//	limiter, err := redislimit.New(rdb, redislimit.WithSecretKey(secretKey))
//	if err != nil {
//		return err
//	}
//	defer limiter.Close()
//	client, err := clerkorg.NewClient(secretKey, clerkorg.WithRateLimiter(limiter))
//
// The promise is that of [clerkorg.TokenBucket]: no window of the server's holds
// more requests than the quota allows, each token comes back a window + 5 s after
// its own request was answered, and after a 429 no process sends before the server
// allows it.
//
// Taking a token is one round trip. Settling it is none: the script that takes the
// next token carries the outcome, or a script of its own after 200 ms. Until then
// Redis counts the token as in flight. [Limiter.Close] tells Redis what is left; an
// outcome that never reaches it is that of a holder that died.
//
// # Clocks
//
// Only Redis tells the time. How long a quota is closed travels as a duration,
// and the times given to [Limiter.Seed] travel as the server's own, so the
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
// The waiters of a quota within a process are served in order, those with a
// smaller reserve first. Only the first of them asks Redis: when the token comes
// back that Redis told it of, and every 10 s, or less often while many are ahead of it in
// other processes. Redis keeps the line of all processes in
// the same order, and holds a free token for its first waiter for 100 ms, for those
// that ask meanwhile: then a waiter whose process has died or gives up is passed over.
// Tokens that come back one by one are so served in the order of arrival, give or take a
// few places; of many that come back at once, those who are served within 100 ms are so
// in any order. A call that does not wait is not held up.
//
// A call whose context ends while Redis is asked returns when Redis has answered, or
// after [WithTimeout], since a token that was taken must be given back.
//
// # When Redis fails
//
// Quotas with windows of a minute or more fail closed: nothing is sent, and the
// error matches [clerkorg.ErrLimiterUnavailable] and tells the cause, but no address
// and no password of Redis. Shorter ones, as the quota of the whole instance, go on in
// the memory of each process, so that reads keep working; [WithLocalFallback] does
// that for all. After a failure Redis is left alone for a second. Then one call tries
// it again, while the others wait for its result: no longer than for a token, but for
// a quarter of [WithTimeout] at least. When Redis works again, it is told what
// happened meanwhile: requests sent on local tokens, outcomes and a 429. A process that
// ends before that takes its news with it.
//
// # When Redis loses its memory
//
// A Redis that restarts without its data, is flushed, or fails over to a replica that
// lags behind has forgotten requests. Each process knows its own of the last windows,
// names one of them whenever it asks Redis, and tells Redis everything again where that
// is unknown: requests, tokens in flight, what it was seeded with, a 429. What is lost
// are the requests of processes that ended, and, until they ask, those of processes
// that do not use the quota just then. [Limiter.Seed] can tell of those, and the
// server's 429 closes the quota otherwise.
//
// # Replicas that differ
//
// Replicas may name different limits and windows for a quota, as during a deploy. Each
// is judged by its own; requests are remembered as the longest window needs it that a
// replica has named during the last three of that window.
//
// # The guard
//
// After a 429 the guard also keeps what a server that weighs its previous window would
// refuse. It is not kept for windows under a minute: it has to look at all requests of
// two windows. Without it a script takes Redis less than 100 µs for a quota of 1,000.
//
// # Redis
//
// It takes Redis 6.2 or Valkey, alone or as a cluster: the keys of all quotas of an
// owner share a slot. Give the Redis client ContextTimeoutEnabled: without it a Redis that
// hangs keeps a goroutine and a connection, one a second at most, until the
// client's own ReadTimeout. Set the maxmemory-policy to noeviction, or the quota may
// be forgotten. The keys hold a hash of the secret key, never the key, and expire
// by themselves soon after the last request in them counts no more, or when a quota that
// the server has closed opens, whichever is later.
package redislimit
