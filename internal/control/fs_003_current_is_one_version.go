package control

import (
	"rocca/internal/facts"
	"rocca/internal/model"
)

var fs003 = Control{
	ID:       "FS-03",
	Title:    "the front serves one complete version, through a link that belongs to root",
	Why:      "An upgrade that copies over the running code is a mixture while it lasts, and for ever when it breaks off. A link is switched in one step, and back.",
	Severity: model.High,
	Needs:    []facts.Section{facts.Files, facts.App, facts.Code},
	Eval: func(v *View) Verdict {
		if v.Matomo.Root == "" {
			return unknown("no document root of Matomo was found")
		}
		var found []model.Evidence
		link := inode(v.Server, v.Matomo.Root)
		switch {
		case !link.Exists():
			return unknown(v.Matomo.Root + " was not seen")
		case link.Type != facts.Symlink:
			found = append(found, model.Evidence{Subject: v.Matomo.Root, Have: "a directory", Want: "a link to a directory with the version in its name"})
		case link.Owner != "root":
			found = append(found, model.Evidence{Subject: v.Matomo.Root, Have: "a link of " + link.Owner, Want: "a link of root"})
		}
		for _, name := range v.Integrity.Missing {
			found = append(found, model.Evidence{Subject: inCode(v.Server, name), Have: "missing", Want: "as in Matomo " + v.Matomo.Version})
		}
		if v.Integrity.Baseline == "" {
			return conclude(found, []string{"there is no list of the files of this release to compare with"})
		}
		return conclude(found, nil)
	},
	Fix:    automatic("unpack each release into a directory of its own, owned by root, and let the front serve a link to it: ln -s www-matomo.VERSION www.new && mv -T www.new www", codeSteps...),
	Attack: "A25",
	Maps:   []model.Ref{s2("25")},
	Since:  "0.3",
}
