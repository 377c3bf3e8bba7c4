package control

import (
	"fmt"

	"rocca/internal/facts"
	"rocca/internal/model"
)

var prv006 = Control{
	ID:       "PRV-06",
	Title:    "user ids and order numbers are stored as pseudonyms",
	Why:      "A login, a mail address or an order number beside each page view names the visitor: a stolen table is then a diary of persons.",
	Severity: model.Medium,
	Needs:    []facts.Section{facts.Content},
	Eval: func(v *View) Verdict {
		var against []model.Evidence
		for _, name := range []string{"PrivacyManager.anonymizeUserId", "PrivacyManager.anonymizeOrderId"} {
			if on, e := option(v, name, "0"); !switchedOn(on) {
				against = append(against, wanting(e, "1"))
			}
		}
		for subject, ids := range map[string]facts.Pseudonyms{"user ids in log_visit": v.Rows.UserIDs, "order numbers in log_conversion": v.Rows.Orders} {
			if ids.Plain > 0 {
				against = append(against, model.Evidence{Subject: subject, Have: fmt.Sprintf("%d of %d as they were sent", ids.Plain, ids.Total), Want: "none"})
			}
		}
		return conclude(against, gaps(v, "options", "user_ids", "orders"))
	},
	Fix:    automatic("Administration, Privacy, Anonymize data: replace user ids and order numbers by pseudonyms; then mask what is stored: console privacymanager:anonymize-some-raw-data --anonymize-userid. Order numbers cannot be compared with the shop's any more."),
	Attack: "A33",
	Maps:   []model.Ref{s2("15"), gdpr("Art. 4(5)"), gdpr("Art. 25")},
	Since:  "0.3",
}
