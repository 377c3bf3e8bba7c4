package control

import (
	"fmt"
	"strconv"

	"rocca/internal/facts"
	"rocca/internal/model"
)

var aws018 = Control{
	ID:       "AWS-18",
	Title:    "who connected to whom is logged for every network, and kept",
	Why:      "After a break-in the question is where from, where to, and since when. Without flow logs nobody can answer it, and logs of a week are gone before most break-ins are found.",
	Severity: model.Medium,
	Needs:    []facts.Section{facts.CloudNetworks, facts.CloudFlowLogs},
	Eval:     inspected(flowLogs),
	Fix:      remedied("log ALL traffic of the network to CloudWatch Logs, kept for 90 days or as monitoring.log_days of rocca-aws.yaml says; rocca aws deploy does so on a deployment of rocca's", flowLogs),
	Maps:     []model.Ref{s1("31"), s1("44"), fsbp("EC2.6"), cisAWS("4.7"), row("7")},
	Since:    "0.6",
}

// keptDays is how long logs are kept at least, unless the owner decided.
const keptDays = 90

func flowLogs(v *View) inspection {
	found := inspection{}
	networks := networksOf(v)
	if len(networks) == 0 {
		found.absent = "there is no network that anything is in"
	}
	of := map[string][]facts.FlowLog{}
	for _, l := range v.Cloud.FlowLogs {
		of[l.Resource] = append(of[l.Resource], l)
	}
	subnets := map[string][]facts.Subnet{}
	for _, s := range v.Cloud.Subnets {
		subnets[s.VPC] = append(subnets[s.VPC], s)
	}
	for _, n := range networks {
		var problems []string
		consider := func(logs []facts.FlowLog) (good bool) {
			for _, l := range logs {
				problem, unread := flowProblem(v, l)
				found.unread = append(found.unread, unread...)
				if problem == "" {
					good = true
					found.seen = append(found.seen, model.Evidence{Subject: labelled(n.ID, n.Tags), Have: l.ID + " logs all traffic to " + l.Destination + keptFor(v, l)})
				} else {
					problems = append(problems, l.ID+" "+problem)
				}
			}
			return good
		}
		logged := consider(of[n.ID])
		if !logged && len(subnets[n.ID]) > 0 {
			logged = true
			for _, s := range subnets[n.ID] {
				logged = consider(of[s.ID]) && logged
			}
		}
		if logged {
			continue
		}
		e := model.Evidence{Subject: labelled(n.ID, n.Tags), Have: "no flow log", Want: "a flow log of ALL traffic that is delivered, and kept " + strconv.Itoa(wantedDays(v)) + " days"}
		if len(problems) > 0 {
			e.Have = orNothing(problems)
		}
		found.faults = append(found.faults, fault{e, flowChange(v, n, of[n.ID])})
	}
	found.unread = distinct(found.unread)
	return found
}

// keptFor tells where a flow log is kept, and for how long.
func keptFor(v *View, l facts.FlowLog) string {
	for _, g := range v.Cloud.LogGroups {
		switch {
		case g.Name != l.Group:
		case g.Days == 0:
			return " " + g.Name + ", kept for ever"
		default:
			return fmt.Sprintf(" %s, kept %d days", g.Name, g.Days)
		}
	}
	return ""
}

// wantedDays is how long logs are to be kept.
func wantedDays(v *View) int {
	if days := v.Cloud.Wanted.LogDays; v.Cloud.Wanted.Known && days > 0 {
		return days
	}
	return keptDays
}

// flowProblem is what is wrong with a flow log; empty when nothing is.
func flowProblem(v *View, l facts.FlowLog) (problem string, unread []string) {
	switch {
	case l.Status != "ACTIVE":
		return "is " + l.Status, nil
	case l.Traffic != "ALL":
		return "logs " + l.Traffic + " only", nil
	case l.Delivery != "" && l.Delivery != "SUCCESS":
		return "is not delivered: " + l.Delivery, nil
	case l.Group == "":
		return "", nil // to S3, where the bucket decides
	}
	if unread := blind(v, facts.CloudLogGroups); len(unread) > 0 {
		return "", unread
	}
	for _, g := range v.Cloud.LogGroups {
		if g.Name == l.Group {
			if g.Days > 0 && g.Days < wantedDays(v) {
				return fmt.Sprintf("is kept %d days", g.Days), nil
			}
			return "", nil
		}
	}
	return "writes to " + l.Group + ", which is not there", nil
}

func flowChange(v *View, n facts.CloudNetwork, logs []facts.FlowLog) Change {
	for _, l := range logs {
		problem, _ := flowProblem(v, l)
		if l.Group != "" && l.Traffic == "ALL" && l.Status == "ACTIVE" && (l.Delivery == "" || l.Delivery == "SUCCESS") && problem != "writes to "+l.Group+", which is not there" {
			return Change{
				Sentence: fmt.Sprintf("keep %s for %d days", l.Group, wantedDays(v)),
				Command:  v.commandLine("logs", "put-retention-policy", "--log-group-name", l.Group, "--retention-in-days", strconv.Itoa(wantedDays(v))),
			}
		}
	}
	if n.Tags.Deployment() != "" {
		return Change{Sentence: "make the flow log of " + n.ID + " again", Command: "rocca aws deploy"}
	}
	group := "flow-logs-" + n.ID
	return Change{
		Sentence: "log all traffic of " + n.ID + "; ROLE is one that vpc-flow-logs.amazonaws.com may assume and that may write to " + group,
		Command: v.commandLine("logs", "create-log-group", "--log-group-name", group) +
			" && " + v.commandLine("logs", "put-retention-policy", "--log-group-name", group, "--retention-in-days", strconv.Itoa(wantedDays(v))) +
			" && " + v.commandLine("ec2", "create-flow-logs", "--resource-type", "VPC", "--resource-ids", n.ID, "--traffic-type", "ALL", "--max-aggregation-interval", "60",
			"--log-destination-type", "cloud-watch-logs", "--log-group-name", group, "--deliver-logs-permission-arn", "arn:"+v.partition()+":iam::"+v.Cloud.Account+":role/ROLE"),
	}
}
