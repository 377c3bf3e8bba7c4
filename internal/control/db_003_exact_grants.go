package control

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"rocca/internal/facts"
	"rocca/internal/model"
)

// runtimeRights are all that Matomo 5.3.0 needs to run, found by taking one right
// after the other away: CREATE for the archive tables of a month, temporary
// tables for segments. LOCK TABLES is for purging, which does without.
var runtimeRights = []string{"SELECT", "INSERT", "UPDATE", "DELETE", "CREATE", "CREATE TEMPORARY TABLES"}

// recordingRights are all that recording needs, by table without its prefix.
var recordingRights = map[string][]string{
	"access": {"SELECT"}, "custom_dimensions": {"SELECT"}, "goal": {"SELECT"}, "plugin_setting": {"SELECT"},
	"site_setting": {"SELECT"}, "site_url": {"SELECT"}, "user": {"SELECT"},
	"site": {"SELECT", "UPDATE"}, "user_token_auth": {"SELECT", "UPDATE"},
	"brute_force_log": {"INSERT", "SELECT"},
	"log_visit":       {"INSERT", "SELECT", "UPDATE"}, "log_link_visit_action": {"INSERT", "SELECT", "UPDATE"},
	"log_conversion": {"INSERT", "SELECT", "UPDATE"}, "log_conversion_item": {"INSERT", "SELECT", "UPDATE"},
	"option": {"INSERT", "SELECT", "UPDATE"}, "tracking_failure": {"INSERT", "SELECT", "UPDATE"},
	"log_action": {"DELETE", "INSERT", "SELECT"},
}

// migrationRights are what installation and migrations may have on the schema.
var migrationRights = append([]string{"ALTER", "DROP", "INDEX", "LOCK TABLES", "REFERENCES", "CREATE VIEW", "SHOW VIEW", "ALL PRIVILEGES", "ALL"}, runtimeRights...)

var db003 = Control{
	ID:       "DB-03",
	Title:    "each account of Matomo has the rights that its work needs, and no other",
	Why:      "An SQL injection does what the account may. With FILE it reads files of the server and writes PHP, with PROCESS and SUPER it watches and stops others, with ALTER and DROP it destroys, and what records visits need not be able to read who logs in.",
	Severity: model.Critical,
	Needs:    []facts.Section{facts.Data, facts.App},
	Eval: func(v *View) Verdict {
		accounts, unread := matomoAccounts(v)
		var found []model.Evidence
		for _, name := range slices.Sorted(maps.Keys(accounts)) {
			found = append(found, excess(v, name, accounts[name])...)
			if accounts[name] == records {
				found = append(found, openOptions(v, name)...)
			}
		}
		return conclude(found, unread)
	},
	Fix: Fix{
		Kind: model.FixAutomatic, Steps: []string{"database account *", "database trigger *"},
		Text: "Grant Matomo's account SELECT, INSERT, UPDATE, DELETE, CREATE, CREATE TEMPORARY TABLES on its schema. An account that only records gets rights on 17 tables instead (docs/layout.md), and one that only migrates ALTER, DROP and INDEX too.",
		Changes: func(v *View) []Change {
			accounts, _ := matomoAccounts(v)
			schemas := matomoSchemas(v)
			var changes []Change
			for _, name := range slices.Sorted(maps.Keys(accounts)) {
				if accounts[name] != runs || len(schemas) != 1 || len(excess(v, name, runs)) == 0 {
					continue
				}
				sql := fmt.Sprintf("REVOKE ALL PRIVILEGES, GRANT OPTION FROM %s; GRANT %s ON `%s`.* TO %s",
					sqlAccount(name), strings.Join(runtimeRights, ", "), strings.NewReplacer("`", "``", "_", `\_`, "%", `\%`).Replace(schemas[0]), sqlAccount(name))
				changes = append(changes, Change{Sentence: "give " + name + " what Matomo needs to run, and no more; core:update then needs an account with ALTER, DROP and INDEX", Command: "mariadb -e " + shellWord(sql)})
			}
			return changes
		},
	},
	Attack: "A18",
	Maps:   []model.Ref{s1("3"), devsec("mysql-db-06"), mariadb("privileges"), asvs("13.2.2")},
	Since:  "0.3",
}

// excess are the rights of an account that its role does not need.
func excess(v *View, name string, as duty) []model.Evidence {
	var found []model.Evidence
	for _, text := range v.Database.Accounts[name].Grants {
		g := parseGrant(text)
		var more []string
		switch {
		case g.other != "":
			more = []string{g.other}
		case g.schema == "*":
			more = g.privileges
		default:
			more = slices.DeleteFunc(slices.Clone(g.privileges), func(right string) bool { return slices.Contains(needed(v, as, g), right) })
		}
		if g.option {
			more = append(more, "GRANT OPTION")
		}
		more = slices.DeleteFunc(more, func(right string) bool { return right == "USAGE" })
		if len(more) > 0 {
			want := map[duty]string{
				runs: strings.Join(runtimeRights, ", ") + " on Matomo's schema", records: "the rights of the tracker on 17 tables", migrates: "rights on Matomo's schema only",
			}[as]
			found = append(found, model.Evidence{Subject: name, Have: fmt.Sprintf("%s (%s)", strings.Join(more, ", "), text), Want: want})
		}
	}
	return found
}

// openOptions are the ways in which an account that records may write options of
// users. A grant covers the whole table, in which beside the salts of recording
// lie the answers that reset a password: only triggers tell them apart.
func openOptions(v *View, name string) []model.Evidence {
	if v.Database.Remote || !v.Database.All {
		return nil // nobody may make triggers there, or not all of them were seen
	}
	var found []model.Evidence
	for _, text := range v.Database.Accounts[name].Grants {
		g := parseGrant(text)
		if !strings.HasSuffix(g.table, "option") || !slices.Contains(needed(v, records, g), "UPDATE") {
			continue
		}
		for _, right := range []string{"INSERT", "UPDATE"} {
			guarded := func(trigger string) bool {
				return strings.HasPrefix(trigger, "BEFORE "+right+" ON "+g.table+": ") && strings.Contains(trigger, "SIGNAL")
			}
			if slices.Contains(g.privileges, right) && !slices.ContainsFunc(slices.Collect(maps.Values(v.Database.Triggers)), guarded) {
				found = append(found, model.Evidence{Subject: name, Have: right + " of any row of " + g.table, Want: "a trigger that refuses what resets passwords (docs/layout.md)"})
			}
		}
	}
	return found
}

// needed are the rights that a role needs on what a grant is about.
func needed(v *View, as duty, g grant) []string {
	switch {
	case as == migrates:
		return migrationRights
	case as == runs:
		return append([]string{"LOCK TABLES"}, runtimeRights...)
	case g.table == "*":
		return nil
	}
	for _, c := range v.Matomo.Contexts {
		if table, fits := strings.CutPrefix(g.table, c.Setting("database.tables_prefix")); fits && recordingRights[table] != nil {
			return recordingRights[table]
		}
	}
	return nil
}
