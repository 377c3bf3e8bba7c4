package control

import (
	"rocca/internal/facts"
	"rocca/internal/model"
)

var acc002 = Control{
	ID:       "ACC-02",
	Title:    "every super user and every administrator of a site logs in with a second factor",
	Why:      "A password that is guessed, reused or phished is then not enough. It is one lock more and no excuse: it guards the login form, not the tokens, the server or the database.",
	Severity: model.High,
	Needs:    []facts.Section{facts.App, facts.Extend, facts.Content},
	Eval: func(v *View) Verdict {
		var against []model.Evidence
		privileged := 0
		for _, user := range people(v) {
			if !user.Superuser && !user.Admin {
				continue
			}
			privileged++
			if !user.TwoFactor {
				against = append(against, model.Evidence{Subject: "login " + user.Login, Have: role(user) + " without a second factor", Want: "a second factor"})
			}
		}
		if plugin, known := v.Plugins["TwoFactorAuth"]; known && !plugin.Active {
			against = append(against, model.Evidence{Subject: "plugin TwoFactorAuth", Have: "off: nobody is asked for a second factor", Want: "active"})
		}
		if privileged == 0 {
			return unknown("no super user was found in the table user")
		}
		return conclude(against, gaps(v, "users", "access"))
	},
	Fix:    guided("Each of them opens Administration, Personal, Security, sets up an open-source authenticator such as FreeOTP+ and keeps the recovery codes. Show it to them first; do not force it on everybody before they have it (ACC-03)."),
	Attack: "A12",
	Maps:   []model.Ref{asvs("6.3.3"), s2("11")},
	Since:  "0.3",
}

// people are the logins but for "anonymous", which always exists.
func people(v *View) []facts.MatomoUser {
	var users []facts.MatomoUser
	for _, user := range v.Rows.Users {
		if user.Login != "anonymous" {
			users = append(users, user)
		}
	}
	return users
}

func role(user facts.MatomoUser) string {
	if user.Superuser {
		return "super user"
	}
	return "administrator of a site"
}
