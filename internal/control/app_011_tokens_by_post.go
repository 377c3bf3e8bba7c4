package control

import (
	"rocca/internal/facts"
	"rocca/internal/model"
)

var app011Settings = demands{forUsers, []demand{
	{key: "General.only_allow_secure_auth_tokens", usual: "0", want: "1", why: "a token in an address is taken, and stays in logs, histories and referrers"},
}}

var app011 = Control{
	ID:       "APP-11",
	Title:    "the API takes tokens in the body of a request only, never in its address",
	Why:      "Addresses are written into access logs, browser histories, proxies and referrers. A token has all rights of its user and often no end: whoever reads one log has the reports, or the server.",
	Severity: model.High,
	Needs:    []facts.Section{facts.App},
	Eval:     app011Settings.judge,
	Fix: Fix{
		Kind:    model.FixAutomatic,
		Text:    "Set only_allow_secure_auth_tokens = 1 in [General] of the user interface. A tracker that takes bulk requests with a token needs a configuration of its own, where it stays 0: Matomo counts the token in a bulk request as one in an address.",
		Steps:   configurationSteps,
		Changes: app011Settings.changes,
	},
	Attack: "A13",
	Maps:   []model.Ref{asvs("14.2.1")},
	Since:  "0.3",
}
