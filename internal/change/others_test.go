package change

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"rocca/internal/progress"
)

// statements is a database server that remembers what it was sent.
type statements struct {
	host string
	sent []string
}

func (s *statements) Exec(_ context.Context, statement string) error {
	s.sent = append(s.sent, statement)
	return nil
}

func (s *statements) Host() string { return s.host }

// withServer begins a run that installed a database server and made a schema.
func withServer(t *testing.T, p place, server *statements) {
	t.Helper()
	_, run := begin(t, p)
	defer run.Close()
	w := &Writer{run: run, sql: server, step: "database"}
	blob, err := run.keep([]byte("{}"))
	must(t, err)
	seq, err := w.begin(op{Kind: packagesOp, Name: "mariadb-server-of-a-test", Packages: []string{"mariadb-server-of-a-test"}, System: blob})
	must(t, err)
	must(t, w.done(seq, &after{Residue: &residue{Packages: []string{"mariadb-server-of-a-test"}}}))
	must(t, w.SQL(t.Context(), SQLChange{
		Title: "make schema ours", Do: []string{"CREATE"}, Reverse: []string{"DROP"}, Drops: &Tables{Schema: "ours", Prefix: "x_"},
	}))
	must(t, run.End(Applied))
}

// TestServerWithSchemasOfOthersStays: to purge its packages would delete them,
// and nobody asked for that.
func TestServerWithSchemasOfOthersStays(t *testing.T) {
	for name, c := range map[string]struct {
		schemas    []string
		problem    error
		deleteData bool
		want       Result
		note       string
	}{
		"none":                      {want: Undone},
		"of others":                 {schemas: []string{"shop"}, want: PartUndone, note: "(shop)"},
		"of others, data may go":    {schemas: []string{"shop", "wiki"}, deleteData: true, want: PartUndone, note: "(shop, wiki)"},
		"cannot be asked":           {problem: errors.New("it is down"), want: PartUndone, note: "it is down"},
		"cannot be asked, may go":   {problem: errors.New("it is down"), deleteData: true, want: PartUndone, note: "it is down"},
		"of others, with our name,": {schemas: []string{"ours"}, want: PartUndone, note: "(ours)"}, // made again by others after ours was dropped
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlace(t)
			server := &statements{}
			withServer(t, p, server)
			var told []string
			options := UndoOptions{
				SQL: server, DeleteData: c.deleteData, HasData: no,
				Schemas: func() ([]string, error) { return c.schemas, c.problem },
				Tell:    func(e progress.Event) { told = append(told, e.Text) },
			}
			if result := undoAll(t, p, options); result != c.want {
				t.Errorf("result %q, want %q", result, c.want)
			}
			if text := strings.Join(told, "\n"); !strings.Contains(text, c.note) || strings.Contains(text, "stays") != (c.want == PartUndone) {
				t.Errorf("told %q, want something about %q", text, c.note)
			}
			if !slices.Equal(server.sent, []string{"CREATE", "DROP"}) {
				t.Errorf("our own schema: %q", server.sent)
			}
			options.Schemas = func() ([]string, error) { return nil, nil }
			if result := undoAll(t, p, options); result != Undone {
				t.Errorf("once they are gone: result %q", result)
			}
		})
	}
}

// TestDataIsAskedOfWhatWasMade: the schema to ask is the one that was made, and
// not one that somebody wrote into rocca.yaml since.
func TestDataIsAskedOfWhatWasMade(t *testing.T) {
	made, configured := Tables{"ours", "x_"}, Tables{"renamed", "y_"}
	for name, c := range map[string]struct {
		holds   Tables
		host    string
		options UndoOptions
		dropped bool
		want    Result
	}{
		"made":                  {holds: made, want: PartUndone},
		"made, may go":          {holds: made, options: UndoOptions{DeleteData: true}, dropped: true, want: Undone},
		"neither":               {dropped: true, want: Undone},
		"configured":            {holds: configured, dropped: true, want: PartUndone}, // its files stay
		"another server":        {host: "db.example.org", want: PartUndone},
		"another server, gone?": {host: "db.example.org", options: UndoOptions{DeleteData: true}, want: Broken},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlace(t)
			server := &statements{}
			_, run := begin(t, p)
			w := &Writer{run: run, sql: server, step: "state"}
			must(t, w.MakeDir(p.tree+"/data", Root(0o755), Data))
			must(t, w.WriteFileOf(Data, p.tree+"/data/logo", []byte("logo\n"), Root(0o644)))
			must(t, w.SQL(t.Context(), SQLChange{Title: "make schema", Reverse: []string{"DROP"}, Drops: &made}))
			server.host = c.host
			c.options.SQL, c.options.Configured = server, configured
			c.options.HasData = func(asked Tables) bool { return asked == c.holds }
			result, err := run.Undo(t.Context(), c.options)
			if result != c.want || (err != nil) != (c.want == Broken) {
				t.Errorf("result %q, %v, want %q", result, err, c.want)
			}
			if dropped := len(server.sent) > 0; dropped != c.dropped {
				t.Errorf("sent %q", server.sent)
			}
			if err != nil && !strings.Contains(err.Error(), "hint: name that server") {
				t.Errorf("no hint in %q", err)
			}
			if _, err := os.Lstat(p.tree + "/data/logo"); (err == nil) != (c.want == PartUndone) {
				t.Errorf("the file: %v", err)
			}
			must(t, run.Close())
		})
	}
}

// TestCutShortLineOfTheJournal: a line that a full disk cut short must not
// spoil those after it.
func TestCutShortLineOfTheJournal(t *testing.T) {
	p := newPlace(t)
	before := state(t, p.tree)
	must(t, os.Mkdir(p.journal, 0o700))
	smallDisk(t, p.journal)
	_, run := begin(t, p)
	w := &Writer{run: run, step: "step"}
	must(t, w.WriteFile(p.tree+"/made", []byte("made\n"), Root(0o644)))
	must(t, os.WriteFile(p.journal+"/filler", make([]byte, 64<<10), 0o600), unix.ENOSPC)
	failed := 0
	for range 3 {
		// Longer than a page, so that its beginning still finds room.
		if err := w.Action(strings.Repeat("x", 5000), func() error { return nil }); errors.Is(err, unix.ENOSPC) {
			failed++
		}
	}
	if failed != 3 {
		t.Errorf("%d of 3 lines do not fit on the full disk", failed)
	}
	must(t, os.Remove(p.journal+"/filler"))
	must(t, w.WriteFile(p.tree+"/gone", []byte("new\n"), Root(0o644)))
	must(t, run.Close())
	runs, err := open(t, p).Runs()
	must(t, err)
	if runs[0].Changes != 2 {
		t.Errorf("%d changes stand, want 2", runs[0].Changes)
	}
	undoAll(t, p, UndoOptions{})
	sameTree(t, "after undo", before, state(t, p.tree))
}

// TestWhatBelongsToOthers: maintainer scripts remove it at purge.
func TestWhatBelongsToOthers(t *testing.T) {
	top := t.TempDir()
	for name, content := range map[string]string{"conf": "shipped\n", "conf.changed": "edited\n", "ini": "made\n", "ini.changed": "edited\n", "site": "theirs\n", "lib": "code\n"} {
		must(t, os.WriteFile(top+"/"+name, []byte(content), 0o644))
	}
	for name, target := range map[string]string{"enabled": "conf", "enabled.theirs": "site", "made.link": "/nowhere"} {
		must(t, os.Symlink(target, top+"/"+name))
	}
	c := contents{owned: map[string]bool{top + "/lib": true, top + "/conf": true, top + "/conf.changed": true}, readlink: os.Readlink}
	shipped := map[string]string{top + "/conf": md5Of([]byte("shipped\n")), top + "/conf.changed": md5Of([]byte("shipped\n"))}
	made, err := fingerprint(top + "/ini")
	must(t, err)
	left := residue{Made: map[string]string{top + "/ini": made, top + "/ini.changed": made, top + "/made.link": "-> /nowhere"}}
	got := map[string]bool{}
	for _, name := range entriesOf(t, top) {
		if got[name], err = c.theirs(top+"/"+name, left, shipped); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	want := map[string]bool{"conf": false, "conf.changed": true, "ini": false, "ini.changed": true, "site": true, "lib": false,
		"enabled": false, "enabled.theirs": true, "made.link": false}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("theirs (-want +got)\n%s", diff)
	}
}
