package control

import (
	"rocca/internal/facts"
	"rocca/internal/model"
)

const strongPasswords = "Login.enablePasswordStrengthCheck"

var acc009 = Control{
	ID:       "ACC-09",
	Title:    "Matomo refuses weak passwords",
	Why:      "Without the check six letters are enough, and such passwords are guessed or found in lists of leaked ones. Advise 15 characters and a password manager.",
	Severity: model.Medium,
	Needs:    []facts.Section{facts.App, facts.Content},
	Eval: func(v *View) Verdict {
		switch {
		case v.Matomo.Version == "":
			return unknown("the version of Matomo could not be read")
		case older(v.Matomo.Version, "5.4.0"):
			return notApplicable("Matomo " + v.Matomo.Version + " cannot: the check is there from 5.4 on")
		}
		contexts, unread := readable(forUsers(v))
		unread = append(unread, gaps(v, "settings")...)
		var against []model.Evidence
		for _, c := range contexts {
			if on, e := pluginSetting(v, c, strongPasswords, "0"); !switchedOn(on) {
				against = append(against, wanting(e, "1"))
			}
		}
		return conclude(against, unread)
	},
	Fix: Fix{
		Kind:    model.FixAutomatic,
		Text:    "Set enablePasswordStrengthCheck = 1 in [Login] of config.ini.php: at least 12 characters with upper and lower case, a digit and a special one, whenever a password is set.",
		Steps:   configurationSteps,
		Changes: fixedInConfiguration(strongPasswords, "1"),
	},
	Attack: "A12",
	Maps:   []model.Ref{asvs("6.2.1")},
	Since:  "0.3",
}
