package progress

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/clerkorg/clerkorg-go"
)

func TestWords(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		0:                              "0s",
		59 * time.Second:               "59s",
		61 * time.Minute:               "1h01m",
		24 * time.Hour:                 "1d 0h",
		27*24*time.Hour + 18*time.Hour: "27d 18h",
	} {
		assert.Equal(t, want, Words(d))
	}
}

func TestAt(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.Local)
	assert.Equal(t, "23:59", At(now.Add(12*time.Hour-time.Minute), now))
	assert.Equal(t, "Mon 00:00", At(now.Add(12*time.Hour), now))
	assert.Equal(t, "13 Mar 12:00", At(now.AddDate(0, 0, 12), now))
	assert.Equal(t, "in 2h00m (14:00)", Real.In(now.Add(2*time.Hour), now))
	assert.Equal(t, "in 1h00m", Clock{time.Second}.In(now.Add(6*time.Second), now))
	assert.Equal(t, "now", Real.In(now, now))
}

func TestTrouble(t *testing.T) {
	t.Parallel()
	request := func(err error) error {
		return fmt.Errorf("clerkorg: %w", &url.Error{Op: "Get", URL: "https://api.clerk.com/v1/x", Err: err})
	}
	for _, tt := range []struct {
		err  error
		want string
	}{
		{request(&net.OpError{Op: "dial", Err: &net.DNSError{Err: "no such host", Name: "api.clerk.com"}}), "Clerk cannot be reached since 21:24: no such host"},
		{request(&net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}), "Clerk cannot be reached since 21:24: connection refused"},
		{request(context.DeadlineExceeded), "Clerk cannot be reached since 21:24: no answer in time"},
		{request(errors.New("tls: something")), "Clerk cannot be reached since 21:24: tls: something"},
		{&clerkorg.APIError{StatusCode: 503}, "Clerk answers 503 Service Unavailable since 21:24"},
		{&clerkorg.APIError{StatusCode: 599}, "Clerk answers 599 since 21:24"},
	} {
		assert.Equal(t, tt.want, Trouble(tt.err, " since 21:24"))
	}
}

func TestBar(t *testing.T) {
	t.Parallel()
	assert.Equal(t, "[>-------------------]   0 %", bar(0, 28))
	assert.Equal(t, "[==========>---------]  50 %", bar(50, 28))
	assert.Equal(t, "[====================] 100 %", bar(100, 28))
	for width := range 100 {
		assert.LessOrEqual(t, len(bar(42, width)), width)
	}
}

func TestWrap(t *testing.T) {
	t.Parallel()
	assert.Equal(t, []string{"one two", "three"}, wrap("one two three", 7))
	assert.Equal(t, []string{"a", "longwor", "d b"}, wrap("a longword b", 7))
	assert.Equal(t, []string{""}, wrap("", 7))
	for width := 1; width < 20; width++ {
		for _, line := range wrap("Clerk cannot be reached: 東京 ...............", width) {
			assert.LessOrEqual(t, len([]rune(line)), max(width, 2))
		}
	}
}

// TestLines has a run of some hours, with an outage.
func TestLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		start := time.Now()
		status := Status{Total: 2000}
		l := New(&out, Options{Clock: Real, Started: start})
		l.Update(status)
		time.Sleep(11 * time.Minute)
		status.Done, status.Remaining = 750, 1250
		status.Outcomes = map[clerkorg.InviteOutcome]int{clerkorg.OutcomeInvited: 750}
		status.NextSlotAt, status.EstimatedEnd = start.Add(time.Hour), start.Add(2*time.Hour)
		l.Update(status)
		l.Update(status) // no news
		time.Sleep(51 * time.Minute)
		fmt.Fprintln(l, "line 7: no")
		status.NextSlotAt, status.BulkLeft, status.SingleLeft = time.Time{}, 49, 250
		status.Err, status.FailingSince = &clerkorg.APIError{StatusCode: 502}, time.Now()
		l.Update(status)
		time.Sleep(time.Minute)
		status.Err = nil
		l.Update(status)
		status.Done, status.Remaining = 2000, 0
		l.Update(status)
		l.Close()

		text := strings.ReplaceAll(out.String(), At(start, start), "hh:mm")
		for _, at := range []time.Duration{time.Hour, 2 * time.Hour, 62 * time.Minute} {
			text = strings.ReplaceAll(text, At(start.Add(at), start.Add(time.Hour)), at.String())
		}
		assert.Equal(t, `[10m] 0 of 2000 done; reading who is there already
[11m] 750 of 2000 done: 750 invited; waiting for the quota until 1h0m0s; quota left: 0 bulk + 0 single; next slot in 49m (1h0m0s); ends in 1h49m (2h0m0s)
[20m] 750 of 2000 done: 750 invited; waiting for the quota until 1h0m0s; quota left: 0 bulk + 0 single; next slot in 40m (1h0m0s); ends in 1h40m (2h0m0s)
[30m] 750 of 2000 done: 750 invited; waiting for the quota until 1h0m0s; quota left: 0 bulk + 0 single; next slot in 30m (1h0m0s); ends in 1h30m (2h0m0s)
[40m] 750 of 2000 done: 750 invited; waiting for the quota until 1h0m0s; quota left: 0 bulk + 0 single; next slot in 20m (1h0m0s); ends in 1h20m (2h0m0s)
[50m] 750 of 2000 done: 750 invited; waiting for the quota until 1h0m0s; quota left: 0 bulk + 0 single; next slot in 10m (1h0m0s); ends in 1h10m (2h0m0s)
[1h00m] 750 of 2000 done: 750 invited; quota left: 0 bulk + 0 single; next slot now; ends in 1h00m (2h0m0s)
line 7: no
[1h02m] 750 of 2000 done: 750 invited; Clerk answers 502 Bad Gateway since 1h2m0s; quota left: 49 bulk + 250 single; next slot now; ends in 58m (2h0m0s)
[1h03m] 750 of 2000 done: 750 invited; quota left: 49 bulk + 250 single; next slot now; ends in 57m (2h0m0s)
[1h03m] 2000 of 2000 done: 750 invited; quota left: 49 bulk + 250 single; next slot now; ends in 57m (2h0m0s)
`, text)
	})
}
