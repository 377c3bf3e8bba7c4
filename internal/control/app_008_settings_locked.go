package control

import (
	"rocca/internal/facts"
	"rocca/internal/model"
)

var app008Settings = demands{forUsers, []demand{
	{key: "General.enable_general_settings_admin", usual: "1", want: "0", why: "mail server, trusted hosts and origins are set in the browser"},
	{key: "General.enable_geolocation_admin", usual: "1", want: "0", why: "an address that the server fetches from is set in the browser"},
}}

var app008 = Control{
	ID:       "APP-08",
	Title:    "what the configuration file decides cannot be changed in the browser",
	Why:      "With a stolen session an attacker sets their own mail server and reads every mail that resets a password, or adds their own origin to those that may read the API.",
	Severity: model.Low,
	Needs:    []facts.Section{facts.App},
	Eval:     app008Settings.judge,
	Fix: Fix{
		Kind:    model.FixGuided,
		Text:    "Set enable_general_settings_admin = 0 and enable_geolocation_admin = 0 in [General], and write mail server and proxies into config.ini.php.",
		Changes: app008Settings.changes,
	},
	Attack: "A14",
	Maps:   []model.Ref{s2("27")},
	Since:  "0.3",
}
