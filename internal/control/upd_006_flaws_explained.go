package control

import (
	"cmp"
	"slices"
	"strings"

	"rocca/internal/facts"
	"rocca/internal/model"
)

var upd006 = Control{
	ID:       "UPD-06",
	Title:    "no known weakness of Matomo, its libraries or the packages that run it is open without a reason",
	Why:      "The attack on a known weakness is a program that anybody can download. Each one is either fixed, or somebody has written down why it does not matter here.",
	Severity: model.High,
	Needs:    []facts.Section{facts.Known, facts.Software},
	Eval: func(v *View) Verdict {
		var found []model.Evidence
		for _, flaw := range openFlaws(slices.Concat(v.Advisory.Matomo, v.Advisory.Parts, v.Advisory.Debian)) {
			want := "a reason why it does not matter here; there is no fix yet"
			if flaw.Fixed != "" {
				want = flaw.Fixed + " or newer"
			}
			found = append(found, model.Evidence{Subject: flaw.Package, Have: strings.TrimSpace(flaw.ID + " in " + flaw.Have + " " + flaw.Severity), Want: want})
		}
		for _, p := range v.Apt.Pending {
			if !slices.ContainsFunc(v.Advisory.Debian, func(f facts.Flaw) bool { return f.Package == p.Package }) {
				found = append(found, model.Evidence{Subject: p.Package, Have: p.Have + ": a security update waits", Want: p.Offered})
			}
		}
		if v.Advisory.Dated.IsZero() {
			return conclude(found, []string{"there is no data about known weaknesses: " + cmp.Or(v.Advisory.Source, "none was found")})
		}
		return conclude(found, nil)
	},
	Fix:   guided("Upgrade what has a fix: apt upgrade for packages, rocca up --release for Matomo. For what has none, decide: switch off what needs it, or write a waiver of UPD-06 with the package as scope and the reason."),
	Maps:  []model.Ref{asvs("15.1.2"), s2("29")},
	Since: "0.3",
}
