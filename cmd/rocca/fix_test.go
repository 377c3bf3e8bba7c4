package main

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"rocca/internal/blueprint"
	"rocca/internal/config"
	"rocca/internal/control"
	"rocca/internal/facts"
	"rocca/internal/model"
)

// allSteps are the names of the steps of all kinds of servers.
func allSteps(t *testing.T) []string {
	t.Helper()
	var names []string
	for _, front := range []string{config.FrontNginx, config.FrontApache} {
		c := config.Defaults{Hostname: "stats.example.org"}.Config()
		c.Front = front
		c.Apps = []config.App{{Name: "shop", Docroot: "/srv/shop", Domain: "shop.example.org"}}
		steps, _, err := blueprint.Steps(blueprint.Input{Config: c, Debian: 12, PHP: "8.2", Version: "5.3.0", SSH: blueprint.SSH{Installed: true}})
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range steps {
			names = append(names, s.Name())
		}
	}
	return names
}

// A control that says rocca can put it right must name steps that are there:
// otherwise rocca fix would do nothing, and say so only then.
func TestFixesNameSteps(t *testing.T) {
	steps := allSteps(t)
	for _, c := range control.OfServer() {
		for _, pattern := range c.Fix.Steps {
			if !slices.ContainsFunc(steps, func(step string) bool { return names(pattern, step) }) {
				t.Errorf("%s is fixed by %q, which is no step", c.ID, pattern)
			}
		}
		if c.Fix.Kind != model.FixAutomatic && len(c.Fix.Steps) > 0 {
			t.Errorf("%s is %s to fix and names steps", c.ID, c.Fix.Kind)
		}
	}
}

// What could not be seen is not known to be right: to say that there is nothing
// to fix would be a lie.
func TestFixOfWhatCannotBeSeen(t *testing.T) {
	controls, err := control.Select(control.OfServer(), []string{"FS-04"})
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	cmd := &cobra.Command{}
	cmd.SetOut(&out)
	err = fixing{cmd: cmd, server: facts.Server{Sections: map[facts.Section]string{facts.Files: "permission denied"}}}.run(controls)
	var coded *exitError
	if !errors.As(err, &coded) || coded.code != exitUnseen || !strings.Contains(out.String(), "FS-04 could not be decided: ") {
		t.Errorf("got %v, said %q", err, out.String())
	}
	if strings.Contains(out.String(), "nothing to fix") {
		t.Errorf("said %q", out.String())
	}
}

func TestNames(t *testing.T) {
	for _, c := range []struct {
		pattern, step string
		want          bool
	}{
		{"file */config/config.ini.php", "file /var/lib/matomo/config/config.ini.php", true},
		{"file */config/config.ini.php", "directory /var/lib/matomo/config/config.ini.php", false},
		{"unit rocca-firewall.service", "unit rocca-firewall.service", true},
		{"unit rocca-firewall.service", "unit rocca-firewall.service.d", false},
		{"[", "x", false},
	} {
		if got := names(c.pattern, c.step); got != c.want {
			t.Errorf("%q names %q: %v", c.pattern, c.step, got)
		}
	}
}
