package main

import (
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/mattn/go-runewidth"
	"github.com/vbauerster/cupwriter"
	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
)

// slack is how much longer than a window the SDK keeps a token, to be safe.
const slack = 5 * time.Second

// clock tells the times of a Clerk whose hour may be shorter than ours.
type clock struct{ window time.Duration }

// speed is how many times as fast as ours it is.
func (c clock) speed() float64 { return float64(time.Hour+slack) / float64(c.window+slack) }

func (c clock) real() bool { return c.window == time.Hour }

// note says that times are not what they seem, if so.
func (c clock) note() string {
	if c.real() {
		return ""
	}
	return fmt.Sprintf("The clock is sped up %.0f times: an hour of this Clerk's quotas lasts %s. All times below are by that clock.", c.speed(), c.window+slack)
}

// span says how long d is by the clock.
func (c clock) span(d time.Duration) string {
	d = time.Duration(float64(d) * c.speed())
	switch {
	case d >= time.Hour:
		return fmt.Sprintf("%dh%02dm", d/time.Hour, d%time.Hour/time.Minute)
	case d >= time.Minute:
		return fmt.Sprintf("%dm", d/time.Minute)
	default:
		return fmt.Sprintf("%ds", d/time.Second)
	}
}

// until says how far away a moment is, and which it is where the clock is ours.
func (c clock) until(at, now time.Time) string {
	wait := at.Sub(now)
	if wait <= 0 {
		return "now"
	}
	if c.real() {
		return fmt.Sprintf("in %s (%s)", c.span(wait), at.Format("15:04"))
	}
	return "in " + c.span(wait)
}

// status is how things stand.
type status struct {
	done, total, failed  int
	bulkLeft, singleLeft int
	bulkOnly             bool
	next                 time.Time // zero where a call can be made now
	end                  time.Time // zero where it is not known yet
}

func (s status) quota() string {
	if s.end.IsZero() {
		return "reading who is there"
	}
	left := fmt.Sprintf("%d failed; quota left: %d bulk", s.failed, s.bulkLeft)
	if !s.bulkOnly {
		left += fmt.Sprintf(", %d single", s.singleLeft)
	}
	return left
}

func (s status) times(c clock, now time.Time) string {
	if s.end.IsZero() {
		return ""
	}
	end := "ends soon"
	if s.end.After(now) {
		end = "ends " + c.until(s.end, now)
	}
	return "next slot " + c.until(s.next, now) + "; " + end
}

// display shows how a job goes on.
type display interface {
	update(s status)
	say(line string) // what is worth a line of its own
	close()
}

func newDisplay(out io.Writer, c clock, started time.Time, total, done int) display {
	if cupwriter.New(out, false).IsTerminal() {
		return newBar(out, c, started, total, done)
	}
	return newPlain(out, c, started)
}

// told is how many lines are said before it is left to the results file.
const told = 20

// limited says the first lines, and then that there are more.
type limited int

func (n *limited) admit(line string) (string, bool) {
	*n++
	switch {
	case *n <= told:
		return line, true
	case *n == told+1:
		return "… further ones are in the results file alone", true
	}
	return "", false
}

// plain is a display for files and pipes: a line now and then.
type plain struct {
	out     io.Writer
	clock   clock
	started time.Time
	said    limited

	mu      sync.Mutex
	last    status
	shown   bool // last
	stop    chan struct{}
	stopped sync.WaitGroup
}

// plainEvery is how often a line comes, by the clock.
const plainEvery = 10 * time.Minute

func newPlain(out io.Writer, c clock, started time.Time) *plain {
	p := &plain{out: out, clock: c, started: started, shown: true, stop: make(chan struct{})}
	p.stopped.Go(func() {
		ticker := time.NewTicker(time.Duration(float64(plainEvery) / c.speed()))
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				p.show()
			case <-p.stop:
				return
			}
		}
	})
	return p
}

func (p *plain) update(s status) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last, p.shown = s, false
}

func (p *plain) say(line string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if line, ok := p.said.admit(line); ok {
		fmt.Fprintln(p.out, line)
	}
}

func (p *plain) show() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.last.total == 0 {
		return
	}
	now := time.Now()
	line := fmt.Sprintf("[%s] %d of %d done, %s", p.clock.span(now.Sub(p.started)), p.last.done, p.last.total, p.last.quota())
	if times := p.last.times(p.clock, now); times != "" {
		line += "; " + times
	}
	fmt.Fprintln(p.out, line)
	p.shown = true
}

func (p *plain) close() {
	close(p.stop)
	p.stopped.Wait()
	if !p.shown {
		p.show()
	}
}

// bar is a display for terminals: a progress bar with two lines below it.
type bar struct {
	clock    clock
	progress *mpb.Progress
	bar      *mpb.Bar
	said     limited

	mu   sync.Mutex
	last status
}

func newBar(out io.Writer, c clock, started time.Time, total, done int) *bar {
	b := &bar{clock: c, progress: mpb.New(mpb.WithOutput(out))}
	b.bar = b.progress.New(int64(total), mpb.BarStyle().Refiller("+"),
		mpb.PrependDecorators(decor.CountersNoUnit("%d of %d done"), decor.Percentage(decor.WC{W: 6})),
		mpb.AppendDecorators(decor.Any(func(decor.Statistics) string { return c.span(time.Since(started)) }, decor.WC{W: 6})),
		mpb.BarBtmExtender(
			b.below(func(s status) string { return s.quota() }),
			b.below(func(s status) string { return s.times(c, time.Now()) }),
		))
	b.bar.SetCurrent(int64(done))
	b.bar.SetRefill(int64(done))
	return b
}

func (b *bar) status() status {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.last
}

// below is a line below the bar, cut where it does not fit.
func (b *bar) below(text func(status) string) mpb.BarFiller {
	return mpb.BarFillerFunc(func(w io.Writer, stat decor.Statistics) error {
		line := runewidth.Truncate("  "+text(b.status()), stat.AvailableWidth, "…")
		_, err := io.WriteString(w, line+"\n")
		return err
	})
}

func (b *bar) update(s status) {
	b.mu.Lock()
	b.last = s
	b.mu.Unlock()
	b.bar.SetCurrent(int64(s.done))
}

func (b *bar) say(line string) {
	if line, ok := b.said.admit(line); ok {
		fmt.Fprintln(b.progress, line)
	}
}

func (b *bar) close() {
	b.bar.Abort(false) // nothing happens if it is complete
	b.progress.Wait()
}
