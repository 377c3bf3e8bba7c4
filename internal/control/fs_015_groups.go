package control

import (
	"maps"
	"slices"
	"strings"

	"rocca/internal/facts"
	"rocca/internal/model"
)

var fs015 = Control{
	ID:       "FS-15",
	Title:    "the group of Matomo's PHP has no further member, and its user is in no other group",
	Why:      "What the group may read, every member may: with the front in PHP's group, a hole in the web server, or a page of any other site, reads config.ini.php. Guides that say usermod -aG do just that.",
	Severity: model.High,
	Needs:    []facts.Section{facts.Accounts, facts.Running, facts.Runtime, facts.App},
	Eval: func(v *View) Verdict {
		users := matomoUsers(v.Server)
		if len(users) == 0 {
			return unknown(noPool)
		}
		var found []model.Evidence
		for _, user := range users {
			group := v.Users[user].Group
			if user == v.Front.User {
				found = append(found, model.Evidence{Subject: "user " + user, Have: "runs the front and Matomo's PHP", Want: "a user for each"})
			}
			for _, other := range inGroup(v.Server, group) {
				if other != user && other != "root" {
					found = append(found, model.Evidence{Subject: "group " + group, Have: other + " is a member", Want: "no member but " + user})
				}
			}
			for _, name := range slices.Sorted(maps.Keys(v.Groups)) {
				if name != group && slices.Contains(v.Groups[name].Members, user) {
					found = append(found, model.Evidence{Subject: "group " + name, Have: user + " is a member", Want: "not"})
				}
			}
			for _, p := range v.Processes {
				if p.User != user && p.User != "root" && group != "" && (p.Group == group || slices.Contains(p.Groups, group)) {
					found = append(found, model.Evidence{Subject: ranIn(p), Have: "runs as " + p.User + " with group " + group, Want: "without"})
				}
			}
		}
		return conclude(found, nil)
	},
	Fix: Fix{Kind: model.FixAutomatic, Text: "gpasswd -d MEMBER GROUP, then restart what ran with the group; give PHP a user and group of its own", Steps: []string{"group *", "user *"},
		Changes: func(v *View) []Change {
			var changes []Change
			for _, user := range matomoUsers(v.Server) {
				group := v.Users[user].Group
				for _, member := range v.Groups[group].Members {
					if member != user {
						changes = append(changes, Change{Sentence: "take " + member + " out of group " + group, Command: "gpasswd -d " + shellWord(member) + " " + shellWord(group)})
					}
				}
			}
			return changes
		}},
	Attack: "A06",
	Maps:   []model.Ref{s2("22"), s2("23")},
	Since:  "0.3",
}

// inGroup are the users of a group, by group(5) and by passwd(5).
func inGroup(s facts.Server, group string) []string {
	if group == "" {
		return nil
	}
	members := slices.Clone(s.Groups[group].Members)
	for name, user := range s.Users {
		if user.Exists && user.Group == group {
			members = append(members, name)
		}
	}
	slices.SortFunc(members, strings.Compare)
	return slices.Compact(members)
}
