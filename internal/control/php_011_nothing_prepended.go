package control

import (
	"rocca/internal/facts"
	"rocca/internal/model"
)

var php011Demands = []phpDemand{
	{"auto_prepend_file", "", "", phpNone},
	{"auto_append_file", "", "", phpNone},
	{"user_ini.filename", ".user.ini", "", phpNone},
}

var php011 = Control{
	ID:       "PHP-11",
	Title:    "PHP runs no file before or after Matomo's, and takes no settings from the directories it serves",
	Why:      "A .user.ini that somebody drops into a directory sets auto_prepend_file: from then on his code runs with every request, and no file of Matomo has changed.",
	Severity: model.High,
	Needs:    []facts.Section{facts.Runtime},
	Eval: ofPools(func(_ *View, pool facts.Pool) []model.Evidence {
		demands := php011Demands
		if pool.SAPI != "fpm" {
			demands = demands[:2] // Apache's own PHP reads no .user.ini
		}
		return demanded(pool, demands)
	}),
	Fix: Fix{
		Kind: model.FixAutomatic, Steps: phpSteps,
		Text: "auto_prepend_file, auto_append_file and user_ini.filename empty in the php.ini of Matomo's pools (the last one counts there only, and not in a pool's file).",
	},
	Attack: "A04",
	Maps:   []model.Ref{devsec("php")},
	Since:  "0.3",
}
