package control

import (
	"rocca/internal/facts"
	"rocca/internal/model"
)

var aws065 = Control{
	ID:       "AWS-65",
	Title:    "topics are encrypted and take messages from this account only",
	Why:      "Alarms tell what is broken and where. A topic that anybody may subscribe to tells it to an intruder as well; one that anybody may publish to drowns the real alarm in false ones.",
	Severity: model.Medium,
	Needs:    []facts.Section{facts.CloudTopics},
	Eval:     inspected(topicsClosed),
	Fix:      remedied("give the topic a key whose policy lets CloudWatch and EventBridge use it, or alarms stop arriving, and a policy that names services of this account", topicsClosed),
	Maps:     []model.Ref{fsbp("SNS.1"), fsbp("SNS.4")},
	Since:    "0.6",
}

func topicsClosed(v *View) inspection {
	found := inspection{absent: "there is no topic"}
	for _, t := range v.Cloud.Topics {
		if !v.concerns(t.Tags, "") {
			continue
		}
		found.absent = ""
		subject, wrong := "topic "+topicName(t.ARN), len(found.faults)
		if !managedKey(t.Key) {
			found.against(subject, "not encrypted with a key of its own", "a key of its own", Change{})
		}
		v.letsIn(&found, subject, t.Policy)
		if len(found.faults) == wrong {
			found.shows(subject, "encrypted, nobody outside the account")
		}
	}
	return found
}
