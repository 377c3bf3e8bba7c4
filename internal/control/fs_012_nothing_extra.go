package control

import (
	"rocca/internal/facts"
	"rocca/internal/model"
)

var fs012 = Control{
	ID:       "FS-12",
	Title:    "nothing lies in Matomo's directory that is not part of it",
	Why:      "Copies of configurations, dumps, .git and status pages that somebody left behind are fetched by scanners within hours: they tell passwords, versions and hosts. A script of no release may be a web shell.",
	Severity: model.High,
	Needs:    []facts.Section{facts.App},
	Eval: func(v *View) Verdict {
		var found []model.Evidence
		for _, name := range v.Integrity.Extra {
			found = append(found, model.Evidence{Subject: inCode(v.Server, name), Have: "in no release", Want: "not in the document root"})
		}
		unread := blind(v, facts.Code)
		if v.Integrity.Baseline == "" {
			unread = append(unread, "there is no list of the files of this release to compare with")
		}
		return conclude(found, unread)
	},
	Fix:    automatic("look at each, keep what you need outside of the document root, and delete the rest", codeSteps...),
	Attack: "A07",
	Maps:   []model.Ref{asvs("13.4.1"), asvs("15.2.3"), s2("8")},
	Since:  "0.3",
}
