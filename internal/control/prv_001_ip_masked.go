package control

import (
	"rocca/internal/facts"
	"rocca/internal/model"
)

var prv001 = Control{
	ID:       "PRV-01",
	Title:    "two bytes or more of each visitor's address are masked before it is stored",
	Why:      "An IP address is personal data. Whoever steals the database, or is allowed to see it, then knows which connection read what and when.",
	Severity: model.High,
	Needs:    []facts.Section{facts.Content},
	Eval: func(v *View) Verdict {
		var against []model.Evidence
		if on, e := option(v, "PrivacyManager.ipAnonymizerEnabled", "1"); !switchedOn(on) {
			against = append(against, wanting(e, "1"))
		}
		if bytes, e := option(v, "PrivacyManager.ipAddressMaskLength", "2"); !between(bytes, 2, 4) {
			against = append(against, wanting(e, "2 or more"))
		}
		if plugin, known := v.Plugins["PrivacyManager"]; known && !plugin.Active {
			against = append(against, model.Evidence{Subject: "plugin PrivacyManager", Have: "off: whole addresses are stored", Want: "active"})
		}
		return conclude(against, append(blind(v, facts.Extend), gaps(v, "options")...))
	},
	Fix:    automatic("Administration, Privacy, Anonymize data: mask two bytes or more. Keep the plugin PrivacyManager active."),
	Attack: "A33",
	Maps:   []model.Ref{s2("1"), gdpr("Art. 5(1)(c)"), gdpr("Art. 25")},
	Since:  "0.3",
}
