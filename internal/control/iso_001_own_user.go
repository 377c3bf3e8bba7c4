package control

import (
	"rocca/internal/facts"
	"rocca/internal/model"
)

var iso001 = Control{
	ID:       "ISO-01",
	Title:    "Matomo's PHP runs as a user of its own, not inside the web server",
	Why:      "With PHP inside Apache every site of the machine is one user: a hole in a forgotten page of any of them reads Matomo's configuration and changes its code. The talk asks it like this: what falls when app2 falls?",
	Severity: model.Critical,
	Needs:    []facts.Section{facts.Runtime, facts.Web, facts.App},
	Eval: func(v *View) Verdict {
		pools := v.MatomoPools()
		if len(pools) == 0 {
			return unknown(noPool)
		}
		var found []model.Evidence
		var unseen []string
		for _, pool := range pools {
			e := model.Evidence{Subject: pool.File, Line: pool.Line, Want: "a pool of PHP-FPM with a user of its own"}
			switch {
			case pool.SAPI == "apache2":
				e.Have = "PHP inside Apache, as " + pool.User + " like every other site"
			case pool.User == "root":
				e.Have = "pool " + pool.Name + " runs as root"
			case pool.User == "":
				unseen = append(unseen, "the user of pool "+pool.Name+" was not seen")
				continue
			case pool.User == v.Front.User:
				e.Have = "pool " + pool.Name + " runs as " + pool.User + ", as the front does"
			default:
				continue
			}
			found = append(found, e)
		}
		return conclude(found, unseen)
	},
	Fix:    guided("apt-get install php-fpm, a pool with its own user and group for Matomo, a2dismod php*, and let the front pass index.php, matomo.php, piwik.php to its socket; rocca up does all of that on a fresh server"),
	Attack: "A06",
	Maps:   []model.Ref{s2("18"), s2("22")},
	Since:  "0.3",
}
