package control

import (
	"rocca/internal/facts"
	"rocca/internal/model"
)

var prv003 = Control{
	ID:       "PRV-03",
	Title:    "places and providers are looked up with the masked address",
	Why:      "City and provider, found with the whole address, stay beside the masked one: together with time and browser they often single out one person again. Two masked bytes alone may not be anonymous.",
	Severity: model.Medium,
	Needs:    []facts.Section{facts.Content},
	Eval: func(v *View) Verdict {
		on, e := option(v, "PrivacyManager.useAnonymizedIpForVisitEnrichment", "0")
		if switchedOn(on) {
			return pass()
		}
		if unread := gaps(v, "options"); len(unread) > 0 {
			return conclude(nil, unread)
		}
		return fail(wanting(e, "1"))
	},
	Fix:    automatic("Administration, Privacy, Anonymize data: use the masked address for the look-up too. Cities become less exact."),
	Attack: "A33",
	Maps:   []model.Ref{s2("2"), gdpr("Art. 25")},
	Since:  "0.3",
}
