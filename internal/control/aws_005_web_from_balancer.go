package control

import (
	"fmt"
	"slices"
	"strings"

	"rocca/internal/facts"
	"rocca/internal/model"
)

var aws005 = Control{
	ID:       "AWS-05",
	Title:    "instances hear web requests from the load balancer only",
	Why:      "Whoever can call the instance itself goes around the load balancer, and with it around the firewall, the limits and the check of the host name; an instance that is open to the world has none of these at all.",
	Severity: model.High,
	Needs:    []facts.Section{facts.CloudGroups},
	Eval:     inspected(webFromBalancer),
	Fix:      remedied("let the group of the instances name the group of the load balancer as the only source of web requests; profile standard of rocca-aws.yaml has a load balancer with a firewall", webFromBalancer),
	Maps:     []model.Ref{s1("5"), s1("7"), s1("13"), s1("14"), s1("37"), s1("39"), s1("44"), row("5")},
	Since:    "0.6",
}

func webFromBalancer(v *View) inspection {
	if single(v) {
		return inspection{absent: "rocca-aws.yaml decides profile: single, whose instance answers visitors itself"}
	}
	found := inspection{unread: blind(v, facts.CloudBalancers, facts.CloudInstances)}
	web, known := webGroups(v), lists(v)
	sources, balancers := balancerGroups(v)
	if len(web) == 0 {
		found.absent = noInstance
	}
	ports := []int{80, 443}
	for _, t := range v.Cloud.TargetGroups {
		if t.Port != 0 && t.Port != 80 && t.Port != 443 && v.concerns(t.Tags, "") {
			ports = append(ports, t.Port)
		}
	}
	want := "the group of the load balancer only"
	if balancers == 0 {
		want = "a load balancer with a firewall before it"
	}
	for _, g := range groupsOf(v) {
		if !web[g.ID] {
			continue
		}
		if sources[g.ID] {
			found.faults = append(found.faults, fault{Evidence: model.Evidence{Subject: groupSubject(g), Have: "instances and the load balancer share this group", Want: "a group of their own for each"}})
			continue
		}
		open := slices.ContainsFunc(ports, func(port int) bool { return worldOf(carrying(g.Ingress, port), known) })
		for _, r := range carrying(g.Ingress, ports...) {
			e := model.Evidence{Subject: groupSubject(g), Have: told(r), Want: want}
			switch networks, listed := networksIn(r, known); {
			case r.Group != "" && sources[r.Group]:
				found.seen = append(found.seen, model.Evidence{Subject: groupSubject(g), Have: told(r) + ", of the load balancer"})
			case r.Group == g.ID || r.GroupGone:
				// Among themselves; a group that is gone lets nobody through.
			case listed && r.Group == "" && len(networks) == 0:
				// A list without networks.
			case v.Unseen(facts.CloudBalancers) != "" && (r.Group != "" || !open):
				// It may be right with a load balancer; that nobody saw one is told already.
			case balancers == 0 && !open:
				found.seen = append(found.seen, model.Evidence{Subject: groupSubject(g), Have: told(r) + ", not the world"})
			default:
				found.faults = append(found.faults, fault{e, webChange(v, g, sources, r)})
			}
		}
	}
	if len(found.faults) == 0 && balancers == 0 && found.absent == "" && len(found.unread) == 0 {
		found.absent = "there is no load balancer, and no instance is open to the world"
	}
	return found
}

// webChange lets the load balancer in before everybody else is kept out. Where
// there is none, closing the port would close the site.
func webChange(v *View, g facts.SecurityGroup, balancers map[string]bool, rules ...facts.GroupRule) Change {
	if len(balancers) == 0 {
		return v.byCommand("put a load balancer with a firewall before the instances: profile: standard in rocca-aws.yaml", "rocca aws deploy", "")
	}
	served := facts.GroupRule{Protocol: "tcp", From: 443, To: 443}
	if r := rules[0]; protocolOf(r.Protocol) == "tcp" && r.From == r.To {
		served.From, served.To = r.From, r.To
	}
	closing := revoke(v, g, "ingress", rules...)
	var lines []string
	for _, id := range sortedKeys(balancers) {
		served.Group = id
		if !heard(g, served) {
			lines = append(lines, v.commandLine("ec2", "authorize-security-group-ingress", "--group-id", g.ID, "--ip-permissions", permission(served)))
		}
	}
	return Change{
		Sentence: fmt.Sprintf("let %s hear the load balancer, and no longer %s", groupSubject(g), ruleWords(rules)),
		Command:  strings.Join(append(lines, closing.Command), " && "),
	}
}

// heard tells whether a group has a rule that lets as much through already.
func heard(g facts.SecurityGroup, wanted facts.GroupRule) bool {
	return slices.ContainsFunc(g.Ingress, func(r facts.GroupRule) bool {
		return peer(r) == peer(wanted) && carries(r, wanted.From) && carries(r, wanted.To)
	})
}
