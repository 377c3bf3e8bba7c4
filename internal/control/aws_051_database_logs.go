package control

import (
	"fmt"
	"slices"
	"strings"

	"rocca/internal/facts"
	"rocca/internal/model"
)

// databaseLogs are those that RDS must hand to CloudWatch. The general log is
// not among them: it has the queries of everybody in it.
var databaseLogs = []string{"error", "slowquery"}

func missingLogs(d facts.CloudDatabase) []string {
	return slices.DeleteFunc(slices.Clone(databaseLogs), func(name string) bool { return slices.Contains(d.Logs, name) })
}

var loggedDatabases = each[facts.CloudDatabase]{
	all: databasesOfMatomo, none: noDatabase,
	judge: func(_ *View, d facts.CloudDatabase) (against []model.Evidence, _ []string) {
		if missing := missingLogs(d); len(missing) > 0 {
			against = append(against, model.Evidence{Subject: databaseSubject(d), Have: "does not hand on the logs " + strings.Join(missing, ", "), Want: "logs in CloudWatch: " + strings.Join(databaseLogs, ", ")})
		}
		if d.Monitoring == 0 {
			against = append(against, model.Evidence{Subject: databaseSubject(d), Have: "its machine is not measured", Want: "enhanced monitoring"})
		}
		return against, nil
	},
	shows: func(_ *View, d facts.CloudDatabase) []model.Evidence {
		return ofDatabase(d, fmt.Sprintf("logs in CloudWatch: %s; measured every %d seconds", strings.Join(d.Logs, ", "), d.Monitoring))
	},
	puts: func(v *View, d facts.CloudDatabase) (all []Change) {
		if missing := missingLogs(d); len(missing) > 0 {
			all = append(all, modified(v, d, "hand the logs of "+databaseSubject(d)+" to CloudWatch",
				"--cloudwatch-logs-export-configuration", `{"EnableLogTypes":["`+strings.Join(missing, `","`)+`"]}`, "--apply-immediately"))
		}
		if role := monitorOf(v); d.Monitoring == 0 && role != "" {
			all = append(all, modified(v, d, "measure the machine of "+databaseSubject(d), "--monitoring-interval", "60", "--monitoring-role-arn", role, "--apply-immediately"))
		}
		return all
	},
}

// monitorOf is the role by which RDS measures; empty when there is none.
func monitorOf(v *View) string {
	for _, role := range v.Cloud.Roles {
		if strings.Contains(role.Trust, "monitoring.rds.amazonaws.com") {
			return role.ARN
		}
	}
	return ""
}

var aws051 = Control{
	ID:       "AWS-51",
	Title:    "the logs of the database are kept outside of it, and its machine is measured",
	Why:      "Failed logins and queries that take minutes are how a break-in by SQL looks at first. RDS throws its logs away within days, and on the database nobody looks.",
	Severity: model.Low,
	Needs:    []facts.Section{facts.CloudDatabases},
	Eval:     loggedDatabases.verdict,
	Fix:      guidedBy("Export the logs error and slowquery to CloudWatch (slow_query_log = 1 and log_output = FILE in the parameter group), and switch on enhanced monitoring, which needs a role for monitoring.rds.amazonaws.com.", loggedDatabases.changes),
	Maps:     []model.Ref{fsbp("RDS.6"), fsbp("RDS.9")},
	Since:    "0.6",
}
