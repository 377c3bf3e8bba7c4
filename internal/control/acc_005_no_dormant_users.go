package control

import (
	"fmt"
	"time"

	"rocca/internal/facts"
	"rocca/internal/model"
)

var acc005 = Control{
	ID:       "ACC-05",
	Title:    "there is no login that nobody used for 90 days, and no invitation that is over",
	Why:      "Nobody notices when a forgotten login is used by somebody else: its password leaks with an old mailbox, and its owner may have left long ago.",
	Severity: model.Medium,
	Needs:    []facts.Section{facts.Content},
	Eval: func(v *View) Verdict {
		invited := map[string]bool{}
		var against []model.Evidence
		for _, invitation := range v.Rows.Invited {
			invited[invitation.Login] = true
			if !invitation.Expires.IsZero() && invitation.Expires.Before(v.Observed) {
				against = append(against, model.Evidence{Subject: "login " + invitation.Login, Have: "an invitation that ended on " + invitation.Expires.Format(time.DateOnly), Want: "accepted, or deleted"})
			}
		}
		for _, user := range people(v) {
			last := lastUse(v, user)
			switch {
			case invited[user.Login]:
			case last.IsZero() && v.Observed.Sub(user.Registered) > usePeriod:
				against = append(against, model.Evidence{Subject: "login " + user.Login, Have: "never used", Want: "used within 90 days, or deleted"})
			case !last.IsZero() && v.Observed.Sub(last) > usePeriod:
				against = append(against, model.Evidence{Subject: "login " + user.Login, Have: fmt.Sprintf("last used on %s", last.Format(time.DateOnly)), Want: "used within 90 days, or deleted"})
			}
		}
		return conclude(against, gaps(v, "users", "last seen", "tokens"))
	},
	Fix:   guided("Ask their owners, then delete them: Administration, System, Users. A login that only a program uses needs a token of its own with an end."),
	Maps:  []model.Ref{asvs("7.4.2")},
	Since: "0.3",
}

// lastUse is when a login was last seen, in the browser or by a token.
func lastUse(v *View, user facts.MatomoUser) time.Time {
	last := user.LastSeen
	for _, token := range v.Rows.Tokens {
		if token.Login == user.Login && token.LastUsed.After(last) {
			last = token.LastUsed
		}
	}
	return last
}
