package control

import (
	"maps"
	"slices"
	"strings"

	"rocca/internal/facts"
	"rocca/internal/model"
)

var db004 = Control{
	ID:       "DB-04",
	Title:    "no other account reaches Matomo's schema, and Matomo's accounts reach no other",
	Why:      "Where one account reaches several schemas, a weakness in one application hands out the data of all: what if the second application is broken? Then it must end there.",
	Severity: model.High,
	Needs:    []facts.Section{facts.Data, facts.App},
	Eval: func(v *View) Verdict {
		accounts, unread := matomoAccounts(v)
		schemas := matomoSchemas(v)
		if len(unread) == 0 && len(schemas) == 0 {
			unread = append(unread, "it is not known which schema is Matomo's")
		}
		var found []model.Evidence
		for _, name := range slices.Sorted(maps.Keys(v.Database.Accounts)) {
			account := v.Database.Accounts[name]
			_, own := accounts[name]
			if !account.Exists || !own && ownAccount(v, name) {
				continue
			}
			for _, text := range account.Grants {
				g := parseGrant(text)
				if g.other != "" || !touchesData(g) {
					continue
				}
				switch {
				case own && !staysIn(g, schemas):
					found = append(found, model.Evidence{Subject: name, Have: text, Want: "rights on " + strings.Join(schemas, ", ") + " only"})
				case !own && slices.ContainsFunc(schemas, g.covers):
					found = append(found, model.Evidence{Subject: name, Have: text, Want: "no right on " + strings.Join(schemas, ", ")})
				}
			}
		}
		if len(unread) == 0 && !v.Database.All {
			unread = append(unread, "not all accounts of the database server could be listed")
		}
		return conclude(found, unread)
	},
	Fix:    automatic("An account of its own for each application, with rights on its own schema. REVOKE the others.", "database account *"),
	Attack: "A18",
	Maps:   []model.Ref{asvs("13.2.2"), s2("18")},
	Since:  "0.3",
}

// touchesData tells whether a grant gives anything but the right to connect.
func touchesData(g grant) bool {
	return slices.ContainsFunc(g.privileges, func(right string) bool { return right != "USAGE" })
}

// staysIn tells whether a grant is about these schemas only. A pattern may mean
// schemas that are to come.
func staysIn(g grant, schemas []string) bool {
	name := g.schema
	if g.table == "*" {
		name = strings.NewReplacer(`\_`, "_", `\%`, "%").Replace(name)
		if strings.Contains(strings.ReplaceAll(g.schema, `\%`, ""), "%") {
			return false
		}
	}
	return slices.Contains(schemas, name)
}
