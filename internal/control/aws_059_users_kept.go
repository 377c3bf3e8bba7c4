package control

import (
	"fmt"

	"rocca/internal/facts"
	"rocca/internal/model"
)

// How old keys of users may be, and for how long a login may lie about.
const (
	mostDaysOfKey    = 90
	mostDaysOfUnused = 45
)

var aws059 = Control{
	ID:       "AWS-59",
	Title:    "users of IAM have fresh keys, no forgotten logins, and a second factor",
	Why:      "Access keys leak into repositories and build logs, and are tried within minutes. One that nobody has used for weeks is missed by nobody; a password without a second factor falls to the first mail that asks for it.",
	Severity: model.High,
	Needs:    []facts.Section{facts.CloudUsers},
	Eval:     inspected(usersKept),
	Fix:      remedied("let people sign in by IAM Identity Center or a role, replace keys after 90 days, and switch off what has not been used for 45 (aws iam update-access-key --status Inactive, aws iam delete-login-profile)", usersKept),
	Maps:     []model.Ref{fsbp("IAM.3"), fsbp("IAM.5"), fsbp("IAM.22"), cisAWS("2.10"), cisAWS("2.11"), cisAWS("2.12"), s1("38")},
	Since:    "0.6",
}

func usersKept(v *View) inspection {
	var found inspection
	users := 0
	for _, u := range v.Cloud.CloudUsers {
		if u.Name == "<root_account>" { // of the report; AWS-58
			continue
		}
		users++
		subject, wrong := "user "+u.Name, len(found.faults)
		list := Change{Sentence: "see the access keys of " + u.Name, Command: v.commandLine("iam", "list-access-keys", "--user-name", u.Name)}
		if u.Console && !u.MFA {
			found.against(subject, "signs in with a password alone", "a second factor", Change{})
		}
		if unused := v.daysSince(laterOf(u.PasswordUsed, u.Created)); u.Console && unused > mostDaysOfUnused {
			found.against(subject, "has not signed in for "+daysInWords(unused), "no password that nobody uses", Change{})
		}
		for i, key := range u.Keys {
			nth := fmt.Sprintf("access key %d of %d", i+1, len(u.Keys))
			if age := v.daysSince(key.Rotated); age > mostDaysOfKey {
				found.against(subject, nth+" is "+daysInWords(age)+" old", "at most "+daysInWords(mostDaysOfKey), list)
			}
			if unused := v.daysSince(laterOf(key.Used, key.Rotated)); unused > mostDaysOfUnused {
				found.against(subject, nth+" was not used for "+daysInWords(unused), "no key that nobody uses", list)
			}
		}
		if len(found.faults) == wrong {
			found.shows(subject, fmt.Sprintf("keys: %d, password: %s", len(u.Keys), yesOrNo(u.Console)))
		}
	}
	if users == 0 {
		found.shows("users of IAM", "none")
	}
	return found
}

func yesOrNo(is bool) string {
	if is {
		return "yes"
	}
	return "no"
}
