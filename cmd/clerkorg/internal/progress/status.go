package progress

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/clerkorg/clerkorg-go"
)

// Status is how an import stands.
type Status struct {
	clerkorg.Progress // of the run

	Done, Total int                            // rows of the file
	Outcomes    map[clerkorg.InviteOutcome]int // of those done, in all runs
	BulkOnly    bool
}

// names are the outcomes in the order in which they are told.
var names = []struct {
	outcome clerkorg.InviteOutcome
	text    string
}{
	{clerkorg.OutcomeInvited, "invited"},
	{clerkorg.OutcomeAlreadyInvited, "invited already"},
	{clerkorg.OutcomeAlreadyMember, "in the organization already"},
	{clerkorg.OutcomeDuplicate, "given twice"},
	{clerkorg.OutcomeRejected, "rejected"},
}

// Counts tells outcomes, one in each element.
func Counts(outcomes map[clerkorg.InviteOutcome]int) []string {
	var texts []string
	for _, name := range names {
		if n := outcomes[name.outcome]; n > 0 {
			texts = append(texts, fmt.Sprintf("%d %s", n, name.text))
		}
	}
	return texts
}

func (s *Status) percent() int {
	if s.Total == 0 {
		return 100
	}
	return s.Done * 100 / s.Total
}

// ready reports whether the first look at the server is over.
func (s *Status) ready() bool { return !s.EstimatedEnd.IsZero() }

// outlook tells the quota and the end, one thing in each element.
func (s *Status) outlook(c Clock, now time.Time) []string {
	if !s.ready() {
		return nil
	}
	left := fmt.Sprintf("quota left: %d bulk", s.BulkLeft)
	if !s.BulkOnly {
		left += fmt.Sprintf(" + %d single", s.SingleLeft)
	}
	end := "ends soon"
	if s.EstimatedEnd.After(now) {
		end = "ends " + c.In(s.EstimatedEnd, now)
	}
	return []string{left, "next slot " + c.In(s.NextSlotAt, now), end}
}

// waits reports whether there is no quota for longer than d by the clock.
func (s *Status) waits(c Clock, now time.Time, d time.Duration) bool {
	return s.Err == nil && s.BulkLeft+s.SingleLeft == 0 && s.Remaining > 0 && float64(s.NextSlotAt.Sub(now))*c.Speed() > float64(d)
}

// shortWait is, by the clock, the longest wait that is not worth a word.
const shortWait = time.Minute

// stall says why nothing moves; it is empty where something does.
func (s *Status) stall(c Clock, now time.Time) string {
	switch {
	case s.Err != nil:
		since := ""
		if c.real() {
			since = " since " + At(s.FailingSince, now)
		}
		return Trouble(s.Err, since)
	case !s.ready():
		return "reading who is there already"
	case s.waits(c, now, shortWait):
		if c.real() {
			return "waiting for the quota until " + At(s.NextSlotAt, now)
		}
		return "waiting for the quota"
	}
	return ""
}

// Trouble says in a few words why calls fail. since follows the verb.
func Trouble(err error, since string) string {
	if api, ok := errors.AsType[*clerkorg.APIError](err); ok {
		text := fmt.Sprintf("Clerk answers %d%s", api.StatusCode, since)
		if name := http.StatusText(api.StatusCode); name != "" {
			text = fmt.Sprintf("Clerk answers %d %s%s", api.StatusCode, name, since)
		}
		return text
	}
	return "Clerk cannot be reached" + since + ": " + cause(err)
}

// cause is the innermost reason of a failed request.
func cause(err error) string {
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		return dns.Err
	}
	if number, ok := errors.AsType[syscall.Errno](err); ok {
		return number.Error()
	}
	if errors.Is(err, context.DeadlineExceeded) || os.IsTimeout(err) {
		return "no answer in time"
	}
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			break
		}
		err = inner
	}
	return strings.TrimPrefix(err.Error(), "clerkorg: ")
}
