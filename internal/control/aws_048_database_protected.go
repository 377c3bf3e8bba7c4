package control

import (
	"rocca/internal/facts"
	"rocca/internal/model"
)

var protectedDatabases = each[facts.CloudDatabase]{
	all: databases, none: noDatabase,
	judge: func(_ *View, d facts.CloudDatabase) (against []model.Evidence, _ []string) {
		if !d.Protected {
			against = append(against, model.Evidence{Subject: databaseSubject(d), Have: "one call deletes it", Want: "deletion protection"})
		}
		if !d.CopiesTags {
			against = append(against, model.Evidence{Subject: databaseSubject(d), Have: "its snapshots have no tags, so nobody knows whose they are", Want: "copy tags to snapshots"})
		}
		return against, nil
	},
	shows: func(_ *View, d facts.CloudDatabase) []model.Evidence {
		return ofDatabase(d, "deletion protection, tags on snapshots")
	},
	puts: func(v *View, d facts.CloudDatabase) []Change {
		return []Change{modified(v, d, "protect "+databaseSubject(d)+" from deletion", "--deletion-protection", "--copy-tags-to-snapshot", "--apply-immediately")}
	},
}

var aws048 = Control{
	ID:       "AWS-48",
	Title:    "databases are protected from deletion, and their snapshots have their tags",
	Why:      "A stack that is deleted by mistake, or by somebody with a stolen key, takes the database and its automatic backups with it.",
	Severity: model.Medium,
	Needs:    []facts.Section{facts.CloudDatabases},
	Eval:     protectedDatabases.verdict,
	Fix:      guidedBy("Switch on deletion protection and the copying of tags to snapshots.", protectedDatabases.changes),
	Maps:     []model.Ref{fsbp("RDS.8"), fsbp("RDS.17")},
	Since:    "0.6",
}
