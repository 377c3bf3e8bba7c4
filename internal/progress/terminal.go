package progress

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
)

// terminal shows what has ended as lines that stay, and below them a live line
// for each step that runs.
type terminal struct {
	out    io.Writer
	size   func() (columns, rows int) // asked for each time: windows change
	colour bool

	mu    sync.Mutex
	steps running
	live  int // lines; the cursor stands in the last one
	over  bool
}

// mostLive is how many live lines there are at most.
const mostLive = 12

// Control sequences: ECMA-48, understood by every terminal of today.
const (
	clearLine = "\r\x1b[K"
	lineAbove = "\x1b[A"
	green     = "\x1b[32m"
	red       = "\x1b[31m"
	yellow    = "\x1b[33m"
	dim       = "\x1b[2m"
	normal    = "\x1b[0m"
)

func (t *terminal) handle(e Event) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.steps.follow(&e)
	t.write(t.lasting(e), e.Time)
}

// tick brings the elapsed times of the live lines up to date.
func (t *terminal) tick(now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.write("", now)
}

func (t *terminal) end() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.over = true
	t.write("", time.Time{})
}

// write replaces the live lines by lasting lines and new live lines, in one
// write, so that nothing flickers.
func (t *terminal) write(lasting string, now time.Time) {
	var b strings.Builder
	if t.live > 0 {
		b.WriteString(clearLine + strings.Repeat(lineAbove+clearLine, t.live-1))
	}
	b.WriteString(lasting)
	lines := t.lines(now)
	t.live = len(lines)
	b.WriteString(strings.Join(lines, "\n"))
	if b.Len() > 0 {
		_, _ = io.WriteString(t.out, b.String()) // see JSON
	}
}

// lines gives the live lines: those of the steps that have run longest, and how
// many more there are.
func (t *terminal) lines(now time.Time) []string {
	if t.over {
		return nil
	}
	width, height := t.size()
	most := max(1, min(mostLive, height-2))
	var lines []string
	for i, step := range t.steps {
		if i == most-1 && len(t.steps) > most {
			lines = append(lines, cut(fmt.Sprintf("  and %d more", len(t.steps)-i), width-1))
			break
		}
		lines = append(lines, t.current(step, now, width))
	}
	return lines
}

// lasting gives the lines of an event that stay. A step that begins or waits
// has only its live line; one with nothing to do and nothing to say has none.
func (t *terminal) lasting(e Event) string {
	line := place(e) + what(e)
	switch e.Kind {
	case Start, Wait:
		return ""
	case Skip:
		if e.Text == "" {
			return ""
		}
		line = t.paint(dim, "- "+line)
	case Done:
		line = t.paint(green, "✓ ") + line + t.paint(dim, "  "+seconds(e.Elapsed))
	case Fail:
		line = t.paint(red, "✗ ") + line + t.paint(dim, "  "+seconds(e.Elapsed))
	case Undo:
		line = t.paint(yellow, "← ") + line
	default:
		line = "  " + line
	}
	return line + "\n" + indented(e.Err, "    ")
}

// current gives the live line of a step. It is one column narrower than the terminal, as
// a full line makes some terminals wrap, and a wrapped line cannot be cleared.
func (t *terminal) current(step runningStep, now time.Time, width int) string {
	text := what(step.begin)
	elapsed := "  " + seconds(now.Sub(step.begin.Time))
	if step.begin.Usual > 0 {
		elapsed += ", usually " + seconds(step.begin.Usual)
	}
	room := width - 1
	if room < columns(elapsed)+12 {
		elapsed = ""
	}
	room -= columns(elapsed)
	if step.wait != "" {
		wait := printable(step.wait)
		text += ": " + wait
		// What it waits for is worth more than what it is.
		if columns("  "+place(step.begin)+text) > room {
			text = wait
		}
	}
	return cut("  "+place(step.begin)+text, room) + t.paint(dim, elapsed)
}

func (t *terminal) paint(colour, text string) string {
	if !t.colour {
		return text
	}
	return colour + text + normal
}

// cut shortens a text to at most room columns.
func cut(text string, room int) string {
	if columns(text) <= room {
		return text
	}
	var b strings.Builder
	used := columns("…")
	for _, r := range text {
		if used += columns(string(r)); used > room {
			break
		}
		b.WriteRune(r)
	}
	if room < columns("…") {
		return ""
	}
	return b.String() + "…"
}

// columns counts what a text takes on a terminal, or somewhat more: a line that
// is too short does no harm. Letters of Hangul and beyond may be two wide.
func columns(text string) int {
	n := 0
	for _, r := range text {
		n++
		if r >= 0x1100 && (r < 0x1e00 || r >= 0x2600) {
			n++
		}
	}
	return n
}
