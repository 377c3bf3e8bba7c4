package control

import (
	"strings"

	"rocca/internal/facts"
	"rocca/internal/model"
)

var aws034 = Control{
	ID:       "AWS-34",
	Title:    "Inspector looks at the instances, and knows of no critical hole with an exploit",
	Why:      "A list of what is installed says nothing. A hole for which a working attack is public is used by programs, without anybody having picked this server.",
	Severity: model.Medium,
	Needs:    []facts.Section{facts.CloudVulnerable},
	Eval:     inspected(vulnerabilities),
	Fix:      remedied("account.inspector: true in rocca-aws.yaml and rocca aws account turn it on (it bills by the instance); update what it names", vulnerabilities),
	Maps:     []model.Ref{fsbp("Inspector.1")},
	Since:    "0.6",
}

func vulnerabilities(v *View) inspection {
	known := v.Cloud.Vulnerable
	found := inspection{}
	if !known.Enabled {
		if reason := v.declines("account.inspector", v.Cloud.Wanted.Inspector); reason != "" {
			return inspection{absent: reason}
		}
		change := Change{Sentence: "turn on Inspector for instances (it bills by the instance)", Command: v.commandLine("inspector2", "enable", "--resource-types", "EC2")}
		if v.Cloud.Wanted.Inspector {
			change.Command = "rocca aws account"
		}
		found.faults = []fault{{model.Evidence{Subject: "Inspector in " + v.Cloud.Region, Have: "off", Want: "on"}, change}}
		return found
	}
	for _, hole := range known.Critical {
		cve, where, _ := strings.Cut(hole, " on ")
		found.faults = append(found.faults, fault{Evidence: model.Evidence{Subject: where + " " + cve, Have: "critical, and an attack is public", Want: "updated"}})
	}
	found.seen = []model.Evidence{{Subject: "Inspector in " + v.Cloud.Region, Have: "on; no critical hole with an exploit"}}
	return found
}
