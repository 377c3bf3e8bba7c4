package control

import (
	"fmt"
	"slices"
	"strings"

	"rocca/internal/facts"
	"rocca/internal/model"
)

// phpUnused are the functions that no page of Matomo 5.3.0 needs: the user
// interface passed all checks without them. Archiving on the command line does
// need shell_exec, and is not a pool.
var phpUnused = []string{
	"dl", "exec", "highlight_file", "link", "passthru", "pcntl_exec", "pcntl_fork", "phpinfo", "popen", "posix_kill",
	"proc_open", "putenv", "shell_exec", "show_source", "symlink", "system",
}

// phpNeeded are functions that Matomo fails without.
var phpNeeded = []string{"chmod", "error_log", "escapeshellarg", "rename", "tempnam"}

var php004 = Control{
	ID:       "PHP-04",
	Title:    "functions of PHP that Matomo's pages do not need are off",
	Why:      "Who can run a line of PHP through a weakness starts a shell with exec or system. This takes the shortest way from him; it is no boundary, and nothing else counts as safe because of it.",
	Severity: model.Medium,
	Needs:    []facts.Section{facts.Runtime},
	Eval: ofPools(func(_ *View, pool facts.Pool) []model.Evidence {
		off := phpList(pool.Value("disable_functions", ""))
		missing := slices.DeleteFunc(slices.Clone(phpUnused), func(name string) bool { return slices.Contains(off, name) })
		broken := slices.DeleteFunc(slices.Clone(phpNeeded), func(name string) bool { return !slices.Contains(off, name) })
		var found []model.Evidence
		if len(missing) > 0 {
			e := directive(pool, "disable_functions", "", "")
			e.Have, e.Want = fmt.Sprintf("pool %s: still on: %s", pool.Name, strings.Join(missing, ",")), "in disable_functions"
			found = append(found, e)
		}
		if len(broken) > 0 {
			e := directive(pool, "disable_functions", "", "")
			e.Have, e.Want = fmt.Sprintf("pool %s: off, though Matomo needs it: %s", pool.Name, strings.Join(broken, ",")), "not in disable_functions"
			found = append(found, e)
		}
		return found
	}),
	Fix: Fix{
		Kind: model.FixAutomatic, Steps: phpSteps,
		Text: "disable_functions = " + strings.Join(phpUnused, ",") + " in PHP's settings of each pool of Matomo, and core:archive by a timer, because archiving from a browser needs shell_exec.",
		Changes: poolChanges([]phpDemand{{"disable_functions", "", strings.Join(phpUnused, ","), func(value string) bool {
			off := phpList(value)
			return !slices.ContainsFunc(phpUnused, func(name string) bool { return !slices.Contains(off, name) })
		}}}),
	},
	Attack: "A16",
	Maps:   []model.Ref{devsec("php")},
	Since:  "0.3",
}
