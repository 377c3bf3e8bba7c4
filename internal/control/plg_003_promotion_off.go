package control

import (
	"fmt"
	"slices"
	"strings"

	"rocca/internal/facts"
	"rocca/internal/model"
)

// promotion are the plugins of the release that promote or reach out to
// others, and what each does.
var promotion = map[string]string{
	"Feedback":             "mails the vendor",
	"Marketplace":          "installs code from plugins.matomo.org",
	"ProfessionalServices": "shows advertisements",
	"RssWidget":            "fetches news from matomo.org",
	"SEO":                  "asks search engines and who.is about the tracked sites",
	"Tour":                 "shows what else there is",
}

var plg003 = Control{
	ID:       "PLG-03",
	Title:    "plugins that promote or call others are off",
	Why:      "They tell others of this server and of the sites that it tracks, and the marketplace brings code in. No report needs them.",
	Severity: model.Low,
	Needs:    []facts.Section{facts.App, facts.Extend},
	Eval: func(v *View) Verdict {
		if len(v.Plugins) == 0 {
			return unknown("no plugin of Matomo was found")
		}
		var against []model.Evidence
		for _, name := range promoting(v) {
			have := "active: " + promotion[name]
			if evidence := v.Plugins[name].Evidence; len(evidence) > 0 {
				have += fmt.Sprintf(" (in use: %s)", strings.Join(evidence, ", "))
			}
			against = append(against, model.Evidence{Subject: "plugin " + name, Have: have, Want: "off, or a waiver that says why it is wanted"})
		}
		return conclude(against, nil)
	},
	Fix: Fix{
		Kind:    model.FixAutomatic,
		Text:    "Switch them off: console plugin:deactivate NAME.",
		Steps:   configurationSteps,
		Changes: func(v *View) []Change { return switchOff(v, promoting(v)...) },
	},
	Attack: "A15",
	Maps:   []model.Ref{s2("10"), s2("3")},
	Since:  "0.3",
}

func promoting(v *View) []string {
	var names []string
	for name := range promotion {
		if v.Plugins[name].Active {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}
