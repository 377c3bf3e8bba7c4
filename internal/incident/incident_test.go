package incident

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rocca/internal/progress"
	"rocca/internal/secret"
)

var update = flag.Bool("update", false, "rewrite the golden files")

var about = About{Verb: "rocca respond", Subject: "server web1", Operator: "anna by sudo from 198.51.100.7", Reason: "a super user that nobody knows <script>alert(1)</script>"}

// open opens a case whose clock stands at a time, a minute on with each look.
func open(t *testing.T, dir string) *Case {
	t.Helper()
	c, err := Open(dir, about)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func caseDir(t *testing.T) string { return filepath.Join(t.TempDir(), "cases", "20261122-0310-web1") }

// counted is a step that counts how often it is done.
func counted(id string, times map[string]int, do func(context.Context, *Case) error) Step {
	return Step{ID: id, Title: "Step " + id, Phase: Contain, Do: func(ctx context.Context, c *Case) error {
		times[id]++
		if do == nil {
			return nil
		}
		return do(ctx, c)
	}}
}

func TestRunGoesOnAfterFailuresAndDoesNothingTwice(t *testing.T) {
	dir, times := caseDir(t), map[string]int{}
	broken := errors.New("no such thing")
	steps := []Step{
		counted("one", times, nil),
		counted("two", times, func(context.Context, *Case) error { return broken }),
		counted("three", times, func(context.Context, *Case) error { return Skip("nothing is there") }),
		counted("four", times, func(context.Context, *Case) error { panic("a defect") }),
		counted("five", times, nil),
		counted("report", times, nil),
	}
	steps[4].After = []string{"two"}
	steps[5].Again = true
	c := open(t, dir)
	got, err := c.Run(t.Context(), steps, nil)
	want := Outcome{Done: []string{"one", "report"}, Skipped: []string{"three"}, Failed: []string{"two", "four"}, Held: []string{"five"}}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Fatalf("first run: %v\n%s", err, diff)
	}
	if got.Err() == nil {
		t.Error("failed steps are no error")
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	broken = nil
	got, err = open(t, dir).Run(t.Context(), steps, nil)
	want = Outcome{Done: []string{"one", "two", "three", "five", "report"}, Failed: []string{"four"}}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Fatalf("second run: %v\n%s", err, diff)
	}
	if diff := cmp.Diff(map[string]int{"one": 1, "two": 2, "three": 1, "four": 2, "five": 1, "report": 2}, times); diff != "" {
		t.Errorf("how often each was done: %s", diff)
	}
}

func TestInterruptedRunEndsAndGoesOn(t *testing.T) {
	dir, times := caseDir(t), map[string]int{}
	ctx, cancel := context.WithCancelCause(t.Context())
	steps := []Step{
		counted("one", times, func(ctx context.Context, _ *Case) error {
			cancel(errors.New("interrupted (terminated)"))
			return ctx.Err()
		}),
		counted("two", times, nil),
	}
	c := open(t, dir)
	if _, err := c.Run(ctx, steps, nil); err == nil || !strings.Contains(err.Error(), "terminated") || times["two"] != 0 {
		t.Fatalf("an interrupted run: %v, step two was done %d times", err, times["two"])
	}
	c.Close()
	if got, err := open(t, dir).Run(t.Context(), steps, nil); err != nil || len(got.Done) != 2 {
		t.Errorf("the next run: %+v %v", got, err)
	}
}

func TestStepThatTakesTooLongHoldsUpNothing(t *testing.T) {
	times := map[string]int{}
	slow := counted("slow", times, func(ctx context.Context, _ *Case) error { <-ctx.Done(); return context.Cause(ctx) })
	slow.Limit = time.Millisecond
	got, err := open(t, caseDir(t)).Run(t.Context(), []Step{slow, counted("next", times, nil)}, nil)
	if err != nil || !slices.Equal(got.Failed, []string{"slow"}) || !slices.Equal(got.Done, []string{"next"}) {
		t.Errorf("%+v %v", got, err)
	}
}

func TestTwoRespondersAreToldOfEachOther(t *testing.T) {
	dir := caseDir(t)
	open(t, dir)
	_, err := Open(dir, About{Operator: "bert"})
	if !errors.Is(err, ErrBusy) || !strings.Contains(err.Error(), "anna") || !strings.Contains(err.Error(), fmt.Sprint(os.Getpid())) {
		t.Errorf("the second responder is told %v", err)
	}
}

func TestKillAtAnyPointOfTheJournal(t *testing.T) {
	dir, times := caseDir(t), map[string]int{}
	steps := []Step{
		counted("one", times, func(_ context.Context, c *Case) error {
			if err := c.Save("before", map[string]int{"times": times["one"]}); err != nil {
				return err
			}
			_, err := c.Put("x.txt", "test", []byte("evidence"))
			return errors.Join(err, c.Changed("this", "that"))
		}),
		counted("two", times, nil),
	}
	c := open(t, dir)
	if _, err := c.Run(t.Context(), steps, nil); err != nil {
		t.Fatal(err)
	}
	c.Close()
	whole, err := os.ReadFile(filepath.Join(dir, journalName))
	if err != nil {
		t.Fatal(err)
	}
	for size := range len(whole) {
		if size%7 != 0 && whole[max(size-1, 0)] != '\n' {
			continue // each seventh byte, and every end of a line
		}
		copied := filepath.Join(t.TempDir(), "case")
		if err := os.CopyFS(copied, os.DirFS(dir)); err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(filepath.Join(copied, journalName), int64(size)); err != nil {
			t.Fatal(err)
		}
		c, err := Open(copied, about)
		if err != nil {
			t.Fatalf("after %d of %d bytes: %v", size, len(whole), err)
		}
		got, err := c.Run(t.Context(), steps, nil)
		if err != nil || len(got.Done) != 2 {
			t.Fatalf("after %d bytes: %+v %v", size, got, err)
		}
		var before map[string]int
		if found, err := c.Load("before", &before); err != nil || !found || before["times"] != 1 {
			t.Fatalf("after %d bytes: the state of before is %v %v: it was saved again", size, before, err)
		}
		c.Close()
		if err := Verify(copied); err != nil {
			t.Fatalf("after %d bytes: %v", size, err)
		}
	}
}

func TestVerifyNamesWhatWasChanged(t *testing.T) {
	make := func(t *testing.T) string {
		dir := caseDir(t)
		c := open(t, dir)
		for _, name := range []string{"a.txt", "b.txt"} {
			if _, err := c.Put(name, "test", []byte("content of "+name)); err != nil {
				t.Fatal(err)
			}
		}
		if err := errors.Join(c.Note("first"), c.Note("second"), c.Save("units", []string{"x"}), c.Close()); err != nil {
			t.Fatal(err)
		}
		if err := Verify(dir); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	edit := func(file, from, to string) func(string) error {
		return func(dir string) error {
			name := filepath.Join(dir, file)
			text, err := os.ReadFile(name)
			if err != nil {
				return err
			}
			if !bytes.Contains(text, []byte(from)) {
				return fmt.Errorf("%s has no %q", file, from)
			}
			return os.WriteFile(name, bytes.Replace(text, []byte(from), []byte(to), 1), 0o600)
		}
	}
	for name, test := range map[string]struct {
		change func(dir string) error
		want   string
	}{
		"line changed":     {edit(journalName, `"first"`, `"furst"`), "chain is broken at line 5"},
		"line taken out":   {func(dir string) error { return dropLine(dir, 3) }, "chain is broken at line 4"},
		"evidence changed": {edit("evidence/a.txt", "content", "CONTENT"), "a.txt was changed"},
		"evidence gone":    {func(dir string) error { return os.Remove(dir + "/evidence/b.txt") }, "b.txt"},
		"state changed":    {edit("state/units.json", "x", "y"), "units.json was changed"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := make(t)
			if err := test.change(dir); err != nil {
				t.Fatal(err)
			}
			if err := Verify(dir); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}

func dropLine(dir string, number int) error {
	name := filepath.Join(dir, journalName)
	text, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	lines := bytes.SplitAfter(text, []byte("\n"))
	return os.WriteFile(name, bytes.Join(slices.Delete(lines, number, number+1), nil), 0o600)
}

func TestEvidenceIsNeverReplacedAndHalfOfItNeverKept(t *testing.T) {
	dir := caseDir(t)
	c := open(t, dir)
	first, err := c.Put("triage/list.json", "test", []byte("first"))
	second, err2 := c.Put("triage/list.json", "test", []byte("second"))
	if err := errors.Join(err, err2); err != nil {
		t.Fatal(err)
	}
	if second.Name != "triage/list-2.json" || first.SHA256 == second.SHA256 {
		t.Errorf("the second is %s", second.Name)
	}
	if _, err := c.Evidence("half.txt", "test", func(w io.Writer) error {
		_, _ = io.WriteString(w, "half")
		return errors.New("the disk is full")
	}); err == nil || !strings.Contains(err.Error(), "the disk is full") {
		t.Errorf("half a file: %v", err)
	}
	for _, name := range []string{"../out", "/etc/x", "x.part", ""} {
		if _, err := c.Put(name, "test", nil); err == nil {
			t.Errorf("%q was taken", name)
		}
	}
	// A kill leaves a file that is whole and not in the journal, and half a one.
	if err := errors.Join(os.WriteFile(dir+"/evidence/whole.txt", []byte("whole"), 0o600), os.WriteFile(dir+"/evidence/half.txt.part", []byte("ha"), 0o600), c.Close()); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range open(t, dir).Story().Evidence {
		names = append(names, e.Name)
	}
	if diff := cmp.Diff([]string{"triage/list.json", "triage/list-2.json", "whole.txt"}, names); diff != "" {
		t.Error(diff)
	}
	if _, err := os.Stat(dir + "/evidence/half.txt.part"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("half a file was kept: %v", err)
	}
}

func TestCaseIsClosedToOthers(t *testing.T) {
	dir := caseDir(t)
	c := open(t, dir)
	if _, err := c.Put("deep/er/x.txt", "test", []byte("x")); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(c.Save("units", 1), c.Write()); err != nil {
		t.Fatal(err)
	}
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		want := fs.FileMode(0o600)
		if d.IsDir() {
			want = 0o700
		}
		if err == nil && info.Mode().Perm() != want {
			t.Errorf("%s has mode %04o", name, info.Mode().Perm())
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(dir, link); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(link, about); err == nil {
		t.Error("a link in the place of the directory is followed")
	}
}

func TestSecretsAreWrittenNowhere(t *testing.T) {
	dir := caseDir(t)
	c := open(t, dir)
	const password, salt = `pa"ss&wörd-4711`, "0123456789abcdef0123456789abcdef"
	c.Hide(secret.New(password), secret.New(salt), secret.New("x")) // the last is too short to be looked for
	step := Step{ID: "leaks", Title: "Leaks", Phase: Assess, Do: func(_ context.Context, c *Case) error {
		_, err := c.PutJSON("a.json", "test", map[string]string{"password": password, "url": "https://x/?salt=" + salt})
		_, err2 := c.Evidence("big", "test", func(w io.Writer) error {
			// In pieces, so that no write has the whole of it.
			for _, piece := range []string{strings.Repeat("x", 5000), password[:3], password[3:], "\n", salt[:20], salt[20:]} {
				if _, err := io.WriteString(w, piece); err != nil {
					return err
				}
			}
			return nil
		})
		err3 := errors.Join(c.Note("salt "+salt), c.Changed("password "+password, "set it to "+password), c.NotTaken("x", password), c.Know(Nature, salt))
		return errors.Join(err, err2, err3, errors.New("refused: "+password))
	}}
	var told bytes.Buffer
	if _, err := c.Run(t.Context(), []Step{step}, progress.JSON(&told)); err != nil {
		t.Fatal(err)
	}
	if err := c.Write(); err != nil {
		t.Fatal(err)
	}
	quoted := strings.ReplaceAll(password, `"`, `\"`)
	look := func(name string, text []byte) {
		for _, value := range []string{password, quoted, salt, "0123456789abcdef"} {
			if bytes.Contains(text, []byte(value)) {
				t.Errorf("%s holds a secret", name)
			}
		}
	}
	look("progress", told.Bytes())
	files := 0
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		files++
		text, err := os.ReadFile(name)
		look(name, text)
		return err
	})
	if err != nil || files < 6 {
		t.Errorf("looked at %d files: %v", files, err)
	}
	big, err := os.ReadFile(dir + "/evidence/big")
	if want := 5000 + len(password) + 1 + len(salt); err != nil || len(big) != want {
		t.Errorf("the masked file has %d bytes, want %d: %v", len(big), want, err)
	}
}

// aStory has all that a report shows, at fixed times.
func aStory() Story {
	at := func(minutes int) time.Time {
		return time.Date(2026, 11, 22, 3, 10, 0, 0, time.UTC).Add(time.Duration(minutes) * time.Minute)
	}
	who := about.Operator
	about := about
	about.Known, about.Version = at(-30), "1.0"
	s := Story{ID: "20261122-0310-web1", Dir: "/var/lib/rocca/incidents/20261122-0310-web1"}
	entries := []Entry{
		{At: at(0), Kind: opened, About: &about},
		{At: at(0), Kind: planned, Steps: []Told{
			{ID: "record", Title: "Record what is volatile", Phase: Assess, Person: []string{"Read triage.json."}},
			{ID: "cut-off", Title: "Cut off the network", Phase: Isolate, Undo: "rocca respond release"},
			{ID: "sessions", Title: "End Matomo's sessions", Phase: Contain},
			{ID: "rotate", Title: "Give new passwords", Phase: Eradicate, Person: []string{"Change the passwords of Matomo's users."}},
			{ID: "report", Title: "Write the report", Phase: Document},
		}},
		{At: at(0), Kind: started, Step: "record"},
		{At: at(1), Kind: took, Step: "record", Evidence: &Evidence{Name: "triage/triage.json", SHA256: hashOf([]byte("x")), Size: 123456, At: at(1), By: "rocca host triage"}},
		{At: at(1), Kind: missed, Step: "record", Key: "memory of suspects", Text: "not asked for: --memory"},
		{At: at(1), Kind: noted, Step: "record", Text: "suspect: process 4711 (kworker|u8): its program /tmp/x is gone from the disk"},
		{At: at(1), Kind: known, Key: string(Records), Text: "within reach: 40000 visits"},
		{At: at(1), Kind: done, Step: "record"},
		{At: at(1), Kind: started, Step: "cut-off"},
		{At: at(2), Kind: changed, Step: "cut-off", Text: "cut off the network for all but 198.51.100.7", Undo: "rocca respond release"},
		{At: at(2), Kind: done, Step: "cut-off"},
		{At: at(3), Kind: resumed, Text: "by pid 99"},
		{At: at(3), Kind: failed, Step: "sessions", Text: "ask the database: connection refused"},
		{At: at(3), Kind: held, Step: "rotate", Text: "held back, because sessions did not succeed"},
	}
	for i := range entries {
		entries[i].N, entries[i].Who, entries[i].hash = i+1, who, hashOf(fmt.Append(nil, i))
	}
	s.tell(entries)
	return s
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	name = filepath.Join("testdata", name)
	if *update {
		if err := errors.Join(os.MkdirAll("testdata", 0o755), os.WriteFile(name, got, 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s differs (-want +got); -update rewrites it:\n%s", name, diff)
	}
}

func TestReports(t *testing.T) {
	s, now := aStory(), time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	var markdown, page bytes.Buffer
	if err := errors.Join(s.Report(&markdown, now), s.HTML(&page, now)); err != nil {
		t.Fatal(err)
	}
	golden(t, "report.md", markdown.Bytes())
	golden(t, "report.html", page.Bytes())
	for name, text := range map[string]string{"Markdown": markdown.String(), "HTML": page.String()} {
		if strings.Contains(text, "<script>") {
			t.Errorf("%s: what an intruder wrote is markup", name)
		}
	}
}

func TestClock(t *testing.T) {
	s := aStory()
	for hours, want := range map[int]string{0: "72 h 00 min left", 71: "1 h 00 min left", 73: "over since 1 h 00 min: a later notice must say why it is late (Art. 33(1))"} {
		if got := s.Clock(s.About.Known.Add(time.Duration(hours) * time.Hour)).Sentence(); got != want {
			t.Errorf("after %d hours: %q, want %q", hours, got, want)
		}
	}
}

func TestListFindsCasesOldestFirst(t *testing.T) {
	root := t.TempDir()
	for _, name := range []string{"b", "a"} {
		c, err := Open(filepath.Join(root, name), about)
		if err != nil {
			t.Fatal(err)
		}
		c.Close()
	}
	if err := os.Mkdir(filepath.Join(root, "empty"), 0o700); err != nil {
		t.Fatal(err)
	}
	stories, err := List(root)
	if err != nil || len(stories) != 2 || stories[0].ID != "b" || stories[1].ID != "a" {
		t.Errorf("%+v %v", stories, err)
	}
	if got := NewID(time.Date(2026, 11, 22, 3, 10, 0, 0, time.UTC), "Web_1.example"); got != "20261122-0310-web1example" {
		t.Error(got)
	}
}

func FuzzJournal(f *testing.F) {
	f.Add([]byte(`{"n":1,"kind":"opened","previous":""}` + "\n"))
	f.Add([]byte("{}\n{}\n"))
	f.Add([]byte(`{"n":1`))
	f.Fuzz(func(t *testing.T, text []byte) {
		entries, whole, err := readJournal(bytes.NewReader(text))
		if whole > int64(len(text)) || err == nil && whole != int64(len(text)) {
			t.Fatalf("%d of %d bytes are whole: %v", whole, len(text), err)
		}
		again, _, err := readJournal(bytes.NewReader(text[:whole]))
		if err != nil || len(again) != len(entries) {
			t.Fatalf("what was whole is not: %v", err)
		}
	})
}

func FuzzMask(f *testing.F) {
	f.Add([]byte("xxsecret-valuexx"), 3)
	f.Fuzz(func(t *testing.T, text []byte, piece int) {
		const value = "secret-value"
		var out bytes.Buffer
		m := NewMask(&out, []string{value})
		for part := range slices.Chunk(text, max(1, min(piece, 64))) {
			if _, err := m.Write(part); err != nil {
				t.Fatal(err)
			}
		}
		if err := m.Flush(); err != nil {
			t.Fatal(err)
		}
		if want := bytes.ReplaceAll(text, []byte(value), bytes.Repeat([]byte("*"), len(value))); !bytes.Equal(out.Bytes(), want) {
			t.Fatalf("got %q, want %q", out.Bytes(), want)
		}
	})
}
