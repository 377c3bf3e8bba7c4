package control

import (
	"net/url"
	"strings"

	"rocca/internal/facts"
	"rocca/internal/model"
)

var frt004 = Control{
	ID:       "FRT-04",
	Title:    "a request for a name that is not Matomo's gets no page and no redirect",
	Why:      "Matomo puts the name of the request into links, also into those of mails that reset a password. A page under any name lets an attacker choose where they lead, and lets another site of the browser speak to a Matomo that is not public.",
	Severity: model.High,
	Needs:    []facts.Section{facts.Requests},
	Eval: func(v *View) Verdict {
		var found []model.Evidence
		asked, unseen := answers(v, "unknown-host", "installer-unknown-host")
		for _, answer := range asked {
			if answer.Verdict != facts.Refused && answer.Status != 400 {
				found = append(found, said(answer.Answer, outcome(answer.Answer), "no answer, 421, 403 or 404"))
			}
		}
		behind, unheard := answers(v, "host-behind")
		for _, answer := range behind {
			if answer.Verdict == facts.Leaked {
				found = append(found, said(answer.Answer, outcome(answer.Answer)+" (made for the name of the Host header, with Matomo's in the request line)", "no answer, or Matomo's own name in it"))
			}
		}
		unseen = append(unseen, unheard...)
		forwarded, unasked := answers(v, "forwarded-host")
		for _, answer := range forwarded {
			if answer.Verdict == facts.Leaked || leadsAway(v, answer.Answer) {
				found = append(found, said(answer.Answer, outcome(answer.Answer)+" (X-Forwarded-Host was believed)", "the header ignored"))
			}
		}
		return conclude(found, append(unseen, unasked...))
	},
	Fix:    automatic("A default server that closes the connection (nginx: return 444, ssl_reject_handshake on) or answers 421 (Apache), and none that answers to every name.", append([]string{"no /etc/nginx/sites-enabled/default", "no /etc/apache2/sites-enabled/000-default.conf"}, frontSteps...)...),
	Attack: "A10",
	Maps:   []model.Ref{nginx("2.4.2"), s1("22")},
	Since:  "0.3",
}

// leadsAway tells whether a redirect leads to a host that is none of Matomo's.
func leadsAway(v *View, answer facts.Answer) bool {
	for _, location := range header(answer, "Location") {
		target, err := url.Parse(location)
		if err != nil {
			return true
		}
		if target.Host != "" && !ownHost(v, target.Hostname(), answer) {
			return true
		}
	}
	return false
}

// ownHost tells whether a host is one of Matomo's.
func ownHost(v *View, host string, answer facts.Answer) bool {
	if asked, err := url.Parse(answer.URL); err == nil && answer.Host == "" && strings.EqualFold(asked.Hostname(), host) {
		return true
	}
	for _, name := range v.Declared.Names {
		if strings.EqualFold(name, host) {
			return true
		}
	}
	for _, site := range v.MatomoSites() {
		for _, name := range site.Names {
			if strings.EqualFold(name, host) {
				return true
			}
		}
	}
	return false
}
