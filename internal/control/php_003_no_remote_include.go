package control

import (
	"rocca/internal/facts"
	"rocca/internal/model"
)

var php003Demands = []phpDemand{{"allow_url_include", "0", "off", phpOff}}

var php003 = Control{
	ID:       "PHP-03",
	Title:    "PHP never runs code from another server",
	Why:      "With allow_url_include one wrong include runs what an attacker has put on a server of his own: no upload is needed any more.",
	Severity: model.High,
	Needs:    []facts.Section{facts.Runtime},
	Eval:     ofPools(func(_ *View, pool facts.Pool) []model.Evidence { return demanded(pool, php003Demands) }),
	Fix: Fix{
		Kind: model.FixAutomatic, Steps: phpSteps, Changes: poolChanges(php003Demands),
		Text: "In PHP's settings of each pool of Matomo: allow_url_include = Off, which is also PHP's default.",
	},
	Attack: "A01",
	Maps:   []model.Ref{devsec("php")},
	Since:  "0.3",
}
