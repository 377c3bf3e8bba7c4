package control

import (
	"fmt"
	"time"

	"rocca/internal/facts"
	"rocca/internal/model"
)

const (
	auditEvery = 26 * time.Hour // a day, and what a timer may be late
	proofEvery = 7 * oneDay
)

var ops005 = Control{
	ID:       "OPS-05",
	Title:    "a timer audits the server every day, and what has changed is told",
	Why:      "A server is changed by upgrades, by people and by intruders. Without a daily look the next finding is by somebody else.",
	Severity: model.Medium,
	Needs:    []facts.Section{facts.Own, facts.Services},
	Eval: func(v *View) Verdict {
		r := v.Rocca
		if r.AuditTimer == "" {
			return fail(model.Evidence{Subject: "audit", Have: "no timer runs it", Want: "rocca-audit.timer, daily"})
		}
		var found []model.Evidence
		timer := v.Units[r.AuditTimer]
		if !timer.Loaded || !timer.Active || !timer.Enabled || timer.Masked {
			found = append(found, model.Evidence{Subject: r.AuditTimer, Have: "is not active, or does not start with the machine", Want: "systemctl enable --now " + r.AuditTimer})
		}
		switch {
		case r.Audited.IsZero() && !timer.Since.IsZero() && v.Observed.Sub(timer.Since) < auditEvery:
			// It was set up just now.
		case r.Audited.IsZero():
			found = append(found, model.Evidence{Subject: r.AuditTimer, Have: "no audit was ever finished", Want: "one each day"})
		case v.Observed.Sub(r.Audited) > auditEvery:
			found = append(found, model.Evidence{Subject: r.AuditTimer, Have: fmt.Sprintf("last audit %d hours ago", int(v.Observed.Sub(r.Audited).Hours())), Want: "one each day"})
		}
		if !r.Proved.IsZero() && v.Observed.Sub(r.Proved) > proofEvery {
			found = append(found, model.Evidence{Subject: "attacks", Have: "last run on " + date(r.Proved), Want: "each week"})
		}
		return conclude(found, nil)
	},
	Fix:    automatic("rocca up sets up rocca-audit.timer (hardening: audit_timer in rocca.yaml). On other servers: a daily timer that runs rocca audit --baseline FILE.", "unit rocca-audit.timer", "file /etc/systemd/system/rocca-audit.*"),
	Attack: "A35",
	Maps:   []model.Ref{s1("52"), s1("44"), gdpr("Art. 32(1)(d)")},
	Since:  "0.3",
}
