package control

import (
	"maps"
	"path"
	"slices"
	"strings"

	"rocca/internal/model"
	"rocca/internal/reach"
)

var fs013 = Control{
	ID:       "FS-13",
	Title:    "no secret of Matomo lies where others can read it: units, environments, histories, backups, logs",
	Why:      "A database password in a backup with mode 0644, in the history of a shell or in a unit file is as good as in config.ini.php, and nobody protects it there. It is the first thing that whoever gets in searches for.",
	Severity: model.High,
	Needs:    principals,
	Eval: func(v *View) Verdict {
		var found []model.Evidence
		users := matomoUsers(v.Server)
		for _, s := range v.Oddities.Secrets {
			if path.IsAbs(s.Path) && inode(v.Server, s.Path).Exists() && len(reach.Without(v.Reach.Readers(s.Path), users...)) == 0 {
				continue // root's own, such as a backup with mode 0600, or Matomo's
			}
			found = append(found, model.Evidence{Subject: s.Path, Line: s.Line, Have: s.Kind, Want: "not there, or readable by root only"})
		}
		for _, name := range slices.Sorted(maps.Keys(v.Units)) {
			if names := v.Units[name].SecretsInEnv; len(names) > 0 {
				found = append(found, model.Evidence{Subject: name, Have: "Environment= holds " + strings.Join(names, ", ") + ", which every user can ask systemd for", Want: "LoadCredential= or a file of mode 0600"})
			}
		}
		for _, p := range v.Processes {
			if len(p.Secrets) > 0 {
				found = append(found, model.Evidence{Subject: ranIn(p), Have: "environment of the process holds " + strings.Join(p.Secrets, ", "), Want: "a file that only it can read"})
			}
		}
		return conclude(found, nil)
	},
	Fix:    guided("delete the copy or chmod 0600 it; then change the secret, for it may have been read: the database password, the salt, the token"),
	Attack: "A06",
	Maps:   []model.Ref{asvs("13.3.1"), s1("1")},
	Since:  "0.3",
}
