package control

import (
	"slices"
	"strings"

	"rocca/internal/facts"
	"rocca/internal/model"
)

// rightsFiles are the files by which somebody gets more rights.
var rightsFiles = []string{"/etc/sudoers", "/etc/passwd", "/etc/group"}

var log005 = Control{
	ID:       "LOG-05",
	Title:    "changes of accounts and rights are recorded",
	Why:      "An intruder who wants to stay makes himself an account, or a line in sudoers. A record of who changed them, and by which program, is how it is noticed and how far it went.",
	Severity: model.Low,
	Needs:    []facts.Section{facts.Logging},
	Eval: func(v *View) Verdict {
		if !v.Logs.Auditd {
			return fail(model.Evidence{Subject: "auditd", Have: "does not run", Want: "running, with rules for " + strings.Join(rightsFiles, ", ")})
		}
		var found []model.Evidence
		for _, file := range rightsFiles {
			if !slices.ContainsFunc(v.Logs.Audit, func(rule string) bool { return strings.Contains(rule, file) }) {
				found = append(found, model.Evidence{Subject: "auditd", Have: "no rule watches " + file, Want: "-w " + file + " -p wa -k identity"})
			}
		}
		return conclude(found, nil)
	},
	Fix:   automatic("apt install auditd, and in /etc/audit/rules.d: -w /etc/sudoers -p wa -k scope, -w /etc/passwd -p wa -k identity, -w /etc/group -p wa -k identity; augenrules --load."),
	Maps:  []model.Ref{debian("6.2.3.x")},
	Since: "0.3",
}
