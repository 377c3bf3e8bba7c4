package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func write(t *testing.T, text string, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "rocca.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestLoadReadsTheFile(t *testing.T) {
	path := write(t, "front: apache\n", 0o644)
	c, err := Load(path, machine)
	if err != nil {
		t.Fatal(err)
	}
	if c.Front != FrontApache || c.File() != path || c.source.Origin("front") != path+":1" {
		t.Errorf("front %s, file %s, origin %s", c.Front, c.File(), c.source.Origin("front"))
	}
}

func TestMissingFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "rocca.yaml")
	c, err := load(path, machine, true)
	if err != nil {
		t.Fatalf("at the default path: %v", err)
	}
	if diff := cmp.Diff(machine.Config(), c, sameValues); diff != "" || c.File() != "" {
		t.Errorf("file %q (-want +got):\n%s", c.File(), diff)
	}
	wantProblem(t, path, "no such file\n  hint: rocca config init "+path+" writes one to start from")
}

// wantProblem loads a path that must lead to one *Error about the whole file.
func wantProblem(t *testing.T, path, want string) {
	t.Helper()
	_, err := Load(path, machine)
	var bad *Error
	if !errors.As(err, &bad) {
		t.Errorf("got %v, want an *Error", err)
		return
	}
	if want = path + ": " + want; bad.Error() != want {
		t.Errorf("got:\n%v\nwant:\n%s", bad, want)
	}
}

func TestFilesThatAreNotRead(t *testing.T) {
	good := write(t, "front: apache\n", 0o644)

	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(good, link); err != nil {
		t.Fatal(err)
	}
	wantProblem(t, link, "is a symbolic link, which could be pointed elsewhere\n  hint: name the file that it leads to")

	wantProblem(t, filepath.Dir(good), "is not a regular file")

	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	wantProblem(t, pipe, "is not a regular file")

	wantProblem(t, write(t, strings.Repeat("#\n", sizeLimit/2)+"#", 0o644), "is larger than 65536 bytes")
	if _, err := Load(write(t, strings.Repeat("#\n", sizeLimit/2), 0o644), machine); err != nil {
		t.Errorf("a file of just the limit: %v", err)
	}

	wantProblem(t, good+"/x", "open: not a directory")
}

func TestFilesThatOthersCouldChange(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root refuses files that others can change")
	}
	for mode, refused := range map[os.FileMode]bool{0o600: false, 0o644: false, 0o664: true, 0o646: true, 0o620: true, 0o602: true} {
		path := write(t, "", mode)
		if !refused {
			if _, err := Load(path, machine); err != nil {
				t.Errorf("mode %04o: %v", mode, err)
			}
			continue
		}
		wantProblem(t, path, fmt.Sprintf("mode %04o lets others write it and so decide what root does\n  hint: chmod go-w %s", mode, path))
	}
	path := write(t, "", 0o600)
	if err := os.Chown(path, 12345, 0); err != nil {
		t.Fatal(err)
	}
	wantProblem(t, path, "belongs to user 12345, who could decide what root does\n  hint: chown root "+path)
}

func TestInit(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0o077))
	path := filepath.Join(t.TempDir(), "rocca", "rocca.yaml")
	if err := Init(path, machine); err != nil {
		t.Fatal(err)
	}
	info, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode() != 0o644 {
		t.Errorf("mode %v, want 0644 whatever the umask", info.Mode())
	}
	text, _ := os.ReadFile(path)
	if string(text) != string(Template(machine)) {
		t.Errorf("wrote:\n%s", text)
	}

	var bad *Error
	if err := Init(path, machine); !errors.As(err, &bad) {
		t.Errorf("an existing file: %v", err)
	}
	target := filepath.Join(t.TempDir(), "target")
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(target, link); err != nil {
		t.Fatal(err)
	}
	if err := Init(link, machine); !errors.As(err, &bad) {
		t.Errorf("a dangling link: %v", err)
	}
	if _, err := os.Lstat(target); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Init wrote through a link: %v", err)
	}
}

// FuzzParse feeds the parser any text: the result is a valid configuration
// that show can print and Load can read again, or problems with a position.
func FuzzParse(f *testing.F) {
	for _, text := range badFiles {
		f.Add([]byte(text))
	}
	f.Add([]byte(uncommented(Template(machine))))
	f.Add([]byte("a: &a [*a, *a]\nb: &b [*a, *a]\n"))
	f.Add([]byte(strings.Repeat("[", 500)))
	f.Add([]byte(strings.Repeat("- ", 500)))
	f.Add([]byte("site:\n  name: |\n    a\n   b\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if len(text) > 4096 {
			return
		}
		c, err := parse("f", text, machine)
		if err != nil {
			var bad *Error
			if !errors.As(err, &bad) || len(bad.Problems) == 0 {
				t.Fatalf("got %T: %v", err, err)
			}
			for _, p := range bad.Problems {
				if p.Text == "" || strings.ContainsFunc(p.String(), func(r rune) bool { return r < ' ' && r != '\n' || r == 0x7f || r == 0x9b }) {
					t.Fatalf("problem %q", p.String())
				}
			}
			return
		}
		if err := c.Validate(); err != nil {
			t.Fatalf("Load accepted what Validate refuses: %v", err)
		}
		again, err := parse("g", c.YAML(), machine)
		if err != nil {
			t.Fatalf("what show prints does not load: %v\n%s", err, c.YAML())
		}
		if diff := cmp.Diff(c, again, sameValues); diff != "" {
			t.Fatalf("show changed the values (-want +got):\n%s\n%s", diff, c.YAML())
		}
	})
}
