package control

import (
	"fmt"
	"strings"

	"rocca/internal/facts"
	"rocca/internal/model"
)

var db009 = Control{
	ID:       "DB-09",
	Title:    "the data of the database is encrypted on the disk, or its owner has accepted that it is not",
	Why:      "Who gets the disk, a copy of it or a snapshot has all visits, without asking any server. Encryption does not help against who is on the running machine.",
	Severity: model.Medium,
	Needs:    []facts.Section{facts.Data, facts.KernelOf, facts.Own},
	Eval: func(v *View) Verdict {
		db := v.Database
		if record, accepted := v.Declared.Records["encryption-at-rest"]; accepted && !record.Date.IsZero() {
			return pass(model.Evidence{Subject: "record encryption-at-rest", Have: strings.TrimSpace("decided on " + date(record.Date) + " " + record.Note)})
		}
		if db.Tables > 0 && db.Encrypted == db.Tables {
			return pass(model.Evidence{Subject: "database", Have: fmt.Sprintf("all %d tables of Matomo are encrypted by the engine", db.Tables)})
		}
		if remoteDatabase(v) {
			return unknown("whether the disk of a database server on another machine is encrypted cannot be seen from here; record what its provider says as encryption-at-rest in rocca.yaml")
		}
		dir := dataDir(v)
		if dir == "" {
			return unknown("it is not known where the database server keeps its data")
		}
		mount, known := mountOf(v, dir)
		switch {
		case !known:
			return unknown("no mount was found that holds " + dir)
		case mount.Crypt:
			return pass(model.Evidence{Subject: dir, Have: mount.Source + " on " + mount.Point + " is encrypted (dm-crypt)"})
		}
		have := fmt.Sprintf("%s on %s is not encrypted, and the engine encrypts %d of %d tables", mount.Source, mount.Point, db.Encrypted, db.Tables)
		return fail(model.Evidence{Subject: dir, Have: have, Want: "dm-crypt, innodb_encrypt_tables, an encrypted volume; or a record of why not"})
	},
	Fix:   guided("Put the data on an encrypted volume (LUKS, or that of the cloud), or set innodb_encrypt_tables = FORCE with a key that is not on the same disk. Where the provider encrypts, or it is accepted that nothing does, record that as encryption-at-rest in rocca.yaml."),
	Maps:  []model.Ref{s1("4"), s1("25"), gdpr("Art. 32")},
	Since: "0.3",
}

// mountOf is the mount that a path is on: the longest, and of those the last.
func mountOf(v *View, path string) (found facts.Mount, known bool) {
	for _, m := range v.Mounts {
		if within(path, m.Point) && len(m.Point) >= len(found.Point) {
			found, known = m, true
		}
	}
	return found, known
}
