package control

import (
	"path"
	"strings"

	"rocca/internal/facts"
	"rocca/internal/model"
)

var upd002 = Control{
	ID:       "UPD-02",
	Title:    "an upgrade changes all of the code at once, and the version before is a link away",
	Why:      "Files that are overwritten one by one are half of each version for a while: requests fail, and a run that is cut short leaves a Matomo that no one has ever tested. A link is switched in one step, and back.",
	Severity: model.High,
	Needs:    []facts.Section{facts.App, facts.Files, facts.Own},
	Eval: func(v *View) Verdict {
		root, real := v.Matomo.Root, v.Matomo.Real
		if root == "" || real == "" {
			return unknown("no document root of Matomo was found")
		}
		var found []model.Evidence
		link := inode(v.Server, root)
		switch {
		case !link.Exists():
			return unknown(root + " was not looked at")
		case link.Type != facts.Symlink:
			found = append(found, model.Evidence{Subject: root, Have: "the code lies here itself, so an upgrade overwrites file by file", Want: "a link to a directory of one version"})
		case link.Owner != "root":
			found = append(found, model.Evidence{Subject: root, Have: "a link of " + link.Owner, Want: "a link of root"})
		case v.Matomo.Version != "" && !strings.Contains(path.Base(real), v.Matomo.Version):
			found = append(found, model.Evidence{Subject: root, Have: "leads to " + real + ", which does not say its version, " + v.Matomo.Version, Want: "a directory for each version"})
		}
		if v.Rocca.Unfinished {
			found = append(found, model.Evidence{Subject: "rocca", Have: "a run was cut short", Want: "finished, or taken back: rocca up, or rocca undo"})
		}
		return conclude(found, nil)
	},
	Fix:    automatic("Unpack each version into a directory of its own (www-matomo.VERSION), root's, and switch the link with ln -s NEW x && mv -T x www. Keep the one before until the new one has run for a while.", "link /var/www/*/www", "code /var/www/*/www-matomo.*"),
	Attack: "A25",
	Maps:   []model.Ref{gdpr("Art. 32(1)(b)")},
	Since:  "0.3",
}
