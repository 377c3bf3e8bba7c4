package control

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"rocca/internal/facts"
	"rocca/internal/model"
)

// mostAgeOfBackup is how old the newest recovery point may be: a day, and the
// time that the job takes.
const mostAgeOfBackup = 26 * time.Hour

var aws067 = Control{
	ID:       "AWS-67",
	Title:    "what holds data has a recovery point of the last day, in a vault that is locked",
	Why:      "Whoever takes over an account deletes the backups before asking for money. Snapshots that live and die with their database, or in a vault that anyone with enough rights may empty, are none on that day.",
	Severity: model.High,
	Needs:    []facts.Section{facts.CloudProtected, facts.CloudVaults, facts.CloudBackupPlans},
	Eval:     inspected(backupsRecent),
	Fix:      remedied("rocca aws deploy makes a plan that backs up each day what has the tag rocca:backup = yes; elsewhere make one with AWS Backup, into a vault with a lock and a key of its own", backupsRecent),
	Maps:     []model.Ref{fsbp("EC2.28"), fsbp("RDS.26"), fsbp("Backup.1"), s1("26"), s1("34"), row("9")},
	Since:    "0.6",
}

// valuable is something that holds data.
type valuable struct {
	subject string
	ids     []string // of itself, or of what it is backed up with
	made    time.Time
}

// valuables are the databases, and the volumes with data: on a deployment of
// rocca those that say so, elsewhere all that an instance has, as nobody can
// tell what is on them.
func valuables(v *View) []valuable {
	var all []valuable
	for _, d := range databases(v) {
		all = append(all, valuable{databaseSubject(d), []string{"db:" + d.ID}, d.Created})
	}
	instances := map[string]bool{}
	for _, i := range instancesOf(v) {
		instances[i.ID] = true
	}
	for _, vol := range v.Cloud.Volumes {
		attached := anyOf(vol.Instances, instances)
		if !attached && !v.concerns(vol.Tags, "") || vol.Tags.Deployment() != "" && vol.Tags["rocca:backup"] != "yes" || len(vol.Instances) == 0 && vol.Tags["rocca:backup"] == "" {
			continue
		}
		all = append(all, valuable{"volume " + labelled(vol.ID, vol.Tags), append([]string{vol.ID}, vol.Instances...), vol.Created})
	}
	return all
}

func backupsRecent(v *View) inspection {
	found := inspection{unread: blind(v, facts.CloudDatabases, facts.CloudVolumes, facts.CloudInstances)}
	holds := valuables(v)
	if len(holds) == 0 {
		found.absent = "there is neither a database nor a volume with data"
		return found
	}
	last := map[string]time.Time{} // by "db:NAME", or the id of a volume or instance
	for _, p := range v.Cloud.Protected {
		id := lastPart(p.ARN)
		if _, name, is := strings.Cut(p.ARN, ":db:"); is {
			id = "db:" + name
		}
		last[id] = laterOf(last[id], p.Last)
	}
	for _, one := range holds {
		var newest time.Time
		for _, id := range one.ids {
			newest = laterOf(newest, last[id])
		}
		age := v.Observed.Sub(newest)
		switch {
		case newest.IsZero() && !one.made.IsZero() && v.Observed.Sub(one.made) < mostAgeOfBackup:
			found.shows(one.subject, "made less than a day ago: its first backup is still to come")
		case newest.IsZero():
			found.against(one.subject, "no recovery point in AWS Backup", "one of the last day", v.byCommand("make the plan of backups", "rocca aws deploy", ""))
		case age > mostAgeOfBackup:
			found.against(one.subject, fmt.Sprintf("the newest recovery point is %d hours old", int(age.Hours())), "26 hours at most", Change{})
		default:
			found.shows(one.subject, fmt.Sprintf("recovery point of %d hours ago", int(age.Hours())))
		}
	}
	vaultsLocked(v, &found)
	return found
}

// vaultsLocked looks at the vaults that plans fill.
func vaultsLocked(v *View, found *inspection) {
	vaults := map[string]facts.Vault{}
	for _, vault := range v.Cloud.Vaults {
		vaults[vault.Name] = vault
	}
	looked := map[string]bool{}
	plans := 0
	for _, plan := range v.Cloud.BackupPlans {
		if !v.backsUpOurs(plan) {
			continue
		}
		plans++
		for _, rule := range plan.Rules {
			vault, seen := vaults[rule.Vault]
			if looked[rule.Vault] {
				continue
			}
			looked[rule.Vault] = true
			subject := "vault " + rule.Vault
			if !seen {
				found.unclear("the " + subject + " of the plan " + plan.Name + " was not seen")
				continue
			}
			if !vault.Locked {
				put := Change{}
				if rule.Days > 0 {
					put = Change{Sentence: "lock the " + subject, Command: v.commandLine("backup", "put-backup-vault-lock-configuration", "--backup-vault-name", vault.Name, "--min-retention-days", fmt.Sprint(rule.Days))}
				}
				found.against(subject, "not locked: whoever has the rights empties it", "a lock with a least retention", put)
			}
			if vault.Key == "" {
				found.against(subject, "not encrypted with a key", "a key of its own", Change{})
			}
			if vault.Locked && vault.Key != "" {
				found.shows(subject, fmt.Sprintf("locked for %s, encrypted", daysInWords(vault.Days)))
			}
		}
	}
	if plans == 0 {
		found.against("AWS Backup", "no plan", "a plan that backs up each day", v.byCommand("make the plan of backups", "rocca aws deploy", ""))
	}
}

// backsUpOurs tells whether a plan is of the deployment that was asked about: by
// its name, or by the tags that it asks for.
func (v *View) backsUpOurs(plan facts.BackupPlan) bool {
	wanted := v.Cloud.Deployment
	return wanted == "" || plan.Name == wanted || slices.ContainsFunc(plan.Selection, func(s facts.BackupSelected) bool {
		return s.Tags.Deployment() == wanted || s.Tags["aws:ResourceTag/rocca:deployment"] == wanted
	})
}
