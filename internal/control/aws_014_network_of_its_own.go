package control

import (
	"fmt"

	"rocca/internal/facts"
	"rocca/internal/model"
)

var aws014 = Control{
	ID:       "AWS-14",
	Title:    "instances are in a network of their own, with one interface each, and nobody else is in it",
	Why:      "An instance with legs in two networks is a bridge between them that no route shows. An instance that nobody knows is what an intruder starts to stay, or what somebody forgot: it is inside of every rule that trusts the network.",
	Severity: model.Medium,
	Needs:    []facts.Section{facts.CloudInstances},
	Eval:     inspected(ownNetwork),
	Fix:      guided("find out who started what does not belong here, and end it; move the others to a network of their own. rocca aws deploy makes one"),
	Maps:     []model.Ref{s1("2"), s1("5"), s1("8"), s1("9"), s1("10"), s1("11"), fsbp("EC2.17")},
	Since:    "0.6",
}

func ownNetwork(v *View) inspection {
	found := inspection{unread: blind(v, facts.CloudNetworks)}
	instances := instancesOf(v)
	if len(instances) == 0 {
		found.absent = noInstance
	}
	shared, ours := map[string]bool{}, map[string]bool{}
	for _, n := range v.Cloud.Networks {
		shared[n.ID] = n.IsDefault
		ours[n.ID] = n.Tags.Deployment() != ""
	}
	for _, i := range instances {
		subject, faults := labelled(i.ID, i.Tags), len(found.faults)
		against := func(have, want string) {
			found.faults = append(found.faults, fault{Evidence: model.Evidence{Subject: subject, Have: have, Want: want}})
		}
		if len(i.Interfaces) > 1 {
			against(fmt.Sprintf("%d network interfaces", len(i.Interfaces)), "one")
		}
		if shared[i.VPC] {
			against("is in the default network "+i.VPC+", where all else of the account starts", "a network of its own")
		}
		if ours[i.VPC] && i.Tags.Deployment() == "" {
			against("is in the network "+i.VPC+" of rocca's and of no deployment", "no instance that nobody knows")
		}
		if len(found.faults) == faults {
			found.seen = append(found.seen, model.Evidence{Subject: subject, Have: "one interface, in " + i.VPC})
		}
	}
	return found
}
