package control

import (
	"slices"

	"rocca/internal/facts"
	"rocca/internal/model"
)

var app002Settings = demands{serving, []demand{
	{key: "General.enable_installer", usual: "1", want: "0"},
	{key: "General.installation_in_progress", usual: "0", want: "0", why: "Matomo takes itself for not installed"},
}}

var app002 = Control{
	ID:       "APP-02",
	Title:    "the installer is closed for ever, whatever name it is asked by",
	Why:      "Matomo's installer asks for no password. When the configuration is lost, empty or half written, the first visitor who finds the installer makes the first administrator, points Matomo to a database of their own and so runs it.",
	Severity: model.Critical,
	Needs:    []facts.Section{facts.App},
	Eval: func(v *View) Verdict {
		against, unread := app002Settings.against(v)
		unseen := append(blind(v, facts.Content), gaps(v, "users")...)
		if len(unseen) == 0 && !slices.ContainsFunc(v.Rows.Users, func(u facts.MatomoUser) bool { return u.Superuser }) {
			against = append(against, model.Evidence{Subject: "table user", Have: "no super user: the installation was never finished", Want: "at least one"})
		}
		found, unasked := answers(v, "installer", "installer-unknown-host")
		for _, answer := range found {
			if answer.Verdict == facts.Leaked {
				against = append(against, said(answer.Answer, "a step of the installer", "no installer"))
			}
		}
		return conclude(against, slices.Concat(unread, unseen, unasked))
	},
	Fix: Fix{
		Kind:    model.FixAutomatic,
		Text:    "Set enable_installer = 0 in [General] of config.ini.php, and keep that file where no attack and no full disk can empty it (FS-05, APP-03).",
		Steps:   configurationSteps,
		Changes: app002Settings.changes,
	},
	Attack: "A09",
	Maps:   []model.Ref{asvs("15.2.3"), asvs("16.5.3"), s2("8")},
	Since:  "0.3",
}
