package control

import (
	"fmt"
	"slices"

	"rocca/internal/facts"
	"rocca/internal/model"
)

var log007 = Control{
	ID:       "LOG-07",
	Title:    "no password, token or key is in the logs of PHP, Matomo and the database",
	Why:      "Logs are read by more people than a configuration, are sent to other machines and stay in backups. A password in a stack trace there is a password given away.",
	Severity: model.Medium,
	Needs:    []facts.Section{facts.Logging, facts.Files},
	Eval: func(v *View) Verdict {
		var found []model.Evidence
		sampled := 0
		for _, f := range v.Logs.Files {
			if f.Kind == "access" { // LOG-01
				continue
			}
			sampled++
			if f.Tokens > 0 {
				found = append(found, model.Evidence{Subject: f.Path, Have: fmt.Sprintf("%d of the last %d lines hold a token or password%s", f.Tokens, f.Lines, sample(f)), Want: "none"})
			}
		}
		for _, place := range v.Oddities.Secrets {
			if within(place.Path, "/var/log") {
				found = append(found, model.Evidence{Subject: place.Path, Line: place.Line, Have: place.Kind, Want: "none"})
			}
		}
		if sampled == 0 {
			return conclude(found, []string{"no log of PHP, Matomo, the database or the front's errors was found to look at"})
		}
		return conclude(found, nil)
	},
	Fix:    automatic("zend.exception_ignore_args = On keeps arguments out of stack traces; [log] log_level = WARN and [Tracker] debug = 0 keep requests out of Matomo's log; the front's error_log at a level that prints no requests. Then change what was logged: it is known.", slices.Concat(phpSteps, configurationSteps, frontSteps)...),
	Attack: "A33",
	Maps:   []model.Ref{asvs("16.2.5")},
	Since:  "0.3",
}
