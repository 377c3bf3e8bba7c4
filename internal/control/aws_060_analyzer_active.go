package control

import (
	"strings"

	"rocca/internal/facts"
	"rocca/internal/model"
)

var aws060 = Control{
	ID:       "AWS-60",
	Title:    "IAM Access Analyzer looks for what others may use, and finds nothing",
	Why:      "A policy that lets another account in looks like any other. The analyzer proves for every policy of the region who can get in, and tells within minutes when one opens.",
	Severity: model.Medium,
	Needs:    []facts.Section{facts.CloudAnalyzers},
	Eval:     inspected(analyzerActive),
	Fix:      remedied("turn the analyzer on, which is free of charge, and close what it finds, or archive it there with a reason", analyzerActive),
	Maps:     []model.Ref{cisAWS("2.18"), s1("38")},
	Since:    "0.6",
}

func analyzerActive(v *View) inspection {
	var found inspection
	active, others := false, false
	mine := v.namesOfOurs()
	for _, a := range v.Cloud.Analyzers {
		if a.Status == "ACTIVE" {
			active = true
			found.shows("analyzer "+a.Name, "active")
		}
		for _, arn := range a.External {
			if !mine(arn) {
				others = true
				continue
			}
			found.against(arn, "somebody outside the account may use it", "nobody, or a finding that is archived with its reason", Change{})
		}
	}
	if others { // unless what is ours was not seen
		found.unread = blind(v, facts.CloudKeys, facts.CloudRoles, facts.CloudSecrets)
	}
	if !active {
		found.against("IAM Access Analyzer", "not active in "+v.Cloud.Region, "one analyzer that is active",
			v.byCommand("turn on IAM Access Analyzer", "rocca aws account", v.commandLine("accessanalyzer", "create-analyzer", "--analyzer-name", "rocca", "--type", "ACCOUNT")))
	}
	return found
}

// namesOfOurs tells of an ARN whether it is of the deployment that was asked
// about: one of its resources, or one that is named after it.
func (v *View) namesOfOurs() func(arn string) bool {
	deployment := v.Cloud.Deployment
	if deployment == "" {
		return func(string) bool { return true }
	}
	ours := map[string]bool{}
	for _, k := range v.Cloud.Keys {
		ours[k.ARN] = v.concerns(k.Tags, "")
	}
	for _, s := range secretsOf(v) {
		ours[s.ARN] = true
	}
	for _, r := range v.Cloud.Roles {
		ours[r.ARN] = v.concerns(r.Tags, "")
	}
	return func(arn string) bool {
		last := arn[strings.LastIndexAny(arn, ":/")+1:]
		return ours[arn] || last == deployment || strings.HasPrefix(last, deployment+"-") || strings.Contains(arn, "rocca/"+deployment+"/")
	}
}
