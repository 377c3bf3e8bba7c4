package control

import (
	"fmt"
	"strconv"
	"strings"

	"rocca/internal/facts"
	"rocca/internal/model"
)

const hstsSeconds = 31536000 // a year

var tls005 = Control{
	ID:       "TLS-05",
	Title:    "browsers are told to use HTTPS only, for a year",
	Why:      "The first request by plain HTTP is where an attacker on the way takes over, before any redirect. With HSTS the browser never makes it again.",
	Severity: model.Medium,
	Needs:    []facts.Section{facts.Requests},
	Eval: func(v *View) Verdict {
		var found []model.Evidence
		answered, unseen := pages(v, "ui", "script", "tracker")
		for _, answer := range answered {
			seconds := 0
			values := header(answer.Answer, "Strict-Transport-Security")
			for _, value := range values {
				for part := range strings.SplitSeq(strings.ToLower(value), ";") {
					if age, is := strings.CutPrefix(strings.TrimSpace(part), "max-age="); is {
						seconds, _ = strconv.Atoi(strings.Trim(age, `"`))
					}
				}
			}
			switch {
			case len(values) == 0:
				found = append(found, said(answer.Answer, "no Strict-Transport-Security", fmt.Sprintf("max-age=%d", hstsSeconds)))
			case seconds < hstsSeconds:
				found = append(found, said(answer.Answer, "Strict-Transport-Security: "+strings.Join(values, ", "), fmt.Sprintf("max-age=%d or more", hstsSeconds)))
			}
		}
		return conclude(found, unseen)
	},
	Fix:    automatic(fmt.Sprintf("Send Strict-Transport-Security: max-age=%d with every answer by HTTPS, once HTTPS works for all names.", hstsSeconds), frontSteps...),
	Attack: "A21",
	Maps:   []model.Ref{asvs("3.4.1"), nginx("4.1.8"), s1("23")},
	Since:  "0.3",
}
