package control

import (
	"time"

	"rocca/internal/facts"
	"rocca/internal/model"
)

const erasureDrill = "erasure-drill"

var prv016 = Control{
	ID:       "PRV-16",
	Title:    "it was tried within a year that the data of a person can be handed out and erased, backups included",
	Why:      "Who asks for their data, or for its end, has a month's right to it. On the day of the request it is too late to find that a backup brings the rows back.",
	Severity: model.Medium,
	Needs:    []facts.Section{facts.Own},
	Eval: func(v *View) Verdict {
		record, done := v.Declared.Records[erasureDrill]
		switch {
		case !done:
			return unknown("no drill is recorded (records: " + erasureDrill + " in rocca.yaml): only trying shows that it works")
		case v.Observed.Sub(record.Date) > 365*24*time.Hour:
			return fail(model.Evidence{Subject: "record " + erasureDrill, Have: "of " + record.Date.Format(time.DateOnly), Want: "within 12 months"})
		}
		return pass(model.Evidence{Subject: "record " + erasureDrill, Have: "of " + record.Date.Format(time.DateOnly)})
	},
	Fix:    guided("Send a hit with a user id of your own, export and delete it (Administration, Privacy, GDPR tools), look for it in the tables and note when the last backup with it ends. Record the date in rocca.yaml."),
	Attack: "A26",
	Maps:   []model.Ref{gdpr("Art. 15"), gdpr("Art. 17")},
	Since:  "0.3",
}
