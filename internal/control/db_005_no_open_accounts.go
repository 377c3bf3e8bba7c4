package control

import (
	"maps"
	"slices"
	"strings"

	"rocca/internal/facts"
	"rocca/internal/model"
)

var db005 = Control{
	ID:       "DB-05",
	Title:    "there is no account without a name or password, none for every host, and no schema for tests",
	Why:      "These are what attackers try first, because so many servers have them from their installation. Everybody may write to a schema named test, and fill the disk.",
	Severity: model.High,
	Needs:    []facts.Section{facts.Data},
	Eval: func(v *View) Verdict {
		if !v.Database.Reached {
			return unknown("the database server could not be asked: " + v.Database.Problem)
		}
		var found []model.Evidence
		for _, name := range slices.Sorted(maps.Keys(v.Database.Accounts)) {
			account := v.Database.Accounts[name]
			if !account.Exists || account.Role || account.Locked {
				continue
			}
			user, host := splitAccount(name)
			if user == "" {
				found = append(found, model.Evidence{Subject: name, Have: "an account without a name", Want: "DROP USER"})
			}
			if account.NoWord {
				found = append(found, model.Evidence{Subject: name, Have: "logs in with an empty password", Want: "unix_socket, or a password"})
			}
			if wideHost(v, host) && !slices.Contains([]string{"rdsadmin", "rdsrepladmin"}, user) {
				found = append(found, model.Evidence{Subject: name, Have: "may be used from " + anywhere(host), Want: "one host"})
			}
			for _, text := range account.Grants {
				if g := parseGrant(text); g.other == "" && (g.schema == "test" || strings.HasPrefix(g.schema, `test\_`)) {
					found = append(found, model.Evidence{Subject: name, Have: text, Want: "no rights on schemas for tests"})
				}
			}
		}
		if variableOn(v, "skip_grant_tables") {
			found = append(found, variable(v, "skip_grant_tables", "OFF: with it nobody needs a password"))
		}
		if _, test := v.Database.Schemas["test"]; test {
			found = append(found, model.Evidence{Subject: "schema test", Have: "there", Want: "DROP DATABASE test"})
		}
		if !v.Database.All {
			return conclude(found, []string{"not all accounts of the database server could be listed"})
		}
		return conclude(found, nil)
	},
	Fix: Fix{
		Kind: model.FixAutomatic, Steps: []string{"database account *"},
		Text: "mariadb-secure-installation takes away accounts without a name and the schema test; DROP USER or RENAME USER those for every host.",
		Changes: func(v *View) []Change {
			var changes []Change
			for _, name := range slices.Sorted(maps.Keys(v.Database.Accounts)) {
				if user, _ := splitAccount(name); user == "" && v.Database.Accounts[name].Exists {
					changes = append(changes, Change{Sentence: "take away the account without a name", Command: "mariadb -e " + shellWord("DROP USER "+sqlAccount(name))})
				}
			}
			return changes
		},
	},
	Attack: "A19",
	Maps:   []model.Ref{devsec("mysql-db-03..07"), mariadb("accounts")},
	Since:  "0.3",
}
