package control

import (
	"strconv"

	"rocca/internal/facts"
	"rocca/internal/model"
)

var aws007 = Control{
	ID:       "AWS-07",
	Title:    "databases and caches hear the groups of instances only, on their own port",
	Why:      "A network in a rule lets in whatever has an address in it: a forgotten test machine, a peer, a VPN. The name of a group lets in what runs Matomo and nothing else, so that a password alone does not open the data.",
	Severity: model.Critical,
	Needs:    []facts.Section{facts.CloudGroups},
	Eval:     inspected(databaseSources),
	Fix:      remedied("name the group of the instances as the only source, for the port of the database; rocca aws deploy does so on a deployment of rocca's", databaseSources),
	Maps:     []model.Ref{s1("7"), s1("16"), s1("29"), row("2"), row("5")},
	Since:    "0.6",
}

func databaseSources(v *View) inspection {
	data, web := dataGroups(v), webGroups(v)
	found := inspection{unread: blind(v, facts.CloudDatabases)}
	if len(data) == 0 {
		found.absent = "there is no group of a database or cache: the database is on the server"
	}
	for _, g := range groupsOf(v) {
		if !data[g.ID] {
			continue
		}
		for _, r := range g.Ingress {
			e := model.Evidence{Subject: groupSubject(g), Have: "hears " + told(r), Want: "the groups of instances, on one port"}
			switch {
			case r.GroupGone || r.Group == g.ID: // AWS-24; nodes of a cache among themselves
				continue
			case r.CIDR.IsValid() && nobody(r.CIDR):
				continue
			case r.Group == "":
				found.faults = append(found.faults, fault{e, databaseChange(v, g, r, web)})
			case !web[r.Group]:
				if unread := blind(v, facts.CloudInstances); len(unread) > 0 {
					found.unread = append(found.unread, unread...)
					continue
				}
				e.Have += ", which is of no instance that is known"
				found.faults = append(found.faults, fault{e, revoke(v, g, "ingress", r)})
			case protocolOf(r.Protocol) != "tcp" || r.From != r.To:
				e.Have += ", which is more than one port"
				found.faults = append(found.faults, fault{e, databaseChange(v, g, r, map[string]bool{r.Group: true})})
			default:
				found.seen = append(found.seen, model.Evidence{Subject: groupSubject(g), Have: "hears " + told(r) + ", a group of instances"})
			}
		}
	}
	found.unread = distinct(found.unread)
	if len(data) > 0 && len(found.seen) == 0 {
		found.seen = []model.Evidence{{Subject: strconv.Itoa(len(data)) + " groups of databases and caches", Have: "hear nobody"}}
	}
	return found
}

// databaseChange lets instances in before it keeps everybody else out, so that
// Matomo goes on.
func databaseChange(v *View, g facts.SecurityGroup, r facts.GroupRule, web map[string]bool) Change {
	closing := revoke(v, g, "ingress", r)
	if carries(r, 3306) {
		for _, id := range sortedKeys(web) {
			own := facts.GroupRule{Protocol: "tcp", From: 3306, To: 3306, Group: id}
			if !heardExactly(g, own) {
				closing.Command = v.commandLine("ec2", "authorize-security-group-ingress", "--group-id", g.ID, "--ip-permissions", permission(own)) + " && " + closing.Command
			}
		}
	}
	return closing
}

// heardExactly tells whether a group has this rule.
func heardExactly(g facts.SecurityGroup, wanted facts.GroupRule) bool {
	for _, r := range g.Ingress {
		if r.Group == wanted.Group && protocolOf(r.Protocol) == wanted.Protocol && r.From == wanted.From && r.To == wanted.To {
			return true
		}
	}
	return false
}
