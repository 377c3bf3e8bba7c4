package control

import (
	"rocca/internal/facts"
	"rocca/internal/model"
)

var privateDatabases = each[facts.CloudDatabase]{
	all: databases, none: noDatabase,
	judge: func(_ *View, d facts.CloudDatabase) (against []model.Evidence, _ []string) {
		if d.Public {
			against = append(against, model.Evidence{Subject: databaseSubject(d), Have: "has a public address", Want: "none"})
		}
		return against, nil
	},
	shows: func(_ *View, d facts.CloudDatabase) []model.Evidence { return ofDatabase(d, "no public address") },
	puts: func(v *View, d facts.CloudDatabase) []Change {
		return []Change{modified(v, d, "take the public address from "+databaseSubject(d), "--no-publicly-accessible", "--apply-immediately")}
	},
}

var aws045 = Control{
	ID:       "AWS-45",
	Title:    "no database has a public address",
	Why:      "One wrong rule of a security group then lets the whole Internet try passwords at all visits; without a public address it lets in nobody.",
	Severity: model.Critical,
	Needs:    []facts.Section{facts.CloudDatabases},
	Eval:     privateDatabases.verdict,
	Fix:      guidedBy("Set the database to not publicly accessible, and keep it in subnets without a way out (AWS-08).", privateDatabases.changes),
	Maps:     []model.Ref{fsbp("RDS.2"), cisAWS("3.2.3"), row("2"), s1("6")},
	Since:    "0.6",
}
