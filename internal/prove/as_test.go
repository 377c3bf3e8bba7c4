package prove

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

func TestAsIsJudgedAsThatUser(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can become others")
	}
	name := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(name, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	err := As("nobody", func() error {
		_, err := os.ReadFile(name)
		return err
	})
	if !errors.Is(err, fs.ErrPermission) {
		t.Errorf("nobody reads root's file: %v", err)
	}
	if _, err := os.ReadFile(name); err != nil {
		t.Errorf("root does not read its own file any more: %v", err)
	}
	if err := As("no-such-user", func() error { return nil }); err == nil {
		t.Error("a user that is not there is nobody's rights")
	}
}
