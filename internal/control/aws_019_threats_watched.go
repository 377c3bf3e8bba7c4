package control

import (
	"fmt"
	"strings"

	"rocca/internal/facts"
	"rocca/internal/model"
)

var aws019 = Control{
	ID:       "AWS-19",
	Title:    "GuardDuty watches, and has found nothing that is still open",
	Why:      "GuardDuty sees what no server does: credentials of an instance used elsewhere, calls to known control servers, ports that are scanned. A finding that nobody reads is an alarm in an empty house.",
	Severity: model.High,
	Needs:    []facts.Section{facts.CloudThreats},
	Eval:     inspected(threatsWatched),
	Fix:      remedied("turn GuardDuty on, and look at each finding: rocca aws respond isolates the instance, or archive it with a reason", threatsWatched),
	Maps:     []model.Ref{fsbp("GuardDuty.1"), s1("49"), s1("50"), s1("51")},
	Since:    "0.6",
}

// leastThreat is the severity from which a finding of GuardDuty matters: medium.
const leastThreat = 4

func threatsWatched(v *View) inspection {
	var found inspection
	if !v.Cloud.Threats.Enabled {
		if reason := v.declines("account.guardduty", v.Cloud.Wanted.GuardDuty); reason != "" {
			found.absent = reason
			return found
		}
		found.against("GuardDuty", "off", "on", v.byCommand("turn on GuardDuty", "rocca aws account", v.commandLine("guardduty", "create-detector", "--enable")))
		return found
	}
	found.unread = blind(v, facts.CloudInstances)
	own := map[string]bool{}
	for _, i := range instancesOf(v) {
		own[i.ID] = true
	}
	for _, t := range v.Cloud.Threats.Open {
		if strings.HasPrefix(t.Resource, "i-") && !own[t.Resource] || t.Severity < leastThreat {
			continue // an instance of somebody else; all others are of the account that we stand in
		}
		have := fmt.Sprintf("%s, severity %.1f", t.Kind, t.Severity)
		if !t.At.IsZero() {
			have += ", " + date(t.At)
		}
		change := Change{}
		if strings.HasPrefix(t.Resource, "i-") {
			change = Change{Sentence: "see what rocca would do about " + t.Resource, Command: "rocca aws respond start --dry-run --instance " + shellWord(t.Resource)}
		}
		found.against(strings.TrimSpace("finding "+t.ID+" "+t.Resource), have, "looked at, and archived", change)
	}
	found.shows(strings.TrimSpace("GuardDuty "+v.Cloud.Threats.Detector), "on, nothing open of severity 4 or more")
	return found
}
