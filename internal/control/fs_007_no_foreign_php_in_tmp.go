package control

import (
	"rocca/internal/facts"
	"rocca/internal/model"
)

var fs007 = Control{
	ID:       "FS-07",
	Title:    "tmp holds no PHP but what Matomo itself writes there",
	Why:      "PHP in tmp/cache and tmp/templates_c is included at the next request. It is the one place that Matomo's own integrity check never looks at, so a back door stays there for years.",
	Severity: model.High,
	Needs:    []facts.Section{facts.App},
	Eval: func(v *View) Verdict {
		var found []model.Evidence
		for _, f := range v.Integrity.Foreign {
			found = append(found, model.Evidence{Subject: f.Path, Have: f.Why + ", of " + f.Owner, Want: "only caches that Matomo writes"})
		}
		return conclude(found, blind(v, facts.Code))
	},
	Fix: Fix{Kind: model.FixAutomatic, Text: "keep a copy as evidence, empty tmp/cache and tmp/templates_c (Matomo writes them anew), then look for how it got there",
		Changes: func(v *View) []Change {
			var changes []Change
			for _, f := range v.Integrity.Foreign {
				changes = append(changes, Change{Sentence: "take " + f.Path + " away, and keep it as evidence", Command: "install -d -m 0700 /root/evidence && mv " + shellWord(f.Path) + " /root/evidence/"})
			}
			return changes
		}},
	Attack: "A05 A27",
	Maps:   []model.Ref{s2("28"), asvs("5.3.1")},
	Since:  "0.3",
}
