package quotachart

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// measure is what a run of InviteAll took.
type measure struct {
	people  int
	seconds float64 // of CPU time
	mib     float64 // the most memory in use, above what was in use before
}

// parseMeasures reads the lines of inviteall.csv, and the comment in the first, which
// tells where and when they were measured.
func parseMeasures(text string) (where string, measures []measure, err error) {
	where, text, _ = strings.Cut(text, "\n")
	for line := range strings.Lines(text) {
		var m measure
		if _, err := fmt.Sscanf(strings.TrimSpace(line), "%d,%g,%g", &m.people, &m.seconds, &m.mib); err != nil {
			return "", nil, fmt.Errorf("line %q: %w", line, err)
		}
		measures = append(measures, m)
	}
	return strings.TrimPrefix(where, "# "), measures, nil
}

func formatMeasures(where string, measures []measure) string {
	var text strings.Builder
	fmt.Fprintf(&text, "# %s\n", where)
	for _, m := range measures {
		fmt.Fprintf(&text, "%d,%.3f,%.2f\n", m.people, m.seconds, m.mib)
	}
	return text.String()
}

const inviteAllTitle = "InviteAll: what a run takes, over the number of people"

// drawInviteAll draws time and memory side by side, both on logarithmic axes, on which
// what is linear is a straight line at the slope of the dashes.
func drawInviteAll(where string, measures []measure) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	last := measures[len(measures)-1]
	perPerson := fmt.Sprintf("%d people: %.1f s and %.0f MiB, %.1f µs and %.0f bytes for each.", last.people, last.seconds, last.mib,
		last.seconds/float64(last.people)*1e6, last.mib/float64(last.people)*(1<<20))

	line(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" role="img" aria-labelledby="title text">`, width, height)
	line(`<title id="title">%s</title>`, inviteAllTitle)
	line(`<desc id="text">%s</desc>`, perPerson)
	line(`<g font-family="system-ui, -apple-system, 'Segoe UI', Helvetica, Arial, sans-serif" font-size="13" fill="%s">`, ink)
	line(`<text x="%d" y="24" font-size="15" font-weight="600">%s</text>`, left, inviteAllTitle)
	line(`<text x="%d" y="46">%s</text>`, left, perPerson)
	line(`<text x="%d" y="66" font-size="12">%s</text>`, left, where)
	const middle = (left + right) / 2
	panel{left, middle - 30, "CPU time, seconds", "#2f81f7", func(m measure) float64 { return m.seconds }}.draw(line, measures)
	panel{middle + 30, right, "memory, MiB", "#d4722a", func(m measure) float64 { return m.mib }}.draw(line, measures)
	line(`</g>`)
	line(`</svg>`)
	return b.String()
}

// panel is one of the two pictures.
type panel struct {
	left, right int
	name, color string
	value       func(measure) float64
}

func (p panel) draw(line func(string, ...any), measures []measure) {
	first, last := measures[0], measures[len(measures)-1]
	low, high := math.Inf(1), math.Inf(-1)
	for _, m := range measures {
		low, high = min(low, math.Log10(p.value(m))), max(high, math.Log10(p.value(m)))
	}
	low, high = math.Floor(low), math.Ceil(high)
	fewest, most := math.Log10(float64(first.people)), math.Log10(float64(last.people))
	x := func(people float64) float64 {
		return float64(p.left) + float64(p.right-p.left)*(math.Log10(people)-fewest)/(most-fewest)
	}
	y := func(value float64) float64 { return bottom - (bottom-top)*(math.Log10(value)-low)/(high-low) }

	line(`<text x="%d" y="%d" font-size="12">%s</text>`, p.left, top-12, p.name)
	for power := low; power <= high; power++ {
		value := math.Pow(10, power)
		line(`<path d="M%d %.1fH%d" stroke="%s" stroke-opacity=".35"/>`, p.left, y(value), p.right, faint)
		line(`<text x="%d" y="%.1f" text-anchor="end">%s</text>`, p.left-8, y(value)+4.5, strconv.FormatFloat(value, 'g', -1, 64))
	}
	for power := math.Ceil(fewest); power <= most; power++ {
		people := math.Pow(10, power)
		line(`<path d="M%.1f %dV%d" stroke="%s" stroke-opacity=".35"/>`, x(people), top, bottom+6, faint)
		line(`<text x="%.1f" y="%d" text-anchor="middle">%s</text>`, x(people), bottom+24, short(people))
	}
	line(`<text x="%d" y="%d" text-anchor="middle">people</text>`, (p.left+p.right)/2, bottom+46)

	// What the last would take if all were in proportion, as far down as the picture goes.
	start := max(float64(first.people), float64(last.people)*math.Pow(10, low)/p.value(last))
	line(`<path d="M%.1f %.1fL%.1f %.1f" stroke="%s" stroke-dasharray="4 4"/>`,
		x(start), y(p.value(last)*start/float64(last.people)), x(float64(last.people)), y(p.value(last)), faint)
	var path strings.Builder
	for i, m := range measures {
		fmt.Fprintf(&path, "%c%.1f %.1f", "ML"[min(i, 1)], x(float64(m.people)), y(p.value(m)))
		line(`<circle cx="%.1f" cy="%.1f" r="3.5" fill="%s"/>`, x(float64(m.people)), y(p.value(m)), p.color)
	}
	line(`<path d="%s" fill="none" stroke="%s" stroke-width="2.5" stroke-linejoin="round"/>`, path.String(), p.color)
}

func short(people float64) string {
	if people >= 1e6 {
		return fmt.Sprintf("%g M", people/1e6)
	}
	return fmt.Sprintf("%g k", people/1e3)
}
