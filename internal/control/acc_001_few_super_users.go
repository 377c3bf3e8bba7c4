package control

import (
	"fmt"
	"slices"
	"strings"

	"rocca/internal/facts"
	"rocca/internal/model"
)

// guessed are the logins that programs try first.
var guessed = []string{"admin", "administrator", "root", "superuser", "super", "matomo", "piwik", "user", "test", "demo", "webmaster", "analytics"}

const mostSuperUsers = 3

var acc001 = Control{
	ID:       "ACC-01",
	Title:    "there are three super users at most, each a person, and none with a name that is tried first",
	Why:      "Each super user is a way to everything. Programs that guess passwords begin with admin, and of a login that several share nobody knows who used it.",
	Severity: model.Medium,
	Needs:    []facts.Section{facts.Content},
	Eval: func(v *View) Verdict {
		var names []string
		var against []model.Evidence
		for _, user := range v.Rows.Users {
			if !user.Superuser {
				continue
			}
			names = append(names, user.Login)
			if slices.Contains(guessed, strings.ToLower(user.Login)) {
				against = append(against, model.Evidence{Subject: "login " + user.Login, Have: "a super user with a name that is tried first", Want: "the name of a person"})
			}
		}
		switch {
		case len(names) == 0:
			return unknown("no super user was found in the table user")
		case len(names) > mostSuperUsers:
			against = append(against, model.Evidence{Subject: "table user", Have: fmt.Sprintf("%d super users: %s", len(names), strings.Join(names, ", ")), Want: fmt.Sprintf("%d at most", mostSuperUsers)})
		}
		return conclude(against, gaps(v, "users"))
	},
	Fix:    guided("Make a login for each person with the rights that they need, give up super user access where view, write or admin of a site is enough, and delete shared logins and those with a default name."),
	Attack: "A12",
	Maps:   []model.Ref{asvs("6.3.2"), s1("3")},
	Since:  "0.3",
}
