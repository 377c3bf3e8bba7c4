package control

import (
	"fmt"
	"slices"
	"strings"

	"rocca/internal/facts"
	"rocca/internal/model"
)

const factorTitle = "TwoFactorAuth.twoFactorAuthName"

var acc004 = Control{
	ID:       "ACC-04",
	Title:    "who loses the second factor gets back in, and an authenticator shows which Matomo a code is for",
	Why:      "A lost phone must not end in a second factor that is switched off for all in a hurry. And a title that names no host makes people type the codes of one server into another.",
	Severity: model.Low,
	Needs:    []facts.Section{facts.App, facts.Content},
	Eval: func(v *View) Verdict {
		var against []model.Evidence
		enrolled := false
		for _, user := range people(v) {
			if !user.TwoFactor {
				continue
			}
			enrolled = true
			if user.Recovery == 0 {
				against = append(against, model.Evidence{Subject: "login " + user.Login, Have: "no recovery code left", Want: "new recovery codes, kept apart from the phone"})
			}
		}
		if !enrolled {
			return notApplicable("nobody has a second factor")
		}
		contexts, unread := readable(forUsers(v))
		unread = append(unread, gaps(v, "users", "recovery codes", "settings")...)
		for _, c := range contexts {
			title, e := pluginSetting(v, c, factorTitle, "")
			names := slices.Concat(v.Declared.Names, c.Settings[trustedHosts])
			if title != "" && !slices.ContainsFunc(names, func(name string) bool { return name != "" && strings.Contains(title, name) }) {
				e.Have = fmt.Sprintf("the authenticator shows %q", title)
				against = append(against, wanting(e, "a title with the name of this Matomo"))
			}
		}
		return conclude(against, unread)
	},
	Fix:   guided("Have them make new recovery codes (Administration, Personal, Security). Set the title with the host name in it. Try the way back once: console twofactorauth:disable-2fa-for-user --login=LOGIN, and enrol again."),
	Maps:  []model.Ref{asvs("6.4.4"), s2("14")},
	Since: "0.3",
}
