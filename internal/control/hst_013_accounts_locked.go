package control

import (
	"maps"
	"slices"

	"rocca/internal/facts"
	"rocca/internal/model"
)

var hst013 = Control{
	ID:       "HST-13",
	Title:    "service accounts cannot log in, none has an empty password, and root is the only user with number 0",
	Why:      "An account for a service with a shell and a password is a login that nobody watches. A second user with number 0 is root under another name.",
	Severity: model.High,
	Needs:    []facts.Section{facts.Accounts},
	Eval: func(v *View) Verdict {
		var found []model.Evidence
		for name, user := range v.Users {
			if !user.Exists {
				continue
			}
			subject := "user " + name
			if user.UID == 0 && name != "root" {
				found = append(found, model.Evidence{Subject: subject, Have: "has user number 0", Want: "root alone has"})
			}
			if user.NoWord {
				found = append(found, model.Evidence{Subject: subject, Have: "empty password", Want: "locked or set"})
			}
			if !forProgram(name, user) {
				continue
			}
			if !noLogin(user.Shell) {
				found = append(found, model.Evidence{Subject: subject, Have: "shell " + user.Shell, Want: "/usr/sbin/nologin"})
			}
			if !user.Locked && !user.NoWord {
				found = append(found, model.Evidence{Subject: subject, Have: "has a password", Want: "locked"})
			}
		}
		return conclude(found, nil)
	},
	Fix: Fix{Kind: model.FixAutomatic, Text: "usermod --lock --shell /usr/sbin/nologin USER", Steps: []string{"user *"},
		Changes: func(v *View) []Change {
			var changes []Change
			for _, name := range slices.Sorted(maps.Keys(v.Users)) {
				user := v.Users[name]
				if user.Exists && forProgram(name, user) && (!noLogin(user.Shell) || !user.Locked) {
					changes = append(changes, Change{Sentence: "let nobody log in as " + name, Command: "usermod --lock --shell /usr/sbin/nologin " + shellWord(name)})
				}
			}
			return changes
		}},
	Maps:  []model.Ref{debian("5.4.2.1"), debian("5.4.2.7"), debian("5.4.2.8")},
	Since: "0.3",
}

// forProgram tells whether an account is for a program and not for a person.
func forProgram(name string, user facts.User) bool {
	return user.Service && name != "root" && user.UID != 0
}
