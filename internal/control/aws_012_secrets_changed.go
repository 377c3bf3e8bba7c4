package control

import (
	"rocca/internal/facts"
	"rocca/internal/model"
)

// mostDaysOfSecret is how long a secret stays the same.
const mostDaysOfSecret = 90

var aws012 = Control{
	ID:       "AWS-12",
	Title:    "every secret is younger than 90 days, and what rotates by itself does so",
	Why:      "A password leaks quietly: in a backup, a log, the laptop of somebody who left. One that never changes works for whoever finds it, for years.",
	Severity: model.Medium,
	Needs:    []facts.Section{facts.CloudSecrets},
	Eval:     inspected(secretsChanged),
	Fix:      remedied("rocca aws rotate db, cache and master change passwords without an interruption. Elsewhere let RDS manage the password of its administrator, and give Matomo an account of its own that is changed by hand every three months", secretsChanged),
	Maps:     []model.Ref{fsbp("SecretsManager.1"), fsbp("SecretsManager.2"), fsbp("SecretsManager.4"), s1("19"), s1("40"), s1("48")},
	Since:    "0.6",
}

func secretsChanged(v *View) inspection {
	found := inspection{unread: blind(v, facts.CloudDatabases)}
	secrets := secretsOf(v)
	if len(secrets) == 0 {
		found.absent = "there is no secret in Secrets Manager"
	}
	for _, s := range secrets {
		subject, put := secretSubject(s), rotation(v, s)
		last := laterOf(laterOf(s.Changed, s.Rotated), s.Created)
		switch age := v.daysSince(last); {
		case last.IsZero():
			found.unclear("could not see when the " + subject + " was changed")
		case s.Owner == "rds" && !s.Rotates:
			found.against(subject, "RDS manages it, and its rotation is off", "it rotates by itself", put)
		case s.Rotates && age > late(s):
			found.against(subject, "it should rotate by itself, and was last changed "+ago(age)+": the rotation fails", "changed within "+daysInWords(late(s)), put)
		case !s.Rotates && age > mostDaysOfSecret:
			found.against(subject, "changed "+ago(age)+", and does not rotate by itself", "changed within "+daysInWords(mostDaysOfSecret), put)
		default:
			found.shows(subject, "changed "+ago(age))
		}
	}
	return found
}

// late is after how many days a secret that rotates by itself should have. A
// schedule that is not told is one of RDS, which takes a week.
func late(s facts.CloudSecret) int {
	if s.RotationDays == 0 {
		return 7 + 2
	}
	return s.RotationDays + 2
}

// rotation is the command that changes a secret where it is used, too.
func rotation(v *View, s facts.CloudSecret) Change {
	change := Change{Sentence: "change the " + secretSubject(s)}
	deployment := s.Tags.Deployment()
	switch {
	case s.Owner == "rds" && v.Cloud.Wanted.Known:
		change.Command = "rocca aws rotate master"
	case s.Owner != "" || s.Rotates:
		change.Command = v.commandLine("secretsmanager", "rotate-secret", "--secret-id", s.ARN)
	case deployment != "" && s.Name == "rocca/"+deployment+"/app":
		change.Command = "rocca aws rotate db"
	case deployment != "" && s.Name == "rocca/"+deployment+"/cache":
		change.Command = "rocca aws rotate cache"
	}
	return change
}
