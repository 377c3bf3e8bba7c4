package durable

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// names lists what is in a directory.
func names(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, e := range entries {
		list = append(list, e.Name())
	}
	return strings.Join(list, " ")
}

func TestWrite(t *testing.T) {
	const old, fresh = "old", "new content"
	put := func(name, text string) error { return os.WriteFile(name, []byte(text), 0o644) }
	for _, c := range []struct {
		name    string
		prepare func(dir string) error
		attr    Attr
		left    string // of the directory
	}{
		{"none there", func(string) error { return nil }, Attr{Mode: 0o600}, "f"},
		{"one there", func(dir string) error { return put(dir+"/f", old) }, Attr{Mode: 0o640}, "f"},
		{"a mode beyond the umask", func(dir string) error { return put(dir+"/f", old) }, Attr{Mode: 0o666}, "f"},
		{"one that cannot be written to", func(dir string) error { return errors.Join(put(dir+"/f", old), os.Chmod(dir+"/f", 0o400)) }, Attr{Mode: 0o444}, "f"},
		{"half written by a killed run", func(dir string) error { return put(dir+"/.f.rocca-part", "half of something longer") }, Attr{Mode: 0o600}, "f"},
		{"half written under a name of its own", func(dir string) error { return put(dir+"/f.part", "half of something longer") }, Attr{Mode: 0o600, Part: "f.part"}, "f"},
		{"a link where it is written", func(dir string) error {
			return errors.Join(put(dir+"/other", old), os.Symlink("other", dir+"/.f.rocca-part"))
		}, Attr{Mode: 0o600}, "f other"},
		{"a hard link where it is written", func(dir string) error {
			return errors.Join(put(dir+"/other", old), os.Link(dir+"/other", dir+"/.f.rocca-part"))
		}, Attr{Mode: 0o600}, "f other"},
		{"a pipe where it is written", func(dir string) error { return syscall.Mkfifo(dir+"/.f.rocca-part", 0o600) }, Attr{Mode: 0o600}, "f"},
		{"a link in its place", func(dir string) error { return errors.Join(put(dir+"/other", old), os.Symlink("other", dir+"/f")) }, Attr{Mode: 0o600}, "f other"},
		{"a link to nowhere in its place", func(dir string) error { return os.Symlink("/nowhere/at/all", dir+"/f") }, Attr{Mode: 0o600}, "f"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			if err := c.prepare(dir); err != nil {
				t.Fatal(err)
			}
			if c.attr.Part != "" {
				c.attr.Part = filepath.Join(dir, c.attr.Part)
			}
			name := filepath.Join(dir, "f")
			if err := Write(name, []byte(fresh), c.attr); err != nil {
				t.Fatal(err)
			}
			info, err := os.Lstat(name)
			if err != nil || info.Mode() != c.attr.Mode {
				t.Errorf("the file is %v, %v, want %v", info.Mode(), err, c.attr.Mode)
			}
			if text, err := os.ReadFile(name); string(text) != fresh {
				t.Errorf("the file holds %q, %v", text, err)
			}
			if text, err := os.ReadFile(dir + "/other"); err == nil && string(text) != old {
				t.Errorf("the file that a link named became %q", text)
			}
			if left := names(t, dir); left != c.left {
				t.Errorf("the directory holds %q, want %q", left, c.left)
			}
		})
	}
}

func TestOwner(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root gives files away")
	}
	name := filepath.Join(t.TempDir(), "f")
	err := Fill(name, Attr{Mode: 0o640, Owner: &Owner{UID: 33, GID: 34}}, func(w io.Writer) error {
		info, err := os.Lstat(Part(name))
		if err != nil || info.Mode() != 0o600 || info.Sys().(*syscall.Stat_t).Uid != 0 {
			t.Errorf("while it is written the file is %v, %v", info, err)
		}
		_, err = io.WriteString(w, "secret")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Lstat(name)
	if err != nil {
		t.Fatal(err)
	}
	if owner := info.Sys().(*syscall.Stat_t); owner.Uid != 33 || owner.Gid != 34 || info.Mode() != 0o640 {
		t.Errorf("the file is %v of %d:%d, want -rw-r----- of 33:34", info.Mode(), owner.Uid, owner.Gid)
	}
}

// TestFailures sees that a failure changes nothing and leaves nothing.
func TestFailures(t *testing.T) {
	broken := errors.New("the source broke off")
	full := func(w io.Writer) error { _, err := io.WriteString(w, "new"); return err }
	for _, c := range []struct {
		name    string
		prepare func(dir string) error
		file    string
		attr    Attr
		fill    func(io.Writer) error
		want    error  // that the error is; nil: any
		says    string // the error, in words
		left    string
	}{
		{"no directory", nil, "none/f", Attr{Mode: 0o600}, full, fs.ErrNotExist, "write DIR/none/f: ", "f"},
		{"a file for a directory", nil, "f/f", Attr{Mode: 0o600}, full, syscall.ENOTDIR, "write DIR/f/f: ", "f"},
		{"a directory in its place", func(dir string) error { return os.Mkdir(dir+"/d", 0o700) }, "d", Attr{Mode: 0o600}, full, nil, "what is there is no file", "d f"},
		{"a link to a device in its place", func(dir string) error { return os.Symlink("/dev/null", dir+"/l") }, "l", Attr{Mode: 0o600}, full, nil, "what is there is no file", "f l"},
		{"a pipe in its place", func(dir string) error { return syscall.Mkfifo(dir+"/p", 0o600) }, "p", Attr{Mode: 0o600}, full, nil, "what is there is no file", "f p"},
		{"a directory where it is written", func(dir string) error { return os.MkdirAll(dir+"/.f.rocca-part/full", 0o700) }, "f", Attr{Mode: 0o600}, full, syscall.ENOTEMPTY, "", ".f.rocca-part f"},
		{"a source that breaks off", nil, "f", Attr{Mode: 0o600}, func(w io.Writer) error { return errors.Join(full(w), broken) }, broken, "write DIR/f: ", "f"},
		{"a source that breaks off, no file yet", nil, "g", Attr{Mode: 0o600}, func(w io.Writer) error { return errors.Join(full(w), broken) }, broken, "", "f"},
		{"a part that is gone", nil, "f", Attr{Mode: 0o600, Part: "x"}, nil, fs.ErrNotExist, "", "f"},
		{"an owner that there cannot be", nil, "f", Attr{Mode: 0o600, Owner: &Owner{UID: -2, GID: -2}}, full, nil, "", "f"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.WriteFile(dir+"/f", []byte("old"), 0o600); err != nil {
				t.Fatal(err)
			}
			if c.prepare != nil {
				if err := c.prepare(dir); err != nil {
					t.Fatal(err)
				}
			}
			if c.attr.Part != "" {
				c.attr.Part = filepath.Join(dir, c.attr.Part)
			}
			if c.fill == nil {
				c.fill = func(io.Writer) error { return os.Remove(c.attr.Part) }
			}
			if c.attr.Owner != nil && os.Geteuid() == 0 {
				t.Skip("root gives files to anybody")
			}
			err := Fill(filepath.Join(dir, c.file), c.attr, c.fill)
			if err == nil || c.want != nil && !errors.Is(err, c.want) || !strings.Contains(err.Error(), strings.ReplaceAll(c.says, "DIR", dir)) {
				t.Errorf("the error is %v, want %v %q", err, c.want, c.says)
			}
			if text, err := os.ReadFile(dir + "/f"); string(text) != "old" {
				t.Errorf("the old file became %q, %v", text, err)
			}
			if left := names(t, dir); left != c.left {
				t.Errorf("the directory holds %q, want %q", left, c.left)
			}
		})
	}
}

func TestDirectoryThatCannotBeWrittenTo(t *testing.T) {
	dir := "/proc/self" // where root makes no files either
	if os.Geteuid() != 0 {
		dir = t.TempDir()
		if err := os.Chmod(dir, 0o500); err != nil {
			t.Fatal(err)
		}
	}
	called := false
	err := Fill(filepath.Join(dir, "f"), Attr{Mode: 0o600}, func(io.Writer) error { called = true; return nil })
	if err == nil || called {
		t.Errorf("the error is %v, after the content was asked for: %t", err, called)
	}
}

func TestFullDisk(t *testing.T) {
	name := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(name, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	// Another process has no room: its files may have no more than 1,024 bytes.
	command := exec.Command("sh", "-c", `trap '' XFSZ; ulimit -f 2; exec "$0" -test.run=TestWritesTooMuch`, os.Args[0])
	command.Env = append(os.Environ(), "DURABLE_FILE="+name)
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if text, err := os.ReadFile(name); string(text) != "old" {
		t.Errorf("the old file became %.20q, %v", text, err)
	}
	if left := names(t, filepath.Dir(name)); left != "f" {
		t.Errorf("the directory holds %q", left)
	}
}

// TestWritesTooMuch is the other process of TestFullDisk.
func TestWritesTooMuch(t *testing.T) {
	name := os.Getenv("DURABLE_FILE")
	if name == "" {
		t.Skip("it is for TestFullDisk")
	}
	if err := Write(name, make([]byte, 1<<20), Attr{Mode: 0o600}); !errors.Is(err, syscall.EFBIG) {
		t.Errorf("the error is %v, want %v", err, syscall.EFBIG)
	}
}

// TestKilled ends processes in the middle, by the kernel.
func TestKilled(t *testing.T) {
	name := filepath.Join(t.TempDir(), "f")
	if err := Write(name, []byte("old"), Attr{Mode: 0o600}); err != nil {
		t.Fatal(err)
	}
	command := exec.Command(os.Args[0], "-test.run=TestIsKilled")
	command.Env = append(os.Environ(), "DURABLE_KILLED="+name)
	if out, err := command.CombinedOutput(); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Fatalf("it was not killed: %v: %s", err, out)
	}
	if text, err := os.ReadFile(name); string(text) != "old" {
		t.Errorf("the old file became %q, %v", text, err)
	}
	if left := names(t, filepath.Dir(name)); left != ".f.rocca-part f" {
		t.Fatalf("the kill left %q", left)
	}
	if err := Write(name, []byte("new"), Attr{Mode: 0o600}); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(name); string(text) != "new" {
		t.Errorf("the file became %q, %v", text, err)
	}
	if left := names(t, filepath.Dir(name)); left != "f" {
		t.Errorf("the directory holds %q", left)
	}
}

// TestIsKilled is the other process of TestKilled.
func TestIsKilled(t *testing.T) {
	name := os.Getenv("DURABLE_KILLED")
	if name == "" {
		t.Skip("it is for TestKilled")
	}
	err := Fill(name, Attr{Mode: 0o600}, func(w io.Writer) error {
		if _, err := io.WriteString(w, "half"); err != nil {
			return err
		}
		return syscall.Kill(os.Getpid(), syscall.SIGKILL)
	})
	t.Fatalf("it lives: %v", err)
}

// TestSeveralAtOnce sees that one who writes is not disturbed, and that who
// reads never finds half of anything.
func TestSeveralAtOnce(t *testing.T) {
	name := filepath.Join(t.TempDir(), "f")
	err := Fill(name, Attr{Mode: 0o600}, func(w io.Writer) error {
		if err := Write(name, []byte("second"), Attr{Mode: 0o600}); !errors.Is(err, ErrBusy) {
			t.Errorf("the second was told %v, want %v", err, ErrBusy)
		}
		_, err := io.WriteString(w, "first")
		return err
	})
	if text, _ := os.ReadFile(name); err != nil || string(text) != "first" {
		t.Fatalf("the first wrote %q, %v", text, err)
	}

	var all sync.WaitGroup
	var lock sync.Mutex
	wrote := 0
	for n := range 8 {
		content := []byte(strings.Repeat(fmt.Sprint(n), 10_000))
		all.Go(func() {
			for range 30 {
				err := Write(name, content, Attr{Mode: 0o600})
				if err != nil && !errors.Is(err, ErrBusy) {
					t.Error(err)
				}
				lock.Lock()
				if err == nil {
					wrote++
				}
				lock.Unlock()
				text, err := os.ReadFile(name)
				if err != nil || string(text) != "first" && (len(text) != 10_000 || len(slices.Compact(text)) != 1) {
					t.Errorf("read %d bytes, %v", len(text), err)
				}
			}
		})
	}
	all.Wait()
	if left := names(t, filepath.Dir(name)); left != "f" || wrote == 0 {
		t.Errorf("the directory holds %q after %d were written", left, wrote)
	}
}
