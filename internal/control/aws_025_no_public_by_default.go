package control

import (
	"rocca/internal/facts"
	"rocca/internal/model"
)

var aws025 = Control{
	ID:       "AWS-25",
	Title:    "no subnet gives public addresses to whatever is started in it",
	Why:      "What somebody starts for an hour is then on the internet without having asked for it, and with another address after each stop.",
	Severity: model.Medium,
	Needs:    []facts.Section{facts.CloudSubnets},
	Eval:     inspected(publicSubnets),
	Fix:      remedied("turn it off for each subnet; what has to be public gets an Elastic IP, or a load balancer. rocca aws deploy does so on a deployment of rocca's", publicSubnets),
	Maps:     []model.Ref{s1("5"), s1("9"), fsbp("EC2.15")},
	Since:    "0.6",
}

func publicSubnets(v *View) inspection {
	found := inspection{}
	subnets := subnetsOf(v)
	if len(subnets) == 0 {
		found.absent = "there is no subnet that anything is in"
	}
	for _, s := range subnets {
		e := model.Evidence{Subject: "subnet " + labelled(s.ID, s.Tags), Have: "gives no public addresses"}
		if !s.PublicIP {
			found.seen = append(found.seen, e)
			continue
		}
		e.Have, e.Want = "gives every instance a public address", "none by itself"
		found.faults = append(found.faults, fault{e, Change{
			Sentence: "give no public address to what is started in " + s.ID + " from now on",
			Command:  v.commandLine("ec2", "modify-subnet-attribute", "--subnet-id", s.ID, "--no-map-public-ip-on-launch"),
		}})
	}
	return found
}
