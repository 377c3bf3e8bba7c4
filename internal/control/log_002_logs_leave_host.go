package control

import (
	"strings"

	"rocca/internal/facts"
	"rocca/internal/model"
)

var log002 = Control{
	ID:       "LOG-02",
	Title:    "logs also go where an intruder cannot change them",
	Why:      "Who has become root takes his traces out of the logs first. What already lies on another machine, or is sealed, stays.",
	Severity: model.Medium,
	Needs:    []facts.Section{facts.Logging, facts.Files},
	Eval: func(v *View) Verdict {
		if len(v.Logs.Forwarded) > 0 {
			return pass(model.Evidence{Subject: "logs", Have: "sent by " + strings.Join(v.Logs.Forwarded, ", ")})
		}
		if v.Logs.Sealed && v.Logs.Persistent {
			return pass(model.Evidence{Subject: "journal", Have: "kept, and sealed"})
		}
		appendOnly := 0
		for _, f := range v.Logs.Files {
			if strings.Contains(inode(v.Server, f.Path).Flags, "a") {
				appendOnly++
			}
		}
		if appendOnly > 0 && appendOnly == len(v.Logs.Files) {
			return pass(model.Evidence{Subject: "logs", Have: "append-only"})
		}
		have := "nothing sends the logs away, and the journal is not sealed"
		if !v.Logs.Persistent {
			have += "; it even ends with the next boot"
		}
		return fail(model.Evidence{Subject: "logs", Have: have, Want: "rsyslog, systemd-journal-upload or an agent; or Seal=yes with a persistent journal"})
	},
	Fix:   guided("Only its owner has another machine: send the journal there (systemd-journal-upload, rsyslog with TLS, the agent of the cloud). Without one: mkdir /var/log/journal, journalctl --setup-keys, and keep the key elsewhere."),
	Maps:  []model.Ref{debian("6.1.3.6"), asvs("16.4.2-3")},
	Since: "0.3",
}
