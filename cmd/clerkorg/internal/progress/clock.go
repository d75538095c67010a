package progress

import (
	"fmt"
	"time"
)

// Slack is how much longer than a window the SDK keeps a token.
const Slack = 5 * time.Second

// Clock tells the times of a Clerk whose hour may be shorter.
type Clock struct{ Window time.Duration }

// Real is the clock of Clerk itself.
var Real = Clock{time.Hour}

// Speed is how many times as fast as a real one the clock is.
func (c Clock) Speed() float64 { return float64(time.Hour+Slack) / float64(c.Window+Slack) }

func (c Clock) real() bool { return c.Window == time.Hour }

// Span says how long d is by the clock.
func (c Clock) Span(d time.Duration) string {
	return Words(time.Duration(float64(d) * c.Speed()))
}

// Words says how long d is, in days where it is days.
func Words(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d >= day:
		d = d.Round(time.Hour)
		return fmt.Sprintf("%dd %dh", d/day, d%day/time.Hour)
	case d >= time.Hour:
		return fmt.Sprintf("%dh%02dm", d/time.Hour, d%time.Hour/time.Minute)
	case d >= time.Minute:
		return fmt.Sprintf("%dm", d/time.Minute)
	default:
		return fmt.Sprintf("%ds", d/time.Second)
	}
}

// At is a moment as a time of day, with its day where that is not today.
func At(at, now time.Time) string {
	at, now = at.Local(), now.Local()
	switch {
	case at.YearDay() == now.YearDay() && at.Year() == now.Year():
		return at.Format("15:04")
	case at.Sub(now).Abs() < 6*24*time.Hour:
		return at.Format("Mon 15:04")
	}
	return at.Format("2 Jan 15:04")
}

// In says how far away a moment is, and which it is where the clock is a real one.
func (c Clock) In(at, now time.Time) string {
	wait := at.Sub(now)
	switch {
	case wait <= 0:
		return "now"
	case c.real():
		return fmt.Sprintf("in %s (%s)", c.Span(wait), At(at, now))
	}
	return "in " + c.Span(wait)
}
