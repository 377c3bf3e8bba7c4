package control

import (
	"rocca/internal/facts"
	"rocca/internal/model"
)

var app014Settings = demands{forUsers, []demand{
	{key: "General.login_session_not_remembered_idle_timeout", usual: "3600", want: "1800", holds: func(value string) bool {
		return between(value, -1<<30, 3600) // Matomo takes 3600 for 0 and less
	}},
	{key: "General.login_cookie_expire", usual: "1209600", want: "86400", holds: func(value string) bool {
		return between(value, 1, 14*24*3600)
	}},
}}

var app014 = Control{
	ID:       "APP-14",
	Title:    "a session ends after an hour without use, and a remembered one after two weeks",
	Why:      "A stolen session cookie, or a browser that was left open, is good for as long as Matomo remembers it.",
	Severity: model.Low,
	Needs:    []facts.Section{facts.App},
	Eval:     app014Settings.judge,
	Fix: Fix{
		Kind:    model.FixAutomatic,
		Text:    "Set login_session_not_remembered_idle_timeout to 3600 or less, and login_cookie_expire to 1209600 or less, both in seconds, in [General].",
		Steps:   configurationSteps,
		Changes: app014Settings.changes,
	},
	Maps:  []model.Ref{asvs("7.3.1"), asvs("7.3.2")},
	Since: "0.3",
}
