package control

import (
	"fmt"

	"rocca/internal/facts"
	"rocca/internal/model"
)

// What is hidden counts for nothing: no control passes because of another port,
// a renamed script or a secret path, and the attacks know all of them.
var ops002 = Control{
	ID:       "OPS-02",
	Title:    "the server was attacked by somebody who knows all of it, and held",
	Why:      "Hidden names and ports are found in minutes, and what relies on them falls with them. A system must stand although everything about it but its keys is known (Kerckhoffs).",
	Severity: model.Medium,
	Needs:    []facts.Section{facts.Own},
	Eval: func(v *View) Verdict {
		proved := v.Rocca.Proved
		if v.Rocca.Unproved != "" {
			return unknown(v.Rocca.Unproved)
		}
		if proved.IsZero() {
			return unknown("the attacks were never run against this server")
		}
		if days := int(v.Observed.Sub(proved) / oneDay); days > 31 {
			return fail(model.Evidence{Subject: "attacks", Have: fmt.Sprintf("last run on %s, %d days ago", date(proved), days), Want: "within 31 days"})
		}
		return pass(model.Evidence{Subject: "attacks", Have: "run on " + date(proved) + " with full knowledge of the configuration"})
	},
	Fix:    Fix{Kind: model.FixNone, Text: "Nothing to change: run the attacks with all that is known of the server (rocca prove), and again after each change."},
	Attack: "all",
	Maps:   []model.Ref{s2("6")},
	Since:  "0.3",
}
