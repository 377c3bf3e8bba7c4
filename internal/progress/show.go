package progress

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"
)

// Open returns the handler that fits the output: one JSON object per line when
// asked for, live lines on a terminal, plain lines elsewhere. The handler may
// be called from several goroutines. Call end when the work is over, and before
// anything else is written to a terminal: it takes the live lines away.
func Open(w io.Writer, asJSON bool) (tell Handler, end func()) {
	if asJSON {
		return JSON(w), func() {}
	}
	file, isFile := w.(*os.File)
	if !isFile || !term.IsTerminal(int(file.Fd())) || os.Getenv("TERM") == "dumb" {
		return Plain(w), func() {}
	}
	size := func() (columns, rows int) {
		columns, rows, err := term.GetSize(int(file.Fd()))
		if err != nil || columns < 1 {
			return 80, 24
		}
		return columns, rows
	}
	// https://no-color.org: set and not empty, whatever the value.
	t := &terminal{out: file, size: size, colour: os.Getenv("NO_COLOR") == ""}
	ticker := time.NewTicker(time.Second)
	over := make(chan struct{})
	go func() {
		for {
			select {
			case now := <-ticker.C:
				t.tick(now)
			case <-over:
				return
			}
		}
	}()
	return t.handle, sync.OnceFunc(func() {
		ticker.Stop()
		close(over)
		t.end()
	})
}

// JSON writes each event as an object on a line of its own. The first one also
// has "version": 1.
func JSON(w io.Writer) Handler {
	type line struct {
		Version int `json:"version,omitempty"`
		Event
	}
	var mu sync.Mutex
	version := 1
	encoder := json.NewEncoder(w)
	return func(e Event) {
		mu.Lock()
		defer mu.Unlock()
		e.Time = e.Time.UTC()
		// Work does not stop because nobody reads about it any more.
		_ = encoder.Encode(line{version, e})
		version = 0
	}
}

// Plain writes one line for each event: the time since the first one, the
// step's place, what happened, and how long the step took. A wait is written
// when it begins or changes; a step that had nothing to do is not.
func Plain(w io.Writer) Handler {
	var mu sync.Mutex
	var first time.Time
	var steps running
	return func(e Event) {
		mu.Lock()
		defer mu.Unlock()
		if first.IsZero() {
			first = e.Time
		}
		if !steps.follow(&e) || e.Kind == Skip && e.Text == "" {
			return
		}
		line := fmt.Sprintf("%9s  %-5s %s%s", seconds(e.Time.Sub(first)), e.Kind, place(e), what(e))
		if e.Kind == Start && e.Usual > 0 {
			line += " (usually " + seconds(e.Usual) + ")"
		}
		if e.Kind == Done || e.Kind == Fail {
			line += " (" + seconds(e.Elapsed) + ")"
		}
		_, _ = io.WriteString(w, line+"\n"+indented(e.Err, "           "))
	}
}

// running are the steps that have begun and not ended, in that order.
type running []runningStep

type runningStep struct {
	begin Event
	wait  string // what it waits for; may be empty
}

// follow brings the steps up to date. It adds to the event what only the start
// of its step told, and reports whether the event tells anything new.
func (r *running) follow(e *Event) (changed bool) {
	at := slices.IndexFunc(*r, func(s runningStep) bool { return s.begin.Step == e.Step })
	switch e.Kind {
	case Start:
		if at >= 0 {
			*r = slices.Delete(*r, at, at+1)
		}
		*r = append(*r, runningStep{begin: *e})
	case Wait:
		if at < 0 {
			at = len(*r)
			*r = append(*r, runningStep{begin: Event{Time: e.Time, Step: e.Step, Index: e.Index, Total: e.Total}})
		}
		s := &(*r)[at]
		e.Index, e.Total = s.begin.Index, s.begin.Total
		changed := s.wait != e.Text
		s.wait = e.Text
		return changed
	case Done, Skip, Fail:
		if at < 0 {
			break
		}
		if e.Elapsed == 0 {
			e.Elapsed = e.Time.Sub((*r)[at].begin.Time)
		}
		*r = slices.Delete(*r, at, at+1)
	}
	return true
}

// place gives "[3/17] " with the numbers aligned.
func place(e Event) string {
	if e.Index == 0 || e.Total == 0 {
		return ""
	}
	return fmt.Sprintf("[%*d/%d] ", len(strconv.Itoa(e.Total)), e.Index, e.Total)
}

// longest is how much of a sentence is shown, in columns: plans have it whole.
const longest = 160

// what names the step of an event and says its sentence. A step that has ended
// said it when it began.
func what(e Event) string {
	step, text := printable(e.Step), printable(e.Text)
	switch {
	case text == "" || e.Kind == Done && step != "":
		return step
	case step == "" || e.Kind == Wait || e.Kind == Undo:
		return cut(text, longest)
	}
	return step + ": " + cut(text, longest)
}

// seconds shows a duration as people say it.
func seconds(d time.Duration) string {
	d = max(d, 0)
	switch {
	case d < 10*time.Second:
		return fmt.Sprintf("%.1f s", d.Truncate(100*time.Millisecond).Seconds())
	case d < time.Minute:
		return fmt.Sprintf("%d s", d/time.Second)
	default:
		return fmt.Sprintf("%d min %02d s", d/time.Minute, d%time.Minute/time.Second)
	}
}

// printable makes one line that cannot control a terminal: texts quote what
// programs and archives said.
func printable(text string) string {
	var b strings.Builder
	for _, r := range strings.TrimSpace(text) {
		switch {
		case r == '\n' || r == '\r' || r == '\t':
			b.WriteByte(' ')
		case strconv.IsPrint(r):
			b.WriteRune(r)
		default:
			quoted := strconv.QuoteRuneToASCII(r)
			b.WriteString(quoted[1 : len(quoted)-1])
		}
	}
	return b.String()
}

// indented puts each line of a text behind a lead, each ending with a newline.
func indented(text, lead string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		b.WriteString(strings.TrimRight(lead+printable(line), " ") + "\n")
	}
	return b.String()
}
