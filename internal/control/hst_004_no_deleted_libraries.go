package control

import (
	"fmt"
	"slices"
	"strings"

	"rocca/internal/facts"
	"rocca/internal/model"
)

// exposedPrograms are what attackers talk to.
var exposedPrograms = []string{"php", "nginx", "apache2", "mariadbd", "mysqld", "sshd", "redis-server", "valkey-server"}

var hst004 = Control{
	ID:       "HST-04",
	Title:    "PHP, the front, the database and SSH run the libraries that are on the disk",
	Why:      "An update replaces files, not what runs: a service that was not restarted still has the hole in its memory, while every list of packages says that it is closed.",
	Severity: model.Medium,
	Needs:    []facts.Section{facts.Running},
	Eval: func(v *View) Verdict {
		var found []model.Evidence
		for _, p := range v.Processes {
			if old := replaced(p); len(old) > 0 {
				found = append(found, model.Evidence{Subject: ranIn(p), Have: "still runs " + strings.Join(old[:min(len(old), 3)], ", "), Want: "restarted since the update"})
			}
		}
		return conclude(found, nil)
	},
	Fix: Fix{Kind: model.FixGuided, Text: "systemctl restart UNIT at a time that suits; package needrestart does it after each update",
		Changes: func(v *View) []Change {
			var units []string
			for _, p := range v.Processes {
				if p.Unit != "" && len(replaced(p)) > 0 && !slices.Contains(units, p.Unit) {
					units = append(units, p.Unit)
				}
			}
			slices.Sort(units)
			var changes []Change
			for _, unit := range units {
				changes = append(changes, Change{Sentence: "restart " + unit + ", so that it runs what was installed", Command: "systemctl restart " + shellWord(unit)})
			}
			return changes
		}},
	Maps:  []model.Ref{debian("1.2.2.1")},
	Since: "0.3",
}

// replaced are the program and libraries of a process that an update took away.
// What packages do not bring, such as memory of OPcache, is none of it.
func replaced(p facts.Process) []string {
	if !slices.ContainsFunc(exposedPrograms, func(name string) bool { return strings.HasPrefix(p.Name, name) }) {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(p.Deleted), func(name string) bool {
		return !slices.ContainsFunc([]string{"/usr", "/lib", "/lib64", "/bin", "/sbin", "/opt"}, func(top string) bool { return within(name, top) })
	})
}

// ranIn names what a process belongs to.
func ranIn(p facts.Process) string {
	if p.Unit != "" {
		return p.Unit
	}
	return fmt.Sprintf("process %d (%s)", p.PID, p.Name)
}
