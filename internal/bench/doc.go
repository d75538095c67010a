// Package bench measures the SDK beside others: the floor, which is what a careful
// person would write by hand for the same calls with net/http and encoding/json; the
// limit, the same with encoders and decoders for those structs alone; clerk-sdk-go; and
// x/time/rate. It is a module of its own, because the SDK depends on none of them, and
// holds benchmarks and tests only.
//
//	go test ./internal/bench                        # what may not become worse
//	go test ./internal/bench -run Table -bench .    # a table, and the benchmarks
//
// With -update the table is written into docs/performance.md, with -callgrind it counts
// instructions too (where valgrind is, and best with CGO_ENABLED=0).
package bench
