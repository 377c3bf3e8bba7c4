package control

import (
	"path"
	"slices"

	"rocca/internal/model"
)

var fs005 = Control{
	ID:       "FS-05",
	Title:    "PHP cannot write its configuration",
	Why:      "A configuration that PHP may write can be emptied by a full disk or a race of two requests, and an empty one opens the installer to whoever comes first. A stolen administrator session changes trusted hosts and switches plugins on.",
	Severity: model.High,
	Needs:    principals,
	Eval: func(v *View) Verdict {
		var served []string // whoever a visitor can make run
		for _, pool := range v.MatomoPools() {
			served = append(served, pool.User)
		}
		if len(served) == 0 {
			return unknown(noPool)
		}
		var found []model.Evidence
		contexts, unseen := configured(v.Server)
		for _, context := range contexts {
			if !slices.Contains(served, context.User) {
				continue // that of installations is written by them
			}
			found = append(found, ways(context.Config, v.Reach.Writers(context.Config), "writable by root only")...)
			// A sandbox must not be all that stands in the way.
			for _, name := range []string{path.Dir(context.Config), context.Config} {
				if p := inode(v.Server, name); slices.Contains(served, p.Owner) || p.Mode&0o022 != 0 {
					found = append(found, ownership(name, p, "root's, and written by root only"))
				}
			}
		}
		return conclude(found, unseen)
	},
	Fix: Fix{Kind: model.FixAutomatic, Text: "chown root:POOL config.ini.php && chmod 0640 config.ini.php, and chown root:POOL && chmod 0750 for its directory; settings are then changed by root: ./console config:set, or rocca.yaml", Steps: privateSteps,
		Changes: privateConfig},
	Attack: "A09 A28",
	Maps:   []model.Ref{s2("28"), asvs("15.2.5")},
	Since:  "0.3",
}
