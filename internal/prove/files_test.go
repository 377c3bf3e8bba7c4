package prove

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestWithin(t *testing.T) {
	for _, c := range []struct {
		name, dir string
		want      bool
	}{
		{"/srv/x", "/srv/x", true},
		{"/srv/x/y", "/srv/x", true},
		{"/srv/xy", "/srv/x", false},
		{"/srv", "/srv/x", false},
		{"/srv", "/", true},
		{"/srv", "", false},
	} {
		if got := within(c.name, c.dir); got != c.want {
			t.Errorf("within(%q, %q) = %v", c.name, c.dir, got)
		}
	}
}

func TestWithParentsLeavesOutWhatIsNoPath(t *testing.T) {
	got := withParents("/srv/x/y", "", "127.0.0.1:9000", "/srv/z")
	if diff := cmp.Diff([]string{"/", "/srv", "/srv/x", "/srv/x/y", "/srv/z"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestDirectoriesFollowsLinksAndLeavesOutTheRest(t *testing.T) {
	top, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	dir, file, link := filepath.Join(top, "dir"), filepath.Join(top, "file"), filepath.Join(top, "link")
	if err := errors.Join(os.Mkdir(dir, 0o755), os.WriteFile(file, nil, 0o644), os.Symlink(dir, link)); err != nil {
		t.Fatal(err)
	}
	got := directories([]string{link, file, "", ".", filepath.Join(top, "gone"), dir})
	if diff := cmp.Diff([]string{dir}, got); diff != "" {
		t.Error(diff)
	}
}

func TestMayCreateLeavesNothing(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can become others")
	}
	top := t.TempDir()
	if err := errors.Join(os.Chmod(filepath.Dir(top), 0o755), os.Chmod(top, 0o755)); err != nil {
		t.Fatal(err)
	}
	try := func() error { return As("nobody", func() error { return mayCreate(top) }) }
	if err := try(); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("nobody makes a file in a directory of root: %v", err)
	}
	if err := os.Chmod(top, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := try(); err != nil {
		t.Errorf("nobody makes no file in an open directory: %v", err)
	}
	if left, err := os.ReadDir(top); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}

func TestWriteAgainWritesTheSameBytes(t *testing.T) {
	name := filepath.Join(t.TempDir(), "a 'quoted' name")
	for _, content := range []string{"", "one\ntwo\n", `back\nslash \101 \`, "it's <?php echo strrev('x');", `%s %d "$HOME" $(id)`} {
		if out, err := exec.Command("sh", "-c", writeAgain(name, content)).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		if got, err := os.ReadFile(name); err != nil || string(got) != content {
			t.Errorf("%q became %q, %v", content, got, err)
		}
	}
}
