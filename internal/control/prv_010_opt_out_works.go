package control

import (
	"rocca/internal/facts"
	"rocca/internal/model"
)

var prv010 = Control{
	ID:       "PRV-10",
	Title:    "every visitor reaches the opt-out, from any page that shows it",
	Why:      "Who objects must be able to. A list of addresses for administrators, or a header against framing for the whole site, takes the opt-out away without anybody noticing.",
	Severity: model.High,
	Needs:    []facts.Section{facts.Requests},
	Eval: func(v *View) Verdict {
		if elsewhere(v, "ui") {
			return notApplicable("the user interface is on another machine (roles in rocca.yaml)")
		}
		found, unseen := answers(v, "optout")
		var against []model.Evidence
		for _, answer := range found {
			switch {
			case answer.Verdict != facts.Served:
				against = append(against, said(answer.Answer, outcome(answer.Answer), "the opt-out, for everybody"))
			case unframeable(answer.Answer):
				against = append(against, said(answer.Answer, "cannot be shown in a frame of a tracked site", "no X-Frame-Options and no frame-ancestors"))
			}
		}
		return conclude(against, unseen)
	},
	Fix:    automatic("Answer index.php?module=CoreAdminHome&action=optOut and optOutJS for everybody, and send no header against framing with these two.", frontSteps...),
	Attack: "A33",
	Maps:   []model.Ref{gdpr("Art. 21"), matomo("#13066")},
	Since:  "0.3",
}
