package control

import (
	"rocca/internal/facts"
	"rocca/internal/model"
)

var ops001 = Control{
	ID:       "OPS-01",
	Title:    "there is a plan for an incident, exercised in the last year",
	Why:      "During an attack nobody has time to find out whom to call, how to cut the server off and what must be told to whom: the authority within 72 hours. A plan that was never tried has numbers in it that nobody answers.",
	Severity: model.Medium,
	Needs:    []facts.Section{facts.Own},
	Eval: func(v *View) Verdict {
		return conclude(documented(v, "incident-plan", "the plan for an incident, with contacts and the date of the last exercise"), nil)
	},
	Fix:   guided("Write it down: isolate, assess, contain, eradicate, recover, learn; with contacts and what must be reported (GDPR Art. 33 and 34). Exercise it, then name document and date as incident-plan under records: in rocca.yaml."),
	Maps:  []model.Ref{s1("44"), s1("47"), gdpr("Art. 33"), gdpr("Art. 34")},
	Since: "0.3",
}
