package control

import (
	"strings"

	"rocca/internal/facts"
	"rocca/internal/model"
)

var aws069 = Control{
	ID:       "AWS-69",
	Title:    "stacks are as their templates say, protected from deletion, and tell no secret",
	Why:      "What somebody changed by hand is in no template: nobody reviewed it, and it is often how an intruder stays. A stack without protection takes the database with it on one wrong command.",
	Severity: model.Medium,
	Needs:    []facts.Section{facts.CloudStacks},
	Eval:     inspected(stacksWhole),
	Fix:      remedied("rocca aws deploy protects its stacks and what they hold; rocca aws plan --drift shows what was changed beside them, to be put into the settings or taken back", stacksWhole),
	Maps:     []model.Ref{fsbp("CloudFormation.3"), s1("52")},
	Since:    "0.6",
}

func stacksWhole(v *View) inspection {
	found := inspection{absent: "nothing here was made by CloudFormation", unread: blind(v, facts.CloudDrift)}
	for _, s := range v.Cloud.Stacks {
		if !v.concerns(s.Tags, "") {
			continue
		}
		found.absent = ""
		subject, wrong := "stack "+s.Name, len(found.faults)
		if strings.Contains(s.Status, "FAILED") || s.Status == "ROLLBACK_COMPLETE" {
			found.against(subject, "is in the state "+s.Status, "complete", Change{})
		}
		if !s.Protected {
			found.against(subject, "may be deleted", "protected from deletion",
				v.ofStack(s, "protect the "+subject+" from deletion", v.commandLine("cloudformation", "update-termination-protection", "--stack-name", s.Name, "--enable-termination-protection")))
		}
		if !s.Policy {
			found.against(subject, "an update may replace or delete all that it holds", "a policy that keeps what holds data",
				v.ofStack(s, "keep what the "+subject+" holds", ""))
		}
		for _, name := range s.Secrets {
			found.against(subject, "the value of "+name+" looks like a secret, and everybody reads it who may describe stacks", "a reference to Secrets Manager", Change{})
		}
		switch {
		case v.Unseen(facts.CloudDrift) != "":
		case s.Drift == "DRIFTED":
			find := Change{Sentence: "see what was changed beside the " + subject, Command: v.commandLine("cloudformation", "describe-stack-resource-drifts", "--stack-name", s.Name)}
			if s.Tags.Deployment() != "" {
				find.Command = "rocca aws plan --drift"
			}
			found.against(subject, "was changed by hand since its template was applied", "as its template says", find)
		case s.Drift != "IN_SYNC":
			found.unclear("nobody has looked for drift of the " + subject)
		}
		if len(found.faults) == wrong {
			found.shows(subject, s.Status+", protected, "+s.Drift)
		}
	}
	return found
}

// ofStack is a change of a stack that rocca makes of its own accord where the
// stack is one of its deployments.
func (v *View) ofStack(s facts.CloudStack, sentence, elsewhere string) Change {
	if s.Tags.Deployment() != "" {
		return Change{Sentence: sentence, Command: "rocca aws deploy"}
	}
	return Change{Sentence: sentence, Command: elsewhere}
}
