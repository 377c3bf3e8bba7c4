package control

import (
	"encoding/json"
	"slices"
	"strings"

	"rocca/internal/facts"
	"rocca/internal/model"
)

// redacted are the parts of a request that a log of the firewall must not have:
// hits have everything about a visitor in the query string, and cookies and
// tokens let whoever reads them in.
var redacted = []string{"query string", "header cookie", "header authorization"}

var loggedFirewalls = each[facts.WebFirewall]{
	all: firewallsInUse, none: noFirewall,
	judge: func(_ *View, f facts.WebFirewall) (against []model.Evidence, _ []string) {
		subject := "web ACL " + f.Name
		if !f.Metrics {
			against = append(against, model.Evidence{Subject: subject, Have: "no metrics", Want: "metrics of CloudWatch, for the alarms"})
		}
		if len(f.LoggedTo) == 0 {
			return append(against, model.Evidence{Subject: subject, Have: "no log", Want: "a log without what is personal"}), nil
		}
		if missing := loggedInFull(f); len(missing) > 0 {
			against = append(against, model.Evidence{Subject: subject, Have: "logs " + strings.Join(missing, ", "), Want: "redacted"})
		}
		return against, nil
	},
	shows: func(_ *View, f facts.WebFirewall) []model.Evidence {
		return []model.Evidence{{Subject: "web ACL " + f.Name, Have: "logs to " + strings.Join(f.LoggedTo, ", ") + " without " + strings.Join(redacted, ", ")}}
	},
	puts: func(v *View, f facts.WebFirewall) []Change {
		destinations := f.LoggedTo
		switch {
		case len(destinations) == 0:
			destinations = groupForFirewall(v, f)
		case len(loggedInFull(f)) == 0 || f.Tags.Deployment() == "":
			return nil // the command replaces it whole, and how others filter is not known here
		}
		if len(destinations) == 0 {
			return nil // where logs may go is for the owner to decide
		}
		return []Change{{
			Sentence: "log what the web ACL " + f.Name + " blocks and counts, without what is personal",
			Command:  v.commandLine("wafv2", "put-logging-configuration", "--logging-configuration", loggingOf(f.ARN, destinations)),
		}}
	},
}

// loggedInFull are the parts of a request that a log has and must not have.
func loggedInFull(f facts.WebFirewall) []string {
	return slices.DeleteFunc(slices.Clone(redacted), func(part string) bool { return slices.Contains(f.Redacted, part) })
}

// groupForFirewall is the log group of a deployment that is made for its
// firewall: AWS wants the beginning of the name.
func groupForFirewall(v *View, f facts.WebFirewall) []string {
	name := "aws-waf-logs-" + f.Name
	if v.Cloud.Account == "" || !slices.ContainsFunc(v.Cloud.LogGroups, func(g facts.LogGroup) bool { return g.Name == name }) {
		return nil
	}
	return []string{"arn:" + v.partition() + ":logs:" + v.Cloud.Region + ":" + v.Cloud.Account + ":log-group:" + name}
}

// loggingOf is the logging of a web ACL as rocca deploys it.
func loggingOf(arn string, destinations []string) string {
	type object map[string]any
	conditions := []object{}
	for _, action := range []string{"BLOCK", "COUNT", "EXCLUDED_AS_COUNT"} {
		conditions = append(conditions, object{"ActionCondition": object{"Action": action}})
	}
	text, err := json.Marshal(object{
		"ResourceArn":           arn,
		"LogDestinationConfigs": destinations,
		"RedactedFields":        []object{{"QueryString": object{}}, {"SingleHeader": object{"Name": "cookie"}}, {"SingleHeader": object{"Name": "authorization"}}},
		"LoggingFilter":         object{"DefaultBehavior": "DROP", "Filters": []object{{"Behavior": "KEEP", "Requirement": "MEETS_ANY", "Conditions": conditions}}},
	})
	if err != nil {
		panic(err) // texts always encode
	}
	return string(text)
}

var aws043 = Control{
	ID:       "AWS-43",
	Title:    "the web application firewall logs what it stops, without query strings, cookies and tokens",
	Why:      "Without a log nobody sees what was tried before it worked. With query strings in it, the log is a second copy of everything about every visitor, and with cookies a bunch of keys.",
	Severity: model.Medium,
	Needs:    []facts.Section{facts.CloudBalancers, facts.CloudFirewalls},
	Eval:     loggedFirewalls.verdict,
	Fix:      guidedBy("A logging configuration of the web ACL into a log group named aws-waf-logs-..., with query string, cookie and authorization redacted; metrics on for the ACL.", loggedFirewalls.changes),
	Maps:     []model.Ref{fsbp("WAF.11"), fsbp("WAF.12"), s1("36"), gdpr("Art. 5(1)(c)")},
	Since:    "0.6",
}
