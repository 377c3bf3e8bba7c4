package control

import (
	"fmt"

	"rocca/internal/facts"
	"rocca/internal/model"
)

var php012 = Control{
	ID:       "PHP-12",
	Title:    "memory and time of a request are limited, all workers together fit into the machine, and the time zone is set",
	Why:      "A few requests that never end, or take all memory, stop the server for everybody: the kernel then kills what is biggest, often the database. Without a zone the times in reports and logs are nobody's.",
	Severity: model.Low,
	Needs:    []facts.Section{facts.Runtime, facts.KernelOf, facts.Services},
	Eval: func(v *View) Verdict {
		pools := v.MatomoPools()
		if len(pools) == 0 {
			return unknown(noPool)
		}
		var found []model.Evidence
		var unbounded int64 // bytes that workers may take together
		for _, pool := range pools {
			memory := phpBytes(pool.Value("memory_limit", "128M"))
			if memory > 4<<30 || !explicit(pool, "memory_limit") {
				found = append(found, directive(pool, "memory_limit", "128M", "512M"))
			}
			if pool.Value("max_execution_time", "30") == "0" || !explicit(pool, "max_execution_time") {
				found = append(found, directive(pool, "max_execution_time", "30", "120"))
			}
			if phpNone(pool.Value("date.timezone", "")) {
				found = append(found, directive(pool, "date.timezone", "", "UTC"))
			}
			if most := v.Units[pool.Master].Sandbox["MemoryMax"]; most == "" || most == "infinity" {
				unbounded += min(memory, 1<<40) * int64(max(pool.Workers, 1))
			}
		}
		switch {
		case unbounded > 0 && v.Memory == 0:
			return conclude(found, []string{"it is not known how much memory the machine has"})
		case unbounded > 0 && uint64(unbounded) > v.Memory:
			found = append(found, model.Evidence{
				Subject: "memory", Want: "workers that fit, or MemoryMax= in their unit",
				Have: fmt.Sprintf("the workers of Matomo may take %d MiB together, the machine has %d MiB", unbounded>>20, v.Memory>>20),
			})
		}
		return conclude(found, nil)
	},
	Fix:    automatic("memory_limit, max_execution_time and date.timezone in PHP's settings, pm.max_children to what fits, MemoryMax= in the unit. Set them where no php_value of a pool or site replaces them.", append([]string{"file /etc/systemd/system/rocca-php@*"}, phpSteps...)...),
	Attack: "A20",
	Maps:   []model.Ref{s2("26"), s2("35")},
	Since:  "0.3",
}

// explicit tells whether a file sets a directive.
func explicit(pool facts.Pool, name string) bool { return pool.Settings[name].From != "" }
