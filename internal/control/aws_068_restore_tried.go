package control

import (
	"time"

	"rocca/internal/facts"
	"rocca/internal/model"
)

// mostDaysOfRestore is how long ago the last restore may be.
const mostDaysOfRestore = 90

var aws068 = Control{
	ID:       "AWS-68",
	Title:    "a backup was restored within the last 90 days",
	Why:      "A backup that nobody has restored is a hope. That a key is missing, a role may not restore, or the copy is empty shows on the first attempt, which had better not be the one that counts.",
	Severity: model.Medium,
	Needs:    []facts.Section{facts.CloudRestores},
	Eval:     inspected(restoreTried),
	Fix:      guided("restore the newest recovery point beside the original (aws backup start-restore-job, or restore testing of AWS Backup, which does it on a schedule), let Matomo read it, and delete it again"),
	Maps:     []model.Ref{s1("26"), row("9")},
	Since:    "0.6",
}

func restoreTried(v *View) inspection {
	found := inspection{unread: blind(v, facts.CloudDatabases, facts.CloudVolumes, facts.CloudInstances)}
	if len(valuables(v)) == 0 {
		found.absent = "there is neither a database nor a volume with data"
		return found
	}
	var last time.Time
	kind := ""
	for _, r := range v.Cloud.Restores {
		if r.Status == "COMPLETED" && r.At.After(last) {
			last, kind = r.At, r.Kind
		}
	}
	switch age := v.daysSince(last); {
	case last.IsZero():
		found.against("AWS Backup", "no restore is known", "one within "+daysInWords(mostDaysOfRestore), Change{})
	case age > mostDaysOfRestore:
		found.against("AWS Backup", "last restore "+ago(age), "one within "+daysInWords(mostDaysOfRestore), Change{})
	default:
		found.shows("AWS Backup", "restored "+kind+" "+ago(age))
	}
	return found
}
