package blueprint

import (
	"bytes"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"rocca/internal/change/step"
	"rocca/internal/config"
)

// unitRoot is a root directory with the rendered units of a server in it, and
// with stand-ins for the programs that they start. The test is skipped where
// there is no systemd to ask.
func unitRoot(t *testing.T, in Input) string {
	t.Helper()
	const system = "/usr/lib/systemd/system"
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		t.Skip("systemd-analyze is not installed")
	}
	if _, err := os.Stat(system); err != nil {
		t.Skip(err)
	}
	root := t.TempDir()
	if err := os.MkdirAll(root+system, 0o755); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("cp", "-a", system, path.Dir(root+system)).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, link := range [][2]string{{"usr/lib", "lib"}, {"usr/bin", "bin"}, {"usr/sbin", "sbin"}} {
		if err := os.Symlink(link[0], filepath.Join(root, link[1])); err != nil {
			t.Fatal(err)
		}
	}
	write := func(name string, content []byte, mode os.FileMode) {
		if err := os.MkdirAll(filepath.Dir(root+name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(root+name, content, mode); err != nil {
			t.Fatal(err)
		}
	}
	for _, program := range []string{"/usr/sbin/php-fpm" + in.PHP, "/usr/bin/php" + in.PHP, "/usr/bin/kill"} {
		write(program, []byte("#!/bin/sh\n"), 0o755)
	}
	steps, _ := planFor(t, in)
	for _, s := range steps {
		if file, isFile := s.(step.File); isFile && strings.HasPrefix(file.Path, unitDir) {
			write(file.Path, file.Content, 0o644)
		}
	}
	return root
}

// ownUnits are those that rocca renders.
func ownUnits(in Input) []string {
	units := slices.DeleteFunc(Units(in.Config), func(name string) bool { return !strings.HasPrefix(name, "rocca-") })
	if in.Config.Does(config.RoleWorker) {
		units = append(units, "rocca-archive.service", "rocca-tasks.service")
	}
	return units
}

// TestUnitsAreValid asks systemd itself: an option that it does not know would
// be left out of the sandbox with nothing but a line in the log.
func TestUnitsAreValid(t *testing.T) {
	for name, in := range inputs(t) {
		t.Run(name, func(t *testing.T) {
			root := unitRoot(t, in)
			verify := func() []byte {
				out, err := exec.Command("systemd-analyze", append([]string{"verify", "--man=no", "--root=" + root}, ownUnits(in)...)...).CombinedOutput()
				if err != nil {
					out = append(out, err.Error()...)
				}
				return out
			}
			if out := verify(); len(out) > 0 {
				t.Errorf("systemd-analyze verify:\n%s", out)
			}
			// The question itself must be able to fail.
			unit := ownUnits(in)[0]
			drop := root + path.Join(unitDir, unit+".d/wrong.conf")
			if err := os.MkdirAll(path.Dir(drop), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(drop, []byte("[Unit]\nNoSuchOption=yes\n"), 0o644); err != nil {
				t.Fatal(err)
			}
			if out := verify(); !bytes.Contains(out, []byte("NoSuchOption")) {
				t.Errorf("a wrong option was not found:\n%s", out)
			}
		})
	}
}

// TestExposure holds the sandboxes to what docs/layout.md promises, by the
// figure of systemd-analyze security (0 is best, 10 worst).
func TestExposure(t *testing.T) {
	for _, name := range []string{"nginx-12", "nginx-13", "apps"} {
		in := inputs(t)[name]
		root := unitRoot(t, in)
		most := map[string]float64{"rocca-php@tracker.service": 0.5, "rocca-php@ui.service": 1.2, "rocca-archive.service": 1.5, "rocca-tasks.service": 1.5}
		for _, app := range in.Config.Apps {
			most["rocca-php@"+app.Name+".service"] = 1.5
		}
		for unit, limit := range most {
			out, err := exec.Command("systemd-analyze", "security", "--root="+root, "--offline=true", "--no-pager", unit).Output()
			if err != nil {
				t.Fatalf("%s: %v", unit, err)
			}
			overall := regexp.MustCompile(`Overall exposure level for \S+: (\d+\.\d+) `).FindSubmatch(out)
			if overall == nil {
				t.Fatalf("%s: no overall exposure in\n%s", unit, out)
			}
			exposure, err := strconv.ParseFloat(string(overall[1]), 64)
			if err != nil {
				t.Fatal(err)
			}
			if exposure > limit {
				t.Errorf("%s of %s: exposure %.1f, want at most %.1f", unit, name, exposure, limit)
			}
			t.Logf("%s of %s: exposure %.1f", unit, name, exposure)
		}
	}
}
