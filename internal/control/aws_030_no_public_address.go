package control

import (
	"strings"

	"rocca/internal/facts"
	"rocca/internal/model"
)

var aws030 = Control{
	ID:       "AWS-30",
	Title:    "no instance has a public address, but the one of profile single",
	Why:      "With an address of its own, an instance is one wrong rule away from the internet, and what breaks in has a way out and back. Behind a load balancer no rule can give it that.",
	Severity: model.Medium,
	Needs:    []facts.Section{facts.CloudInstances},
	Eval:     inspected(publicAddresses),
	Fix:      remedied("put instances into subnets without a route from the internet, behind a load balancer (profile standard); the one of profile single has an Elastic IP, which stays the same", publicAddresses),
	Maps:     []model.Ref{s1("5"), s1("9"), fsbp("EC2.9")},
	Since:    "0.6",
}

func publicAddresses(v *View) inspection {
	found := inspection{}
	instances := instancesOf(v)
	if len(instances) == 0 {
		found.absent = noInstance
	}
	kept := map[string]bool{} // addresses that stay
	for _, a := range v.Cloud.Addresses {
		kept[a.IP] = true
	}
	for _, i := range instances {
		subject := labelled(i.ID, i.Tags)
		switch {
		case i.PublicIP == "":
			found.seen = append(found.seen, model.Evidence{Subject: subject, Have: "no public IPv4 address"})
		case single(v) && kept[i.PublicIP]:
			found.seen = append(found.seen, model.Evidence{Subject: subject, Have: "Elastic IP " + i.PublicIP + ", as profile: single decides"})
		case single(v):
			if unread := blind(v, facts.CloudAddresses); len(unread) > 0 {
				found.unread = append(found.unread, unread...)
				break
			}
			found.faults = append(found.faults, fault{
				model.Evidence{Subject: subject, Have: i.PublicIP + ", which it loses when it stops", Want: "an Elastic IP"},
				Change{Sentence: "give the instance its Elastic IP again", Command: "rocca aws deploy"},
			})
		default:
			found.faults = append(found.faults, fault{model.Evidence{Subject: subject, Have: "public address " + i.PublicIP, Want: "none, behind a load balancer"}, ownAddress(v)})
		}
	}
	for _, t := range templatesOf(v) {
		if t.PublicIP {
			found.faults = append(found.faults, fault{Evidence: model.Evidence{Subject: "launch template " + templateName(t), Have: "gives a public address", Want: "none"}})
		}
	}
	faults, unread := reachedByIPv6(v, instances)
	found.faults = append(found.faults, faults...)
	found.unread = distinct(append(found.unread, unread...))
	return found
}

// ownAddress is the way to a deployment without public instances, where it is
// one of rocca's.
func ownAddress(v *View) Change {
	return v.byCommand("replace instances by such without a public address", "rocca aws deploy", "")
}

// reachedByIPv6 are the instances with an address of IPv6, in a subnet that the
// internet has a route to: each such address is public.
func reachedByIPv6(v *View, instances []facts.Instance) (faults []fault, unread []string) {
	addresses := map[string][]string{}
	for _, i := range v.Cloud.Interfaces {
		if i.Instance != "" {
			addresses[i.Instance] = append(addresses[i.Instance], i.IPv6...)
		}
	}
	subnets := map[string]facts.Subnet{}
	for _, s := range v.Cloud.Subnets {
		subnets[s.ID] = s
	}
	table := tables(v)
	unread = blind(v, facts.CloudInterfaces)
	for _, i := range instances {
		if len(addresses[i.ID]) == 0 {
			continue
		}
		t, known := table(subnets[i.Subnet])
		if !known {
			unread = append(unread, "could not see the routes of "+i.Subnet+", where "+i.ID+" has an address of IPv6")
			continue
		}
		if reached(t) {
			faults = append(faults, fault{Evidence: model.Evidence{Subject: labelled(i.ID, i.Tags), Have: "IPv6 " + strings.Join(addresses[i.ID], ", ") + ", with a route from the internet", Want: "none"}})
		}
	}
	return faults, unread
}
