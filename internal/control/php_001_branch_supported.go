package control

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"rocca/internal/facts"
	"rocca/internal/model"
)

// phpEnds is when the PHP project ends security fixes of a branch
// (php.net/supported-versions).
var phpEnds = map[string]string{
	"7.4": "2022-11-28", "8.0": "2023-11-26", "8.1": "2025-12-31", "8.2": "2026-12-31",
	"8.3": "2027-12-31", "8.4": "2028-12-31", "8.5": "2029-12-31",
}

// debianPHP is the branch that a Debian release has, and when Debian ends
// security fixes of it, long term support included (wiki.debian.org/LTS).
var debianPHP = map[string]struct{ branch, ends string }{
	"11": {"7.4", "2026-08-31"}, "12": {"8.2", "2028-06-30"}, "13": {"8.4", "2030-06-30"},
}

var php001 = Control{
	ID:       "PHP-01",
	Title:    "the branch of PHP gets security fixes",
	Why:      "Weaknesses of PHP are published with the fix. A branch that gets no fixes keeps every one that is found from then on, open to whoever reads the news.",
	Severity: model.High,
	Needs:    []facts.Section{facts.Software, facts.Runtime},
	Eval: func(v *View) Verdict {
		if v.Observed.IsZero() {
			return unknown("it is not known when the server was looked at")
		}
		branches := map[string]facts.Pool{}
		for _, pool := range v.MatomoPools() {
			branches[pool.Branch] = pool
		}
		if len(branches) == 0 {
			return unknown(noPool)
		}
		var found []model.Evidence
		var unseen []string
		for branch, pool := range branches {
			ends, by := phpEnds[branch], "the PHP project"
			if own := debianPHP[v.OS.Version]; v.OS.ID == "debian" && own.branch == branch && !foreignPHP(v, branch) {
				ends, by = own.ends, "Debian "+v.OS.Version
			}
			end, err := time.Parse(time.DateOnly, ends)
			if err != nil {
				unseen = append(unseen, fmt.Sprintf("rocca does not know how long PHP %q gets security fixes", branch))
				continue
			}
			if v.Observed.After(end.AddDate(0, 0, 1)) {
				found = append(found, model.Evidence{
					Subject: pool.File, Line: pool.Line,
					Have: fmt.Sprintf("pool %s runs PHP %s: %s fixed it until %s", pool.Name, branch, by, ends), Want: "a branch that gets security fixes",
				})
			}
		}
		slices.Sort(unseen)
		return conclude(found, unseen)
	},
	Fix:   guided("Go to the PHP of a Debian release that is supported: upgrade Debian (https://www.debian.org/releases/), and rehearse Matomo on it first."),
	Maps:  []model.Ref{asvs("15.2.1"), s2("30")},
	Since: "0.3",
}

// foreignPHP tells whether a branch is installed from another archive than
// Debian's: its packages then follow the PHP project's dates.
func foreignPHP(v *View, branch string) bool {
	for name, p := range v.Packages {
		if p.Installed && strings.HasPrefix(name, "php"+branch) && strings.Contains(p.Version, "+debian") {
			return true
		}
	}
	return false
}
