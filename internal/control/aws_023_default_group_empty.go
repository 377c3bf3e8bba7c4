package control

import (
	"rocca/internal/facts"
	"rocca/internal/model"
)

var aws023 = Control{
	ID:       "AWS-23",
	Title:    "the default security group of every network lets nothing in or out",
	Why:      "What is started without a group gets the default one, which lets its members call each other on every port, and the world on any. Whoever forgets to name a group does not see that.",
	Severity: model.Medium,
	Needs:    []facts.Section{facts.CloudGroups, facts.CloudNetworks},
	Eval:     inspected(defaultGroups),
	Fix:      remedied("take all rules out of the default group, after seeing that nothing uses it; rocca aws account does so for the network of a deployment", defaultGroups),
	Maps:     []model.Ref{fsbp("EC2.2"), cisAWS("6.5"), s1("7")},
	Since:    "0.6",
}

func defaultGroups(v *View) inspection {
	found := inspection{}
	networks := networksOf(v)
	if len(networks) == 0 {
		found.absent = "there is no network that anything is in"
	}
	of := map[string]facts.SecurityGroup{}
	for _, g := range v.Cloud.Groups {
		if g.Name == "default" {
			of[g.VPC] = g
		}
	}
	for _, n := range networks {
		g, seen := of[n.ID]
		if !seen {
			found.unread = append(found.unread, "could not see the default security group of "+n.ID)
			continue
		}
		subject := g.ID + " default group of " + labelled(n.ID, n.Tags)
		if len(g.Ingress)+len(g.Egress) == 0 {
			found.seen = append(found.seen, model.Evidence{Subject: subject, Have: "empty"})
			continue
		}
		own := Change{Sentence: "empty the default group of the deployment's network", Command: "rocca aws account"}
		for _, way := range []struct {
			word, direction string
			rules           []facts.GroupRule
		}{{"in", "ingress", g.Ingress}, {"out", "egress", g.Egress}} {
			if len(way.rules) == 0 {
				continue
			}
			e := model.Evidence{Subject: subject, Have: "lets " + way.word + " " + ruleWords(way.rules), Want: "no rule"}
			change := own
			if n.Tags.Deployment() == "" {
				change = revoke(v, g, way.direction, way.rules...)
			}
			found.faults = append(found.faults, fault{e, change})
		}
	}
	return found
}
