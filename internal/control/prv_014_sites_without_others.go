package control

import (
	"cmp"
	"slices"
	"strings"

	"rocca/internal/facts"
	"rocca/internal/model"
)

// trackers are the hosts of others who count visitors.
var trackers = []string{
	"google-analytics.com", "googletagmanager.com", "analytics.google.com", "doubleclick.net", "connect.facebook.net", "facebook.com",
	"hotjar.com", "clarity.ms", "bat.bing.com", "mc.yandex.ru", "snap.licdn.com", "analytics.tiktok.com", "mixpanel.com",
	"segment.com", "amplitude.com", "fullstory.com", "mouseflow.com", "adobedtm.com", "demdex.net", "quantserve.com", "scorecardresearch.com",
	"cloudflareinsights.com", "plausible.io", "matomo.cloud",
}

var prv014 = Control{
	ID:       "PRV-14",
	Title:    "the tracked sites load the tracker from this server, and no tracker of others",
	Why:      "A Matomo of one's own helps nobody whose page also tells Google. And a tracker script from elsewhere is not the one that is watched here.",
	Severity: model.Medium,
	Needs:    []facts.Section{facts.Own},
	Eval: func(v *View) Verdict {
		if len(v.Declared.TrackedSites) == 0 {
			return notApplicable("no page of a tracked site is named: tracked_pages in rocca.yaml")
		}
		var against []model.Evidence
		unread := blind(v, facts.Requests)
		for _, site := range v.Declared.TrackedSites {
			page, why := fetched(v, site)
			if why != "" {
				unread = append(unread, site+" was not fetched: "+why)
				continue
			}
			for _, origin := range page.Origins {
				if host := strings.ToLower(origin); slices.ContainsFunc(trackers, func(tracker string) bool { return host == tracker || strings.HasSuffix(host, "."+tracker) }) {
					against = append(against, model.Evidence{Subject: site, Have: "loads from " + origin, Want: "no tracker of others"})
				}
			}
			if !slices.ContainsFunc(page.Origins, func(origin string) bool { return declaredHost(origin, v.Declared.Names) }) {
				against = append(against, model.Evidence{Subject: site, Have: "loads nothing from this Matomo", Want: "matomo.js from " + strings.Join(v.Declared.Names, " or ")})
			}
		}
		return conclude(against, unread)
	},
	Fix:   Fix{Kind: model.FixNone, Text: "Change the pages: it is not in the hands of this server."},
	Maps:  []model.Ref{s2("1"), s2("4"), s2("5")},
	Since: "0.3",
}

// fetched is the answer for a page of a tracked site, or why there is none.
func fetched(v *View, site string) (page facts.Answer, why string) {
	for _, answer := range v.Answers {
		switch {
		case answer.URL != site:
		case answer.Verdict == facts.Served:
			return answer, ""
		case answer.Problem != "":
			why = answer.Problem
		default:
			why = outcome(answer)
		}
	}
	return facts.Answer{}, cmp.Or(why, "it was not asked for")
}
