package control

import (
	"strings"

	"rocca/internal/facts"
	"rocca/internal/model"
)

var frt001 = Control{
	ID:       "FRT-01",
	Title:    "no PHP runs but Matomo's entry points",
	Why:      "Matomo is started by four files. All other PHP is meant to be included: asked for by itself it skips the login, and a file that an attacker has put somewhere runs just the same.",
	Severity: model.Critical,
	Needs:    []facts.Section{facts.Web, facts.Requests},
	Eval: func(v *View) Verdict {
		var found []model.Evidence
		asked := 0
		for _, answer := range privatePaths(v) {
			if strings.Contains(strings.ToLower(answer.name), ".php") && answer.Verdict != "" {
				asked++
			}
			if answer.Verdict == facts.Executed {
				found = append(found, said(answer.Answer, outcome(answer.Answer), "403 or 404"))
			}
		}
		for _, site := range v.MatomoSites() {
			for _, location := range site.Locations {
				if v.Front.Program == "nginx" && location.Backend != "" && anyPHP(location) {
					found = append(found, model.Evidence{Subject: location.File, Line: location.Line, Have: "location " + location.Match + " hands every PHP file to " + location.Backend, Want: "one location for each entry point, by its exact path"})
				}
			}
		}
		if asked == 0 {
			return conclude(found, []string{"the front was not asked for any PHP that is no entry point"})
		}
		return conclude(found, nil)
	},
	Fix:    automatic("Hand only /index.php, /matomo.php, /piwik.php and /js/index.php to PHP, each by its exact path, and answer 404 to all that no rule names.", frontSteps...),
	Attack: "A08",
	Maps:   []model.Ref{asvs("13.4.7"), s2("20")},
	Since:  "0.3",
}

// anyPHP tells whether a location of nginx is for PHP files of any name.
func anyPHP(location facts.Location) bool {
	operator, match := locationMatch(location)
	if operator != "~" && operator != "~*" {
		return false
	}
	for _, entry := range []string{"index", "matomo", "piwik"} {
		if strings.Contains(match, entry) {
			return false
		}
	}
	return strings.Contains(match, `\.php`) || strings.Contains(match, ".ph")
}
