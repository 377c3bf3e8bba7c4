package control

import (
	"rocca/internal/facts"
	"rocca/internal/model"
)

var aws006 = Control{
	ID:       "AWS-06",
	Title:    "no group lets everything out, and groups of data let nothing out",
	Why:      "What breaks into a server calls home: it fetches its tools, opens a tunnel, and sends away what it found, on whatever port is free. A database has nobody to call at all.",
	Severity: model.Medium,
	Needs:    []facts.Section{facts.CloudGroups},
	Eval:     inspected(egress),
	Fix:      remedied("let instances out on 443 only, and to their database; the groups of databases and caches nowhere. rocca aws deploy does so on a deployment of rocca's", egress),
	Maps:     []model.Ref{s1("15"), s1("16"), row("5")},
	Since:    "0.6",
}

// manyPorts is how many ports a range may have that lets out to the world,
// before it is everything.
const manyPorts = 1024

func egress(v *View) inspection {
	groups, known, used, data := groupsOf(v), lists(v), attached(v), dataGroups(v)
	found := inspection{}
	if len(groups) == 0 {
		found.absent = "there is no security group"
	}
	for _, g := range groups {
		switch {
		case g.Name == "default": // AWS-23
			continue
		case prepared(g, used):
			found.unread = append(found.unread, blind(v, facts.CloudInterfaces)...)
			continue
		}
		var out []facts.GroupRule
		for _, r := range g.Egress {
			if !r.CIDR.IsValid() || !nobody(r.CIDR) {
				out = append(out, r)
			}
		}
		faults := len(found.faults)
		if data[g.ID] {
			for _, r := range out {
				found.faults = append(found.faults, fault{
					model.Evidence{Subject: groupSubject(g), Have: "lets out " + told(r), Want: "nothing: data has nobody to call"},
					revoke(v, g, "egress", r),
				})
			}
		} else {
			for _, o := range openings(out, known) {
				if o.to-o.from < manyPorts {
					continue
				}
				rules := o.behind(out, known)
				found.faults = append(found.faults, fault{
					model.Evidence{Subject: groupSubject(g), Have: "lets out " + o.String() + " to the world, by " + ruleWords(rules), Want: "the ports that are needed: tcp/443"},
					narrowed(v, g, out, rules),
				})
			}
		}
		if len(found.faults) > faults {
			continue
		}
		found.unread = append(found.unread, unseenLists(out, known)...)
		if len(out) > 0 {
			found.seen = append(found.seen, model.Evidence{Subject: groupSubject(g), Have: "lets out " + ruleWords(out)})
		} else if data[g.ID] {
			found.seen = append(found.seen, model.Evidence{Subject: groupSubject(g), Have: "lets nothing out"})
		}
	}
	found.unread = distinct(found.unread)
	return found
}

// narrowed lets HTTPS out before it takes away the rules that let out too much.
func narrowed(v *View, g facts.SecurityGroup, all, wide []facts.GroupRule) Change {
	if g.Tags.Role() == "incident" {
		return closed(v, g, false)
	}
	closing := revoke(v, g, "egress", wide...)
	closing.Sentence = "let " + groupSubject(g) + " out on tcp/443, and no longer on " + ruleWords(wide) + " (first add what else it calls, such as its database)"
	https := facts.GroupRule{Protocol: "tcp", From: 443, To: 443, CIDR: everywhere}
	for _, r := range all {
		if r.CIDR == everywhere && protocolOf(r.Protocol) == "tcp" && r.From == 443 && r.To == 443 {
			return closing
		}
	}
	closing.Command = v.commandLine("ec2", "authorize-security-group-egress", "--group-id", g.ID, "--ip-permissions", permission(https)) + " && " + closing.Command
	return closing
}
