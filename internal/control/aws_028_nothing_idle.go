package control

import (
	"slices"
	"strings"

	"rocca/internal/facts"
	"rocca/internal/model"
)

var aws028 = Control{
	ID:       "AWS-28",
	Title:    "no NAT gateway and no public address is paid for that nothing uses",
	Why:      "An unused NAT gateway is a third of the bill of a small deployment, and a way out that nobody watches. An address that was left over still has the trust of whoever let it in by its number.",
	Severity: model.Low,
	Needs:    []facts.Section{facts.CloudNATs, facts.CloudAddresses},
	Eval:     inspected(idle),
	Fix:      remedied("delete what is idle, after looking whether somebody else's rules name its address", idle),
	Maps:     []model.Ref{s1("9"), fsbp("EC2.12")},
	Since:    "0.6",
}

func idle(v *View) inspection {
	found := inspection{}
	var gateways []facts.NAT
	for _, n := range v.Cloud.NATs {
		if v.concerns(n.Tags, n.VPC) && (n.State == "available" || n.State == "pending") {
			gateways = append(gateways, n)
		}
	}
	if len(gateways) > 0 {
		found.unread = blind(v, facts.CloudRouteTables, facts.CloudSubnets, facts.CloudInstances, facts.CloudScaling, facts.CloudInterfaces)
	}
	if len(found.unread) == 0 {
		users := usersOfNAT(v)
		for _, n := range gateways {
			subject := "NAT gateway " + labelled(n.ID, n.Tags)
			if len(users[n.ID]) > 0 {
				found.seen = append(found.seen, model.Evidence{Subject: subject, Have: "used from " + strings.Join(users[n.ID], ", ")})
				continue
			}
			found.faults = append(found.faults, fault{
				model.Evidence{Subject: subject, Have: "no subnet with instances has a route to it", Want: "used, or not there"},
				Change{Sentence: "delete the NAT gateway " + n.ID + "; release its address after that", Command: v.commandLine("ec2", "delete-nat-gateway", "--nat-gateway-id", n.ID)},
			})
		}
	}
	for _, a := range v.Cloud.Addresses {
		if !v.concerns(a.Tags, "") {
			continue
		}
		subject := "address " + a.ID + " " + a.IP
		if a.Instance != "" || a.Interface != "" {
			found.seen = append(found.seen, model.Evidence{Subject: subject, Have: "in use"})
			continue
		}
		found.faults = append(found.faults, fault{
			model.Evidence{Subject: subject, Have: "nothing has it", Want: "used, or not there"},
			Change{Sentence: "give " + a.IP + " back (first see that no record of DNS and no rule names it: somebody else gets it)", Command: v.commandLine("ec2", "release-address", "--allocation-id", a.ID)},
		})
	}
	if len(gateways) == 0 && len(found.seen)+len(found.faults) == 0 {
		found.absent = "there is no NAT gateway and no Elastic IP"
	}
	return found
}

// usersOfNAT are the subnets from which instances, or functions, go out by each
// NAT gateway.
func usersOfNAT(v *View) map[string][]string {
	busy := map[string]bool{}
	for _, i := range v.Cloud.Instances {
		busy[i.Subnet] = true
	}
	for _, g := range v.Cloud.ScalingGroups {
		for _, id := range g.Subnets {
			busy[id] = busy[id] || g.Max > 0
		}
	}
	for _, i := range v.Cloud.Interfaces {
		busy[i.Subnet] = busy[i.Subnet] || i.Kind == "lambda"
	}
	table, users := tables(v), map[string][]string{}
	for _, s := range v.Cloud.Subnets {
		if !busy[s.ID] {
			continue
		}
		t, _ := table(s)
		for _, r := range t.Routes {
			if strings.HasPrefix(r.Via, "nat-") && !slices.Contains(users[r.Via], s.ID) {
				users[r.Via] = append(users[r.Via], s.ID)
			}
		}
	}
	return users
}
