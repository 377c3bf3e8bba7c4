package control

import (
	"regexp"
	"slices"
	"strings"
	"time"

	"rocca/internal/facts"
	"rocca/internal/model"
)

// expiry is the field of security.txt that says until when it holds (RFC 9116, 2.5.5).
var expiry = regexp.MustCompile(`(?i)expires:?\s*([0-9]{4}-[0-9]{2}-[0-9]{2})`)

// Whether the filter spares tracking is proved by requests, not by the audit.
var frt017 = Control{
	ID:       "FRT-17",
	Title:    "security.txt names a contact and has not expired, and a web application firewall stands before the user interface",
	Why:      "Who finds a weakness here must know whom to tell, or tells everybody. A filter with the common rules stops the attacks that come by the thousand, before PHP sees them.",
	Severity: model.Low,
	Needs:    []facts.Section{facts.Requests, facts.Web},
	Eval: func(v *View) Verdict {
		var found []model.Evidence
		contact, unseen := answers(v, "security-txt")
		for _, answer := range contact {
			ends := expiry.FindStringSubmatch(answer.Sign)
			switch {
			case answer.Verdict != facts.Served:
				found = append(found, said(answer.Answer, outcome(answer.Answer), "a text with Contact: and Expires:"))
			case ends == nil:
				found = append(found, said(answer.Answer, "no Expires: that could be read", "Expires: with a date in the future"))
			default:
				if until, err := time.Parse(time.DateOnly, ends[1]); err != nil || v.Observed.After(until) {
					found = append(found, said(answer.Answer, "expired on "+ends[1], "Expires: with a date in the future"))
				}
			}
		}
		if v.Front.Program != "" && !filtered(v) {
			found = append(found, model.Evidence{Subject: v.Front.Config, Have: "no web application firewall in " + v.Front.Program, Want: "ModSecurity or Coraza with the OWASP core rules, for the user interface only"})
		}
		return conclude(found, unseen)
	},
	Fix:    guided("Only its owner can name the contact: serve /.well-known/security.txt with Contact: and Expires: (RFC 9116). A filter belongs before the user interface and not before tracking, where the core rules refuse ordinary hits."),
	Attack: "A20",
	Maps:   []model.Ref{s1("36"), {Scheme: "RFC", Item: "9116"}},
	Since:  "0.3",
}

// filtered tells whether the front has ModSecurity on.
func filtered(v *View) bool {
	return slices.ContainsFunc(v.MatomoSites(), func(site facts.Site) bool {
		for _, name := range []string{"modsecurity", "secruleengine"} {
			for _, s := range v.Front.Directive(site, name) {
				if strings.EqualFold(strings.TrimSpace(s.Value), "on") {
					return true
				}
			}
		}
		return false
	})
}
