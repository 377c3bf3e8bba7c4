package control

import (
	"fmt"

	"rocca/internal/facts"
	"rocca/internal/model"
)

var aws062 = Control{
	ID:       "AWS-62",
	Title:    "AWS Config records how resources change, and Security Hub collects what is found",
	Why:      "The trail tells who called, the recorder what it made of the resource: only both answer what a group or policy was before the incident. Security Hub keeps findings from being scattered over ten consoles.",
	Severity: model.Medium,
	Needs:    []facts.Section{facts.CloudRecorder, facts.CloudHub},
	Eval:     inspected(changesRecorded),
	Fix:      remedied("account.config and account.hub in rocca-aws.yaml, then rocca aws account; both bill by use", changesRecorded),
	Maps:     []model.Ref{fsbp("Config.1"), cisAWS("4.3"), cisAWS("5.16"), s1("49"), s1("51")},
	Since:    "0.6",
}

func changesRecorded(v *View) inspection {
	var found inspection
	on := "rocca aws account"
	noConfig, noHub := v.declines("account.config", v.Cloud.Wanted.Config), v.declines("account.hub", v.Cloud.Wanted.Hub)
	switch r := v.Cloud.Recorder; {
	case !r.Exists && noConfig != "":
		found.shows("AWS Config", noConfig)
	case !r.Exists:
		found.against("AWS Config", "no recorder", "one that records", v.byCommand("make a recorder", on, ""))
	case !r.Recording:
		found.against("AWS Config", "the recorder is stopped", "recording", v.byCommand("start the recorder", on, ""))
	case r.Status != "" && r.Status != "SUCCESS" && r.Status != "PENDING":
		found.against("AWS Config", "the last delivery: "+r.Status, "SUCCESS", Change{})
	case !r.All:
		found.against("AWS Config", "records some types of resources", "all that it knows", Change{})
	default:
		found.shows("AWS Config", "records all types")
	}
	switch h := v.Cloud.Hub; {
	case h.Enabled:
		found.shows("Security Hub", fmt.Sprintf("on, standards: %d", len(h.Standards)))
	case noHub != "":
		found.shows("Security Hub", noHub)
	default:
		found.against("Security Hub", "off", "on", v.byCommand("turn on Security Hub", on, v.commandLine("securityhub", "enable-security-hub", "--enable-default-standards")))
	}
	if noConfig != "" && noHub != "" && !v.Cloud.Recorder.Exists && !v.Cloud.Hub.Enabled {
		found.absent = noConfig + " and account.hub: false"
	}
	return found
}
