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
	Eval:     ofSites(nginxTries, apacheTries, "rocca does not know how %s limits requests"),
	Fix:      guided("nginx: rocca's site has the limits (limit_req for /index.php; hits are not limited). Apache of Debian 13: mod_qos, as rocca sets it up. Apache of Debian 12 has no module that works: choose nginx (front: nginx in rocca.yaml), go to Debian 13, or let a proxy limit."),
	Attack:   "A12 A20",
	Maps:     []model.Ref{nginx("5.2.4"), nginx("5.2.5"), asvs("6.3.1")},
	Since:    "0.3",
}

func nginxTries(v *View, site facts.Site) []model.Evidence {
	if nginxLimited(v, site) {
		return nil
	}
	return []model.Evidence{siteSubject(site, "no limit_req where /index.php is answered", "limit_req for /index.php, by client")}
}

func apacheTries(v *View, site facts.Site) []model.Evidence {
	for _, name := range []string{"qs_clienteventlimitcount", "dospagecount", "qs_clienteventpersecrequest"} {
		if len(v.Front.Directive(site, name)) > 0 {
			return nil
		}
	}
	have := "Apache itself cannot limit requests of a client, and no module that can is configured"
	if v.OS.Version == "12" {
		have += "; mod_qos of Debian 12 does not load (undefined symbol pcre_free)"
	}
	return []model.Evidence{siteSubject(site, have, "mod_qos (Debian 13), nginx, or a proxy that limits")}
}

// nginxLimited tells whether requests for /index.php are counted. limit_req is
// inherited by a location that has none.
func nginxLimited(v *View, site facts.Site) bool {
	if len(site.Directives["limit_req"])+len(v.Front.Global["limit_req"]) > 0 {
		return true
	}
	if location, certain := nginxLocation(site, "/index.php"); certain {
		return len(location.Directives["limit_req"]) > 0
	}
	for _, location := range site.Locations { // a pattern that rocca cannot read: any will do
		if strings.Contains(location.Match, "index") && len(location.Directives["limit_req"]) > 0 {
			return true
		}
	}
	return false
}
