package control

import (
	"rocca/internal/facts"
	"rocca/internal/model"
)

var app010Settings = demands{forUsers, []demand{
	{key: "General.enable_framed_pages", usual: "0", want: "0", why: "pages may be framed, and the session cookie goes along"},
	{key: "General.enable_framed_settings", usual: "0", want: "0", why: "settings may be framed"},
	{key: "General.enable_framed_allow_write_admin_token_auth", usual: "0", want: "0", why: "a framed page may carry the token of an administrator"},
}}

var app010 = Control{
	ID:       "APP-10",
	Title:    "no page of the administration can be framed, and no frame carries a token that can write",
	Why:      "A foreign page lays Matomo in an invisible frame over a button of its own: who clicks the button deletes a site or makes a user.",
	Severity: model.Medium,
	Needs:    []facts.Section{facts.App},
	Eval:     app010Settings.judge,
	Fix: Fix{
		Kind:    model.FixAutomatic,
		Text:    "Set the three to 0 in [General]. For reports in other pages use Matomo's widgets with a token that can only view.",
		Steps:   configurationSteps,
		Changes: app010Settings.changes,
	},
	Attack: "A23",
	Maps:   []model.Ref{asvs("3.4.6")},
	Since:  "0.3",
}
