package control

import (
	"rocca/internal/facts"
	"rocca/internal/model"
)

var app006Settings = demands{forUsers, []demand{
	{key: "General.enable_plugin_upload", usual: "0", want: "0", why: "a super user uploads PHP"},
	{key: "General.enable_plugins_admin", usual: "1", want: "0", why: "plugins are switched on and installed in the browser"},
	{key: "General.enable_auto_update", usual: "1", want: "0", why: "the code is replaced by a click, unsigned, and anybody may start a pending update of the database"},
}}

var app006 = Control{
	ID:       "APP-06",
	Title:    "no code comes in by the web: no upload of plugins, no plugin switches, no self-update",
	Why:      "Who steals the session of one administrator uploads a plugin and runs PHP on the server (CVE-2025-34104 is just that). While an update waits, anybody without a login may also start the change of the database.",
	Severity: model.High,
	Needs:    []facts.Section{facts.App},
	Eval:     app006Settings.judge,
	Fix: Fix{
		Kind:    model.FixAutomatic,
		Text:    "Set enable_plugin_upload = 0, enable_plugins_admin = 0 and enable_auto_update = 0 in [General] of config.ini.php. Plugins and updates then come by rocca, or by the console.",
		Steps:   configurationSteps,
		Changes: app006Settings.changes,
	},
	Attack: "A14",
	Maps:   []model.Ref{asvs("15.2.5"), s2("27")},
	Since:  "0.3",
}
