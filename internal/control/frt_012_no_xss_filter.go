package control

import (
	"strings"

	"rocca/internal/facts"
	"rocca/internal/model"
)

// S1 wants X-XSS-Protection: 1; mode=block. No browser of today has the filter,
// and in those that had it, it could be used to switch off parts of a page.
var frt012 = Control{
	ID:       "FRT-12",
	Title:    "the old filter of browsers against scripts is left alone or off",
	Why:      "X-XSS-Protection switched on a filter that attackers used to take single scripts out of a page, and to read from what was taken out. Browsers have removed it; old ones should not be told to use it.",
	Severity: model.Low,
	Needs:    []facts.Section{facts.Requests},
	Eval: func(v *View) Verdict {
		var found []model.Evidence
		asked, unseen := answers(v, "ui")
		for _, answer := range asked {
			for _, value := range header(answer.Answer, "X-XSS-Protection") {
				if strings.TrimSpace(value) != "0" {
					found = append(found, said(answer.Answer, "X-XSS-Protection: "+value, "no such header, or 0"))
				}
			}
		}
		return conclude(found, unseen)
	},
	Fix:   automatic("Take X-XSS-Protection out of the front; Content-Security-Policy does what it promised.", frontSteps...),
	Maps:  []model.Ref{s1("23")},
	Since: "0.3",
}
