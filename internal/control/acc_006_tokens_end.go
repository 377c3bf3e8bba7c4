package control

import (
	"fmt"
	"slices"
	"time"

	"rocca/internal/facts"
	"rocca/internal/model"
)

var acc006 = Control{
	ID:       "ACC-06",
	Title:    "every API token is in use, ends some day, and works in the body of a request only",
	Why:      "A token is a login without password and second factor, with all rights of its user. One that never ends still works for whoever finds it in an old script or backup years later.",
	Severity: model.High,
	Needs:    []facts.Section{facts.App, facts.Content},
	Eval: func(v *View) Verdict {
		contexts, unread := readable(forUsers(v))
		unread = append(unread, gaps(v, "tokens")...)
		postOnly := len(contexts) > 0 && !slices.ContainsFunc(contexts, func(c facts.Context) bool {
			return !switchedOn(valueOf(c, "General.only_allow_secure_auth_tokens", "0"))
		})
		var against []model.Evidence
		for _, token := range v.Rows.Tokens {
			if token.Login == "anonymous" || token.System {
				continue // Matomo's own
			}
			for _, fault := range faults(v, token, postOnly) {
				against = append(against, model.Evidence{Subject: fmt.Sprintf("token %d of %s", token.ID, token.Login), Have: fault[0], Want: fault[1]})
			}
		}
		return conclude(against, unread)
	},
	Fix:    automatic("Delete what nobody uses (Administration, Personal, Security, Auth tokens, as its user), and replace the others by tokens with an end, one for each program, of a user that may only what the program needs, for POST requests only."),
	Attack: "A13",
	Maps:   []model.Ref{asvs("13.3.4")},
	Since:  "0.3",
}

// faults are what is wrong with a token, each with what should be.
func faults(v *View, token facts.Token, postOnly bool) [][2]string {
	var found [][2]string
	whose := ""
	if token.Superuser {
		whose = ", of a super user"
	}
	if token.Expires.IsZero() {
		found = append(found, [2]string{"never ends" + whose, "an end"})
	}
	if !token.PostOnly && !postOnly {
		found = append(found, [2]string{"is taken from addresses, which logs keep" + whose, "POST only"})
	}
	last, have := token.LastUsed, "not used since "
	if last.IsZero() {
		last, have = token.Created, "never used, made on "
	}
	if v.Observed.Sub(last) > usePeriod {
		found = append(found, [2]string{have + last.Format(time.DateOnly), "used within 90 days, or deleted"})
	}
	return found
}
