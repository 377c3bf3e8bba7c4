package control

import (
	"strings"

	"rocca/internal/facts"
	"rocca/internal/model"
)

// claims are what the security guide of a server like this one states (S1), and
// the controls that show whether it is so. A control is a function of facts and
// does not see what others came to: the evidence names them for the reader of
// the report, and each claim is contradicted where one of them fails.
var claims = []struct{ states, shownBy string }{
	{"no secret lies on the server", "FS-04 FS-13 PHP-09"},
	{"the network is isolated", "HST-05 HST-06 DB-01"},
	{"everything has the least rights", "DB-03 ACC-01 ACC-08"},
	{"data is encrypted at rest and in transit", "DB-07 DB-09 TLS-01"},
	{"trusted hosts are set", "APP-04 FRT-04"},
	{"security headers are sent", "FRT-10 FRT-11 FRT-12 TLS-05"},
	{"the database user is not root", "DB-02"},
	{"the database has strong, generated passwords", "DB-08"},
	{"only the application reaches the database", "DB-01 DB-04"},
	{"SSH is restricted to known addresses", "SSH-01 SSH-02"},
	{"security updates are applied", "HST-02 HST-03 APP-01"},
	{"failed logins are watched", "SSH-04 APP-13 LOG-01"},
	{"an incident is planned for", "OPS-01"},
	{"security is looked after all the time", "OPS-05 UPD-05"},
}

var ops006 = Control{
	ID:       "OPS-06",
	Title:    "a runbook is on file, looked at in the last year, and what it claims is shown by controls",
	Why:      "A guide that promises what the server does not do is worse than none: people rely on it. S1 promised encryption, least privilege and no local secrets, and its own code did none of them.",
	Severity: model.Medium,
	Needs:    []facts.Section{facts.Own},
	Eval: func(v *View) Verdict {
		if found := documented(v, "runbook", "the runbook of this server"); len(found) > 0 {
			return fail(found...)
		}
		var shown []model.Evidence
		for _, c := range claims {
			shown = append(shown, model.Evidence{Subject: v.Declared.Records["runbook"].Document, Have: c.states, Want: strings.ReplaceAll(c.shownBy, " ", ", ") + " not failed"})
		}
		return pass(shown...)
	},
	Fix:    guided("Write down how this server is run (docs/layout.md of rocca is a start), compare what it claims with this report, and name it with the date as runbook under records: in rocca.yaml."),
	Attack: "all",
	Maps:   []model.Ref{s1("as a whole"), s2("34")},
	Since:  "0.3",
}
