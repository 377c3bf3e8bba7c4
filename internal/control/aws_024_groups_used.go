package control

import (
	"rocca/internal/facts"
	"rocca/internal/model"
)

var aws024 = Control{
	ID:       "AWS-24",
	Title:    "every security group is used, and no rule names a group that is gone",
	Why:      "An unused group is put on the next machine by somebody who did not read its rules. A rule for a group that is gone shows that nobody has looked for a long time.",
	Severity: model.Low,
	Needs:    []facts.Section{facts.CloudGroups, facts.CloudInterfaces},
	Eval:     inspected(danglingGroups),
	Fix:      remedied("delete groups that nothing uses, but those kept ready for incidents, and rules for groups that are gone", danglingGroups),
	Maps:     []model.Ref{s1("39"), row("5")},
	Since:    "0.6",
}

func danglingGroups(v *View) inspection {
	groups, used := groupsOf(v), attached(v)
	found := inspection{}
	if len(groups) == 0 {
		found.absent = "there is no security group"
	}
	for _, g := range groups {
		for _, r := range g.Ingress {
			if r.GroupGone {
				found.faults = append(found.faults, fault{model.Evidence{Subject: groupSubject(g), Have: "lets in " + told(r) + ", which is gone", Want: "groups that are there"}, revoke(v, g, "ingress", r)})
			}
		}
		for _, r := range g.Egress {
			if r.GroupGone {
				found.faults = append(found.faults, fault{model.Evidence{Subject: groupSubject(g), Have: "lets out to " + told(r) + ", which is gone", Want: "groups that are there"}, revoke(v, g, "egress", r)})
			}
		}
		switch {
		case used[g.ID]:
			found.seen = append(found.seen, model.Evidence{Subject: groupSubject(g), Have: "in use"})
		case g.Name == "default": // it cannot be deleted; AWS-23
		case g.Tags.Role() == "incident":
			found.seen = append(found.seen, model.Evidence{Subject: groupSubject(g), Have: "ready for incidents"})
		default:
			e := model.Evidence{Subject: groupSubject(g), Have: "nothing uses it", Want: "used, or not there"}
			change := Change{Sentence: "delete the unused group " + groupSubject(g) + " (AWS refuses while something uses it)", Command: v.commandLine("ec2", "delete-security-group", "--group-id", g.ID)}
			if g.Tags.Deployment() != "" {
				change = Change{} // a stack has made it, and would miss it
			}
			found.faults = append(found.faults, fault{e, change})
		}
	}
	return found
}
