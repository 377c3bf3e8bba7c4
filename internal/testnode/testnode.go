// Package testnode gives tests programs of npm, at the versions that a
// package-lock.json pins. The product itself needs no Node.
package testnode

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"rocca/internal/run"
)

// Project installs the project in dir, which holds a package.json and its
// package-lock.json, into a cache of the user, and returns the directory there
// with node_modules in it. No script of a package is run. Without npm, or
// without its registry, the test is skipped with a loud line; in CI it fails.
func Project(t testing.TB, dir string) string {
	t.Helper()
	hash := sha256.New()
	content := map[string][]byte{}
	for _, name := range []string{"package.json", "package-lock.json"} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		content[name] = text
		hash.Write(text)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	project := filepath.Join(cache, "rocca", "node", hex.EncodeToString(hash.Sum(nil))[:16])
	if _, err := os.Stat(filepath.Join(project, "node_modules")); err == nil {
		return project
	}
	npm, err := run.LookUser("npm")
	if err != nil {
		missing(t, err.Error())
	}
	// A directory of our own until all is there: another test may be at it, too.
	if err := os.MkdirAll(filepath.Dir(project), 0o755); err != nil {
		t.Fatal(err)
	}
	making, err := os.MkdirTemp(filepath.Dir(project), "making-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(making)
	for name, text := range content {
		if err := os.WriteFile(filepath.Join(making, name), text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	install := run.Command{Argv: []string{npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"}, Dir: making, Env: os.Environ()}
	if _, err := run.Do(t.Context(), install); err != nil {
		missing(t, strings.ReplaceAll(err.Error(), "\n", " "))
	}
	if err := os.Rename(making, project); err != nil {
		if _, other := os.Stat(filepath.Join(project, "node_modules")); other != nil {
			t.Fatal(err)
		}
	}
	return project
}

func missing(t testing.TB, why string) {
	t.Helper()
	line := "NO NODE, " + t.Name() + " TESTS NOTHING: " + why
	if os.Getenv("CI") == "true" {
		t.Fatal(line)
	}
	fmt.Fprintln(os.Stderr, line) // seen without -v, too
	t.Skip(line)
}
