package control

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"rocca/internal/facts"
	"rocca/internal/model"
)

var plg004 = Control{
	ID:       "PLG-04",
	Title:    "of each plugin that is not Matomo's own it is known where it came from, and nothing is known against it",
	Why:      "A plugin runs with all rights of Matomo, no signature comes with it, and Matomo's check of its files leaves it out: it is where a back door is neither seen nor missed.",
	Severity: model.High,
	Needs:    []facts.Section{facts.App, facts.Extend},
	Eval: func(v *View) Verdict {
		var against []model.Evidence
		var unread []string
		names := thirdParty(v)
		for _, name := range names {
			plugin := v.Plugins[name]
			if plugin.Source == "" {
				have := "version " + plugin.Version + ", source not known"
				if !plugin.Changed.IsZero() {
					have += ", newest file of " + plugin.Changed.Format(time.DateOnly)
				}
				against = append(against, model.Evidence{Subject: "plugin " + name, Have: have, Want: "recorded with source, version and hash"})
			}
			for _, flaw := range openFlaws(slices.Concat(v.Advisory.Matomo, v.Advisory.Parts)) {
				if strings.EqualFold(flaw.Package, name) {
					against = append(against, model.Evidence{Subject: "plugin " + name, Have: fmt.Sprintf("%s in version %s", flaw.ID, flaw.Have), Want: "version " + flaw.Fixed})
				}
			}
		}
		if len(names) > 0 {
			unread = blind(v, facts.Known)
		}
		return conclude(against, unread)
	},
	Fix:    guided("Install it again from its author's signed release or repository, compare what was here with that, and record it. Remove it where nobody can say where it came from: console plugin:uninstall NAME."),
	Attack: "A34",
	Maps:   []model.Ref{asvs("15.1.2"), asvs("15.2.4")},
	Since:  "0.3",
}

// thirdParty are the plugins that do not come with the release, active or not.
func thirdParty(v *View) []string {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(v.Plugins)), func(name string) bool { return v.Plugins[name].Core })
}
