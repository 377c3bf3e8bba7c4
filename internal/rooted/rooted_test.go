package rooted

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// tree makes files and, with "-> ", links in a new directory.
func tree(t *testing.T, files map[string]string) Dir {
	t.Helper()
	root := t.TempDir()
	for name, content := range files {
		name = filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		var err error
		if target, isLink := strings.CutPrefix(content, "-> "); isLink {
			err = os.Symlink(target, name)
		} else {
			err = os.WriteFile(name, []byte(content), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return Dir(root)
}

func TestResolve(t *testing.T) {
	outside := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(outside, []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	d := tree(t, map[string]string{
		"etc/a/file": "content", "etc/b": "-> a", "etc/c": "-> /etc/b/file", "etc/up": "-> ../../../../etc/a/file",
		"etc/loop": "-> loop", "etc/gone": "-> /nowhere", "etc/out": "-> " + outside,
	})
	for _, test := range []struct {
		name, want string
		err        error
	}{
		{"/etc/a/file", "/etc/a/file", nil},
		{"/etc/b/file", "/etc/a/file", nil},
		{"/etc/c", "/etc/a/file", nil},
		{"/etc/up", "/etc/a/file", nil},
		{"/etc/b/../a//file", "/etc/a/file", nil},
		{"/", "/", nil},
		{"/etc/loop", "", syscall.ELOOP},
		{"/etc/gone", "", fs.ErrNotExist},
		{"/etc/out", "", fs.ErrNotExist}, // absolute links start at the root that stands for "/"
	} {
		got, err := d.Resolve(test.name)
		if got != test.want || !errors.Is(err, test.err) {
			t.Errorf("%s: %q, %v", test.name, got, err)
		}
		if err != nil && strings.Contains(err.Error(), string(d)) {
			t.Errorf("%s: %v names a path of another machine", test.name, err)
		}
	}
}

func TestReadRefusesWhatIsNoFile(t *testing.T) {
	d := tree(t, map[string]string{"file": "12345"})
	if err := syscall.Mkfifo(filepath.Join(string(d), "pipe"), 0o644); err != nil {
		t.Fatal(err)
	}
	if content, err := d.Read("/file", 5); err != nil || string(content) != "12345" {
		t.Errorf("%q, %v", content, err)
	}
	if _, err := d.Read("/file", 4); !errors.Is(err, ErrTooLarge) {
		t.Errorf("a file beyond the limit: %v", err)
	}
	for _, name := range []string{"/pipe", "/", "/none"} {
		if content, err := d.Read(name, 5); err == nil {
			t.Errorf("%s was read: %q", name, content)
		}
	}
}

func TestGlob(t *testing.T) {
	d := tree(t, map[string]string{"etc/x/a.conf": "", "etc/x/b.conf": "", "etc/x/.hidden.conf": "", "etc/x/c.txt": "", "etc/y/d.conf": "", "etc/z": "-> x", "etc/x/gone.conf": "-> nowhere"})
	for pattern, want := range map[string][]string{
		"/etc/x/*.conf":  {"/etc/x/a.conf", "/etc/x/b.conf", "/etc/x/gone.conf"},
		"/etc/*/d.conf":  {"/etc/y/d.conf"},
		"/etc/z/a.*":     {"/etc/z/a.conf"},
		"/etc/x/a.conf":  {"/etc/x/a.conf"},
		"/etc/none/*":    nil,
		"/etc/x/none":    nil,
		"/etc/x/.*.conf": {"/etc/x/.hidden.conf"},
	} {
		got, err := d.Glob(pattern)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %q, %v", pattern, got, err)
		}
	}
	if _, err := d.Glob("/etc/["); err == nil {
		t.Error("a broken pattern is no error")
	}
}
