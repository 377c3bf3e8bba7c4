package control

import (
	"rocca/internal/facts"
	"rocca/internal/model"
)

var iso006 = Control{
	ID:       "ISO-06",
	Title:    "no script can ask OPcache what it holds, and it keeps nothing in files",
	Why:      "opcache_get_status() lists every path of every site of the master, and opcache_reset() slows all of them down. A cache in files is code in another place: who writes there runs code.",
	Severity: model.Medium,
	Needs:    []facts.Section{facts.Runtime, facts.App},
	Eval: ofPools(func(_ *View, pool facts.Pool) []model.Evidence {
		if !on(pool.Value("opcache.enable", "1")) {
			return nil
		}
		var found []model.Evidence
		if pool.Value("opcache.restrict_api", "") == "" {
			found = append(found, directive(pool, "opcache.restrict_api", "", "a directory in which no script is, such as /nowhere"))
		}
		if pool.Value("opcache.file_cache", "") != "" {
			found = append(found, directive(pool, "opcache.file_cache", "", "empty"))
		}
		return found
	}),
	Fix: Fix{Kind: model.FixAutomatic, Text: "opcache.restrict_api = /nowhere and opcache.file_cache = (empty) in php.ini, then restart PHP", Steps: phpSteps,
		Changes: func(v *View) []Change {
			var changes []Change
			for _, pool := range v.MatomoPools() {
				if pool.SAPI == "fpm" && on(pool.Value("opcache.enable", "1")) && pool.Value("opcache.restrict_api", "") == "" {
					changes = append(changes, Change{Sentence: "let no script of pool " + pool.Name + " ask OPcache (then restart PHP)", Command: "echo 'php_admin_value[opcache.restrict_api] = /nowhere' >>" + shellWord(pool.File)})
				}
			}
			return changes
		}},
	Attack: "A02",
	Maps:   []model.Ref{s2("21")},
	Since:  "0.3",
}
