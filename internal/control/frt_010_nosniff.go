package control

import (
	"slices"
	"strings"

	"rocca/internal/facts"
	"rocca/internal/model"
)

var frt010 = Control{
	ID:       "FRT-10",
	Title:    "browsers are told not to guess what a file is",
	Why:      "A browser that guesses takes an uploaded picture with a script in it for a page, and runs the script as Matomo's.",
	Severity: model.Medium,
	Needs:    []facts.Section{facts.Requests},
	Eval: func(v *View) Verdict {
		var found []model.Evidence
		answered, unseen := pages(v, "ui", "tracker", "script", "script-piwik", "optout")
		more, _ := pages(v, "js-index", "logo")
		for _, answer := range append(answered, more...) {
			if !slices.ContainsFunc(header(answer.Answer, "X-Content-Type-Options"), func(value string) bool { return strings.EqualFold(strings.TrimSpace(value), "nosniff") }) {
				found = append(found, said(answer.Answer, "no X-Content-Type-Options", "X-Content-Type-Options: nosniff"))
			}
		}
		return conclude(found, unseen)
	},
	Fix:    automatic("Send X-Content-Type-Options: nosniff with every answer. nginx: a location with an add_header of its own inherits none, so each repeats it.", frontSteps...),
	Attack: "A23",
	Maps:   []model.Ref{asvs("3.4.4"), nginx("5.3.2"), s1("23")},
	Since:  "0.3",
}
