package control

import (
	"path"

	"rocca/internal/facts"
	"rocca/internal/model"
	"rocca/internal/reach"
)

var fs004 = Control{
	ID:       "FS-04",
	Title:    "only Matomo's own users can read its configuration",
	Why:      "config.ini.php holds the database password and the salt that tokens and nonces are signed with. Any other user who reads it has all visits, and can log in as anybody.",
	Severity: model.Critical,
	Needs:    principals,
	Eval: func(v *View) Verdict {
		var found []model.Evidence
		contexts, unseen := configured(v.Server)
		for _, context := range contexts {
			if p := inode(v.Server, context.Config); p.Mode&0o027 != 0 { // a directory that keeps others out now may not tomorrow
				found = append(found, ownership(context.Config, p, "0640"))
			}
			readers := reach.Without(v.Reach.Readers(context.Config), context.User)
			found = append(found, ways(context.Config, readers, "readable by "+context.User+" only")...)
		}
		return conclude(found, unseen)
	},
	Fix: Fix{Kind: model.FixAutomatic, Text: "chown root:POOL config.ini.php && chmod 0640 config.ini.php, in a directory of root that others cannot enter", Steps: privateSteps,
		Changes: privateConfig},
	Attack: "A06",
	Maps:   []model.Ref{s1("1"), s2("16"), asvs("13.3.2"), gdpr("Art. 32")},
	Since:  "0.3",
}

// privateSteps write the configuration of each pool, and the directory it is in.
var privateSteps = []string{"directory */config", "file */config/config.ini.php"}

// configured are the contexts with a configuration, and why another's could not
// be judged; also when there is none at all.
func configured(s facts.Server) (contexts []facts.Context, unseen []string) {
	for _, context := range s.Matomo.Contexts {
		switch {
		case !inode(s, context.Config).Exists():
			if context.Problem != "" {
				unseen = append(unseen, context.Problem)
			}
		case context.User == "":
			unseen = append(unseen, "it is not known which user runs Matomo with "+context.Config)
		default:
			contexts = append(contexts, context)
		}
	}
	if len(contexts) == 0 && len(unseen) == 0 {
		unseen = append(unseen, "no config.ini.php was found: Matomo is not installed yet")
	}
	return contexts, unseen
}

// privateConfig gives each configuration with its directory to root, and lets
// only its user read it.
func privateConfig(v *View) []Change {
	var changes []Change
	contexts, _ := configured(v.Server)
	for _, context := range contexts {
		group := v.Users[context.User].Group
		dir := path.Dir(context.Config)
		if p := inode(v.Server, dir); group != "" && p.Type == facts.Dir && (p.Owner != "root" || p.Mode&0o022 != 0) {
			changes = append(changes, owned(dir, "root", group, 0o750))
		}
		p := inode(v.Server, context.Config)
		if group != "" && (p.Owner != "root" || p.Group != group || p.Mode != 0o640) {
			changes = append(changes, owned(context.Config, "root", group, 0o640))
		}
	}
	return changes
}
