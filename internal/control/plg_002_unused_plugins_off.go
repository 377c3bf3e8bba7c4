package control

import (
	"fmt"
	"time"

	"rocca/internal/facts"
	"rocca/internal/model"
)

// usePeriod is how long something must not have been used to count as unused.
const usePeriod = 90 * 24 * time.Hour

var plg002 = Control{
	ID:       "PLG-02",
	Title:    "plugins that nobody used for 90 days are off, and so is their code",
	Why:      "Lines of code that nobody needs are lines in which only an attacker looks for something. The talk counts them with sloccount before and after.",
	Severity: model.Medium,
	Needs:    []facts.Section{facts.App, facts.Extend, facts.Content},
	Eval: func(v *View) Verdict {
		begin := installed(v)
		if !v.Rows.Oldest.IsZero() && (begin.IsZero() || v.Rows.Oldest.Before(begin)) {
			begin = v.Rows.Oldest
		}
		switch {
		case len(v.Plugins) == 0:
			return unknown("no plugin of Matomo was found")
		case begin.IsZero():
			return unknown("it is not known since when this Matomo is used")
		case v.Observed.Sub(begin) < usePeriod:
			return notApplicable(fmt.Sprintf("Matomo is here since %s only: what is not used within 90 days shows later (PLG-01 lists what was not used so far)", begin.Format(time.DateOnly)))
		}
		names := unused(v)
		if len(names) == 0 {
			return pass()
		}
		var against []model.Evidence
		idle, all := 0, 0
		for _, name := range names {
			idle += v.Plugins[name].Lines
			against = append(against, model.Evidence{Subject: "plugin " + name, Have: "active, " + lines(v.Plugins[name].Lines) + "unused for 90 days", Want: "off"})
		}
		for _, plugin := range v.Plugins {
			if plugin.Active {
				all += plugin.Lines
			}
		}
		if all > 0 {
			against = append(against, model.Evidence{Subject: "all plugins", Have: fmt.Sprintf("%d of %d lines of PHP in active ones are unused", idle, all), Want: "0"})
		}
		return fail(capped(against)...)
	},
	Fix: Fix{
		Kind:    model.FixAutomatic,
		Text:    "Switch them off: console plugin:deactivate NAME. Their data stays, and plugin:activate takes it back.",
		Steps:   configurationSteps,
		Changes: switchOffUnused,
	},
	Attack: "A08",
	Maps:   []model.Ref{s2("8"), s2("10")},
	Since:  "0.3",
}
