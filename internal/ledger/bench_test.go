package ledger

import (
	"fmt"
	"testing"
	"time"
)

// BenchmarkGuarded takes and settles with the guard on: with all of the quota in
// use, and with half of it.
func BenchmarkGuarded(b *testing.B) {
	for name, every := range map[string]time.Duration{"Full": hour, "Half": 2 * hour} {
		for _, limit := range []int{50, 250, 1000, 64_000} {
			b.Run(fmt.Sprint(name, "/", limit), func(b *testing.B) {
				l := &Ledger{Limit: limit, Window: hour}
				l.Close(0, 0)
				now := time.Duration(0)
				for range 3 * limit {
					now += every / time.Duration(limit)
					l.Spend(now, now)
				}
				b.ReportAllocs()
				for b.Loop() {
					now = max(now+every/time.Duration(limit), l.Next(now, 0))
					if !l.Take(now, 0) {
						b.Fatal("there is room")
					}
					l.Spend(now, now)
				}
			})
		}
	}
}

// BenchmarkAvailable asks a ledger of 64,000 requests, the guard on, what is left.
func BenchmarkAvailable(b *testing.B) {
	l := &Ledger{Limit: 64_000, Window: hour}
	l.Close(0, 0)
	now := time.Duration(0)
	for range 96_000 {
		now += hour / 72_000
		l.Spend(now, now)
	}
	now += hour / 2
	left := 0
	for b.Loop() {
		left = l.Available(now)
	}
	b.ReportMetric(float64(left), "left")
}
