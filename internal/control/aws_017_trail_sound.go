package control

import (
	"cmp"
	"strings"

	"rocca/internal/facts"
	"rocca/internal/model"
)

var aws017 = Control{
	ID:       "AWS-17",
	Title:    "a trail records every call in all regions, is checked, encrypted and told to the logs",
	Why:      "Without a trail nobody can say who read the secret, opened the group or stopped the machine, on the one day when it matters. An intruder stops it first, or works in a region that it does not cover.",
	Severity: model.High,
	Needs:    []facts.Section{facts.CloudTrails},
	Eval:     inspected(trailSound),
	Fix:      remedied("account.trail: true in rocca-aws.yaml and rocca aws deploy make such a trail; elsewhere raise the one that is there", trailSound),
	Maps:     []model.Ref{fsbp("CloudTrail.1"), fsbp("CloudTrail.2"), fsbp("CloudTrail.4"), fsbp("CloudTrail.5"), cisAWS("4.1"), cisAWS("4.2"), cisAWS("4.5"), s1("30"), s1("44"), row("6")},
	Since:    "0.6",
}

// trailSound looks for one trail that is as it should be. Where there is none it
// tells of the one that lacks the least.
func trailSound(v *View) inspection {
	var best inspection
	for i, t := range v.Cloud.Trails {
		found := trailFaults(v, t)
		if len(found.faults) == 0 {
			return found
		}
		if i == 0 || len(found.faults) < len(best.faults) {
			best = found
		}
	}
	if len(v.Cloud.Trails) > 0 {
		return best
	}
	if reason := v.declines("account.trail", v.Cloud.Wanted.Trail); reason != "" {
		return inspection{absent: reason + ", and no trail of an organization is seen from here"}
	}
	best.against("CloudTrail", "no trail", "one of all regions", v.byCommand("make a trail", "rocca aws deploy", ""))
	return best
}

func trailFaults(v *View, t facts.Trail) inspection {
	var found inspection
	subject := "trail " + t.Name
	update := func(sentence string, words ...string) Change {
		if t.Organization {
			return Change{} // only the account that owns it can
		}
		return Change{Sentence: sentence, Command: v.commandLine(append([]string{"cloudtrail", "update-trail", "--name", cmp.Or(t.ARN, t.Name)}, words...)...)}
	}
	if !t.Logging {
		start := Change{Sentence: "start the " + subject, Command: v.commandLine("cloudtrail", "start-logging", "--name", cmp.Or(t.ARN, t.Name))}
		if t.Organization {
			start = Change{}
		}
		found.against(subject, "does not record", "records", start)
	}
	if t.Error != "" {
		found.against(subject, "the last delivery failed: "+t.Error, "delivered", Change{})
	}
	if !t.MultiRegion {
		found.against(subject, "records one region", "all regions", update("let the "+subject+" record all regions", "--is-multi-region-trail"))
	}
	if !t.Global && !t.MultiRegion {
		found.against(subject, "leaves out IAM and what else has no region", "all of it", update("let the "+subject+" record global services", "--include-global-service-events"))
	}
	if !t.Validated {
		found.against(subject, "its files are not signed", "file validation", update("let the "+subject+" sign its files", "--enable-log-file-validation"))
	}
	if t.Management != "" && t.Management != "All" {
		found.against(subject, "records of management events: "+t.Management, "All", Change{})
	}
	if t.Key == "" {
		found.against(subject, "encrypted with the key of S3", "a key of its own", Change{})
	}
	if t.LogGroup == "" && !t.Organization {
		found.against(subject, "is not told to CloudWatch Logs: no alarm hears of it", "a log group", Change{})
	}
	found.shows(subject, strings.TrimSpace("records all regions, signed, encrypted, into "+t.Bucket+" "+groupOfLogs(t.LogGroup)))
	return found
}
