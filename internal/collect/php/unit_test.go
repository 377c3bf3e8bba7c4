package php

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rocca/internal/facts"
	"rocca/internal/rooted"
)

// ofUnit reads the environment of a unit with this text.
func ofUnit(t *testing.T, text string) map[string]string {
	t.Helper()
	root := t.TempDir()
	if err := os.WriteFile(filepath.Join(root, "x.service"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, "env"), []byte("# no\nC='3'\n;D=4\nbroken\n=5\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return survey{root: rooted.Dir(root)}.environment("php@ui.service", facts.Unit{Fragment: "/x.service"})
}

func TestEnvironmentOfUnits(t *testing.T) {
	for text, want := range map[string]map[string]string{
		"[Service]\nEnvironment=A=1 \"B=two words\" 'C=3'\n":         {"A": "1", "B": "two words", "C": "3"},
		"[Service]\nEnvironment=A=1\nEnvironment=\nEnvironment=B=%i": {"B": "ui"},
		"[Service]\nEnvironment=A=1 \\\n B=2\n":                      {"A": "1", "B": "2"},
		"[Unit]\nEnvironment=A=1\n":                                  {},
		"[Service]\n#Environment=A=1\n;Environment=B=2\n=\n":         {},
		"[Service]\nEnvironmentFile=-/env\n":                         {"C": "3"},
		"[Service]\nEnvironmentFile=/missing\n":                      {},
	} {
		if diff := cmp.Diff(want, ofUnit(t, text)); diff != "" {
			t.Errorf("%q: (-want +got)\n%s", text, diff)
		}
	}
}

func FuzzUnit(f *testing.F) {
	f.Add("[Service]\nEnvironment=A=1 \"B=two words\"\nEnvironmentFile=-/env\n")
	f.Add("[Service]\nEnvironment=\\\n\\\n\"'\n[")
	f.Fuzz(func(t *testing.T, text string) {
		for name := range ofUnit(t, text) {
			if len(name) > len(text)+1 {
				t.Errorf("%q has the variable %q", text, name)
			}
		}
	})
}
