package control

import (
	"rocca/internal/facts"
	"rocca/internal/model"
)

var php009 = Control{
	ID:       "PHP-09",
	Title:    "PHP gets no secret by its environment",
	Why:      "Environment variables are shown by phpinfo, by error pages, by /proc and to every program that PHP starts. A password there is read by the first weakness of any of them.",
	Severity: model.Medium,
	Needs:    []facts.Section{facts.Runtime, facts.Services},
	Eval: ofPools(func(v *View, pool facts.Pool) []model.Evidence {
		var found []model.Evidence
		if pool.SAPI == "fpm" && !pool.ClearEnv {
			found = append(found, model.Evidence{Subject: pool.File, Line: pool.Line, Have: "pool " + pool.Name + ": clear_env = no, so workers get all of the master's environment", Want: "clear_env = yes"})
		}
		for _, name := range pool.SecretEnv {
			found = append(found, model.Evidence{Subject: pool.File, Line: pool.Line, Have: "pool " + pool.Name + ": env[" + name + "] holds a secret", Want: "a file that only " + pool.User + " can read"})
		}
		for _, name := range v.Units[pool.Master].SecretsInEnv {
			found = append(found, model.Evidence{Subject: pool.Master, Have: "Environment=" + name + " holds a secret", Want: "a file that only " + pool.User + " can read"})
		}
		return found
	}),
	Fix:    automatic("clear_env = yes in the pool, and no secret in env[] or in Environment= of the unit: Matomo reads its password from config.ini.php, or needs none.", append([]string{"file /etc/systemd/system/rocca-php@*"}, phpSteps...)...),
	Attack: "A06",
	Maps:   []model.Ref{s1("1"), asvs("13.3.1")},
	Since:  "0.3",
}
