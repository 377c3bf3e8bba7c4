package control

import (
	"fmt"

	"rocca/internal/facts"
	"rocca/internal/model"
)

var aws022 = Control{
	ID:       "AWS-22",
	Title:    "the world reaches ports 80 and 443 of the edge, and nothing else",
	Why:      "Every further open port is one more program that the whole internet may try: a debugger that was left on, an agent, a second web server. Nobody looks after those as after the site.",
	Severity: model.High,
	Needs:    []facts.Section{facts.CloudGroups},
	Eval:     inspected(worldPorts),
	Fix:      remedied("close what visitors do not need: they need 443, and 80 to be sent on to it, on the load balancer, or in profile single on the instance", worldPorts),
	Maps:     []model.Ref{s1("7"), s1("13"), s1("14"), fsbp("EC2.18"), row("5")},
	Since:    "0.6",
}

func worldPorts(v *View) inspection {
	groups, known, used := groupsOf(v), lists(v), attached(v)
	edge, unread := edges(v)
	balancers, _ := balancerGroups(v)
	found := inspection{}
	if len(groups) == 0 {
		found.absent = "there is no security group"
	}
	for _, g := range groups {
		if prepared(g, used) {
			found.unread = append(found.unread, blind(v, facts.CloudInterfaces)...)
			continue
		}
		all := openings(g.Ingress, known)
		if len(all) == 0 {
			found.unread = append(found.unread, unseenLists(g.Ingress, known)...)
		}
		for i, o := range all {
			e := model.Evidence{Subject: groupSubject(g), Have: o.String() + " open to the world", Want: "80 and 443 on the edge only"}
			if i == most { // the command closes a part at a time; asking again finds the rest
				e.Have = fmt.Sprintf("%d more ranges of ports open to the world", len(all)-i)
				found.faults = append(found.faults, fault{Evidence: e})
				break
			}
			switch {
			case forVisitorsOnly(o) && len(unread) > 0:
				found.unread = append(found.unread, unread...)
			case forVisitorsOnly(o) && edge[g.ID]:
				found.seen = append(found.seen, model.Evidence{Subject: groupSubject(g), Have: o.String() + " open to the world, on the edge"})
			default:
				rules := o.behind(g.Ingress, known)
				e.Have += ", by " + ruleWords(rules)
				change := closed(v, g, edge[g.ID], rules...)
				if forVisitorsOnly(o) {
					e.Have += "; it is not the edge"
					if len(balancers) > 0 {
						change = webChange(v, g, balancers, rules...)
					}
				}
				found.faults = append(found.faults, fault{e, change})
			}
		}
	}
	found.unread = distinct(found.unread)
	if len(found.seen) == 0 {
		found.seen = []model.Evidence{{Subject: fmt.Sprintf("%d security groups", len(groups)), Have: "none opens a port to the world"}}
	}
	return found
}

// forVisitorsOnly tells whether an opening is what visitors need: HTTPS, in its
// third version by UDP, and HTTP.
func forVisitorsOnly(o opening) bool {
	return o.from == o.to && (o.protocol == "tcp" && (o.from == 80 || o.from == 443) || o.protocol == "udp" && o.from == 443)
}

// edges are the groups that visitors come through: those of load balancers that
// face the internet, or where there is none those of instances with a public
// address. What could not be seen may be another.
func edges(v *View) (groups map[string]bool, unread []string) {
	groups = map[string]bool{}
	unread = blind(v, facts.CloudBalancers, facts.CloudInstances)
	balanced := false
	for _, b := range v.Cloud.Balancers {
		if b.Scheme == "internet-facing" && v.concerns(b.Tags, b.VPC) {
			balanced = true
			mark(groups, b.Groups)
		}
	}
	if balanced {
		return groups, unread
	}
	for _, i := range instancesOf(v) {
		for _, id := range i.Groups {
			groups[id] = groups[id] || i.PublicIP != ""
		}
	}
	for _, g := range groupsOf(v) {
		// Nothing may be started yet, or again.
		role := g.Tags.Role()
		groups[g.ID] = groups[g.ID] || role == "edge" || single(v) && role == "app"
	}
	return groups, unread
}
