package control

import (
	"rocca/internal/facts"
	"rocca/internal/model"
)

var app019 = Control{
	ID:       "APP-19",
	Title:    "Matomo's own diagnostics find no error",
	Why:      "An error there is a part that does not work: archiving that fails, a directory that cannot be written, a file that is missing. Their OK is no proof of security: they cannot see most of what is checked here.",
	Severity: model.Low,
	Needs:    []facts.Section{facts.App},
	Eval: func(v *View) Verdict {
		if v.Matomo.Diagnosis == nil {
			return unknown("Matomo's diagnostics were not run: rocca audit --deep runs them")
		}
		var against []model.Evidence
		for _, message := range v.Matomo.Diagnosis.Errors {
			against = append(against, model.Evidence{Subject: "diagnostics:run", Have: message, Want: "no error"})
		}
		return conclude(against, nil)
	},
	Fix:   guided("Run console diagnostics:run as Matomo's user and follow what it says, but where it asks for writable code or shell_exec: that would undo the protection."),
	Maps:  []model.Ref{s1("44")},
	Since: "0.3",
}
