package control

import (
	"rocca/internal/facts"
	"rocca/internal/model"
)

var prv011Settings = demands{forHits, []demand{
	{key: "Tracker.enable_fingerprinting_across_websites", usual: "0", want: "0", why: "a visitor is recognised on all sites by address and browser"},
	{key: thirdPartyCookie, usual: "0", want: "0", why: "a cookie follows the visitor over all sites"},
}}

var prv011 = Control{
	ID:       "PRV-11",
	Title:    "nobody is followed from one site to another",
	Why:      "Over all tracked sites together a profile of a person comes to be that no single site could make, and that no exemption covers.",
	Severity: model.Medium,
	Needs:    []facts.Section{facts.App},
	Eval: func(v *View) Verdict {
		against, unread := prv011Settings.against(v)
		return conclude(append(against, cookies(v)...), unread)
	},
	Fix: Fix{
		Kind:    model.FixAutomatic,
		Text:    "Set enable_fingerprinting_across_websites = 0 and use_third_party_id_cookie = 0 in [Tracker].",
		Steps:   configurationSteps,
		Changes: prv011Settings.changes,
	},
	Attack: "A33",
	Maps:   []model.Ref{gdpr("Art. 25")},
	Since:  "0.3",
}
