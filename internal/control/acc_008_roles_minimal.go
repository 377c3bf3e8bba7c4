package control

import (
	"fmt"
	"maps"
	"slices"

	"rocca/internal/facts"
	"rocca/internal/model"
)

var acc008 = Control{
	ID:       "ACC-08",
	Title:    "nobody sees a report without a login, and nobody administers all sites but super users",
	Why:      "Rights of the user anonymous are rights of everybody on the internet: all reports, and with the visitor log each single visitor. A login that administers every site is a super user that nobody counts.",
	Severity: model.High,
	Needs:    []facts.Section{facts.Content},
	Eval: func(v *View) Verdict {
		var against []model.Evidence
		administered := map[string]int{}
		for _, access := range v.Rows.Access {
			if access.Login == "anonymous" {
				against = append(against, model.Evidence{Subject: "login anonymous", Have: fmt.Sprintf("%s of site %d: everybody sees it", access.Right, access.Site), Want: "no rights"})
			}
			if access.Right == "admin" {
				administered[access.Login]++
			}
		}
		for _, login := range slices.Sorted(maps.Keys(administered)) {
			if n := len(v.Rows.Sites); n > 1 && administered[login] >= n {
				against = append(against, model.Evidence{Subject: "login " + login, Have: fmt.Sprintf("administers all %d sites", n), Want: "view or write where that is enough"})
			}
		}
		return conclude(against, gaps(v, "access", "sites"))
	},
	Fix:    guided("Take all rights from the user anonymous (Administration, System, Users), and publish single figures by a widget with a token that can only view. Lower admin to write or view where people only read reports."),
	Attack: "A13",
	Maps:   []model.Ref{s1("3"), asvs("8")},
	Since:  "0.3",
}
