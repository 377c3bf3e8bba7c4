package control

import (
	"slices"

	"rocca/internal/facts"
	"rocca/internal/model"
)

var fs011 = Control{
	ID:       "FS-11",
	Title:    "every file of Matomo is as it was released, and no other file steers its PHP",
	Why:      "One changed line in one of eleven thousand files is a back door. Matomo's own check skips bootstrap.php, config.php, autoload.php, .user.ini and all of tmp: code that is put there is never reported.",
	Severity: model.Critical,
	Needs:    []facts.Section{facts.App},
	Eval: func(v *View) Verdict {
		var found []model.Evidence
		for _, change := range v.Integrity.Changed {
			found = append(found, model.Evidence{Subject: inCode(v.Server, change.Path), Have: v.Integrity.Hash + " " + abbreviated(change.Have), Want: v.Integrity.Hash + " " + abbreviated(change.Want)})
		}
		for _, name := range v.Integrity.Missing {
			found = append(found, model.Evidence{Subject: inCode(v.Server, name), Have: "missing", Want: "as released"})
		}
		for _, s := range v.Integrity.Steering {
			if !s.Expected {
				found = append(found, model.Evidence{Subject: s.Path, Have: s.Kind + ": " + s.Why, Want: "not there, or as Matomo writes it"})
			}
		}
		if v.Rocca.Installed && v.Rocca.Release == "" {
			found = append(found, model.Evidence{Subject: "/var/lib/rocca/releases", Have: "what rocca recorded of the release is gone, or cannot be read", Want: "the record, without which a changed file with a fitting manifest is not seen"})
		}
		unread := blind(v, facts.Code)
		if v.Integrity.Baseline == "" {
			unread = append(unread, "there is no list of the files of this release to compare with")
		}
		switch {
		case len(found) > 0 || len(unread) > 0:
			return conclude(found, unread)
		case v.Integrity.Baseline != facts.BaselineSigned:
			return pass(model.Evidence{Subject: v.Matomo.Root, Have: "compared with the " + v.Integrity.Baseline, Want: "compared with the " + facts.BaselineSigned + ", which who changed the tree cannot have changed too"})
		}
		return pass()
	},
	Fix:    automatic("find out who changed it and when; put the file back from the release whose signature was checked, or unpack that release anew and switch to it", append(slices.Clone(codeSteps), "file */config/config.php")...),
	Attack: "A27",
	Maps:   []model.Ref{debian("6.3.2"), asvs("15.2.4"), s2("16")},
	Since:  "0.3",
}
