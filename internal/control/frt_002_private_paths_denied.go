package control

import (
	"rocca/internal/facts"
	"rocca/internal/model"
)

var frt002 = Control{
	ID:       "FRT-02",
	Title:    "configuration, temporary files, sources and left-overs cannot be fetched",
	Why:      "An attacker asks for config/config.ini.php~, .git/config, dump.sql or tmp/logs/matomo.log and reads passwords, visits or the whole source, without any login. Programs try such lists on every server of the internet, in many spellings.",
	Severity: model.Critical,
	Needs:    []facts.Section{facts.Requests},
	Eval: func(v *View) Verdict {
		var found []model.Evidence
		paths := privatePaths(v)
		if len(paths) == 0 {
			return unknown("the front was not asked for private paths")
		}
		var unseen []string
		for _, answer := range paths {
			switch answer.Verdict {
			case facts.Leaked, facts.Served, facts.Executed:
				found = append(found, said(answer.Answer, outcome(answer.Answer), "403 or 404"))
			case "":
				if len(unseen) == 0 {
					unseen = append(unseen, "no answer to "+answer.name+": "+answer.Problem)
				}
			}
		}
		return conclude(found, unseen)
	},
	Fix:    automatic("Answer 404 to all that no rule names: an allow-list. Deny-lists forget backups, dumps and whatever comes next.", frontSteps...),
	Attack: "A07",
	Maps:   []model.Ref{asvs("13.4.7"), s2("16")},
	Since:  "0.3",
}
