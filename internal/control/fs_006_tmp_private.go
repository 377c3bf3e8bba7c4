package control

import (
	"fmt"

	"rocca/internal/facts"
	"rocca/internal/model"
	"rocca/internal/reach"
)

var fs006 = Control{
	ID:       "FS-06",
	Title:    "Matomo's tmp lies outside of the document root, and only the user that runs it gets in",
	Why:      "Matomo writes PHP to tmp and includes it: who can put a file there runs code as Matomo, and who can read there has sessions and cached pages. Inside of the document root one missing rule of the front serves all of it.",
	Severity: model.High,
	Needs:    principals,
	Eval: func(v *View) Verdict {
		var found []model.Evidence
		var unseen []string
		seen := 0
		for _, context := range v.Matomo.Contexts {
			p := inode(v.Server, context.Tmp)
			if context.Tmp == "" || !p.Exists() {
				continue
			}
			if context.User == "" {
				unseen = append(unseen, "it is not known which user runs Matomo with "+context.Tmp)
				continue
			}
			seen++
			if within(context.Tmp, v.Matomo.Root) || within(context.Tmp, v.Matomo.Real) {
				found = append(found, model.Evidence{Subject: context.Tmp, Have: "in the document root", Want: "outside of it"})
			}
			if p.Type != facts.Dir || p.Mode&0o077 != 0 || p.Owner != context.User {
				found = append(found, model.Evidence{Subject: context.Tmp, Have: fmt.Sprintf("%s %s:%s %04o", p.Type, p.Owner, p.Group, uint32(p.Mode)), Want: context.User + " 0700"})
			}
			others := append(reach.Without(v.Reach.WritersBelow(context.Tmp), context.User), reach.Without(v.Reach.Readers(context.Tmp), context.User)...)
			found = append(found, ways(context.Tmp, others, "reachable by "+context.User+" only")...)
		}
		if seen == 0 && len(unseen) == 0 {
			unseen = append(unseen, "no tmp of Matomo was found")
		}
		return conclude(found, unseen)
	},
	Fix: Fix{Kind: model.FixAutomatic, Text: "move the state of Matomo out of the document root (PIWIK_USER_PATH in a bootstrap.php of root), and chown POOL:POOL && chmod 0700 its tmp", Steps: []string{"directory */tmp", "file */bootstrap.php"},
		Changes: func(v *View) []Change {
			var changes []Change
			for _, context := range v.Matomo.Contexts {
				p, user := inode(v.Server, context.Tmp), v.Users[context.User]
				if p.Type == facts.Dir && user.Exists && (p.Owner != context.User || p.Mode&0o077 != 0) {
					changes = append(changes, owned(context.Tmp, context.User, user.Group, 0o700))
				}
			}
			return changes
		}},
	Attack: "A05 A07",
	Maps:   []model.Ref{s2("24")},
	Since:  "0.3",
}
