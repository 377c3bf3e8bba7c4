package control

import (
	"rocca/internal/facts"
	"rocca/internal/model"
)

var prv013 = Control{
	ID:       "PRV-13",
	Title:    "Matomo's pages load nothing from other hosts",
	Why:      "Fonts, maps and pictures of others tell them who administers this Matomo and when; and a script of others is code on the page of an administrator.",
	Severity: model.Medium,
	Needs:    []facts.Section{facts.Requests},
	Eval: func(v *View) Verdict {
		found, unseen := pages(v, "ui")
		var against []model.Evidence
		for _, page := range found {
			for _, origin := range page.Origins {
				if !declaredHost(origin, v.Declared.Names) {
					against = append(against, said(page.Answer, "loads from "+origin, "own host only"))
				}
			}
		}
		return conclude(against, unseen)
	},
	Fix:    automatic("Take out what a plugin or a template added, or keep a copy of it on this host. Matomo as released loads nothing from others.", configurationSteps...),
	Attack: "A23",
	Maps:   []model.Ref{s2("4"), asvs("3.6.1")},
	Since:  "0.3",
}
