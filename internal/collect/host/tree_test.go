package host

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"rocca/internal/rooted"
)

// plant makes a root of files. Content that begins with "-> " is a link.
func plant(t testing.TB, files map[string]string) Root {
	t.Helper()
	top := t.TempDir()
	for name, content := range files {
		file := filepath.Join(top, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		var err error
		if target, link := strings.CutPrefix(content, "-> "); link {
			err = os.Symlink(target, file)
		} else {
			err = os.WriteFile(file, []byte(content), 0o755)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return Root(top)
}

func TestRootKeepsLinksInside(t *testing.T) {
	outside := filepath.Join(t.TempDir(), "outside")
	write(t, outside, "secret", 0o644)
	root := plant(t, map[string]string{
		"etc/real":     "text",
		"etc/inside":   "-> /etc/real",
		"etc/relative": "-> ../etc/real",
		"etc/up":       "-> ../../../../../../../../etc/real",
		"etc/loop":     "-> loop",
		"etc/outside":  "-> " + outside,
	})
	for name, want := range map[string]string{"/etc/real": "text", "/etc/inside": "text", "/etc/relative": "text", "/etc/up": "text"} {
		if got, err := root.read(name); got != want || err != nil {
			t.Errorf("%s: got %q %v", name, got, err)
		}
	}
	for _, name := range []string{"/etc/loop", "/etc/outside"} {
		if got, err := root.read(name); err == nil {
			t.Errorf("%s: got %q", name, got)
		}
	}
	if !root.exists("/etc/inside") || root.exists("/etc/none") || root.exists("/etc/outside") {
		t.Error("exists does not follow links inside the root only")
	}
}

func TestRootReadsNothingButFiles(t *testing.T) {
	root := plant(t, map[string]string{"etc/large": strings.Repeat("x", contentLimit+1)})
	if err := syscall.Mkfifo(string(root)+"/etc/pipe", 0o644); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"/etc/pipe", "/etc", "/etc/large"} {
		if got, err := root.read(name); err == nil {
			t.Errorf("%s: got %d bytes", name, len(got))
		}
	}
	if _, err := root.read("/etc/large"); !errors.Is(err, rooted.ErrTooLarge) {
		t.Errorf("a large file: got %v", err)
	}
	if _, err := root.open("/etc/pipe", unix.O_DIRECTORY, 0); err == nil {
		t.Error("a pipe is taken for a directory")
	}
}
