package control

import (
	"slices"
	"strings"

	"rocca/internal/facts"
	"rocca/internal/model"
)

// triedFirst are the names of administrators that every attacker tries first.
var triedFirst = []string{"admin", "administrator", "root", "mysql", "master", "dba", "rdsadmin", "user"}

// namesOfMatomo are names that people give the account by which Matomo logs in.
var namesOfMatomo = []string{"matomo", "piwik", "analytics"}

var administered = each[facts.CloudDatabase]{
	all: databasesOfMatomo, none: noDatabase,
	judge: func(_ *View, d facts.CloudDatabase) (against []model.Evidence, _ []string) {
		switch name := strings.ToLower(d.Master); {
		case slices.Contains(triedFirst, name):
			against = append(against, model.Evidence{Subject: databaseSubject(d), Have: "its administrator is " + d.Master, Want: "a name that nobody tries"})
		case slices.Contains(namesOfMatomo, name):
			against = append(against, model.Evidence{Subject: databaseSubject(d), Have: "its administrator is " + d.Master + ": Matomo seems to log in as administrator", Want: "accounts of Matomo with rights on its tables only"})
		}
		if d.MasterSecret == "" {
			against = append(against, model.Evidence{Subject: databaseSubject(d), Have: "the password of " + d.Master + " is kept by people", Want: "kept and rotated by RDS in Secrets Manager"})
		}
		return against, nil
	},
	shows: func(_ *View, d facts.CloudDatabase) []model.Evidence {
		return ofDatabase(d, "administrator "+d.Master+", whose password RDS keeps and rotates")
	},
	puts: func(v *View, d facts.CloudDatabase) []Change {
		if d.MasterSecret != "" || slices.Contains(namesOfMatomo, strings.ToLower(d.Master)) {
			return nil // the name stays as long as the database, and first Matomo needs another
		}
		settings := []string{"--manage-master-user-password"}
		if key := v.keyForData(); key != "" {
			settings = append(settings, "--master-user-secret-kms-key-id", key)
		}
		sentence := "let RDS keep and rotate the password of " + d.Master + ": whoever logs in with the old one no longer can, so give Matomo an account of its own first"
		return []Change{modified(v, d, sentence, append(settings, "--apply-immediately")...)}
	},
}

var aws052 = Control{
	ID:       "AWS-52",
	Title:    "the administrator of the database is no account of Matomo's, has no usual name, and RDS keeps its password",
	Why:      "Where Matomo logs in as administrator, one flaw in SQL makes its finder administrator too: he reads other schemas, makes himself an account, and deletes what shows it.",
	Severity: model.High,
	Needs:    []facts.Section{facts.CloudDatabases},
	Eval:     administered.verdict,
	Fix:      guidedBy("Accounts for Matomo with rights on its own tables only (DB-02, DB-03), an administrator that RDS manages, and another name for it when the database is made anew. rocca aws deploy makes it so.", administered.changes),
	Maps:     []model.Ref{fsbp("RDS.25"), s1("3"), s1("24"), s1("28")},
	Since:    "0.6",
}
