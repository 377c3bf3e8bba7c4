package control

import (
	"slices"
	"strings"
	"time"

	"rocca/internal/facts"
	"rocca/internal/model"
)

// supportAhead is how long before its end an upgrade to another major version
// must begin: it needs a trial with a copy, and a window.
const supportAhead = 180 * 24 * time.Hour

// paidSupport is the setting by which RDS goes on with an engine whose support
// has ended, for a price per processor and hour.
const paidSupport = "open-source-rds-extended-support"

// ended are the ends of standard support of RDS for MySQL that are in the past,
// for where AWS does not tell them.
var ended = []facts.DBEngine{
	{Engine: "mysql", Major: "5.7", StandardEnds: time.Date(2024, 2, 29, 0, 0, 0, 0, time.UTC)},
	{Engine: "mysql", Major: "8.0", StandardEnds: time.Date(2026, 7, 31, 0, 0, 0, 0, time.UTC)},
}

var supportedEngines = each[facts.CloudDatabase]{
	all: databases, none: noDatabase,
	judge: func(v *View, d facts.CloudDatabase) (against []model.Evidence, unread []string) {
		subject := databaseSubject(d)
		switch end := supportEnds(v, d); {
		case end.IsZero():
			unread = append(unread, "could not see until when "+d.Engine+" "+d.Version+" is supported")
			unread = append(unread, blind(v, facts.CloudDBEngines)...)
		case end.Before(v.Observed):
			against = append(against, model.Evidence{Subject: subject, Have: d.Engine + " " + d.Version + ", without standard support since " + date(end), Want: "a major version with support"})
		case end.Before(v.Observed.Add(supportAhead)):
			against = append(against, model.Evidence{Subject: subject, Have: d.Engine + " " + d.Version + ", with standard support until " + date(end), Want: "180 days left at least"})
		}
		if !d.MinorUpgrades {
			against = append(against, model.Evidence{Subject: subject, Have: "stays at " + d.Version, Want: "minor versions by themselves"})
		}
		if d.Lifecycle == paidSupport {
			against = append(against, model.Evidence{Subject: subject, Have: "goes on with an engine without support, for a price", Want: paidSupport + "-disabled"})
		}
		return against, unread
	},
	shows: func(v *View, d facts.CloudDatabase) []model.Evidence {
		return ofDatabase(d, d.Engine+" "+d.Version+", with standard support until "+date(supportEnds(v, d))+", minor versions by themselves")
	},
	puts: func(v *View, d facts.CloudDatabase) []Change {
		if d.MinorUpgrades {
			return nil // to which version, and when, is for the owner to decide
		}
		return []Change{modified(v, d, "let "+databaseSubject(d)+" take minor versions in its maintenance window", "--auto-minor-version-upgrade")}
	},
}

// supportEnds is when standard support of a database's major version ends; zero
// when nobody tells.
func supportEnds(v *View, d facts.CloudDatabase) time.Time {
	for _, engine := range slices.Concat(v.Cloud.DBEngines, ended) {
		ofMajor := engine.Major == d.Version || strings.HasPrefix(d.Version, engine.Major+".")
		if engine.Engine == d.Engine && ofMajor && !engine.StandardEnds.IsZero() {
			return engine.StandardEnds
		}
	}
	return time.Time{}
}

var aws050 = Control{
	ID:       "AWS-50",
	Title:    "the database runs a version with half a year of standard support left, and takes minor versions by itself",
	Why:      "After the end of support flaws stay open, or are repaired for a price that is higher than that of a small database. An upgrade in a hurry is one without a trial.",
	Severity: model.High,
	Needs:    []facts.Section{facts.CloudDatabases},
	Eval:     supportedEngines.verdict,
	Fix:      guidedBy("Restore a snapshot beside the database, upgrade that to the next major version, try Matomo with it, then upgrade the database (database.version of rocca-aws.yaml, then rocca aws deploy). Databases that rocca makes have extended support disabled.", supportedEngines.changes),
	Maps:     []model.Ref{fsbp("RDS.13"), cisAWS("3.2.2"), row("8")},
	Since:    "0.6",
}
