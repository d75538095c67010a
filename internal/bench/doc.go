// Package bench measures the SDK against a floor: what a careful person would
// write by hand for the same two calls with net/http and encoding/json. It holds
// benchmarks and tests only.
//
//	go test -run '^$' -bench . ./internal/bench
//
// The metric x-floor is the SDK's time divided by the floor's, both taken in the
// same run in alternating rounds, so that a noisy machine disturbs both alike:
// below 1 is faster than the floor.
package bench
