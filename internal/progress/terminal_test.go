package progress

import (
	"bytes"
	"regexp"
	"strings"
	"testing"
	"time"
)

// emulate gives the rows that a terminal of that width shows. It knows what the
// handler may use, and shows everything else as a question mark.
func emulate(written string, width int) []string {
	written = regexp.MustCompile("\x1b\\[[0-9;]*m").ReplaceAllString(written, "")
	written = strings.ReplaceAll(written, "\x1b[K", "\x00")
	written = strings.ReplaceAll(written, "\x1b[A", "\x01")
	rows := [][]rune{nil}
	row, column := 0, 0
	next := func() {
		row, column = row+1, 0
		if row == len(rows) {
			rows = append(rows, nil)
		}
	}
	for _, r := range written {
		switch r {
		case '\r':
			column = 0
		case '\n':
			next()
		case 1:
			row = max(row-1, 0)
		case 0:
			rows[row] = rows[row][:min(column, len(rows[row]))]
		default:
			if column == width {
				next()
			}
			if r < ' ' || r == 0x7f {
				r = '?'
			}
			rows[row] = append(rows[row][:min(column, len(rows[row]))], r)
			column++
		}
	}
	shown := make([]string, len(rows))
	for i, r := range rows {
		shown[i] = string(r)
	}
	return shown
}

// play tells events with a tick after each, and returns each screen and all
// that was written.
func play(events []Event, width int, colour bool) (screens []string, written string) {
	var out bytes.Buffer
	t := &terminal{out: &out, size: func() (int, int) { return width, 24 }, colour: colour}
	show := func() {
		screens = append(screens, strings.Join(emulate(out.String(), width), "\n"))
	}
	for _, e := range events {
		t.handle(e)
		show()
		t.tick(e.Time.Add(3 * time.Second))
		show()
	}
	t.end()
	show()
	return screens, out.String()
}

func TestTerminal(t *testing.T) {
	for _, c := range []struct {
		file  string
		width int
	}{{"testdata/terminal80.golden", 80}, {"testdata/terminal30.golden", 30}} {
		screens, written := play(aRun, c.width, false)
		var all strings.Builder
		for i, screen := range screens {
			if i == 0 || screens[i-1] != screen {
				all.WriteString(strings.Repeat("=", c.width) + "\n" + screen + "\n")
			}
		}
		golden(t, c.file, []byte(all.String()))
		if strings.Contains(written, "\x1b[3") {
			t.Error("colours were written though they are off")
		}
	}
}

func TestTerminalColoursTheMarksOnly(t *testing.T) {
	_, written := play(aRun, 80, true)
	for _, want := range []string{
		green + "✓ " + normal + "[ 1/12] packages",
		red + "✗ " + normal + "[12/12] front: Write",
		yellow + "← " + normal + "file /etc/nginx",
	} {
		if !strings.Contains(written, want) {
			t.Errorf("%q is missing in %q", want, written)
		}
	}
	plain, _ := play(aRun, 80, false)
	coloured, _ := play(aRun, 80, true)
	if strings.Join(plain, "\f") != strings.Join(coloured, "\f") {
		t.Error("colours change what is shown")
	}
}

// FuzzTerminal: whatever texts and widths come, what the live line shows is
// gone in the end, and only the lines that stay are there.
func FuzzTerminal(f *testing.F) {
	f.Add("Install nginx", "waiting for apt", "exit status 1", 80)
	f.Add("a\x1b[2J\r\n\tb", "\x9b1A\u202e", "x\ny\r\n\n", 10)
	f.Add(strings.Repeat("漢", 50), strings.Repeat("w", 300), "", 40)
	f.Add("", "", "", 1)
	f.Fuzz(func(t *testing.T, text, wait, failure string, width int) {
		if width < 1 || width > 300 {
			return
		}
		begin := Event{Time: began, Kind: Start, Step: "one", Text: text, Index: 3, Total: 17}
		waits := Event{Time: began, Kind: Wait, Step: "one", Text: wait}
		other := Event{Time: began, Kind: Start, Step: "two", Text: wait + text}
		fails := Event{Time: began, Kind: Fail, Step: "one", Text: text, Index: 3, Total: 17, Err: failure, Elapsed: time.Second}
		note := Event{Time: began, Kind: Note, Text: wait}
		screens, written := play([]Event{begin, waits, other, fails, note}, width, true)

		lasting := &terminal{}
		want := strings.Join(emulate(lasting.lasting(fails)+lasting.lasting(note), width), "\n")
		if got := screens[len(screens)-1]; got != want {
			t.Errorf("in the end the screen shows\n%q\nwant\n%q", got, want)
		}
		for i, live := range screens[:6] {
			// Two steps run from the third event on.
			if lines := 1 + strings.Count(live, "\n"); lines > 1+i/4 {
				t.Errorf("a live line wrapped: %q", live)
			}
		}
		known := regexp.MustCompile("\x1b\\[(K|A|[0-9]{0,2}m)").ReplaceAllString(written, "")
		if strings.ContainsFunc(known, func(r rune) bool { return r < ' ' && r != '\n' && r != '\r' || r >= 0x7f && r < 0xa0 || r == '\u202e' }) {
			t.Errorf("a control character came through: %q", known)
		}
	})
}

func TestTerminalShowsEachStepThatRuns(t *testing.T) {
	var out bytes.Buffer
	rows := 24
	live := &terminal{out: &out, size: func() (int, int) { return 60, rows }}
	shows := func(want ...string) {
		t.Helper()
		if got := strings.TrimRight(strings.Join(emulate(out.String(), 60), "\n"), "\n"); got != strings.Join(want, "\n") {
			t.Errorf("the screen shows\n%s\nwant\n%s", got, strings.Join(want, "\n"))
		}
	}
	live.handle(Event{Time: began, Kind: Start, Step: "network", Usual: 90 * time.Second})
	live.handle(Event{Time: began, Kind: Start, Step: "database", Usual: 12 * time.Minute})
	live.handle(Event{Time: began, Kind: Start, Step: "key"})
	live.handle(Event{Time: after(5 * time.Second), Kind: Wait, Step: "database", Text: "backing up"})
	shows("  network  5.0 s, usually 1 min 30 s", "  database: backing up  5.0 s, usually 12 min 00 s", "  key  5.0 s")
	live.handle(Event{Time: after(9 * time.Second), Kind: Done, Step: "network"})
	shows("✓ network  9.0 s", "  database: backing up  9.0 s, usually 12 min 00 s", "  key  9.0 s")
	rows = 4
	live.handle(Event{Time: after(10 * time.Second), Kind: Start, Step: "role"})
	shows("✓ network  9.0 s", "  database: backing up  10 s, usually 12 min 00 s", "  and 2 more")
	live.handle(Event{Time: after(11 * time.Second), Kind: Fail, Step: "key", Err: "no right to make one"})
	shows("✓ network  9.0 s", "✗ key  11 s", "    no right to make one", "  database: backing up  11 s, usually 12 min 00 s", "  role  1.0 s")
	live.end()
	shows("✓ network  9.0 s", "✗ key  11 s", "    no right to make one")
}
