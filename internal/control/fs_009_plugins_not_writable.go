package control

import (
	"path"
	"slices"

	"rocca/internal/facts"
	"rocca/internal/model"
)

var fs009 = Control{
	ID:       "FS-09",
	Title:    "PHP cannot write plugins",
	Why:      "A plugin is code that Matomo loads at each request. Where PHP may write there, an administrator's stolen session, or one hole in an upload, installs one.",
	Severity: model.Critical,
	Needs:    principals,
	Eval: func(v *View) Verdict {
		if v.Matomo.Real == "" {
			return unknown("no code of Matomo was found")
		}
		var found []model.Evidence
		for _, dir := range pluginDirs(v.Server) {
			found = append(found, ways(dir, v.Reach.WritersBelow(dir), "writable by root only")...)
		}
		return conclude(found, nil)
	},
	Fix: Fix{Kind: model.FixAutomatic, Text: "chown -R root:root plugins && chmod -R go-w plugins; plugins are then installed by root", Steps: codeSteps,
		Changes: func(v *View) []Change {
			var changes []Change
			for _, dir := range pluginDirs(v.Server) {
				if len(v.Reach.WritersBelow(dir)) > 0 {
					changes = append(changes, Change{Sentence: "let root alone write plugins", Command: "chown -R root:root " + shellWord(dir) + " && chmod -R go-w " + shellWord(dir)})
				}
			}
			return changes
		}},
	Attack: "A14",
	Maps:   []model.Ref{s2("27")},
	Since:  "0.3",
}

// pluginDirs are the directories that plugins are loaded from: Matomo's own,
// and those of plugins elsewhere (MATOMO_PLUGIN_DIRS).
func pluginDirs(s facts.Server) []string {
	own := path.Join(s.Matomo.Real, "plugins")
	dirs := []string{own}
	for _, plugin := range s.Plugins {
		if plugin.Dir != "" && !within(plugin.Dir, own) && !within(plugin.Dir, path.Join(s.Matomo.Root, "plugins")) {
			dirs = append(dirs, plugin.Dir)
		}
	}
	slices.Sort(dirs)
	return slices.Compact(dirs)
}
