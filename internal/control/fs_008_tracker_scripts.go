package control

import (
	"slices"

	"rocca/internal/facts"
	"rocca/internal/model"
)

var fs008 = Control{
	ID:       "FS-08",
	Title:    "matomo.js, piwik.js and the containers are what they should be, and only root can change them",
	Why:      "Every tracked site loads these scripts. Who changes one of them runs code in the browser of every visitor of every site: passwords, payments, sessions.",
	Severity: model.Critical,
	Needs:    append(slices.Clone(principals), facts.Code),
	Eval: func(v *View) Verdict {
		var found []model.Evidence
		var unseen []string
		if len(v.Integrity.Scripts) == 0 {
			unseen = append(unseen, "no tracker script was found")
		}
		for _, script := range v.Integrity.Scripts {
			name := inCode(v.Server, script.Path)
			if p := inode(v.Server, name); p.Exists() && p.Owner != "root" {
				found = append(found, model.Evidence{Subject: name, Have: "owned by " + p.Owner, Want: "owned by root"})
			} else {
				found = append(found, ways(name, v.Reach.Writers(name), "writable by root only")...)
			}
			if script.Want == "" {
				unseen = append(unseen, "it is not known what "+name+" should be")
			} else if script.SHA256 != script.Want {
				found = append(found, model.Evidence{Subject: name, Have: "SHA-256 " + abbreviated(script.SHA256), Want: "SHA-256 " + abbreviated(script.Want)})
			}
		}
		return conclude(found, unseen)
	},
	Fix: Fix{Kind: model.FixAutomatic, Text: "put back the script of the release (or rebuild it as root: ./console custom-matomo-js:update), then chown root:root && chmod 0644", Steps: []string{"pre-compressed tracker scripts", "code *"},
		Changes: func(v *View) []Change {
			var changes []Change
			for _, script := range v.Integrity.Scripts {
				if p := inode(v.Server, inCode(v.Server, script.Path)); p.Type == facts.File && (p.Owner != "root" || p.Mode&0o022 != 0) {
					changes = append(changes, owned(inCode(v.Server, script.Path), "root", "root", 0o644))
				}
			}
			return changes
		}},
	Attack: "A27",
	Maps:   []model.Ref{s2("28"), asvs("3.6.1")},
	Since:  "0.3",
}

// abbreviated is the beginning of a hash, enough to tell two apart.
func abbreviated(hash string) string {
	if len(hash) <= 12 {
		return hash
	}
	return hash[:12] + "…"
}
