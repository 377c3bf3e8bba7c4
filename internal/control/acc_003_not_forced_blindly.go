package control

import (
	"fmt"

	"rocca/internal/facts"
	"rocca/internal/model"
)

const forcedFactor = "TwoFactorAuth.twoFactorAuthRequired"

var acc003 = Control{
	ID:       "ACC-03",
	Title:    "a second factor is not forced on people who have none yet",
	Why:      "Who is forced before being shown how is locked out, or photographs the code for a colleague and keeps the recovery codes in the mailbox. Train first, enrol, then enforce.",
	Severity: model.Medium,
	Needs:    []facts.Section{facts.App, facts.Content},
	Eval: func(v *View) Verdict {
		contexts, unread := readable(forUsers(v))
		unread = append(unread, gaps(v, "users", "settings")...)
		users, enrolled := people(v), 0
		for _, user := range users {
			if user.TwoFactor {
				enrolled++
			}
		}
		var against []model.Evidence
		for _, c := range contexts {
			forced, e := pluginSetting(v, c, forcedFactor, "0")
			if switchedOn(forced) && enrolled < len(users) {
				e.Have += fmt.Sprintf(": forced, and %d of %d logins have a second factor", enrolled, len(users))
				against = append(against, wanting(e, "0 until all are trained and enrolled"))
			}
		}
		return conclude(against, unread)
	},
	Fix:   guided("Take the requirement back (TwoFactorAuth: require for everyone), train (OPS-04), have everybody enrol, and require it then. Begin with super users and administrators (ACC-02)."),
	Maps:  []model.Ref{s2("12"), s2("13"), matomo("#17352")},
	Since: "0.3",
}
