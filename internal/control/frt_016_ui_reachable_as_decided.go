package control

import (
	"strings"

	"rocca/internal/facts"
	"rocca/internal/model"
)

var frt016 = Control{
	ID:       "FRT-16",
	Title:    "the user interface is reachable from the networks that its owner decided on, and tracking from everywhere",
	Why:      "Most reports are read from a few networks. A login page that all of the internet reaches is where stolen passwords and the next weakness of Matomo are tried first. Tracking, its script and the opt-out must stay reachable for every visitor.",
	Severity: model.Medium,
	Needs:    []facts.Section{facts.Web, facts.Requests, facts.Own},
	Eval: func(v *View) Verdict {
		var found []model.Evidence
		public, unseen := answers(v, "tracker", "script", "optout")
		for _, answer := range public {
			if answer.Verdict == facts.Refused {
				found = append(found, said(answer.Answer, outcome(answer.Answer), "reachable for every visitor"))
			}
		}
		login, unasked := answers(v, "ui")
		for _, answer := range login {
			if answer.Verdict == facts.Refused || restricted(v) {
				continue
			}
			have, want := "the front lets everybody in, though rocca.yaml has admin_networks: "+strings.Join(v.Declared.AdminNetworks, ", "), "allowed for these networks only"
			if len(v.Declared.AdminNetworks) == 0 {
				have, want = "everybody may reach login and API, and nothing says that this was decided", "admin_networks in rocca.yaml, or a waiver of its owner"
			}
			found = append(found, said(answer.Answer, have, want))
		}
		return conclude(found, append(unseen, unasked...))
	},
	Fix:    guided("Name the networks of those who read reports in admin_networks of rocca.yaml and run rocca up; tracking and the opt-out stay open. If reports are read from everywhere, record that as a waiver of FRT-16."),
	Attack: "A13",
	Maps:   []model.Ref{asvs("6.3.4"), nginx("5.1.1")},
	Since:  "0.3",
}

// restricted tells whether a site of Matomo lets only some addresses in
// somewhere: by allow and deny, by geo and a condition (nginx), by Require
// (Apache). The page itself was served, so the audit's own address is let in.
func restricted(v *View) bool {
	for _, site := range v.MatomoSites() {
		for _, location := range site.Locations {
			if len(location.Directives["allow"]) > 0 && len(location.Directives["deny"]) > 0 {
				return true
			}
			for _, s := range location.Directives["require"] {
				if strings.HasPrefix(s.Value, "ip ") || strings.HasPrefix(s.Value, "host ") {
					return true
				}
			}
			if location.Kind == "if" && strings.Contains(location.Match, "$") && len(v.Front.Global["geo"]) > 0 && denies(location) {
				return true
			}
		}
		if len(site.Directives["allow"]) > 0 && len(site.Directives["deny"]) > 0 {
			return true
		}
	}
	return false
}
