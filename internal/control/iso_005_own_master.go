package control

import (
	"slices"

	"rocca/internal/facts"
	"rocca/internal/model"
)

var iso005 = Control{
	ID:       "ISO-05",
	Title:    "no other application shares compiled code with Matomo",
	Why:      "Pools of one master share one OPcache, whatever their users: another application includes Matomo's cached PHP by its path and gets what it may not read, the configuration too.",
	Severity: model.High,
	Needs:    []facts.Section{facts.Runtime, facts.App},
	Eval: func(v *View) Verdict {
		if len(v.MatomoPools()) == 0 {
			return unknown(noPool)
		}
		if len(v.PHP.Pools) == len(v.MatomoPools()) {
			return notApplicable("there is no pool of another application")
		}
		// A pool that runs as Matomo's user without serving it has its code, too.
		users := matomoUsers(v.Server)
		var found []model.Evidence
		for _, pool := range v.PHP.Pools {
			for _, other := range v.OtherPools() {
				if pool.Role == "" && !slices.Contains(users, pool.User) || pool.User == other.User && pool.Role == "" {
					continue
				}
				if pool.Master == other.Master && pool.Branch == other.Branch && !(checksPermission(pool) && checksPermission(other)) {
					found = append(found, model.Evidence{Subject: other.File, Line: other.Line, Have: "pool " + other.Name + " shares " + pool.Master + " with pool " + pool.Name, Want: "a master of its own, or opcache.validate_permission and validate_root on"})
				}
			}
		}
		return conclude(found, nil)
	},
	Fix:    automatic("start a PHP-FPM master of its own for Matomo (a unit with its own --fpm-config), or set opcache.validate_permission=1 and opcache.validate_root=1 in php.ini", unitSteps...),
	Attack: "A02",
	Maps:   []model.Ref{s2("21"), devsec("php")},
	Since:  "0.3",
}

// checksPermission tells whether OPcache asks the file system before it gives a
// cached file to a process.
func checksPermission(p facts.Pool) bool {
	return on(p.Value("opcache.validate_permission", "0")) && on(p.Value("opcache.validate_root", "0")) || !on(p.Value("opcache.enable", "1"))
}
