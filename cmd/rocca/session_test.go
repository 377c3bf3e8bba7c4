package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"rocca/internal/change"
	"rocca/internal/config"
)

// TestKeepsVersion: without a record, the code that is served tells what is
// installed.
func TestKeepsVersion(t *testing.T) {
	for _, c := range []struct{ name, code, want string }{
		{"nothing is installed", "", ""},
		{"the same", "public const VERSION = '5.3.0';", ""},
		{"another", "public const VERSION = '5.3.1';", "set up Matomo 5.3.0: Matomo 5.3.1 is installed, and rocca up does not change versions"},
		{"no version", "<?php", "tells no version"},
	} {
		t.Run(c.name, func(t *testing.T) {
			base := t.TempDir()
			if err := os.Symlink("www-matomo.x", filepath.Join(base, "www")); err != nil {
				t.Fatal(err)
			}
			if c.code != "" {
				core := filepath.Join(base, "www-matomo.x/core")
				if err := os.MkdirAll(core, 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(filepath.Join(core, "Version.php"), []byte(c.code), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			s := &session{config: config.Config{Base: base}}
			switch err := s.keepsVersion("5.3.0"); {
			case c.want == "" && err != nil:
				t.Error(err)
			case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

// TestUnpacked: a server is rocca's when a run put Matomo on it, not when one
// only put something right on somebody else's.
func TestUnpacked(t *testing.T) {
	up := change.RunInfo{Verb: "up", Changes: 9, Steps: []string{"directory /etc/rocca", "code /var/www/matomo/www-matomo.5.3.0"}}
	undone, kept, fixed := up, up, change.RunInfo{Verb: "fix", Changes: 1, Steps: []string{"owner and mode of /srv/matomo/config"}}
	undone.Changes = 0
	kept.Result = change.PartUndone
	for _, c := range []struct {
		name string
		runs []change.RunInfo
		want bool
	}{
		{"no run", nil, false},
		{"set up", []change.RunInfo{up}, true},
		{"set up, and put right", []change.RunInfo{up, fixed}, true},
		{"undone", []change.RunInfo{undone}, false},
		{"undone but for data", []change.RunInfo{kept, fixed}, false},
		{"another's server put right", []change.RunInfo{fixed}, false},
	} {
		if got := unpacked(c.runs); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}
