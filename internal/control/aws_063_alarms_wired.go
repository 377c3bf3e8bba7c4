package control

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"rocca/internal/facts"
	"rocca/internal/model"
)

var aws063 = Control{
	ID:       "AWS-63",
	Title:    "every alarm works and reaches somebody, and the trail is watched",
	Why:      "An alarm without an action, or into a topic whose subscription nobody confirmed, is silent for ever and looks fine on every screen. What an intruder does first (groups, rights, keys, the trail itself) is in the trail within minutes, for whoever counts it.",
	Severity: model.Medium,
	Needs:    []facts.Section{facts.CloudAlarms},
	Eval:     inspected(alarmsWired),
	Fix:      remedied("monitoring.alarms: true in rocca-aws.yaml and rocca aws deploy make them; click the link in the mail of AWS that confirms the address", alarmsWired),
	Maps:     []model.Ref{cisAWS("5.1-14"), fsbp("CloudWatch.15"), fsbp("CloudWatch.17"), s1("30"), s1("44")},
	Since:    "0.6",
}

// watchedCalls are what is counted in the log of the trail, and a word of which
// one must be in the pattern that counts it.
var watchedCalls = []struct {
	what  string
	words []string
}{
	{"use of the root user", []string{`"Root"`}},
	{"changes of security groups", []string{"SecurityGroup"}},
	{"changes of the trail", []string{"StopLogging"}},
	{"changes of rights (IAM)", []string{"iam.amazonaws.com", "PutRolePolicy", "AttachRolePolicy"}},
	{"keys disabled or deleted", []string{"ScheduleKeyDeletion", "DisableKey"}},
	{"reading of secrets", []string{"GetSecretValue"}},
}

func alarmsWired(v *View) inspection {
	found := inspection{unread: blind(v, facts.CloudTopics)}
	if reason := v.declines("monitoring.alarms", v.Cloud.Wanted.Alarms); reason != "" {
		found.absent = reason
		return found
	}
	topics := map[string]facts.Topic{}
	for _, t := range v.Cloud.Topics {
		topics[t.ARN] = t
	}
	used := map[string]string{} // topics, and an alarm that uses each
	alarms, wrong := 0, 0
	for _, a := range v.Cloud.Alarms {
		if !v.concerns(a.Tags, "") {
			continue
		}
		alarms++
		before, subject := len(found.faults), "alarm "+a.Name
		if !a.Enabled {
			found.against(subject, "its actions are switched off", "on", Change{Sentence: "switch on the actions of the " + subject, Command: v.commandLine("cloudwatch", "enable-alarm-actions", "--alarm-names", a.Name)})
		}
		if len(a.Actions) == 0 {
			found.against(subject, "does nothing when it goes off", "a message to the owner", Change{})
		}
		tells := slices.ContainsFunc(a.Actions, func(action string) bool { return strings.Contains(action, ":sns:") })
		if tells && len(a.Ends) == 0 {
			found.against(subject, "does not tell when it is over", "a message then, too", Change{})
		}
		if silent := v.Observed.Sub(a.Since); a.State == "INSUFFICIENT_DATA" && !a.Since.IsZero() && silent > oneDay {
			found.against(subject, "has had no data for "+daysInWords(int(silent/oneDay)), "data, or a decision what missing data mean", Change{})
		}
		for _, action := range a.Actions {
			if strings.Contains(action, ":sns:") && used[action] == "" {
				used[action] = a.Name
			}
		}
		if len(found.faults) > before {
			wrong++
		}
	}
	if alarms == 0 {
		found.against("alarms", "none", "alarms on what must not go unseen", v.byCommand("make the alarms", "rocca aws deploy", ""))
		return found
	}
	found.shows("alarms", fmt.Sprintf("%d, each with an action and data", alarms-wrong))
	for _, arn := range slices.Sorted(maps.Keys(used)) {
		v.heardBy(&found, arn, used[arn], topics)
	}
	v.watchesTrail(&found)
	return found
}

// heardBy notes whether anybody hears of a message to a topic.
func (v *View) heardBy(found *inspection, arn, alarm string, topics map[string]facts.Topic) {
	t, seen := topics[arn]
	switch {
	case !seen:
		if v.Unseen(facts.CloudTopics) == "" {
			found.unclear("the topic " + arn + " of the alarm " + alarm + " was not seen: it is gone, or another account's")
		}
	case !slices.ContainsFunc(t.Subscribers, func(s facts.Subscription) bool { return s.Confirmed }):
		found.against("topic "+topicName(arn), fmt.Sprintf("none of its subscriptions (%d) is confirmed: nobody hears", len(t.Subscribers)), "one that is confirmed", Change{})
	default:
		found.shows("topic "+topicName(arn), fmt.Sprintf("subscriptions: %d, confirmed", len(t.Subscribers)))
	}
}

// watchesTrail notes what nobody counts in the log of a trail of this account.
// That there is one is what AWS-17 says.
func (v *View) watchesTrail(found *inspection) {
	groups := map[string]bool{}
	for _, t := range v.Cloud.Trails {
		if t.LogGroup != "" && !t.Organization {
			groups[groupOfLogs(t.LogGroup)] = true
		}
	}
	if v.Unseen(facts.CloudTrails) != "" {
		found.unread = append(found.unread, blind(v, facts.CloudTrails)...)
		return
	}
	if len(groups) == 0 {
		return
	}
	if unseen := blind(v, facts.CloudMetricFilters); len(unseen) > 0 {
		found.unread = append(found.unread, unseen...)
		return
	}
	alarmed := map[string]bool{}
	for _, a := range v.Cloud.Alarms {
		alarmed[a.Namespace+"/"+a.Metric] = len(a.Actions) > 0 || alarmed[a.Namespace+"/"+a.Metric]
	}
	for _, call := range watchedCalls {
		counted, told := false, false
		for _, f := range v.Cloud.MetricFilters {
			if groups[f.Group] && slices.ContainsFunc(call.words, func(word string) bool { return strings.Contains(f.Pattern, word) }) {
				counted, told = true, told || alarmed[f.Metric]
			}
		}
		switch {
		case !counted:
			found.against("log of the trail", "nobody counts: "+call.what, "a metric filter with an alarm", v.byCommand("make the alarm on "+call.what, "rocca aws deploy", ""))
		case !told:
			found.against("log of the trail", "counted without an alarm: "+call.what, "an alarm with an action", v.byCommand("make the alarm on "+call.what, "rocca aws deploy", ""))
		}
	}
}
