package control

import (
	"strings"

	"rocca/internal/facts"
	"rocca/internal/model"
)

// The audit does not attack, so this is judged by configuration. That hits are
// not lost when there are many is the spool's work.
var frt009 = Control{
	ID:       "FRT-09",
	Title:    "the front limits how often a client may try the login and the API",
	Why:      "Without a limit an attacker tries passwords and tokens as fast as PHP answers, and keeps all workers busy while he does. Matomo's own lock counts in the database, after PHP has done the work.",
	Severity: model.Medium,
	Needs:    []facts.Section{facts.Web},
	Eval: func(v *View) Verdict {
		sites := v.MatomoSites()
		if len(sites) == 0 {
			return unknown("no site of the front was found that serves Matomo")
		}
		var found []model.Evidence
		for _, site := range sites {
			if redirects(site) {
				continue
			}
			switch v.Front.Program {
			case "nginx":
				if !nginxLimited(v, site) {
					found = append(found, siteSubject(site, "no limit_req where /index.php is answered", "limit_req for /index.php, by client"))
				}
			case "apache2":
				if len(v.Front.Directive(site, "qs_clienteventlimitcount"))+len(v.Front.Directive(site, "dospagecount"))+len(v.Front.Directive(site, "qs_clienteventpersecrequest")) == 0 {
					have := "Apache itself cannot limit requests of a client, and no module that can is configured"
					if v.OS.Version == "12" {
						have += "; mod_qos of Debian 12 does not load (undefined symbol pcre_free)"
					}
					found = append(found, siteSubject(site, have, "mod_qos (Debian 13), nginx, or a proxy that limits"))
				}
			default:
				return unknown("rocca does not know how " + v.Front.Program + " limits requests")
			}
		}
		return conclude(found, nil)
	},
	Fix:    guided("nginx: rocca's site has the limits (limit_req for /index.php; hits are not limited). Apache of Debian 13: mod_qos, as rocca sets it up. Apache of Debian 12 has no module that works: choose nginx (front: nginx in rocca.yaml), go to Debian 13, or let a proxy limit."),
	Attack: "A12 A20",
	Maps:   []model.Ref{nginx("5.2.4"), nginx("5.2.5"), asvs("6.3.1")},
	Since:  "0.3",
}

// nginxLimited tells whether requests for /index.php are counted. limit_req is
// inherited by a location that has none.
func nginxLimited(v *View, site facts.Site) bool {
	if len(site.Directives["limit_req"])+len(v.Front.Global["limit_req"]) > 0 {
		return true
	}
	if location, known := certainLocation(site, "/index.php"); known {
		return len(location.Directives["limit_req"]) > 0
	}
	for _, location := range site.Locations { // a pattern that rocca cannot read: any will do
		if strings.Contains(location.Match, "index") && len(location.Directives["limit_req"]) > 0 {
			return true
		}
	}
	return false
}
