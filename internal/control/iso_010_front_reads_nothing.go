package control

import (
	"slices"

	"rocca/internal/facts"
	"rocca/internal/model"
	"rocca/internal/reach"
)

var iso010 = Control{
	ID:       "ISO-10",
	Title:    "the user of the front reaches neither Matomo's configuration nor its database nor its tmp",
	Why:      "The front is the program that the whole internet talks to. A hole in it, or one symbolic link that it follows, must not give the database password.",
	Severity: model.High,
	Needs:    append(slices.Clone(principals), facts.Data),
	Eval: func(v *View) Verdict {
		user := v.Front.User
		if v.Front.Program == "" {
			return notApplicable("no web server was found")
		}
		if user == "" {
			return unknown("it is not known as which user " + v.Front.Program + " runs")
		}
		if slices.Contains(matomoUsers(v.Server), user) {
			return fail(model.Evidence{Subject: "user " + user, Have: "runs " + v.Front.Program + " and Matomo's PHP", Want: "a user for each"})
		}
		var found []model.Evidence
		for _, p := range v.Reach.From(user) {
			found = append(found, model.Evidence{Subject: p.To.String(), Have: p.String(), Want: "out of reach of " + user})
		}
		for _, context := range v.Matomo.Contexts {
			for _, name := range []string{context.Config, context.Tmp} {
				readers := slices.DeleteFunc(v.Reach.Readers(name), func(p reach.Path) bool { return p.From.Name != user })
				found = append(found, ways(name, readers, "out of reach of "+user)...)
			}
		}
		return conclude(found, nil)
	},
	Fix:    automatic("a user of its own for PHP (ISO-01), not in a group with the front (FS-15); config and tmp in directories that the front cannot enter", append(slices.Clone(privateSteps), "directory */tmp")...),
	Attack: "A06",
	Maps:   []model.Ref{s2("22")},
	Since:  "0.3",
}
