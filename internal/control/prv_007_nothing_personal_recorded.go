package control

import (
	"fmt"

	"rocca/internal/facts"
	"rocca/internal/model"
)

var prv007 = Control{
	ID:       "PRV-07",
	Title:    "no mail address, phone number, password or token is in recorded addresses, titles, events or dimensions",
	Why:      "Tracked pages carry personal data into Matomo that nobody asked for: in search words, confirmation links and titles. It is then in reports, mails and backups too.",
	Severity: model.High,
	Needs:    []facts.Section{facts.Content},
	Eval: func(v *View) Verdict {
		var against []model.Evidence
		for _, found := range v.Rows.Personal {
			if found.Count > 0 {
				against = append(against, model.Evidence{Subject: "recorded " + found.Where, Have: fmt.Sprintf("%s, %d times: %s", found.Kind, found.Count, found.Sample), Want: "none, or a waiver that says why"})
			}
		}
		return conclude(against, gaps(v, "personal"))
	},
	Fix:    guided("Find the pages that send it and change them, exclude the parameters (TRK-03), and delete or mask what is stored: it is in log_action, in the reports and in the backups."),
	Attack: "A33",
	Maps:   []model.Ref{s2("15"), gdpr("Art. 5(1)(c)")},
	Since:  "0.3",
}
