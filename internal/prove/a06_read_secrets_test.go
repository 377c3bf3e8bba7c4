package prove

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSecretSetting(t *testing.T) {
	for text, want := range map[string]bool{
		"DB_PASSWORD=x":             true,
		"  export API_TOKEN = 'x'":  true,
		"A=1\nsmtp_secret=\"x\"\n":  true,
		"AWS_SECRET_ACCESS_KEY=abc": true,
		"DB_PASSWORD=":              false,
		"# DB_PASSWORD=x":           false,
		"EXTRA_OPTS=-L 5":           false,
		"TOKENIZER":                 false,
		"READ_ENV=yes":              false,
	} {
		if got := secretSetting.MatchString(text); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}

func TestFilesBelowLeavesOutWhatGuardsADirectory(t *testing.T) {
	top := t.TempDir()
	if err := os.Mkdir(filepath.Join(top, "sub"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{".htaccess", "index.php", "sess_x", "sub/index.htm", "sub/y.php"} {
		if err := os.WriteFile(filepath.Join(top, name), []byte("x"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("/etc/shadow", filepath.Join(top, "link")); err != nil {
		t.Fatal(err)
	}
	want := []string{filepath.Join(top, "sess_x"), filepath.Join(top, "sub/y.php")}
	if diff := cmp.Diff(want, filesBelow(top)); diff != "" {
		t.Error(diff)
	}
}

// Only what the kernel gave away has succeeded.
func TestSecretIsJudgedByWhatCouldBeRead(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can become others")
	}
	top := t.TempDir()
	file := filepath.Join(top, "config.ini.php")
	if err := errors.Join(os.Chmod(filepath.Dir(top), 0o755), os.Chmod(top, 0o755), os.WriteFile(file, []byte("secret"), 0o600)); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(top, "link")
	if err := os.Symlink(file, link); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		what        string
		secret      private
		mode        os.FileMode
		there, fell bool
		answer      string
	}{
		{"a private file", private{path: file}, 0o600, true, false, "permission denied"},
		{"an open file", private{path: file}, 0o644, true, true, "opened, 6 bytes"},
		{"a link", private{path: link}, 0o644, true, false, "too many levels of symbolic links"},
		{"a file that is gone", private{path: file + "-gone"}, 0o644, false, false, "no such file or directory"},
		{"an open directory", private{path: top, dir: true}, 0o600, true, true, "2 names"},
	} {
		if err := os.Chmod(file, c.mode); err != nil {
			t.Fatal(err)
		}
		err := As("nobody", func() error {
			try, there := c.secret.open("nobody")
			if there != c.there || try.Fell != c.fell || try.Answer != c.answer || try.Fell != (try.Reproduce != "") {
				t.Errorf("%s: %v, %+v", c.what, there, try)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}
