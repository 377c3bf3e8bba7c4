package control

import (
	"rocca/internal/facts"
	"rocca/internal/model"
)

var hst012 = Control{
	ID:       "HST-12",
	Title:    "every program with more rights than its caller comes from a package, unchanged",
	Why:      "A copy of a shell with the set-user-ID bit is the classic back door: whoever knows it is root again at any time. A program of no package gets no fixes either.",
	Severity: model.Medium,
	Needs:    []facts.Section{facts.Files, facts.Software},
	Eval: func(v *View) Verdict {
		var found []model.Evidence
		for _, p := range v.Oddities.Privileged {
			e := model.Evidence{Subject: p.Path, Want: "as a package ships it, or without the bit"}
			switch {
			case foreignRoot(p.Path):
				continue
			case p.Package == "":
				e.Have = "of no package"
			case p.Changed:
				e.Have = "not what " + p.Package + " ships"
			default:
				continue
			}
			found = append(found, e)
		}
		return conclude(found, nil)
	},
	Fix:    guided("find out what put it there; then chmod ug-s FILE (setcap -r FILE for a capability), or apt-get install --reinstall PACKAGE"),
	Attack: "A16",
	Maps:   []model.Ref{debian("7.1.13"), devsec("os-06")},
	Since:  "0.3",
}
