package change

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// place is a directory tree to change, and a journal beside it.
type place struct {
	tree    string
	journal string
}

// newPlace makes a tree with one of everything: a file with an ACL and an
// extended attribute, another owner's file, links, directories.
func newPlace(t *testing.T) place {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("owners can be changed by root only")
	}
	top := t.TempDir()
	p := place{tree: filepath.Join(top, "tree"), journal: filepath.Join(top, "journal")}
	for _, dir := range []string{"", "/shared", "/empty", "/full"} {
		must(t, os.Mkdir(p.tree+dir, 0o755))
	}
	for name, text := range map[string]string{"/shared/conf": "old\n", "/gone": "to be removed\n", "/full/file": "in the way\n", "/secret": "password\n"} {
		must(t, os.WriteFile(p.tree+name, []byte(text), 0o640))
		must(t, os.Chown(p.tree+name, 33, 33))
	}
	must(t, os.Symlink("nowhere", p.tree+"/link"))
	must(t, os.Lchown(p.tree+"/link", 33, 33))
	// user:1:rw with a mask: version 2, then tag, permissions and id of each entry.
	acl := []byte("\x02\x00\x00\x00" + "\x01\x00\x06\x00\xff\xff\xff\xff" + "\x02\x00\x06\x00\x01\x00\x00\x00" +
		"\x04\x00\x04\x00\xff\xff\xff\xff" + "\x10\x00\x06\x00\xff\xff\xff\xff" + "\x20\x00\x00\x00\xff\xff\xff\xff")
	if err := unix.Setxattr(p.tree+"/shared/conf", "system.posix_acl_access", acl, 0); err != nil {
		t.Logf("no ACLs here: %v", err)
	}
	if err := unix.Setxattr(p.tree+"/shared/conf", "user.note", []byte("kept"), 0); err != nil {
		t.Logf("no extended attributes here: %v", err)
	}
	must(t, os.Chmod(p.tree+"/secret", 0o600))
	long := time.Date(2020, 2, 3, 4, 5, 6, 789, time.UTC)
	for _, name := range []string{"/shared/conf", "/gone", "/secret", "/full", "/empty", "/shared"} {
		must(t, os.Chtimes(p.tree+name, time.Time{}, long))
	}
	return p
}

func must(t *testing.T, err error, allowed ...error) {
	t.Helper()
	if err != nil && !slices.ContainsFunc(allowed, func(target error) bool { return errors.Is(err, target) }) {
		t.Fatal(err)
	}
}

// state lists a tree: type, mode, owner, time (of all but directories, which
// change with their entries), content and attributes of each path.
func state(t *testing.T, top string) map[string]string {
	t.Helper()
	found := map[string]string{}
	err := filepath.WalkDir(top, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		var content []byte
		now, err := look(path, func(read []byte) (string, error) {
			content = read
			return "", nil
		})
		if err != nil {
			return err
		}
		if now.Type == dir {
			now.Mtime = unix.Timespec{}
		}
		found[strings.TrimPrefix(path, top)] = fmt.Sprintf("%+v %q", now, content)
		return nil
	})
	must(t, err)
	return found
}

// work is what a run does with a place: every kind of change of the file
// system. What is so already is not done again, as steps are planned.
func (p place) work(w *Writer) error {
	steps := []struct {
		done func() bool
		do   func() error
	}{
		{p.reads("/shared/conf", "new\n"), func() error { return w.WriteFile(p.tree+"/shared/conf", []byte("new\n"), Root(0o600)) }},
		{p.reads("/made", "made\n"), func() error { return w.WriteFile(p.tree+"/made", []byte("made\n"), Root(0o644)) }},
		{p.isDir("/dir", 0o750), func() error { return w.MakeDir(p.tree+"/dir", Root(0o750), Foreign) }},
		{p.reads("/dir/inner", "inner\n"), func() error { return w.WriteFile(p.tree+"/dir/inner", []byte("inner\n"), Root(0o644)) }},
		{p.isDir("/full", 0o700), func() error { return w.MakeDir(p.tree+"/full", Root(0o700), Foreign) }},
		{p.links("/link", "somewhere"), func() error { return w.Symlink(p.tree+"/link", "somewhere") }},
		{p.links("/secret", "made"), func() error { return w.Symlink(p.tree+"/secret", "made") }},
		{p.absent("/gone"), func() error { return w.Remove(p.tree + "/gone") }},
		{p.absent("/empty"), func() error { return w.Remove(p.tree + "/empty") }},
		{p.reads("/code/a/b.php", "<?php\n"), func() error {
			return w.Tree(p.tree+"/code", func(add AddFile) error {
				return errors.Join(add("a/b.php", 0o644, strings.NewReader("<?php\n")), add("index.php", 0o644, strings.NewReader("<?php\n")))
			})
		}},
		{p.absent("/made"), func() error { return w.Remove(p.tree + "/made") }},
	}
	for _, s := range steps {
		if s.done() {
			continue
		}
		if err := s.do(); err != nil {
			return err
		}
	}
	return nil
}

func (p place) reads(name, text string) func() bool {
	return func() bool {
		// "made" is written and removed again: once the last step is near, it is done.
		if _, err := os.Lstat(p.tree + "/code"); name == "/made" && err == nil {
			return true
		}
		got, err := os.ReadFile(p.tree + name)
		return err == nil && string(got) == text
	}
}

func (p place) isDir(name string, mode fs.FileMode) func() bool {
	return func() bool {
		info, err := os.Lstat(p.tree + name)
		return err == nil && info.IsDir() && info.Mode().Perm() == mode
	}
}

func (p place) links(name, target string) func() bool {
	return func() bool {
		got, err := os.Readlink(p.tree + name)
		return err == nil && got == target
	}
}

func (p place) absent(name string) func() bool {
	return func() bool {
		_, err := os.Lstat(p.tree + name)
		return errors.Is(err, fs.ErrNotExist)
	}
}

// killed is what the test's points panic with.
type killed struct{ point string }

// untilKilled runs do and ends it like kill -9 at the given point, counted from
// 1. It returns the name of that point, empty when do came to its end.
func untilKilled(t *testing.T, run *Run, at int, half func(point string), do func() error) (point string) {
	t.Helper()
	defer run.Close()
	defer func() {
		switch end := recover().(type) {
		case nil:
		case killed:
			point = end.point
		default:
			panic(end)
		}
	}()
	passed := 0
	run.onPoint = func(point string) {
		if passed++; passed == at {
			half(point)
			panic(killed{point})
		}
	}
	must(t, do())
	return ""
}

// halfWritten leaves beside the path of the last change what a kill in the
// middle of writing leaves: the temporary name, with a part of the content.
func halfWritten(t *testing.T, j *Journal, id int) func(string) {
	return func(point string) {
		if !strings.HasPrefix(point, "intended ") {
			return
		}
		_, entries, err := j.read(id)
		must(t, err)
		last := entries[len(entries)-1].Op
		temporary := filepath.Join(filepath.Dir(last.Name), last.Temporary)
		if last.Kind == treeOp {
			must(t, os.MkdirAll(temporary+"/a", 0o700))
			temporary += "/a/b.php"
		}
		must(t, os.WriteFile(temporary, []byte("ha"), 0o600))
	}
}

func open(t *testing.T, p place) *Journal {
	t.Helper()
	j, err := Open(p.journal)
	must(t, err)
	return j
}

func begin(t *testing.T, p place) (*Journal, *Run) {
	t.Helper()
	j := open(t, p)
	run, err := j.Begin("up")
	must(t, err)
	return j, run
}

func undoAll(t *testing.T, p place, o UndoOptions) Result {
	t.Helper()
	run, err := open(t, p).Resume(1)
	must(t, err)
	defer run.Close()
	result, err := run.Undo(t.Context(), o)
	must(t, err)
	must(t, run.End(result))
	return result
}

// TestKillAtEveryPoint kills a run at each point where something is half done.
// Undo must bring every byte back; so must undoing after the run was resumed,
// which itself must end where a run ends that nobody killed.
func TestKillAtEveryPoint(t *testing.T) {
	whole := newPlace(t)
	_, run := begin(t, whole)
	must(t, whole.work(&Writer{run: run, step: "work"}))
	must(t, run.Close())
	finished := state(t, whole.tree)
	for at := 1; ; at++ {
		var point string
		for _, way := range []string{"undo", "resume"} {
			p := newPlace(t)
			before := state(t, p.tree)
			j, run := begin(t, p)
			point = untilKilled(t, run, at, halfWritten(t, j, run.ID), func() error { return p.work(&Writer{run: run, step: "work"}) })
			if way == "resume" {
				resumed, err := open(t, p).Resume(1)
				must(t, err)
				must(t, resumed.Tidy(t.Context(), nil))
				if err := p.work(&Writer{run: resumed, step: "work"}); err != nil {
					t.Fatalf("resume after a kill at %d, %s: %v", at, point, err)
				}
				must(t, resumed.Close())
				sameTree(t, fmt.Sprintf("resumed after a kill at %d, %s", at, point), withoutTimes(finished), withoutTimes(state(t, p.tree)))
			}
			if result := undoAll(t, p, UndoOptions{}); result != Undone {
				t.Errorf("%s after a kill at %d, %s: result %q", way, at, point, result)
			}
			sameTree(t, fmt.Sprintf("%s and undo after a kill at %d, %s", way, at, point), before, state(t, p.tree))
		}
		if point == "" {
			if at < 20 {
				t.Errorf("only %d points to be killed at", at)
			}
			return
		}
	}
}

// withoutTimes lets two runs of one work be compared.
func withoutTimes(tree map[string]string) map[string]string {
	plain := map[string]string{}
	for path, text := range tree {
		before, rest, _ := strings.Cut(text, "Mtime:")
		_, after, _ := strings.Cut(rest, "}")
		plain[path] = before + after
	}
	return plain
}

func sameTree(t *testing.T, what string, want, got map[string]string) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s: the tree differs (-want +got)\n%s", what, diff)
	}
}

// TestKillUndoAtEveryPoint kills undo itself, and goes on with it.
func TestKillUndoAtEveryPoint(t *testing.T) {
	for at := 1; ; at++ {
		p := newPlace(t)
		before := state(t, p.tree)
		_, run := begin(t, p)
		must(t, p.work(&Writer{run: run, step: "work"}))
		must(t, run.End(Applied))
		must(t, run.Close())
		again, err := open(t, p).Resume(1)
		must(t, err)
		point := untilKilled(t, again, at, func(string) {}, func() error {
			_, err := again.Undo(t.Context(), UndoOptions{})
			return err
		})
		if point != "" {
			runs, err := open(t, p).Runs()
			must(t, err)
			if runs[0].Result != Interrupted {
				t.Errorf("a run whose undo was killed at %s is %q", point, runs[0].Result)
			}
		}
		undoAll(t, p, UndoOptions{})
		sameTree(t, fmt.Sprintf("undo after it was killed at %d, %s", at, point), before, state(t, p.tree))
		if point == "" {
			return
		}
	}
}

// TestUndoRestoresTimesOfDirectories: their entries changed meanwhile.
func TestUndoRestoresTimesOfDirectories(t *testing.T) {
	p := newPlace(t)
	before, err := os.Stat(p.tree + "/full")
	must(t, err)
	_, run := begin(t, p)
	w := &Writer{run: run}
	must(t, w.MakeDir(p.tree+"/full", Root(0o700), Foreign))
	must(t, w.WriteFile(p.tree+"/full/more", nil, Root(0o644)))
	must(t, run.Close())
	undoAll(t, p, UndoOptions{})
	after, err := os.Stat(p.tree + "/full")
	must(t, err)
	if !after.ModTime().Equal(before.ModTime()) || after.Mode() != before.Mode() {
		t.Errorf("the directory is %v %v, was %v %v", after.Mode(), after.ModTime(), before.Mode(), before.ModTime())
	}
}

func TestTornLastLineIsDropped(t *testing.T) {
	p := newPlace(t)
	before := state(t, p.tree)
	_, run := begin(t, p)
	w := &Writer{run: run, step: "one"}
	must(t, w.WriteFile(p.tree+"/made", []byte("made\n"), Root(0o644)))
	must(t, run.Close())
	entries := filepath.Join(p.journal, "0001/entries")
	whole, err := os.ReadFile(entries)
	must(t, err)
	second := bytes.IndexByte(whole, '\n') + 1
	for cut := second + 1; cut < len(whole); cut += 7 {
		must(t, os.WriteFile(entries, whole[:cut], 0o600))
		runs, err := open(t, p).Runs()
		must(t, err)
		if runs[0].Changes != 1 {
			t.Errorf("cut at %d: %d changes stand, want 1", cut, runs[0].Changes)
		}
		resumed, err := open(t, p).Resume(1)
		must(t, err)
		must(t, resumed.Close())
		if left, err := os.ReadFile(entries); err != nil || !bytes.Equal(left, whole[:second]) {
			t.Errorf("cut at %d: the torn line stays: %q, %v", cut, left, err)
		}
	}
	// Torn inside the first line: the change was never begun.
	must(t, os.Remove(p.tree+"/made"))
	must(t, os.WriteFile(entries, whole[:second/2], 0o600))
	undoAll(t, p, UndoOptions{})
	sameTree(t, "undo of a run torn in its first line", before, state(t, p.tree))
}

func TestDamagedJournalIsRefused(t *testing.T) {
	prepared := func(t *testing.T) place {
		p := newPlace(t)
		_, run := begin(t, p)
		w := &Writer{run: run, step: "one"}
		must(t, w.WriteFile(p.tree+"/shared/conf", []byte("new\n"), Root(0o644)))
		must(t, w.WriteFile(p.tree+"/gone", []byte("new\n"), Root(0o644)))
		must(t, run.Close())
		return p
	}
	blob := func(p place, n int) string { return filepath.Join(p.journal, "0001/blobs", fmt.Sprint(n)) }
	for name, damage := range map[string]func(*testing.T, place){
		"a bit of a blob": func(t *testing.T, p place) {
			content, err := os.ReadFile(blob(p, 1))
			must(t, err)
			content[len(content)-1] ^= 1
			must(t, os.WriteFile(blob(p, 1), content, 0o600))
		},
		"blobs swapped": func(t *testing.T, p place) {
			must(t, os.Rename(blob(p, 1), blob(p, 3)))
			must(t, os.Rename(blob(p, 2), blob(p, 1)))
			must(t, os.Rename(blob(p, 3), blob(p, 2)))
		},
		"a blob is gone":  func(t *testing.T, p place) { must(t, os.Remove(blob(p, 2))) },
		"the key is gone": func(t *testing.T, p place) { must(t, os.Remove(filepath.Join(p.journal, "key"))) },
		"the key is short": func(t *testing.T, p place) {
			must(t, os.Truncate(filepath.Join(p.journal, "key"), 16))
		},
		"another key": func(t *testing.T, p place) {
			must(t, os.WriteFile(filepath.Join(p.journal, "key"), bytes.Repeat([]byte{7}, keySize), 0o600))
		},
		"a line in the middle": func(t *testing.T, p place) {
			path := filepath.Join(p.journal, "0001/entries")
			content, err := os.ReadFile(path)
			must(t, err)
			must(t, os.WriteFile(path, append([]byte("{\"type\": oops\n"), content...), 0o600))
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := prepared(t)
			damage(t, p)
			j, err := Open(p.journal)
			if err == nil {
				var run *Run
				if run, err = j.Resume(1); err == nil {
					defer run.Close()
					var result Result
					if result, err = run.Undo(t.Context(), UndoOptions{}); err != nil && result != Broken {
						t.Errorf("result %q, want %q", result, Broken)
					}
				}
			}
			if err == nil {
				t.Fatal("undo from a damaged journal succeeds")
			}
			for _, path := range []string{"/shared/conf", "/gone"} {
				got, err := os.ReadFile(p.tree + path)
				if err != nil || !slices.Contains([]string{"new\n", "old\n", "to be removed\n"}, string(got)) {
					t.Errorf("%s holds what was never there: %q, %v", path, got, err)
				}
			}
		})
	}
}

func TestSecretsOfOldFilesAreSealed(t *testing.T) {
	p := newPlace(t)
	_, run := begin(t, p)
	must(t, (&Writer{run: run}).WriteFile(p.tree+"/secret", []byte("new\n"), Root(0o600)))
	must(t, run.Close())
	must(t, filepath.WalkDir(p.journal, func(path string, entry fs.DirEntry, err error) error {
		must(t, err)
		info, err := entry.Info()
		must(t, err)
		if info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s of the journal is %v", path, info.Mode())
		}
		if entry.Type().IsRegular() {
			content, err := os.ReadFile(path)
			must(t, err)
			if bytes.Contains(content, []byte("password")) {
				t.Errorf("%s of the journal shows what the old file held", path)
			}
		}
		return nil
	}))
}

func TestRunStates(t *testing.T) {
	wrote := func(t *testing.T, p place, r *Run) {
		must(t, (&Writer{run: r, step: "file made"}).WriteFile(p.tree+"/made", []byte("made\n"), Root(0o644)))
	}
	for name, c := range map[string]struct {
		do   func(*testing.T, place, *Run)
		want RunInfo
	}{
		"nothing yet":             {func(*testing.T, place, *Run) {}, RunInfo{Result: Interrupted}},
		"interrupted":             {wrote, RunInfo{Result: Interrupted, Changes: 1, Steps: []string{"file made"}}},
		"no change":               {func(t *testing.T, _ place, r *Run) { must(t, r.End(Applied)) }, RunInfo{Result: Applied}},
		"applied":                 {func(t *testing.T, p place, r *Run) { wrote(t, p, r); must(t, r.End(Applied)) }, RunInfo{Result: Applied, Changes: 1, Steps: []string{"file made"}}},
		"resumed":                 {func(t *testing.T, p place, r *Run) { must(t, r.End(Applied)); wrote(t, p, r) }, RunInfo{Result: Interrupted, Changes: 1, Steps: []string{"file made"}}},
		"could not be taken back": {func(t *testing.T, p place, r *Run) { wrote(t, p, r); must(t, r.End(Broken)) }, RunInfo{Result: Broken, Changes: 1, Steps: []string{"file made"}}},
		"taken back": {func(t *testing.T, p place, r *Run) {
			wrote(t, p, r)
			result, err := r.Undo(t.Context(), UndoOptions{})
			must(t, err)
			must(t, r.End(result))
		}, RunInfo{Result: Undone, Steps: []string{"file made"}}},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlace(t)
			j, run := begin(t, p)
			c.do(t, p, run)
			must(t, run.Close())
			runs, err := j.Runs()
			must(t, err)
			got := runs[0]
			if got.Ended.IsZero() != (got.Result == Interrupted) || got.Standing() != (got.Changes > 0) {
				t.Errorf("ended %v, standing %v: %+v", got.Ended, got.Standing(), got)
			}
			got.Started, got.Ended = time.Time{}, time.Time{}
			c.want.ID, c.want.Verb = 1, "up"
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("run (-want +got)\n%s", diff)
			}
		})
	}
}

func TestOpeningAJournalWritesNothing(t *testing.T) {
	directory := filepath.Join(t.TempDir(), "journal")
	j, err := Open(directory)
	must(t, err)
	if runs, err := j.Runs(); err != nil || len(runs) > 0 {
		t.Errorf("runs %v, %v", runs, err)
	}
	if _, err := os.Lstat(directory); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the journal was made: %v", err)
	}
}
