package change

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"rocca/internal/progress"
)

// TestLinkInTheWayIsNotFollowed replaces a directory that rocca writes in by a
// link to a place that is not its owner's to change.
func TestLinkInTheWayIsNotFollowed(t *testing.T) {
	for name, write := range map[string]func(*Writer, string) error{
		"file":      func(w *Writer, dir string) error { return w.WriteFile(dir+"/file", []byte("new\n"), Root(0o644)) },
		"new file":  func(w *Writer, dir string) error { return w.WriteFile(dir+"/new", []byte("new\n"), Root(0o644)) },
		"directory": func(w *Writer, dir string) error { return w.MakeDir(dir+"/new", Root(0o755), Foreign) },
		"link":      func(w *Writer, dir string) error { return w.Symlink(dir+"/new", "target") },
		"removal":   func(w *Writer, dir string) error { return w.Remove(dir + "/file") },
		"tree": func(w *Writer, dir string) error {
			return w.Tree(dir+"/new", func(add AddFile) error { return add("file", 0o644, strings.NewReader("new\n")) })
		},
		"below": func(w *Writer, dir string) error { return w.WriteFile(dir+"/sub/file", []byte("new\n"), Root(0o644)) },
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlace(t)
			victim := filepath.Join(filepath.Dir(p.tree), "victim")
			must(t, os.MkdirAll(victim+"/sub", 0o755))
			must(t, os.WriteFile(victim+"/file", []byte("victim's\n"), 0o644))
			must(t, os.Symlink(victim, p.tree+"/lured"))
			before := state(t, victim)
			_, run := begin(t, p)
			err := write(&Writer{run: run}, p.tree+"/lured")
			must(t, run.Close())
			if err == nil || !strings.Contains(err.Error(), "symbolic link") {
				t.Errorf("error %v, want one about a symbolic link", err)
			}
			sameTree(t, "the place behind the link", before, state(t, victim))
		})
	}
}

// TestUndoDoesNotFollowALink swaps the directory between the run and its undo.
func TestUndoDoesNotFollowALink(t *testing.T) {
	p := newPlace(t)
	victim := filepath.Join(filepath.Dir(p.tree), "victim")
	must(t, os.MkdirAll(victim+"/code", 0o755))
	for _, name := range []string{"/conf", "/made", "/code/file"} {
		must(t, os.WriteFile(victim+name, []byte("victim's\n"), 0o644))
	}
	_, run := begin(t, p)
	w := &Writer{run: run}
	must(t, w.WriteFile(p.tree+"/shared/conf", []byte("new\n"), Root(0o644)))
	must(t, w.WriteFile(p.tree+"/shared/made", []byte("new\n"), Root(0o644)))
	must(t, w.Tree(p.tree+"/shared/code", func(add AddFile) error { return add("file", 0o644, strings.NewReader("x")) }))
	must(t, os.Rename(p.tree+"/shared", p.tree+"/aside"))
	must(t, os.Symlink(victim, p.tree+"/shared"))
	before := state(t, victim)
	result, err := run.Undo(t.Context(), UndoOptions{})
	if err == nil || result != Broken {
		t.Errorf("undo through a link: %q, %v", result, err)
	}
	sameTree(t, "the place behind the link", before, state(t, victim))
	// Mended, the same undo comes to its end.
	must(t, os.Remove(p.tree+"/shared"))
	must(t, os.Rename(p.tree+"/aside", p.tree+"/shared"))
	must(t, run.Close())
	undoAll(t, p, UndoOptions{})
	if _, err := os.Lstat(p.tree + "/shared/code"); err == nil {
		t.Error("the tree stays")
	}
}

// TestLastPartOfAPathIsReplacedNotFollowed: a link at the path itself goes.
func TestLastPartOfAPathIsReplacedNotFollowed(t *testing.T) {
	p := newPlace(t)
	before := state(t, p.tree)
	must(t, os.WriteFile(p.journal+".victim", []byte("victim's\n"), 0o644))
	must(t, os.Symlink(p.journal+".victim", p.tree+"/lure"))
	_, run := begin(t, p)
	must(t, (&Writer{run: run}).WriteFile(p.tree+"/lure", []byte("new\n"), Root(0o644)))
	must(t, run.Close())
	if got, err := os.ReadFile(p.journal + ".victim"); err != nil || string(got) != "victim's\n" {
		t.Errorf("the file behind the link holds %q, %v", got, err)
	}
	undoAll(t, p, UndoOptions{})
	if target, err := os.Readlink(p.tree + "/lure"); err != nil || target != p.journal+".victim" {
		t.Errorf("the link leads to %q, %v", target, err)
	}
	must(t, os.Remove(p.tree+"/lure"))
	sameTree(t, "after undo", before, state(t, p.tree))
}

func TestTreeRefusesHostileNames(t *testing.T) {
	for _, names := range [][]string{
		{"../outside"}, {"/absolute"}, {"a/../../outside"}, {".."}, {"."}, {""}, {"a\x00b"}, {"a/"},
		{"twice", "twice"}, {"file", "file/below"}, {"dir/below", "dir"}, {strings.Repeat("n", 256)},
	} {
		t.Run(fmt.Sprintf("%.20q", names), func(t *testing.T) {
			p := newPlace(t)
			before := state(t, filepath.Dir(p.tree))
			_, run := begin(t, p)
			err := (&Writer{run: run}).Tree(p.tree+"/code", func(add AddFile) error {
				for _, name := range names {
					if err := add(name, 0o644, strings.NewReader("hostile")); err != nil {
						return err
					}
				}
				return nil
			})
			must(t, run.Close())
			if err == nil {
				t.Error("it is taken")
			}
			undoAll(t, p, UndoOptions{})
			must(t, os.RemoveAll(p.journal))
			sameTree(t, "after undo", before, state(t, filepath.Dir(p.tree)))
		})
	}
}

func TestUnusualPathsAreRefused(t *testing.T) {
	p := newPlace(t)
	must(t, unix.Mkfifo(p.tree+"/pipe", 0o644))
	before := entriesOf(t, p.tree)
	_, run := begin(t, p)
	defer run.Close()
	w := &Writer{run: run}
	for _, path := range []string{"relative", p.tree + "/../up", p.tree + "//double", "/", "", p.tree + "/pipe", p.tree + "/missing/file"} {
		if err := w.WriteFile(path, nil, Root(0o644)); err == nil {
			t.Errorf("writing to %q is taken", path)
		}
	}
	if err := w.Remove(p.tree + "/full"); err == nil {
		t.Error("a directory that is not empty is removed")
	}
	if err := w.Symlink(p.tree+"/full", "x"); err == nil {
		t.Error("a directory is replaced by a link")
	}
	if err := w.WriteFile(p.tree+"/new", nil, Attr{"no-such-user", "root", 0o644}); err == nil {
		t.Error("a file of nobody is made")
	}
	if got := entriesOf(t, p.tree); strings.Join(got, " ") != strings.Join(before, " ") {
		t.Errorf("names are %q, were %q", got, before)
	}
}

func entriesOf(t *testing.T, directory string) []string {
	t.Helper()
	var found []string
	entries, err := os.ReadDir(directory)
	must(t, err)
	for _, e := range entries {
		found = append(found, e.Name())
	}
	return found
}

// smallDisk mounts a file system of 64 KiB.
func smallDisk(t *testing.T, at string) {
	t.Helper()
	if err := unix.Mount("tmpfs", at, "tmpfs", 0, "size=64k"); err != nil {
		t.Skipf("no small disk to fill: %v", err)
	}
	t.Cleanup(func() { must(t, unix.Unmount(at, unix.MNT_DETACH)) })
}

func TestFullDisk(t *testing.T) {
	p := newPlace(t)
	disk := p.tree + "/full"
	smallDisk(t, disk)
	must(t, os.WriteFile(disk+"/conf", []byte("old\n"), 0o640))
	before := state(t, p.tree)
	_, run := begin(t, p)
	w := &Writer{run: run}
	big := strings.Repeat("x", 256<<10)
	if err := w.WriteFile(disk+"/conf", []byte(big), Root(0o644)); !errors.Is(err, unix.ENOSPC) {
		t.Errorf("write to a full disk: %v", err)
	}
	if err := w.WriteFile(disk+"/new", []byte(big), Root(0o644)); !errors.Is(err, unix.ENOSPC) {
		t.Errorf("write to a full disk: %v", err)
	}
	err := w.Tree(disk+"/code", func(add AddFile) error {
		return errors.Join(add("small", 0o644, strings.NewReader("x")), add("big", 0o644, strings.NewReader(big)))
	})
	if !errors.Is(err, unix.ENOSPC) {
		t.Errorf("make a tree on a full disk: %v", err)
	}
	must(t, run.Close())
	// Already before undo, nothing half-written is in the way of others.
	sameTree(t, "after writes failed", before, state(t, p.tree))
	if result := undoAll(t, p, UndoOptions{}); result != Undone {
		t.Errorf("result %q", result)
	}
	sameTree(t, "after undo", before, state(t, p.tree))
}

// TestReadOnlyFileSystem: where nothing could be written, nothing is to be
// taken back.
func TestReadOnlyFileSystem(t *testing.T) {
	p := newPlace(t)
	disk := p.tree + "/full"
	smallDisk(t, disk)
	must(t, os.WriteFile(disk+"/conf", []byte("old\n"), 0o640))
	must(t, unix.Mount("", disk, "", unix.MS_REMOUNT|unix.MS_RDONLY, ""))
	before := state(t, p.tree)
	_, run := begin(t, p)
	w := &Writer{run: run}
	for what, err := range map[string]error{
		"change":    w.WriteFile(disk+"/conf", []byte("new\n"), Root(0o644)),
		"new file":  w.WriteFile(disk+"/new", []byte("new\n"), Root(0o644)),
		"directory": w.MakeDir(disk+"/dir", Root(0o755), Foreign),
		"link":      w.Symlink(disk+"/link", "x"),
		"removal":   w.Remove(disk + "/conf"),
		"tree":      w.Tree(disk+"/code", func(add AddFile) error { return add("file", 0o644, strings.NewReader("x")) }),
	} {
		if !errors.Is(err, unix.EROFS) {
			t.Errorf("%s on a read-only file system: %v", what, err)
		}
	}
	must(t, run.Close())
	if result := undoAll(t, p, UndoOptions{}); result != Undone {
		t.Errorf("result %q", result)
	}
	sameTree(t, "after undo", before, state(t, p.tree))
}

// TestFullDiskOfTheJournal: what cannot be recorded is not done.
func TestFullDiskOfTheJournal(t *testing.T) {
	p := newPlace(t)
	must(t, os.Mkdir(p.journal, 0o700))
	smallDisk(t, p.journal)
	big := strings.Repeat("x", 128<<10)
	must(t, os.WriteFile(p.tree+"/big", []byte(big), 0o644))
	before := state(t, p.tree)
	_, run := begin(t, p)
	w := &Writer{run: run}
	if err := w.WriteFile(p.tree+"/big", []byte("new\n"), Root(0o644)); !errors.Is(err, unix.ENOSPC) {
		t.Errorf("change a file whose content cannot be kept: %v", err)
	}
	must(t, os.WriteFile(p.journal+"/filler", []byte(strings.Repeat("x", 64<<10)), 0o600), unix.ENOSPC)
	if err := w.WriteFile(p.tree+"/gone", []byte("new\n"), Root(0o644)); !errors.Is(err, unix.ENOSPC) {
		t.Errorf("change a file when the journal's disk is full: %v", err)
	}
	sameTree(t, "after writes failed", before, state(t, p.tree))
	must(t, os.Remove(p.journal+"/filler"))
	must(t, w.WriteFile(p.tree+"/gone", []byte("new\n"), Root(0o644)))
	must(t, run.Close())
	undoAll(t, p, UndoOptions{})
	sameTree(t, "after undo", before, state(t, p.tree))
}

// TestUndoOfDirectories: what others put into a directory of rocca's is left
// alone, thrown away, or kept as the owner's data.
func TestUndoOfDirectories(t *testing.T) {
	for name, c := range map[string]struct {
		content Content
		filled  bool
		options UndoOptions
		stays   bool
		want    Result
		note    string
	}{
		"foreign, empty":      {content: Foreign, want: Undone},
		"foreign, filled":     {content: Foreign, filled: true, stays: true, want: Undone, note: "did not make"},
		"cache, filled":       {content: Cache, filled: true, want: Undone},
		"data, empty":         {content: Data, options: UndoOptions{HasData: yes}, want: Undone},
		"data, filled":        {content: Data, filled: true, options: UndoOptions{HasData: yes}, stays: true, want: PartUndone, note: "holds data"},
		"data, of no one":     {content: Data, filled: true, options: UndoOptions{HasData: no}, want: Undone},
		"data, to be deleted": {content: Data, filled: true, options: UndoOptions{HasData: yes, DeleteData: true}, want: Undone},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlace(t)
			_, run := begin(t, p)
			w := &Writer{run: run}
			must(t, w.MakeDir(p.tree+"/outer", Root(0o755), Foreign))
			must(t, w.MakeDir(p.tree+"/outer/new", Root(0o755), c.content))
			must(t, run.Close())
			if c.filled {
				must(t, os.WriteFile(p.tree+"/outer/new/file", []byte("theirs\n"), 0o644))
			}
			var told []string
			c.options.Tell = func(e progress.Event) { told = append(told, e.Text) }
			if result := undoAll(t, p, c.options); result != c.want {
				t.Errorf("result %q, want %q", result, c.want)
			}
			if _, err := os.Lstat(p.tree + "/outer/new"); (err == nil) != c.stays {
				t.Errorf("it is there: %v, want %v", err == nil, c.stays)
			}
			if _, err := os.ReadFile(p.tree + "/outer/new/file"); (err == nil) != c.stays {
				t.Errorf("the file in it: %v", err)
			}
			if !strings.Contains(strings.Join(told, "\n"), c.note) {
				t.Errorf("told %q, want something that it %s", told, c.note)
			}
			if c.want == PartUndone {
				if result := undoAll(t, p, UndoOptions{DeleteData: true}); result != Undone {
					t.Errorf("undo with the data: result %q", result)
				}
				if _, err := os.Lstat(p.tree + "/outer"); err == nil {
					t.Error("the directory around the data stays when the data has gone")
				}
			}
		})
	}
}

// TestUndoWithoutTheDirectory: what cannot be put back is kept, and the rest is
// taken back.
func TestUndoWithoutTheDirectory(t *testing.T) {
	p := newPlace(t)
	kept := filepath.Join(filepath.Dir(p.tree), "kept")
	_, run := begin(t, p)
	w := &Writer{run: run}
	must(t, w.WriteFile(p.tree+"/made", nil, Root(0o644)))
	must(t, w.Remove(p.tree+"/full/file"))
	must(t, w.Symlink(p.tree+"/full/link", "x"))
	must(t, run.Close())
	must(t, os.RemoveAll(p.tree+"/full"))
	if result := undoAll(t, p, UndoOptions{KeepDir: kept}); result != Undone {
		t.Errorf("result %q", result)
	}
	if got, err := os.ReadFile(filepath.Join(kept, "run-1", p.tree, "full/file")); err != nil || string(got) != "in the way\n" {
		t.Errorf("kept: %q, %v", got, err)
	}
	if _, err := os.Lstat(p.tree + "/made"); err == nil {
		t.Error("the rest was not taken back")
	}
}

func yes(Tables) bool { return true }
func no(Tables) bool  { return false }

func TestFilesChangedByOthersAreKept(t *testing.T) {
	p := newPlace(t)
	before := state(t, p.tree)
	kept := filepath.Join(filepath.Dir(p.tree), "kept")
	_, run := begin(t, p)
	w := &Writer{run: run}
	must(t, w.WriteFile(p.tree+"/made", []byte("rocca's\n"), Root(0o644)))
	must(t, w.WriteFile(p.tree+"/shared/conf", []byte("rocca's\n"), Root(0o644)))
	must(t, w.WriteFile(p.tree+"/untouched", []byte("rocca's\n"), Root(0o644)))
	must(t, w.WriteFileOf(Cache, p.tree+"/cache", []byte("rocca's\n"), Root(0o644)))
	must(t, run.Close())
	for _, name := range []string{"/made", "/shared/conf", "/cache"} {
		must(t, os.WriteFile(p.tree+name, []byte("theirs\n"), 0o644))
	}
	undoAll(t, p, UndoOptions{KeepDir: kept})
	sameTree(t, "after undo", before, state(t, p.tree))
	for name, want := range map[string]string{"/made": "theirs\n", "/shared/conf": "theirs\n", "/untouched": "", "/cache": ""} {
		path := filepath.Join(kept, "run-1", p.tree+name)
		got, err := os.ReadFile(path)
		if string(got) != want || want != "" && err != nil {
			t.Errorf("kept of %s: %q, %v, want %q", name, got, err, want)
		}
		if info, err := os.Stat(path); err == nil && info.Mode().Perm() != 0o600 {
			t.Errorf("the kept %s is %v: it may hold a secret", name, info.Mode())
		}
	}
}
