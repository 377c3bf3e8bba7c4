package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestCredentialsPlace(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("a directory can be given to another by root only")
	}
	top := t.TempDir()
	for _, err := range []error{
		os.Mkdir(top+"/root", 0o700), os.Mkdir(top+"/theirs", 0o700), os.Chown(top+"/theirs", 65534, 65534),
		os.WriteFile(top+"/file", nil, 0o600), os.Symlink("root", top+"/link"),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(top)
	for path, want := range map[string]string{
		"":                   "",
		"login":              top + "/login",
		"root/../root/login": top + "/root/login",
		top + "/link/login":  top + "/root/login", // what is written follows no link
		"none/login":         "error",
		"theirs/login":       "error",
		"file/login":         "error",
	} {
		got, err := credentialsPlace(path)
		if want == "error" {
			if err == nil || !strings.HasPrefix(err.Error(), "write the first login to "+filepath.Join(top, path)) {
				t.Errorf("%s: %q, %v", path, got, err)
			}
			continue
		}
		if got != want || err != nil {
			t.Errorf("%s: %q, %v, want %q", path, got, err, want)
		}
	}
}
