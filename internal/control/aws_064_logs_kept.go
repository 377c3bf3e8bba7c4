package control

import (
	"fmt"

	"rocca/internal/facts"
	"rocca/internal/model"
)

var aws064 = Control{
	ID:       "AWS-64",
	Title:    "every log is kept for a time that somebody chose, encrypted with a key of its own",
	Why:      "Logs hold addresses of visitors and whatever a program prints when it fails. Kept for ever they are a liability under the GDPR and on the bill; gone after a week they are no help against somebody who came last month.",
	Severity: model.Low,
	Needs:    []facts.Section{facts.CloudLogGroups},
	Eval:     inspected(logsKept),
	Fix:      remedied("set a retention (aws logs put-retention-policy, which deletes what is older) and a key that CloudWatch Logs may use", logsKept),
	Maps:     []model.Ref{fsbp("CloudWatch.16"), gdpr("Art. 5"), s1("31")},
	Since:    "0.6",
}

func logsKept(v *View) inspection {
	found := inspection{absent: "there is no log group"}
	for _, g := range v.Cloud.LogGroups {
		if !v.concerns(g.Tags, "") {
			continue
		}
		found.absent = ""
		subject, wrong := "log group "+g.Name, len(found.faults)
		least := v.Cloud.Wanted.LogDays
		switch {
		case g.Days == 0:
			found.against(subject, "kept for ever", "a retention", Change{})
		case v.Cloud.Wanted.Known && g.Days < least:
			found.against(subject, "kept for "+daysInWords(g.Days), daysInWords(least)+" (monitoring.log_days)",
				Change{Sentence: "keep the " + subject + " for longer", Command: v.commandLine("logs", "put-retention-policy", "--log-group-name", g.Name, "--retention-in-days", fmt.Sprint(least))})
		}
		if g.Key == "" {
			found.against(subject, "encrypted with the key of CloudWatch Logs", "a key of its own", Change{})
		}
		if len(found.faults) == wrong {
			found.shows(subject, "kept for "+daysInWords(g.Days)+", encrypted")
		}
	}
	return found
}
