package control

import (
	"slices"

	"rocca/internal/facts"
	"rocca/internal/model"
)

var hst011 = Control{
	ID:       "HST-11",
	Title:    "no file is writable by everybody, and none belongs to nobody",
	Why:      "What everybody may write to, any hole in any program of the machine may write to: a script that root starts, a page that visitors load. What has no owner falls to the next account that gets its number.",
	Severity: model.High,
	Needs:    []facts.Section{facts.Files},
	Eval: func(v *View) Verdict {
		var found []model.Evidence
		for _, name := range openFiles(v.Server) {
			found = append(found, model.Evidence{Subject: name, Have: "writable by everybody", Want: "not"})
		}
		for _, name := range v.Oddities.Unowned {
			if !foreignRoot(name) {
				p := v.Paths[name]
				found = append(found, model.Evidence{Subject: name, Have: "owned by " + p.Owner + ":" + p.Group, Want: "an account of this server"})
			}
		}
		found = capped(found)
		if len(found) > 0 && v.Oddities.Truncated {
			found = append(found, model.Evidence{Subject: "the list", Have: "cut at 1000 entries"})
		}
		return unless(found)
	},
	Fix: Fix{Kind: model.FixAutomatic, Text: "chmod o-w FILE; chown root:root FILE for what has no owner", Steps: []string{"directory *", "file *"},
		Changes: func(v *View) []Change {
			var changes []Change
			for _, name := range openFiles(v.Server) {
				if p := v.Paths[name]; p.Exists() && !slices.Contains(v.Oddities.Unowned, name) {
					changes = append(changes, owned(name, p.Owner, p.Group, uint32(p.Mode)&^0o002))
				}
			}
			for _, name := range v.Oddities.Unowned {
				if p := v.Paths[name]; p.Exists() && !foreignRoot(name) {
					changes = append(changes, owned(name, "root", "root", uint32(p.Mode)&^0o6022))
				}
			}
			return changes
		}},
	Attack: "A04",
	Maps:   []model.Ref{debian("7.1.11"), debian("7.1.12"), s2("16")},
	Since:  "0.3",
}

// openFiles are the files and directories that everybody may write to. Sockets
// and devices are not judged by their mode.
func openFiles(s facts.Server) []string {
	return slices.DeleteFunc(slices.Clone(s.Oddities.WorldWritable), func(name string) bool {
		kind := s.Paths[name].Type
		return kind == facts.Other || kind == facts.Symlink || foreignRoot(name)
	})
}

// foreignRoot tells whether a path is in the file system of a container, which
// has accounts of its own and whose directory lets only root in.
func foreignRoot(name string) bool {
	return slices.ContainsFunc([]string{"/var/lib/docker", "/var/lib/containers", "/var/lib/containerd", "/var/lib/machines", "/var/lib/lxc"}, func(top string) bool { return within(name, top) })
}
