package control

import (
	"slices"

	"rocca/internal/facts"
	"rocca/internal/model"
	"rocca/internal/reach"
)

var fs017 = Control{
	ID:       "FS-17",
	Title:    "no other user of this server gets to a secret, a file or the data of Matomo, by any path",
	Why:      "What if another application on the same server is compromised? Its user then tries everything: files through their directories, groups, sockets, ports that speak FastCGI, a shared cache of compiled code, jobs, sudo, the database. One path is enough.",
	Severity: model.Critical,
	Needs:    append(slices.Clone(principals), facts.Data),
	Eval: func(v *View) Verdict {
		var found []model.Evidence
		for _, p := range reach.Without(v.Reach.Exposed(), matomoUsers(v.Server)...) {
			found = append(found, model.Evidence{Subject: p.From.String(), Have: p.String(), Want: "no path to " + p.To.String()})
		}
		return conclude(found, nil)
	},
	Fix:    guided("cut each path at the hop that is not meant to be: rocca reach --from USER prints them; rocca explain tells for FS-*, ISO-*, DB-* how"),
	Attack: "A01 A02 A06",
	Maps:   []model.Ref{s2("18"), s2("15"), gdpr("Art. 32")},
	Since:  "0.3",
}
