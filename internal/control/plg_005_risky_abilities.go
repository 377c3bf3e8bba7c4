package control

import (
	"strings"

	"rocca/internal/facts"
	"rocca/internal/model"
)

var plg005 = Control{
	ID:       "PLG-05",
	Title:    "no plugin that is not Matomo's own starts programs, evaluates text, opens connections or writes files, unless somebody looked at it",
	Why:      "What a plugin is able to do, an attacker who finds a hole in it is able to do: a call of exec in it is a shell on the server.",
	Severity: model.Medium,
	Needs:    []facts.Section{facts.App, facts.Extend},
	Eval: func(v *View) Verdict {
		var against []model.Evidence
		for _, name := range thirdParty(v) {
			plugin := v.Plugins[name]
			if len(plugin.Risky) == 0 {
				continue
			}
			have := "its PHP uses " + strings.Join(plugin.Risky, ", ")
			if !plugin.Active {
				have += " (not active)"
			}
			against = append(against, model.Evidence{Subject: "plugin " + name, Have: have, Want: "a waiver by who has read it"})
		}
		return conclude(against, nil)
	},
	Fix:    Fix{Kind: model.FixNone, Text: "Read the calls, ask the author what they are for, and write a waiver for the plugin with the date of the review; or remove it."},
	Attack: "A16",
	Maps:   []model.Ref{asvs("15.1.5")},
	Since:  "0.3",
}
