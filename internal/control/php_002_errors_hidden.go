package control

import (
	"rocca/internal/facts"
	"rocca/internal/model"
)

var php002Demands = []phpDemand{
	{"display_errors", "1", "off", phpOff},
	{"display_startup_errors", "1", "off", phpOff},
	{"log_errors", "1", "on", phpOn},
	{"expose_php", "1", "off", phpOff},
}

var php002 = Control{
	ID:       "PHP-02",
	Title:    "errors of PHP go to the log and not to the visitor, who is not told its version either",
	Why:      "An error message shows paths, table names and sometimes the arguments of a function, and the version tells which known weaknesses to try. An attacker provokes errors on purpose to read them.",
	Severity: model.Medium,
	Needs:    []facts.Section{facts.Runtime},
	Eval:     ofPools(func(_ *View, pool facts.Pool) []model.Evidence { return demanded(pool, php002Demands) }),
	Fix: Fix{
		Kind: model.FixAutomatic, Steps: phpSteps, Changes: poolChanges(php002Demands),
		Text: "In PHP's settings of each pool of Matomo: display_errors = Off, display_startup_errors = Off, log_errors = On, expose_php = Off.",
	},
	Attack: "A07",
	Maps:   []model.Ref{devsec("php"), asvs("16.5.1"), asvs("13.4.6")},
	Since:  "0.3",
}
