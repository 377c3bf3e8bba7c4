package control

import (
	"slices"
	"strings"

	"rocca/internal/facts"
	"rocca/internal/model"
)

var encryptedDatabases = each[facts.CloudDatabase]{
	all: databases, none: noDatabase,
	judge: func(v *View, d facts.CloudDatabase) ([]model.Evidence, []string) {
		if !d.Encrypted {
			return []model.Evidence{{Subject: databaseSubject(d), Have: "not encrypted", Want: "encrypted, with a key of this deployment"}}, nil
		}
		if unread := blind(v, facts.CloudKeys); len(unread) > 0 {
			return nil, unread
		}
		if awsOwned(v, d.Key) {
			return []model.Evidence{{Subject: databaseSubject(d), Have: "encrypted with the key of AWS for RDS, whose policy nobody here decides", Want: "a key of this deployment"}}, nil
		}
		return nil, nil
	},
	shows: func(_ *View, d facts.CloudDatabase) []model.Evidence {
		return ofDatabase(d, "encrypted with "+lastPart(d.Key))
	},
	puts: func(v *View, d facts.CloudDatabase) []Change {
		key := v.keyForData()
		if key == "" {
			return nil
		}
		return []Change{
			{
				Sentence: "take a snapshot of " + databaseSubject(d),
				Command:  v.commandLine("rds", "create-db-snapshot", "--db-instance-identifier", d.ID, "--db-snapshot-identifier", d.ID+"-before-encryption"),
			},
			{
				Sentence: "copy it, encrypted; a database restored from the copy is encrypted too",
				Command: v.commandLine("rds", "copy-db-snapshot", "--source-db-snapshot-identifier", d.ID+"-before-encryption",
					"--target-db-snapshot-identifier", d.ID+"-encrypted", "--kms-key-id", key),
			},
		}
	},
}

// awsOwned tells whether a key of KMS is none that an account manages. Keys of
// other accounts are: what AWS manages for a service is in one's own.
func awsOwned(v *View, arn string) bool {
	if arn == "" || strings.Contains(arn, ":alias/aws/") {
		return true
	}
	if parts := strings.Split(arn, ":"); len(parts) > 4 && v.Cloud.Account != "" && parts[4] != v.Cloud.Account {
		return false
	}
	return !slices.ContainsFunc(v.Cloud.Keys, func(k facts.CloudKey) bool { return lastPart(k.ARN) == lastPart(arn) })
}

var aws046 = Control{
	ID:       "AWS-46",
	Title:    "databases are encrypted with a key of the deployment",
	Why:      "A snapshot that is not encrypted can be handed to any account with one call. With a key of one's own, it is worth nothing to whom the key's policy does not name.",
	Severity: model.High,
	Needs:    []facts.Section{facts.CloudDatabases},
	Eval:     encryptedDatabases.verdict,
	Fix:      guidedBy("Encryption cannot be switched on later: copy a snapshot with a key, restore the copy beside the database, and switch Matomo over while tracking is held back.", encryptedDatabases.changes),
	Maps:     []model.Ref{fsbp("RDS.3"), cisAWS("3.2.1"), s1("4"), s1("25")},
	Since:    "0.6",
}
