package control

import (
	"rocca/internal/facts"
	"rocca/internal/model"
)

var aws032 = Control{
	ID:       "AWS-32",
	Title:    "Systems Manager reaches every instance, with a current agent",
	Why:      "A machine that does not answer cannot be patched, looked at or cut off when it matters. An old agent is a program of root's with known holes.",
	Severity: model.Medium,
	Needs:    []facts.Section{facts.CloudInstances, facts.CloudManaged},
	Eval:     inspected(managed),
	Fix:      remedied("pin the agent's newest version with its hash under instance.agent of rocca-aws.yaml, and rocca aws deploy; the role needs the rights of the agent", managed),
	Maps:     []model.Ref{fsbp("SSM.1")},
	Since:    "0.6",
}

func managed(v *View) inspection {
	if v.Cloud.Wanted.Known && !v.Cloud.Wanted.Agent {
		return inspection{absent: "rocca-aws.yaml names no instance.agent: sessions go through EC2 Instance Connect"}
	}
	found := inspection{}
	running := runningOf(v)
	if len(running) == 0 {
		found.absent = "no instance is running"
	}
	agents := agentsOf(v)
	for _, i := range running {
		agent, known := agents[i.ID]
		e := model.Evidence{Subject: labelled(i.ID, i.Tags), Want: "online, with the current agent"}
		switch {
		case !known:
			e.Have = "Systems Manager does not know it"
		case agent.Ping != "Online":
			e.Have = "the agent does not answer: " + agent.Ping
			if !agent.Seen.IsZero() {
				e.Have += ", since " + date(agent.Seen)
			}
		case !agent.Current:
			e.Have = "agent " + agent.Agent + ", which is not the current one"
			change := Change{Sentence: "update the agent on " + i.ID, Command: v.commandLine("ssm", "send-command", "--document-name", "AWS-UpdateSSMAgent", "--instance-ids", i.ID)}
			found.faults = append(found.faults, fault{e, change})
			continue
		default:
			found.seen = append(found.seen, model.Evidence{Subject: e.Subject, Have: "online, agent " + agent.Agent})
			continue
		}
		found.faults = append(found.faults, fault{Evidence: e})
	}
	return found
}

// runningOf are the instances that the audit is about, and that run.
func runningOf(v *View) []facts.Instance {
	var running []facts.Instance
	for _, i := range instancesOf(v) {
		if i.State == "running" {
			running = append(running, i)
		}
	}
	return running
}

// agentsOf is what Systems Manager knows of instances, by id.
func agentsOf(v *View) map[string]facts.ManagedInstance {
	agents := map[string]facts.ManagedInstance{}
	for _, m := range v.Cloud.Managed {
		agents[m.ID] = m
	}
	return agents
}
