package control

import (
	"rocca/internal/facts"
	"rocca/internal/model"
)

var availableDatabases = each[facts.CloudDatabase]{
	all: databases, none: noDatabase,
	judge: func(v *View, d facts.CloudDatabase) (against []model.Evidence, _ []string) {
		if wanted := v.Cloud.Wanted; !d.MultiAZ && !ofCluster(d) && (wanted.MultiAZ || !wanted.Known) {
			against = append(against, model.Evidence{Subject: databaseSubject(d), Have: "in one availability zone", Want: "a standby in another"})
		}
		if d.Storage == "gp2" || d.Storage == "standard" {
			against = append(against, model.Evidence{Subject: databaseSubject(d), Have: "storage " + d.Storage + ", which slows down when its credits are used up", Want: "gp3"})
		}
		return against, nil
	},
	shows: func(_ *View, d facts.CloudDatabase) []model.Evidence {
		return ofDatabase(d, "standby in another zone, "+d.Storage)
	},
	puts: func(v *View, d facts.CloudDatabase) (all []Change) {
		if wanted := v.Cloud.Wanted; !d.MultiAZ && (wanted.MultiAZ || !wanted.Known) {
			all = append(all, modified(v, d, "give "+databaseSubject(d)+" a standby, in its next maintenance window; it costs as much again", "--multi-az"))
		}
		if d.Storage == "gp2" || d.Storage == "standard" {
			all = append(all, modified(v, d, "move "+databaseSubject(d)+" to storage gp3", "--storage-type", "gp3"))
		}
		return all
	},
}

var aws049 = Control{
	ID:       "AWS-49",
	Title:    "the database goes on when an availability zone fails",
	Why:      "A zone that fails, or a machine that AWS repairs, takes the only database with it: no hit is recorded until somebody has restored it by hand.",
	Severity: model.Medium,
	Needs:    []facts.Section{facts.CloudDatabases},
	Eval: func(v *View) Verdict {
		verdict := availableDatabases.verdict(v)
		if reason := v.declines("database.multi_az", v.Cloud.Wanted.MultiAZ); verdict.Status == model.Pass && reason != "" {
			return notApplicable(reason)
		}
		return verdict
	},
	Fix:   guidedBy("database.multi_az: true in rocca-aws.yaml, then rocca aws deploy; storage gp3.", availableDatabases.changes),
	Maps:  []model.Ref{fsbp("RDS.5"), cisAWS("3.2.4"), s1("34")},
	Since: "0.6",
}
