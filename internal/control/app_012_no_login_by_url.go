package control

import (
	"rocca/internal/facts"
	"rocca/internal/model"
)

var app012Settings = demands{forUsers, []demand{
	{key: "General.login_allow_logme", usual: "0", want: "0", why: "login and password are taken from an address"},
}}

var app012 = Control{
	ID:       "APP-12",
	Title:    "nobody logs in by a link with a password in it",
	Why:      "The logme link holds a login and the MD5 of its password. It works for whoever finds it in a log, a history or a mail.",
	Severity: model.High,
	Needs:    []facts.Section{facts.App},
	Eval:     app012Settings.judge,
	Fix: Fix{
		Kind:    model.FixAutomatic,
		Text:    "Set login_allow_logme = 0 in [General].",
		Steps:   configurationSteps,
		Changes: app012Settings.changes,
	},
	Attack: "A13",
	Maps:   []model.Ref{asvs("14.2.1")},
	Since:  "0.3",
}
