package control

import (
	"fmt"

	"rocca/internal/facts"
	"rocca/internal/model"
)

var trk004Settings = demands{forHits, []demand{
	{key: "Tracker.enable_spam_filter", usual: "1", want: "1", why: "visits that only advertise their referrer are counted"},
}}

var trk004 = Control{
	ID:       "TRK-04",
	Title:    "visits of foreign pages and of referrer spam are not counted",
	Why:      "Anybody can send hits for any site. Without these filters advertisers write their addresses into your reports, and a copy of your page elsewhere counts as yours.",
	Severity: model.Low,
	Needs:    []facts.Section{facts.App, facts.Content},
	Eval: func(v *View) Verdict {
		against, unread := trk004Settings.against(v)
		for _, site := range v.Rows.Sites {
			if !site.ExcludeUnknown {
				against = append(against, model.Evidence{Subject: fmt.Sprintf("site %d", site.ID), Have: "takes hits of pages that are not below " + site.URL, Want: "only track visits and actions of its own addresses"})
			}
		}
		return conclude(against, append(unread, gaps(v, "sites")...))
	},
	Fix: Fix{
		Kind:    model.FixAutomatic,
		Text:    "Set enable_spam_filter = 1 in [Tracker] (the list comes with Matomo, no connection is needed), list all addresses of each site, and then switch on that only these are tracked (Administration, Websites, Manage).",
		Steps:   configurationSteps,
		Changes: trk004Settings.changes,
	},
	Attack: "A20",
	Since:  "0.3",
}
