package control

import (
	"fmt"
	"strconv"
	"strings"

	"rocca/internal/facts"
	"rocca/internal/model"
)

// mostTasks is how many processes and threads one pool may have; systemd's
// default is 15 % of what the machine can have.
const mostTasks = 512

var iso009 = Control{
	ID:       "ISO-09",
	Title:    "memory, processes and processor time of Matomo's PHP have limits that fit the machine",
	Why:      "The tracker answers everybody. Without limits a flood of requests, or one report over ten years, takes the memory of the database and of SSH too, and the kernel ends what it likes.",
	Severity: model.Medium,
	Needs:    []facts.Section{facts.Services, facts.Runtime, facts.KernelOf, facts.App},
	Eval: func(v *View) Verdict {
		if len(v.MatomoPools()) == 0 {
			return unknown(noPool)
		}
		var found []model.Evidence
		var unseen []string
		for _, pool := range v.MatomoPools() {
			unit := v.Units[pool.Master]
			if len(unit.Sandbox) == 0 {
				unseen = append(unseen, "the limits of "+pool.Master+" were not seen")
				continue
			}
			against := func(have, want string) {
				found = append(found, model.Evidence{Subject: pool.Master, Have: have, Want: want})
			}
			memory := unit.Sandbox["MemoryMax"]
			if bytes, limited := limit(memory); !limited || v.Memory > 0 && bytes > v.Memory/10*9 {
				against("MemoryMax="+memory, fmt.Sprintf("less than 90 %% of %d MB", v.Memory>>20))
			}
			tasks := unit.Sandbox["TasksMax"]
			if number, limited := limit(tasks); !limited || number > mostTasks {
				against("TasksMax="+tasks, fmt.Sprintf("%d at most", mostTasks))
			} else if number <= uint64(pool.Workers) {
				against(fmt.Sprintf("TasksMax=%s for %d workers and their master", tasks, pool.Workers), "more than pm.max_children")
			}
			if pool.SAPI == "fpm" && pool.Workers == 0 {
				against("pm.max_children is not set", "set")
			}
			_, weighed := limit(unit.Sandbox["CPUWeight"])
			if quota := unit.Sandbox["CPUQuota"]; !weighed && (quota == "" || quota == "infinity") {
				against("no CPUQuota and no CPUWeight", "one of them")
			}
		}
		return conclude(found, unseen)
	},
	Fix:    automatic("MemoryMax=60%, TasksMax=64 and CPUQuota= or CPUWeight= in the unit (systemctl edit UNIT), pm.max_children in the pool", unitSteps...),
	Attack: "A20",
	Maps:   []model.Ref{asvs("15.1.3")},
	Since:  "0.3",
}

// limit reads a limit of systemd, which "infinity" is none.
func limit(text string) (number uint64, limited bool) {
	number, err := strconv.ParseUint(strings.TrimSpace(text), 10, 64)
	return number, err == nil && number < 1<<63
}
