package control

import (
	"fmt"
	"slices"

	"rocca/internal/facts"
	"rocca/internal/model"
)

var plg006 = Control{
	ID:       "PLG-06",
	Title:    "only named administrators put script of their own on tracked sites by the tag manager",
	Why:      "A custom tag is script that runs for every visitor of every site with the container: with one stolen login that may make such tags, all of these sites are the attacker's.",
	Severity: model.Medium,
	Needs:    []facts.Section{facts.App, facts.Extend, facts.Content},
	Eval: func(v *View) Verdict {
		if !v.Plugins["TagManager"].Active {
			return notApplicable("the tag manager is off")
		}
		contexts, unread := readable(forUsers(v))
		unread = append(unread, gaps(v, "settings")...)
		var against []model.Evidence
		for _, c := range contexts {
			if who, e := pluginSetting(v, c, "TagManager.restrictCustomTemplates", "admin"); !slices.Contains([]string{"superuser", "disabled"}, who) {
				if tags := v.Rows.Tags; tags != nil {
					e.Have += fmt.Sprintf("; %d tags with free script in %d containers", tags.FreeTags, tags.Containers)
				}
				against = append(against, wanting(e, "superuser or disabled"))
			}
			if who, e := pluginSetting(v, c, "TagManager.restrictTagManagerAccess", "view"); !slices.Contains([]string{"admin", "superuser"}, who) {
				against = append(against, wanting(e, "admin or superuser"))
			}
		}
		return conclude(against, unread)
	},
	Fix: Fix{
		Kind: model.FixGuided,
		Text: "Decide who may: [TagManager] restrictCustomTemplates = superuser (or disabled) and restrictTagManagerAccess = admin in config.ini.php. Where nobody uses it: console plugin:deactivate TagManager.",
		Changes: func(v *View) []Change {
			return append(fixedInConfiguration("TagManager.restrictCustomTemplates", "superuser")(v),
				fixedInConfiguration("TagManager.restrictTagManagerAccess", "admin")(v)...)
		},
	},
	Attack: "A24",
	Maps:   []model.Ref{asvs("15.2.5")},
	Since:  "0.3",
}
