package control

import (
	"rocca/internal/facts"
	"rocca/internal/model"
)

var app009Settings = demands{forUsers, []demand{
	{key: "General.csp_enabled", usual: "1", want: "1"},
	{key: "General.csp_report_only", usual: "0", want: "0", why: "the browser reports and stops nothing"},
}}

var app009 = Control{
	ID:       "APP-09",
	Title:    "Matomo's pages come with a content security policy that is enforced",
	Why:      "Page titles, user agents and events are text of strangers, shown to administrators. Where one of them becomes script, the policy keeps it from sending what it reads to another server.",
	Severity: model.Medium,
	Needs:    []facts.Section{facts.App},
	Eval: func(v *View) Verdict {
		against, unread := app009Settings.against(v)
		found, unseen := pages(v, "ui")
		for _, page := range found {
			if len(header(page.Answer, "Content-Security-Policy")) == 0 {
				against = append(against, said(page.Answer, "no Content-Security-Policy", "Matomo's policy"))
			}
		}
		return conclude(against, append(unread, unseen...))
	},
	Fix: Fix{
		Kind:    model.FixAutomatic,
		Text:    "Set csp_enabled = 1 and csp_report_only = 0 in [General], and do not take the header away in the front.",
		Steps:   configurationSteps,
		Changes: app009Settings.changes,
	},
	Attack: "A23",
	Maps:   []model.Ref{asvs("3.4.3"), nginx("5.3.4")},
	Since:  "0.3",
}
