package control

import (
	"maps"
	"path"
	"slices"

	"rocca/internal/facts"
	"rocca/internal/model"
)

var db010 = Control{
	ID:       "DB-10",
	Title:    "the files of the database server are its own, and its configuration is root's",
	Why:      "Who reads the data files needs no password. Who writes the configuration makes the server load his library, or skip all passwords, at its next start.",
	Severity: model.Medium,
	Needs:    []facts.Section{facts.Data, facts.Files},
	Eval: func(v *View) Verdict {
		if remoteDatabase(v) {
			return notApplicable("the database is on another machine")
		}
		dir := dataDir(v)
		data := inode(v.Server, dir)
		if dir == "" || !data.Exists() {
			return unknown("the directory with the data of the database was not looked at")
		}
		var found []model.Evidence
		if data.Owner != "mysql" || data.Mode&0o027 != 0 {
			found = append(found, ownership(dir, data, "mysql:mysql 0750"))
		}
		for _, name := range slices.Sorted(maps.Keys(v.Paths)) {
			p := v.Paths[name]
			switch {
			case !within(name, "/etc/mysql") && !within(name, "/var/log/mysql") || p.Type == facts.Symlink || !p.Exists():
			case within(name, "/etc/mysql") && (p.Owner != "root" || p.Mode&0o022 != 0):
				found = append(found, ownership(name, p, "of root, and for root only to write"))
			case path.Base(name) == "debian.cnf" && p.Mode&0o077 != 0:
				found = append(found, ownership(name, p, "root:root 0600"))
			case within(name, "/var/log/mysql") && p.Mode&0o007 != 0:
				found = append(found, ownership(name, p, "not for others"))
			}
		}
		return conclude(found, nil)
	},
	Fix: Fix{
		Kind: model.FixAutomatic, Steps: []string{"directory /var/lib/mysql"},
		Text: "chmod 0750 the data directory, which is mysql's; chown root:root and chmod 0644 the files below /etc/mysql, 0600 debian.cnf.",
		Changes: func(v *View) []Change {
			dir := dataDir(v)
			if p := inode(v.Server, dir); remoteDatabase(v) || p.Type != facts.Dir || p.Owner == "mysql" && p.Mode&0o027 == 0 {
				return nil
			}
			return []Change{owned(dir, "mysql", "mysql", 0o750)}
		},
	},
	Attack: "A06",
	Maps:   []model.Ref{devsec("mysql-conf-04..08")},
	Since:  "0.3",
}
