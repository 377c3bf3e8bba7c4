package progress

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func golden(t *testing.T, file string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s differs (-want +got); go test ./internal/progress -update rewrites it:\n%s", file, diff)
	}
}

var began = time.Date(2026, 11, 21, 22, 0, 0, 0, time.UTC)

func after(d time.Duration) time.Time { return began.Add(d) }

// aRun has every kind of event, hostile text and a failure that is undone.
var aRun = []Event{
	{Time: after(0), Kind: Note, Text: "2 steps of 3 have something to do"},
	{Time: after(0), Kind: Plan, Step: "packages", Text: "Install nginx and php8.2-fpm", Index: 1, Total: 12},
	{Time: after(100 * time.Millisecond), Kind: Start, Step: "packages", Text: "Install nginx and php8.2-fpm", Index: 1, Total: 12},
	{Time: after(1200 * time.Millisecond), Kind: Wait, Step: "packages", Text: "waiting for apt's lock held by process 123 (unattended-upgr)"},
	{Time: after(2200 * time.Millisecond), Kind: Wait, Step: "packages", Text: "waiting for apt's lock held by process 123 (unattended-upgr)"},
	{Time: after(30 * time.Second), Kind: Wait, Step: "packages", Text: "waiting for apt: Unpacking nginx\x1b[2J (1.22)"},
	{Time: after(75 * time.Second), Kind: Done, Step: "packages", Text: "Install nginx and php8.2-fpm", Index: 1, Total: 12, Elapsed: 74900 * time.Millisecond},
	{Time: after(75 * time.Second), Kind: Skip, Step: "users", Index: 2, Total: 12},
	{Time: after(75 * time.Second), Kind: Start, Step: "front", Text: "Write /etc/nginx/sites-available/rocca", Index: 12, Total: 12},
	{Time: after(87 * time.Second), Kind: Fail, Step: "front", Text: "Write /etc/nginx/sites-available/rocca", Index: 12, Total: 12, Err: "run nginx -t: exit status 1\nnginx: [emerg] unknown \u202edirective\r\n"},
	{Time: after(88 * time.Second), Kind: Undo, Step: "front", Text: "file /etc/nginx/sites-available/rocca"},
	{Time: after(88 * time.Second), Kind: Skip, Step: "state", Text: "kept, because it holds data: /var/lib/matomo"},
	{Time: after(3700 * time.Second), Kind: Note, Text: "taken back"},
}

func TestPlain(t *testing.T) {
	var out bytes.Buffer
	tell := Plain(&out)
	for _, e := range aRun {
		tell.Tell(e)
	}
	golden(t, "testdata/plain.golden", out.Bytes())
}

func TestJSON(t *testing.T) {
	var out bytes.Buffer
	tell := JSON(&out)
	for _, e := range aRun {
		tell.Tell(e)
	}
	golden(t, "testdata/json.golden", out.Bytes())

	lines := bytes.Split(bytes.TrimSpace(out.Bytes()), []byte("\n"))
	for i, line := range lines {
		var got struct {
			Version int
			Event
		}
		if err := json.Unmarshal(line, &got); err != nil {
			t.Fatalf("line %d: %v", i+1, err)
		}
		if diff := cmp.Diff(aRun[i], got.Event); diff != "" {
			t.Errorf("line %d (-told +read):\n%s", i+1, diff)
		}
		if want := map[bool]int{true: 1}[i == 0]; got.Version != want {
			t.Errorf("line %d has version %d, want %d", i+1, got.Version, want)
		}
	}
}

// A pipe or a buffer gets plain lines, whatever the environment says.
func TestOpenElsewhereThanOnATerminal(t *testing.T) {
	t.Setenv("TERM", "xterm-256color")
	file, err := os.Create(t.TempDir() + "/out")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	tell, end := Open(file, false)
	tell(Event{Time: began, Kind: Note, Text: "hello"})
	end()
	end()
	got, _ := os.ReadFile(file.Name())
	if want := "    0.0 s  note  hello\n"; string(got) != want {
		t.Errorf("got %q, want %q", got, want)
	}

	var out bytes.Buffer
	tell, end = Open(&out, true)
	tell(Event{Time: began, Kind: Note, Text: "hello"})
	end()
	if want := `{"version":1,"time":"2026-11-21T22:00:00Z","kind":"note","text":"hello"}` + "\n"; out.String() != want {
		t.Errorf("got %q, want %q", out.String(), want)
	}
}

func TestSeconds(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Second:             "0.0 s",
		0:                        "0.0 s",
		99 * time.Millisecond:    "0.0 s",
		9999 * time.Millisecond:  "9.9 s",
		10 * time.Second:         "10 s",
		59999 * time.Millisecond: "59 s",
		time.Minute:              "1 min 00 s",
		61 * time.Minute:         "61 min 00 s",
	} {
		if got := seconds(d); got != want {
			t.Errorf("%v: got %q, want %q", d, got, want)
		}
	}
}

// Each handler may be told by many goroutines at once: no line is torn.
func TestConcurrentTellers(t *testing.T) {
	var plain, objects, screen bytes.Buffer
	live := &terminal{out: &screen, size: func() (int, int) { return 80, 24 }}
	handlers := []Handler{Plain(&plain), JSON(&objects), live.handle}
	var tellers sync.WaitGroup
	for i := range 8 {
		tellers.Go(func() {
			for j := range 50 {
				step := fmt.Sprintf("step-%d-%d", i, j)
				for _, tell := range handlers {
					tell(Event{Time: began, Kind: Start, Step: step, Text: step})
					tell(Event{Time: began, Kind: Done, Step: step, Text: step})
				}
				live.tick(began)
			}
		})
	}
	tellers.Wait()
	live.end()
	if n := strings.Count(plain.String(), "\n"); n != 800 {
		t.Errorf("%d plain lines, want 800", n)
	}
	for line := range strings.Lines(plain.String()) {
		if !strings.Contains(line, "  start step-") && !strings.Contains(line, "  done  step-") {
			t.Fatalf("torn line %q", line)
		}
	}
	if n := strings.Count(objects.String(), `"version"`); n != 1 {
		t.Errorf("%d objects have a version, want 1", n)
	}
	for line := range strings.Lines(objects.String()) {
		if !json.Valid([]byte(line)) {
			t.Fatalf("torn object %q", line)
		}
	}
	shown := emulate(screen.String(), 80)
	if len(shown) != 401 || shown[400] != "" {
		t.Fatalf("%d rows on the screen, want 400 and an empty one", len(shown))
	}
	for _, row := range shown[:400] {
		if !strings.HasPrefix(row, "✓ step-") || !strings.HasSuffix(row, "  0.0 s") {
			t.Fatalf("torn row %q", row)
		}
	}
}
