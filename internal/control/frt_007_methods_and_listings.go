package control

import (
	"rocca/internal/facts"
	"rocca/internal/model"
)

var frt007 = Control{
	ID:       "FRT-07",
	Title:    "directories are not listed, and only the methods that Matomo needs are answered",
	Why:      "A listing shows every file that is there, left-overs included. TRACE sends back what the browser sent, cookies that scripts must not read included; other methods reach code that nobody tested with them.",
	Severity: model.Medium,
	Needs:    []facts.Section{facts.Requests},
	Eval: func(v *View) Verdict {
		var found []model.Evidence
		asked, unseen := answers(v, "listing", "trace", "delete")
		for _, answer := range asked {
			want := "405"
			if answer.name == "listing" {
				want = "403 or 404"
			}
			if answer.Verdict != facts.Refused && (answer.Status < 400 || answer.Status >= 500 && answer.Status != 501) {
				found = append(found, said(answer.Answer, outcome(answer.Answer), want))
			}
		}
		return conclude(found, unseen)
	},
	Fix:    automatic("nginx: no autoindex, and return 405 to other methods. Apache: Options None, TraceEnable Off, AllowMethods GET HEAD POST.", frontSteps...),
	Attack: "A07",
	Maps:   []model.Ref{asvs("13.4.3"), asvs("13.4.4"), asvs("4.1.4"), apache("5.8"), nginx("5.1.2")},
	Since:  "0.3",
}
