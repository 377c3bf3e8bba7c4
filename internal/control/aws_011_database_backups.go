package control

import (
	"fmt"
	"strconv"
	"time"

	"rocca/internal/facts"
	"rocca/internal/model"
)

// RDS writes the log of changes away every five minutes.
const (
	leastBackupDays = 7
	mostLost        = time.Hour
)

var databaseBackups = each[facts.CloudDatabase]{
	all: databases, none: noDatabase,
	judge: func(v *View, d facts.CloudDatabase) (against []model.Evidence, _ []string) {
		if want := backupDays(v); d.BackupDays < want {
			return []model.Evidence{{Subject: databaseSubject(d), Have: "backups are kept " + daysInWords(d.BackupDays), Want: fmt.Sprintf("%d", want)}}, nil
		}
		switch {
		case ofCluster(d):
			return nil, []string{"could not see to when " + databaseSubject(d) + " can be restored: its cluster knows"}
		case d.Status == "stopped" || v.Observed.Sub(d.Created) < mostLost:
			// Nothing changes, or the first backup is being made.
		case d.Restorable.IsZero():
			against = append(against, model.Evidence{Subject: databaseSubject(d), Have: "there is no time it could be restored to", Want: "one within the last hour"})
		case v.Observed.Sub(d.Restorable) > mostLost:
			against = append(against, model.Evidence{Subject: databaseSubject(d), Have: "can be restored to " + d.Restorable.UTC().Format("2006-01-02 15:04 UTC"), Want: "a time within the last hour"})
		}
		return against, nil
	},
	shows: func(_ *View, d facts.CloudDatabase) []model.Evidence {
		have := "backups are kept " + daysInWords(d.BackupDays)
		if !d.Restorable.IsZero() {
			have += ", can be restored to " + d.Restorable.UTC().Format("2006-01-02 15:04 UTC")
		}
		return ofDatabase(d, have)
	},
	puts: func(v *View, d facts.CloudDatabase) []Change {
		want := backupDays(v)
		if d.BackupDays >= want {
			return nil // why RDS falls behind is not known here
		}
		sentence := "keep backups of " + databaseSubject(d) + " " + strconv.Itoa(want) + " days"
		if d.BackupDays == 0 {
			sentence += ", in its next maintenance window: the first backup takes it away for a moment"
		}
		return []Change{modified(v, d, sentence, "--backup-retention-period", strconv.Itoa(want))}
	},
}

// backupDays is how long backups of a database must be kept.
func backupDays(v *View) int { return max(leastBackupDays, v.Cloud.Wanted.BackupDays) }

var aws011 = Control{
	ID:       "AWS-11",
	Title:    "databases are backed up for at least seven days, and can be restored to any minute of them",
	Why:      "Who gets in deletes what he has read, and a mistake in an update is seen days later. What is not in a backup then is gone: visits cannot be made again.",
	Severity: model.High,
	Needs:    []facts.Section{facts.CloudDatabases},
	Eval:     databaseBackups.verdict,
	Fix:      guidedBy("A retention of 7 to 35 days (database.backup_days of rocca-aws.yaml, then rocca aws deploy). Where the latest restorable time stands still, the events of the database say why: aws rds describe-events --source-type db-instance.", databaseBackups.changes),
	Maps:     []model.Ref{fsbp("RDS.11"), row("9"), s1("26"), s1("34")},
	Since:    "0.6",
}
