// Package progress shows how an import goes on: as a block that is drawn anew on a
// terminal, and as lines elsewhere.
package progress

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/mattn/go-runewidth"
	"github.com/vbauerster/cupwriter"
	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
)

// Display shows how an import goes on. It is safe for concurrent use.
type Display interface {
	Update(s Status)
	io.Writer // lines that stay
	Close()
}

// Options of a Display.
type Options struct {
	Clock   Clock
	Started time.Time
	Color   bool // on terminals
}

// New returns a Display for out: a block for a terminal, lines for anything else.
func New(out io.Writer, o Options) Display {
	if IsTerminal(out) {
		return newBlock(out, o)
	}
	return newLines(out, o)
}

// IsTerminal reports whether out is one.
func IsTerminal(out io.Writer) bool { return cupwriter.New(out, false).IsTerminal() }

// lines is a display for files and pipes: a line now and then, and at once where
// something comes to a halt or goes on.
type lines struct {
	Options
	out io.Writer

	mu      sync.Mutex
	last    Status
	shown   bool      // last
	any     bool      // there was a line
	failing bool      // it said that calls fail
	waiting time.Time // it said that there is no quota until then
	stop    chan struct{}
	stopped sync.WaitGroup
}

// linesEvery is how often a line comes, by the clock.
const linesEvery = 10 * time.Minute

func newLines(out io.Writer, o Options) *lines {
	l := &lines{Options: o, out: out, shown: true, stop: make(chan struct{})}
	l.stopped.Go(func() {
		ticker := time.NewTicker(time.Duration(float64(linesEvery) / o.Clock.Speed()))
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				l.mu.Lock()
				l.show(time.Now())
				l.mu.Unlock()
			case <-l.stop:
				return
			}
		}
	})
	return l
}

func (l *lines) Update(s Status) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last, l.shown = s, false
	now := time.Now()
	failing := s.Err != nil
	// A quota that comes back call by call is no news each time.
	long := s.waits(l.Clock, now, linesEvery/2) && s.NextSlotAt.Sub(l.waiting) > time.Second
	if failing != l.failing || long {
		l.failing, l.waiting = failing, s.NextSlotAt
		l.show(now)
	}
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.out.Write(p)
}

// show writes a line. The lock is held.
func (l *lines) show(now time.Time) {
	s := &l.last
	if s.Total == 0 {
		return
	}
	parts := []string{fmt.Sprintf("[%s] %d of %d done", l.Clock.Span(now.Sub(l.Started)), s.Done, s.Total)}
	if counts := Counts(s.Outcomes); len(counts) > 0 {
		parts[0] += ": " + strings.Join(counts, ", ")
	}
	if stall := s.stall(l.Clock, now); stall != "" {
		parts = append(parts, stall)
	}
	parts = append(parts, s.outlook(l.Clock, now)...)
	fmt.Fprintln(l.out, strings.Join(parts, "; "))
	l.shown, l.any = true, true
}

func (l *lines) Close() {
	close(l.stop)
	l.stopped.Wait()
	if l.any && !l.shown {
		l.show(time.Now())
	}
}

// blockWidth is how wide the block is at most. A terminal that is made narrower
// breaks wider lines into several, and it could then not be found out where the
// block begins: it is drawn as narrow as a terminal can be expected to be.
const blockWidth = 40

// block is a display for terminals: a bar with a few lines below it.
type block struct {
	Options
	progress *mpb.Progress
	bar      *mpb.Bar

	mu   sync.Mutex
	last Status

	below []string // the lines below the bar in the frame that is being drawn
}

// blockLines is how many lines there may be below the bar.
const blockLines = 12

func newBlock(out io.Writer, o Options) *block {
	b := &block{Options: o}
	b.progress = mpb.New(mpb.WithOutput(out))
	// mpb draws the bar and then each of these, and takes each for a line or for none.
	fillers := make([]mpb.BarFiller, blockLines)
	for i := range fillers {
		fillers[i] = mpb.BarFillerFunc(func(w io.Writer, _ decor.Statistics) error {
			if i >= len(b.below) {
				return nil
			}
			_, err := io.WriteString(w, b.below[i]+"\n")
			return err
		})
	}
	b.bar = b.progress.New(0, filler(b.head), mpb.BarFillerTrim(), mpb.BarBtmExtender(fillers...))
	return b
}

// filler is a bar that draws itself.
type filler mpb.BarFillerFunc

// Build implements [mpb.BarFillerBuilder].
func (f filler) Build() mpb.BarFiller { return mpb.BarFillerFunc(f) }

func (b *block) Update(s Status) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.last = s
}

func (b *block) status() Status {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.last
}

// widthOf is how wide lines are on a terminal: the last column stays free, since a
// terminal may go to the next line when it is filled.
func widthOf(stat decor.Statistics) int { return max(1, min(stat.AvailableWidth, blockWidth)-1) }

// head draws the first line, the bar, and finds out what is below.
func (b *block) head(w io.Writer, stat decor.Statistics) error {
	s, width := b.status(), widthOf(stat)
	b.below = b.lines(&s, time.Now(), width)
	_, err := io.WriteString(w, bar(s.percent(), width))
	return err
}

// bar draws how far it has come.
func bar(percent, width int) string {
	text := fmt.Sprintf("%4d %%", percent)
	inner := width - len(text) - 2
	if inner < 4 {
		return runewidth.Truncate(text, width, "")
	}
	filled := inner * percent / 100
	line := strings.Repeat("=", filled)
	if filled < inner {
		line += ">" + strings.Repeat("-", inner-filled-1)
	}
	return "[" + line + "]" + text
}

// lines are the lines below the bar.
func (b *block) lines(s *Status, now time.Time, width int) []string {
	var all []string
	paragraph := func(color, text string) {
		for _, line := range wrap(text, width) {
			if b.Color && color != "" {
				line = color + line + "\x1b[0m"
			}
			all = append(all, line)
		}
	}
	paragraph("", fmt.Sprintf("%d of %d done, %s", s.Done, s.Total, b.Clock.Span(now.Sub(b.Started))))
	if stall := s.stall(b.Clock, now); stall != "" {
		color := ""
		if s.Err != nil {
			color = yellow
		}
		paragraph(color, stall)
	}
	if counts := Counts(s.Outcomes); len(counts) > 0 {
		paragraph("", strings.Join(counts, ", "))
	}
	for _, part := range s.outlook(b.Clock, now) {
		paragraph("", part)
	}
	return all[:min(len(all), blockLines)]
}

const yellow = "\x1b[33m"

// wrap breaks text into lines of a width, between words where it can.
func wrap(text string, width int) []string {
	var all []string
	line := ""
	for word := range strings.FieldsSeq(text) {
		for runewidth.StringWidth(word) > width {
			if line != "" {
				all, line = append(all, line), ""
			}
			head := runewidth.Truncate(word, width, "")
			if head == "" { // a wide character in a narrow terminal
				break
			}
			all, word = append(all, head), word[len(head):]
		}
		switch {
		case line == "":
			line = word
		case runewidth.StringWidth(line)+1+runewidth.StringWidth(word) <= width:
			line += " " + word
		default:
			all, line = append(all, line), word
		}
	}
	return append(all, line)
}

func (b *block) Write(p []byte) (int, error) { return b.progress.Write(p) }

func (b *block) Close() {
	b.bar.Abort(true)
	b.progress.Wait()
}

// None is a Display that shows nothing.
type None struct{}

// Update does nothing.
func (None) Update(Status) {}

// Write takes p and shows nothing of it.
func (None) Write(p []byte) (int, error) { return len(p), nil }

// Close does nothing.
func (None) Close() {}
