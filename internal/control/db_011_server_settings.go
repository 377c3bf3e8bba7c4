package control

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"rocca/internal/facts"
	"rocca/internal/model"
)

const smallestPacket = 64 << 20 // what Matomo's own diagnostics want

var db011 = Control{
	ID:       "DB-11",
	Title:    "the database server is strict, writes no statements with data to a log, and has room for all workers",
	Why:      "A log of all statements holds what visitors did and every password hash, in a file that nobody watches. Without strict mode values are cut without a word; with too few connections hits are lost when many come at once.",
	Severity: model.Low,
	Needs:    []facts.Section{facts.Data, facts.Runtime},
	Eval: func(v *View) Verdict {
		if !v.Database.Reached {
			return unknown("the database server could not be asked: " + v.Database.Problem)
		}
		if unseen := untold(v, "sql_mode", "general_log", "max_allowed_packet", "max_connections"); len(unseen) > 0 {
			return unknown(strings.Join(unseen, "; "))
		}
		var found []model.Evidence
		modes := strings.Split(v.Database.Variables["sql_mode"], ",")
		if !slices.Contains(modes, "STRICT_TRANS_TABLES") && !slices.Contains(modes, "STRICT_ALL_TABLES") {
			found = append(found, variable(v, "sql_mode", "with STRICT_TRANS_TABLES"))
		}
		if variableOn(v, "general_log") && !strings.EqualFold(v.Database.Variables["log_output"], "NONE") {
			found = append(found, variable(v, "general_log", "OFF"))
		}
		if packet, err := strconv.ParseInt(v.Database.Variables["max_allowed_packet"], 10, 64); err != nil || packet < smallestPacket {
			found = append(found, variable(v, "max_allowed_packet", "64M"))
		}
		workers := 0
		for _, pool := range v.MatomoPools() {
			workers += pool.Workers
		}
		if most, err := strconv.Atoi(v.Database.Variables["max_connections"]); err != nil || most < workers+10 {
			found = append(found, variable(v, "max_connections", fmt.Sprintf("%d or more: PHP has %d workers", workers+10, workers)))
		}
		return conclude(found, nil)
	},
	Fix:    automatic("In /etc/mysql/mariadb.conf.d: max_allowed_packet = 64M, general_log = 0, sql_mode with STRICT_TRANS_TABLES, max_connections above the number of PHP's workers.", databaseSteps...),
	Attack: "A20",
	Maps:   []model.Ref{mariadb("logging"), devsec("mysql-conf-03")},
	Since:  "0.3",
}
