package control

import (
	"maps"
	"slices"

	"rocca/internal/facts"
	"rocca/internal/model"
)

var db002 = Control{
	ID:       "DB-02",
	Title:    "Matomo uses accounts of its own, not root, and each may be used from its machines only",
	Why:      "With the administrator's account one SQL injection in Matomo owns every schema, reads files and makes accounts. An account for any host can be used by whoever learns the password, from anywhere.",
	Severity: model.High,
	Needs:    []facts.Section{facts.Data, facts.App},
	Eval: func(v *View) Verdict {
		accounts, unread := matomoAccounts(v)
		var found []model.Evidence
		for _, name := range slices.Sorted(maps.Keys(accounts)) {
			user, host := splitAccount(name)
			if user == "root" || ownAccount(v, name) {
				found = append(found, model.Evidence{Subject: name, Have: "Matomo logs in as an administrator", Want: "an account of its own"})
			}
			if wideHost(v, host) {
				found = append(found, model.Evidence{Subject: name, Have: "may be used from " + anywhere(host), Want: "localhost, or the address of this machine"})
			}
		}
		for _, c := range v.Matomo.Contexts {
			if c.Setting("database.username") == "root" && len(found) == 0 {
				found = append(found, wanting(settingEvidence(c, "database.username", ""), "an account of Matomo's own"))
			}
		}
		if len(unread) == 0 && !v.Database.All {
			unread = append(unread, "not all accounts of the database server could be listed, and Matomo's may be there for other machines too")
		}
		return conclude(found, unread)
	},
	Fix:    automatic("CREATE USER matomo@localhost IDENTIFIED VIA unix_socket, grants on Matomo's schema only (rocca explain DB-03), and its name in [database] username. Then DROP USER for the one that was used from anywhere.", "database account *"),
	Attack: "A18",
	Maps:   []model.Ref{s1("24"), devsec("mysql-db-07")},
	Since:  "0.3",
}

func anywhere(host string) string {
	if host == "" || host == "%" {
		return "every machine"
	}
	return "every machine of " + host
}
