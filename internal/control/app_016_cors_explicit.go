package control

import (
	"slices"
	"strings"

	"rocca/internal/facts"
	"rocca/internal/model"
)

const corsDomains = "General.cors_domains"

var app016 = Control{
	ID:       "APP-16",
	Title:    "only named origins may read the API from a browser",
	Why:      "With * Matomo answers every origin, and lets the browser send the session along: any page that an administrator visits reads all reports.",
	Severity: model.Medium,
	Needs:    []facts.Section{facts.App},
	Eval: func(v *View) Verdict {
		contexts, unread := readable(forUsers(v))
		found, unseen := answers(v, "cors")
		var against []model.Evidence
		var named []string
		for _, c := range contexts {
			path, line := c.Where(corsDomains)
			for _, origin := range c.Settings[corsDomains] {
				named = append(named, origin)
				switch {
				case strings.Contains(origin, "*"):
					against = append(against, model.Evidence{Subject: path, Line: line, Have: shown(corsDomains, origin), Want: "named origins, or none"})
				case strings.HasPrefix(origin, "http://"):
					against = append(against, model.Evidence{Subject: path, Line: line, Have: shown(corsDomains, origin) + ": whoever is on the way to it can speak for it", Want: "https://"})
				}
			}
		}
		for _, answer := range found {
			for _, origin := range header(answer.Answer, "Access-Control-Allow-Origin") {
				if !slices.Contains(named, origin) {
					against = append(against, said(answer.Answer, "Access-Control-Allow-Origin: "+origin, "no such header for a foreign origin"))
				}
			}
		}
		return conclude(against, append(unread, unseen...))
	},
	Fix:    automatic("Remove cors_domains[] from [General], or list the exact origins, with https://. Take Access-Control-Allow-Origin out of the front's configuration for everything but the tracker.", configurationSteps...),
	Attack: "A23",
	Maps:   []model.Ref{asvs("3.4.2")},
	Since:  "0.3",
}
