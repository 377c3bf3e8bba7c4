package control

import (
	"slices"
	"strings"

	"rocca/internal/facts"
	"rocca/internal/model"
)

// everyone is to whom a snapshot is shared that every account may restore.
const everyone = "all"

var privateSnapshots = each[facts.DBSnapshot]{
	// Those of databases that are gone are among them.
	all: func(v *View) []facts.DBSnapshot { return v.Cloud.DBSnapshots },
	none: func(v *View) Verdict {
		if len(databases(v)) == 0 {
			return noDatabase(v)
		}
		return notApplicable("there is no snapshot of a database")
	},
	judge: func(_ *View, s facts.DBSnapshot) (against []model.Evidence, _ []string) {
		if slices.Contains(s.SharedTo, everyone) {
			against = append(against, model.Evidence{Subject: snapshotSubject(s), Have: "every account of AWS may restore it", Want: "nobody else may"})
		}
		if !s.Encrypted {
			against = append(against, model.Evidence{Subject: snapshotSubject(s), Have: "not encrypted", Want: "encrypted"})
		}
		return against, nil
	},
	shows: func(_ *View, s facts.DBSnapshot) []model.Evidence {
		have := "encrypted, shared with nobody"
		if len(s.SharedTo) > 0 {
			have = "encrypted, shared with " + strings.Join(s.SharedTo, ", ")
		}
		return []model.Evidence{{Subject: snapshotSubject(s), Have: have}}
	},
	puts: func(v *View, s facts.DBSnapshot) (all []Change) {
		if slices.Contains(s.SharedTo, everyone) {
			all = append(all, Change{
				Sentence: "let nobody else restore " + snapshotSubject(s),
				Command:  v.commandLine("rds", "modify-db-snapshot-attribute", "--db-snapshot-identifier", s.ID, "--attribute-name", "restore", "--values-to-remove", everyone),
			})
		}
		if key := v.keyForData(); !s.Encrypted && key != "" {
			_, name, automatic := strings.Cut(s.ID, ":") // "rds:NAME" of those that RDS makes
			if !automatic {
				name = s.ID
			}
			all = append(all, Change{
				Sentence: "make an encrypted copy of " + snapshotSubject(s) + ", which can then go",
				Command: v.commandLine("rds", "copy-db-snapshot", "--source-db-snapshot-identifier", s.ID,
					"--target-db-snapshot-identifier", name+"-encrypted", "--kms-key-id", key),
			})
		}
		return all
	},
}

func snapshotSubject(s facts.DBSnapshot) string {
	return strings.TrimSuffix("snapshot "+s.ID+" of "+s.Database, " of ")
}

var aws047 = Control{
	ID:       "AWS-47",
	Title:    "no snapshot of a database is public, and all are encrypted",
	Why:      "Public snapshots are listed in every account of AWS, and there are people who restore them all. It is a copy of every visit, and no log of yours shows that it was read.",
	Severity: model.Critical,
	Needs:    []facts.Section{facts.CloudDatabases, facts.CloudDBSnapshots},
	Eval:     privateSnapshots.verdict,
	Fix:      guidedBy("Take back the right of all to restore, and treat what is in a public one as read by others. Replace snapshots that are not encrypted by encrypted copies.", privateSnapshots.changes),
	Maps:     []model.Ref{fsbp("RDS.1"), fsbp("RDS.4"), s1("25")},
	Since:    "0.6",
}
