package quotachart

import (
	"fmt"
	"strings"
	"time"
)

// event is a call, and whether it was refused with 429.
type event struct {
	at      time.Duration
	refused bool
}

// run is what a client met.
type run struct {
	name   string
	color  string
	shift  float64 // in pixels, so that lines on top of each other can both be seen
	events []event
}

// accepted counts the calls that were accepted.
func (r run) accepted() int { return len(r.events) - r.refused() }

func (r run) refused() (n int) {
	for _, e := range r.events {
		if e.refused {
			n++
		}
	}
	return n
}

// The picture, in pixels. Its background is the page's: the colours are those that
// can be read on white and on black.
const (
	width, height            = 820, 430
	left, right, top, bottom = 52, 796, 112, 374
	ink, faint, alarm        = "#737b85", "#8c959f", "#e5484d"
	steps                    = 50 // calls between two lines of the grid

	title = "Three hours of bulk calls, of which the server admits 50 in any hour"
)

func draw(span time.Duration, most int, runs ...run) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	x := func(at time.Duration) float64 { return left + (right-left)*at.Seconds()/span.Seconds() }
	y := func(calls int) float64 { return bottom - float64((bottom-top)*calls)/float64(most) }

	line(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" role="img" aria-labelledby="title text">`, width, height)
	line(`<title id="title">%s</title>`, title)
	line(`<desc id="text">%s</desc>`, describe(runs))
	line(`<g font-family="system-ui, -apple-system, 'Segoe UI', Helvetica, Arial, sans-serif" font-size="13" fill="%s">`, ink)

	line(`<g stroke="%s" stroke-opacity=".35">`, faint)
	for calls := 0; calls <= most; calls += steps {
		line(`<path d="M%d %.1fH%d"/>`, left, y(calls), right)
	}
	for at := time.Duration(0); at <= span; at += time.Hour {
		line(`<path d="M%.1f %dV%d"/>`, x(at), top, bottom+6)
	}
	line(`</g>`)
	line(`<g text-anchor="end">`)
	for calls := 0; calls <= most; calls += steps {
		line(`<text x="%d" y="%.1f">%d</text>`, left-10, y(calls)+4.5, calls)
	}
	line(`</g>`)
	line(`<g text-anchor="middle">`)
	for at := time.Duration(0); at <= span; at += time.Hour {
		line(`<text x="%.1f" y="%d">%d h</text>`, x(at), bottom+24, int(at.Hours()))
	}
	line(`<text x="%d" y="%d">time since the first call</text>`, (left+right)/2, bottom+46)
	line(`</g>`)
	line(`<text x="%d" y="%d" font-size="12">calls accepted</text>`, left+6, top-8)

	line(`<text x="%d" y="24" font-size="15" font-weight="600">%s</text>`, left, title)
	for i, r := range runs {
		legend := 50 + 22*float64(i)
		line(`<path d="M%d %.1fh26" stroke="%s" stroke-width="3"/>`, left, legend-4.5, r.color)
		line(`<text x="%d" y="%.1f"><tspan font-weight="600">%s</tspan>: %d calls accepted, %s</text>`, left+36, legend, r.name, r.accepted(), refusals(r.refused()))
		curve(line, x, y, span, r)
	}
	line(`</g>`)
	line(`</svg>`)
	return b.String()
}

func refusals(n int) string {
	if n == 0 {
		return "no 429"
	}
	return fmt.Sprintf("%d refused with 429", n)
}

// curve draws a staircase of what was accepted, and a mark below it for every
// refusal.
func curve(line func(string, ...any), x func(time.Duration) float64, y func(int) float64, span time.Duration, r run) {
	var path, marks strings.Builder
	accepted, level := 0, 0 // level: when the first was refused
	fmt.Fprintf(&path, "M%.1f %.1f", x(0), y(0)+r.shift)
	for i, e := range r.events {
		if e.refused {
			if level == 0 {
				level = accepted
			}
			fmt.Fprintf(&marks, "M%.1f %.1fv9", x(e.at), y(accepted)+r.shift+4)
			continue
		}
		accepted++
		// Calls at the same moment make one step.
		if next := i + 1; next == len(r.events) || r.events[next].refused || r.events[next].at > e.at {
			fmt.Fprintf(&path, "H%.1fV%.1f", x(e.at), y(accepted)+r.shift)
		}
	}
	fmt.Fprintf(&path, "H%.1f", x(span))
	line(`<path d="%s" fill="none" stroke="%s" stroke-width="2.5" stroke-linejoin="round"/>`, path.String(), r.color)
	if marks.Len() > 0 {
		line(`<path d="%s" stroke="%s" stroke-width="1.6"/>`, marks.String(), alarm)
		line(`<text x="%.1f" y="%.1f" fill="%s" text-anchor="middle">each mark a call refused with 429</text>`, x(span/6), y(level)+r.shift+30, alarm)
	}
}

// describe says in words what the picture shows.
func describe(runs []run) string {
	texts := make([]string, len(runs))
	for i, r := range runs {
		texts[i] = fmt.Sprintf("%s: %d calls accepted, %s.", r.name, r.accepted(), refusals(r.refused()))
	}
	return strings.Join(texts, " ")
}
