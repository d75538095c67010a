package redislimit

import (
	"slices"
	"time"

	"github.com/clerkorg/clerkorg-go"
)

// debt is what became of a token, as long as Redis does not know it. Redis can be
// told more than once.
type debt struct {
	number  uint64 // in the order in which they came up
	token   string
	outcome clerkorg.RequestOutcome
	at      time.Time
}

// memory is how long Redis would remember a request at the most.
func (l *limiter) memory(q clerkorg.Quota) time.Duration { return 2*q.Window + l.slack + l.late }

// owe keeps news for the next time that Redis is asked for a token. What is so old
// that Redis would have forgotten it is forgotten here too.
func (n *line) owe(news debt, memory time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.owed = slices.DeleteFunc(n.owed, func(d debt) bool { return time.Since(d.at) > memory })
	n.debts++
	news.number = n.debts
	n.owed = append(n.owed, news)
}

// oweClose keeps a refusal of the server's.
func (n *line) oweClose(opens time.Time) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if opens.After(n.closed) {
		n.closed = opens
	}
}

// owing is what Redis has to be told. It stays owed until [line.paid].
func (n *line) owing() ([]debt, time.Time) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.owed), n.closed
}

// paid strikes out what Redis has been told.
func (n *line) paid(told []debt, closed time.Time) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(told) > 0 {
		last := told[len(told)-1].number
		n.owed = slices.DeleteFunc(n.owed, func(d debt) bool { return d.number <= last })
	}
	if n.closed.Equal(closed) {
		n.closed = time.Time{}
	}
}

// tell appends debts, as they look at now, to the arguments of a script.
func (l *limiter) tell(now time.Time, args []any, debts ...debt) []any {
	for _, d := range debts {
		var at any = "" // it never left
		switch d.outcome {
		case clerkorg.RequestAnswered:
			at = micros(d.at.Sub(now))
		case clerkorg.RequestUnanswered:
			at = micros(d.at.Sub(now) + l.late)
		}
		args = append(args, d.token, at)
	}
	return args
}
