package control

import (
	"fmt"

	"rocca/internal/facts"
	"rocca/internal/model"
)

var ops003 = Control{
	ID:       "OPS-03",
	Title:    "the server does not grow more complicated, and each exception has an owner and an end",
	Why:      "Each open port, writable directory, plugin and exception is one more thing that can be wrong and that somebody must know. They come one by one, and nobody takes them away.",
	Severity: model.Low,
	Needs:    []facts.Section{facts.Own},
	Eval: func(v *View) Verdict {
		var found []model.Evidence
		for _, w := range v.Declared.Waivers {
			subject := "waiver of " + w.ID
			switch {
			case w.Owner == "" || w.Reason == "":
				found = append(found, model.Evidence{Subject: subject, Have: "no owner, or no reason", Want: "both"})
			case w.Until.IsZero():
				found = append(found, model.Evidence{Subject: subject, Have: "no end", Want: "a date"})
			case over(w, v.Server):
				found = append(found, model.Evidence{Subject: subject, Have: "over since " + date(w.Until), Want: "put right, or decided anew"})
			}
		}
		if n := len(v.Rocca.History); n > 1 {
			before, now := v.Rocca.History[n-2], v.Rocca.History[n-1]
			for _, count := range []struct {
				what         string
				before, then int
			}{
				{"waivers", before.Waivers, now.Waivers}, {"open ports", before.Ports, now.Ports},
				{"writable directories", before.Places, now.Places}, {"active plugins", before.Plugins, now.Plugins},
			} {
				if count.then > count.before {
					found = append(found, model.Evidence{Subject: count.what, Have: fmt.Sprintf("%d on %s, %d on %s", count.before, date(before.At), count.then, date(now.At)), Want: "no more than before"})
				}
			}
		}
		return conclude(found, nil)
	},
	Fix:   guided("rocca surface shows what there is and what of it is used. Take away what is not, and give each waiver an owner, a reason and an end."),
	Maps:  []model.Ref{s2("7")},
	Since: "0.3",
}
