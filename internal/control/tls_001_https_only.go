package control

import (
	"slices"
	"strings"

	"rocca/internal/facts"
	"rocca/internal/model"
)

var forceSSL = demands{where: serving, all: []demand{{key: "General.force_ssl", usual: "0", want: "1"}}}

var tls001 = Control{
	ID:       "TLS-01",
	Title:    "plain HTTP leads to HTTPS and nowhere else, and Matomo insists on it",
	Why:      "On plain HTTP everybody on the way reads passwords, cookies and visits, and changes the tracking script as it passes.",
	Severity: model.High,
	Needs:    []facts.Section{facts.Requests, facts.App},
	Eval: func(v *View) Verdict {
		var found []model.Evidence
		asked, unseen := answers(v, "plain-http", "plain-http-tracker")
		for _, answer := range asked {
			target := strings.Join(header(answer.Answer, "Location"), ", ")
			switch {
			case answer.Verdict == facts.Refused:
			case answer.Verdict == facts.Redirected && strings.HasPrefix(target, "https://") && !leadsAway(v, answer.Answer):
			case answer.Verdict == facts.Redirected:
				found = append(found, said(answer.Answer, "leads to "+target, "301 to https:// of the same name"))
			default:
				found = append(found, said(answer.Answer, outcome(answer.Answer), "301 to https://"))
			}
		}
		insist, unread := forceSSL.against(v)
		found = append(found, insist...)
		return conclude(found, append(unseen, unread...))
	},
	Fix: Fix{
		Kind: model.FixAutomatic, Steps: slices.Concat(frontSteps, configurationSteps), Changes: forceSSL.changes,
		Text: "Let the front redirect everything on port 80 to HTTPS, then set [General] force_ssl = 1. First HTTPS must work.",
	},
	Attack: "A21",
	Maps:   []model.Ref{asvs("12.2.1"), nginx("4.1.1"), s1("35"), s1("44")},
	Since:  "0.3",
}
