package control

import (
	"fmt"
	"slices"
	"strings"

	"rocca/internal/facts"
	"rocca/internal/model"
)

var aws035 = Control{
	ID:       "AWS-35",
	Title:    "scaling groups start from a template, in two zones, and replace what the load balancer finds ill",
	Why:      "A server that hangs, or that was cut off after a break-in, must be replaced without anybody awake. A group that only asks whether the machine has power keeps a dead Matomo for ever, and one zone is one power supply.",
	Severity: model.Medium,
	Needs:    []facts.Section{facts.CloudScaling},
	Eval:     inspected(scaling),
	Fix:      remedied("a launch template, subnets in two zones and health checks of the load balancer; rocca aws deploy makes groups so", scaling),
	Maps:     []model.Ref{fsbp("AutoScaling.1"), fsbp("AutoScaling.2"), fsbp("AutoScaling.9")},
	Since:    "0.6",
}

// vital are the processes of a scaling group without which nothing is replaced.
var vital = []string{"Launch", "Terminate", "HealthCheck", "ReplaceUnhealthy"}

func scaling(v *View) inspection {
	found := inspection{}
	groups := 0
	for _, g := range v.Cloud.ScalingGroups {
		if !v.concerns(g.Tags, "") {
			continue
		}
		groups++
		faults := len(found.faults)
		against := func(have, want string, change Change) {
			found.faults = append(found.faults, fault{model.Evidence{Subject: "scaling group " + g.Name, Have: have, Want: want}, change})
		}
		if g.Template == "" {
			against("starts from a launch configuration, or nothing", "a launch template", Change{})
		}
		if len(g.Targets) > 0 && !strings.Contains(g.Health, "ELB") {
			against("health by "+g.Health, "by the load balancer (ELB)", Change{
				Sentence: "let the load balancer say who of " + g.Name + " is ill",
				Command:  v.commandLine("autoscaling", "update-auto-scaling-group", "--auto-scaling-group-name", g.Name, "--health-check-type", "ELB", "--health-check-grace-period", "2700"),
			})
		}
		if len(g.Zones) < 2 {
			against(fmt.Sprintf("in %s only", orNothing(g.Zones)), "two zones", Change{})
		}
		var stopped []string
		for _, process := range g.Suspended {
			if slices.Contains(vital, process) {
				stopped = append(stopped, process)
			}
		}
		if len(stopped) > 0 {
			against("suspended: "+strings.Join(stopped, ", ")+" (a deployment does so while it lasts)", "none", Change{
				Sentence: "let " + g.Name + " replace instances again, when no deployment is under way",
				Command:  v.commandLine(append([]string{"autoscaling", "resume-processes", "--auto-scaling-group-name", g.Name, "--scaling-processes"}, stopped...)...),
			})
		}
		if len(found.faults) == faults {
			found.seen = append(found.seen, model.Evidence{Subject: "scaling group " + g.Name, Have: fmt.Sprintf("template %s, health by %s, in %s", g.Template, g.Health, strings.Join(g.Zones, ", "))})
		}
	}
	if groups == 0 {
		found.absent = "there is no scaling group"
		if single(v) {
			found.absent = "rocca-aws.yaml decides profile: single, which has one instance and no scaling group"
		}
	}
	return found
}
