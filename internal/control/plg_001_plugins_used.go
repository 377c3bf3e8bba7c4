package control

import (
	"fmt"
	"maps"
	"slices"

	"rocca/internal/facts"
	"rocca/internal/model"
)

var plg001 = Control{
	ID:       "PLG-01",
	Title:    "each active plugin shows evidence of use in the last 90 days, or cannot show any",
	Why:      "Every plugin is code that strangers can reach: API methods, pages, what it does with each hit. How many of yours does nobody use? What is off cannot be attacked.",
	Severity: model.Medium,
	Needs:    []facts.Section{facts.App, facts.Extend, facts.Content},
	Eval: func(v *View) Verdict {
		if len(v.Plugins) == 0 {
			return unknown("no plugin of Matomo was found")
		}
		var against []model.Evidence
		for _, name := range unused(v) {
			against = append(against, model.Evidence{
				Subject: "plugin " + name,
				Have:    "active, " + lines(v.Plugins[name].Lines) + "no evidence of use",
				Want:    "off, or a waiver that says who needs it",
			})
		}
		return conclude(against, nil)
	},
	Fix: Fix{
		Kind:    model.FixGuided,
		Text:    "Ask who needs them, and switch the rest off: console plugin:deactivate NAME. It deletes nothing, and plugin:activate takes it back. Plugins whose use leaves no trace are not listed here, and nothing says that they are not needed.",
		Changes: switchOffUnused,
	},
	Maps:  []model.Ref{s2("9"), s2("10"), asvs("15.2.3")},
	Since: "0.3",
}

// unused are the active plugins that could show use, show none, and are needed
// by nothing else: those that leave no trace are never among them.
func unused(v *View) []string {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(v.Plugins)), func(name string) bool {
		plugin := v.Plugins[name]
		return !plugin.Active || plugin.Always || len(plugin.Needed) > 0 || plugin.Use != facts.NoEvidence
	})
}

// lines tells how much code, when it was counted.
func lines(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("%d lines of PHP, ", n)
}

// switchOffUnused is what takes unused plugins away.
func switchOffUnused(v *View) []Change { return switchOff(v, unused(v)...) }

func switchOff(v *View, plugins ...string) []Change {
	if v.Matomo.Root == "" || v.Matomo.Main().User == "" {
		return nil
	}
	var changes []Change
	for _, name := range plugins {
		changes = append(changes, Change{
			Sentence: fmt.Sprintf("switch the plugin %s off (back: plugin:activate %s)", name, name),
			Command:  console(v, "plugin:deactivate", name),
		})
	}
	return changes
}
