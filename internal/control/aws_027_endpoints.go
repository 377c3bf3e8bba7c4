package control

import (
	"strings"

	"rocca/internal/facts"
	"rocca/internal/model"
)

var aws027 = Control{
	ID:       "AWS-27",
	Title:    "calls to AWS leave by endpoints, each with a policy of its own",
	Why:      "An endpoint with a policy is a wall: who holds a server can no longer copy data into a bucket of theirs. Without one the way to S3 is the way to everybody's buckets, and without a NAT gateway an instance that has none cannot be reached or send its logs.",
	Severity: model.Low,
	Needs:    []facts.Section{facts.CloudEndpoints, facts.CloudNetworks},
	Eval:     inspected(endpoints),
	Fix:      remedied("a gateway endpoint for S3, which is free, with a policy that names the own buckets; network.endpoints: true in rocca-aws.yaml makes those of the other services", endpoints),
	Maps:     []model.Ref{s1("9"), fsbp("EC2.10"), cisAWS("6.8")},
	Since:    "0.6",
}

// services are those that instances of ours call.
var services = []string{"ssm", "ssmmessages", "secretsmanager", "kms", "logs"}

func endpoints(v *View) inspection {
	found := inspection{}
	networks := networksOf(v)
	if len(networks) == 0 {
		found.absent = "there is no network that anything is in"
	}
	there := map[string]facts.Endpoint{} // by network and service
	for _, e := range v.Cloud.Endpoints {
		if e.State == "" || strings.EqualFold(e.State, "available") {
			there[e.VPC+" "+e.Service[strings.LastIndex(e.Service, ".")+1:]+" "+e.Kind] = e
		}
	}
	cutOff, unread := withoutWay(v)
	for _, n := range networks {
		subject := labelled(n.ID, n.Tags)
		if _, is := there[n.ID+" s3 Gateway"]; !is {
			found.faults = append(found.faults, fault{
				model.Evidence{Subject: subject, Have: "no gateway endpoint for S3", Want: "one, it is free"},
				endpointChange(v, n, "s3"),
			})
		}
		if !v.Cloud.Wanted.Endpoints && !cutOff[n.ID] {
			if !v.Cloud.Wanted.Known {
				found.unread = append(found.unread, unread...)
			}
			continue
		}
		for _, service := range services {
			if _, is := there[n.ID+" "+service+" Interface"]; !is {
				e := model.Evidence{Subject: subject, Have: "no endpoint for " + service + ", and no other way to it", Want: "an interface endpoint"}
				if v.Cloud.Wanted.Endpoints {
					e.Have = "no endpoint for " + service + ", which rocca-aws.yaml asks for (network.endpoints)"
				}
				found.faults = append(found.faults, fault{e, endpointChange(v, n, service)})
			}
		}
	}
	looked := map[string]bool{}
	for _, n := range networks {
		looked[n.ID] = true
	}
	for _, e := range v.Cloud.Endpoints {
		if !looked[e.VPC] || e.Policy == "" {
			continue
		}
		subject := e.ID + " to " + e.Service[strings.LastIndex(e.Service, ".")+1:]
		open, err := allowsAll(e.ID, e.Policy)
		switch {
		case err != nil:
			found.unread = append(found.unread, err.Error())
		case open:
			found.faults = append(found.faults, fault{
				Evidence: model.Evidence{Subject: subject, Have: "its policy lets everybody do everything", Want: "the own role and resources"},
			})
		default:
			found.seen = append(found.seen, model.Evidence{Subject: subject, Have: e.Kind + " endpoint with a policy of its own"})
		}
	}
	found.unread = distinct(found.unread)
	return found
}

// withoutWay are the networks with instances in subnets that no route leads out
// of. They reach AWS by endpoints only.
func withoutWay(v *View) (networks map[string]bool, unread []string) {
	if unread := blind(v, facts.CloudInstances, facts.CloudSubnets, facts.CloudRouteTables); len(unread) > 0 {
		return nil, unread
	}
	subnets := map[string]facts.Subnet{}
	for _, s := range v.Cloud.Subnets {
		subnets[s.ID] = s
	}
	table, networks := tables(v), map[string]bool{}
	for _, i := range instancesOf(v) {
		s, known := subnets[i.Subnet]
		if !known {
			continue
		}
		t, known := table(s)
		out := !known
		for _, r := range t.Routes {
			// The internet gateway is of use with a public address only.
			out = out || leadsOut(r) && (!strings.HasPrefix(r.Via, "igw-") || i.PublicIP != "")
		}
		networks[s.VPC] = networks[s.VPC] || !out
	}
	return networks, nil
}

func endpointChange(v *View, n facts.CloudNetwork, service string) Change {
	if n.Tags.Deployment() != "" {
		return Change{Sentence: "make the endpoint for " + service + " again", Command: "rocca aws deploy"}
	}
	name := "com.amazonaws." + v.Cloud.Region + "." + service
	if service == "s3" {
		words := []string{"ec2", "create-vpc-endpoint", "--vpc-id", n.ID, "--vpc-endpoint-type", "Gateway", "--service-name", name, "--route-table-ids"}
		for _, t := range v.Cloud.RouteTables {
			if t.VPC == n.ID {
				words = append(words, t.ID)
			}
		}
		return Change{Sentence: "make a gateway endpoint for S3 in " + n.ID, Command: v.commandLine(words...)}
	}
	words := []string{"ec2", "create-vpc-endpoint", "--vpc-id", n.ID, "--vpc-endpoint-type", "Interface", "--service-name", name, "--private-dns-enabled", "--subnet-ids"}
	zones, data := map[string]bool{}, dataSubnets(v)
	for _, s := range v.Cloud.Subnets {
		if s.VPC == n.ID && !zones[s.Zone] && !data[s.ID] {
			zones[s.Zone] = true
			words = append(words, s.ID)
		}
	}
	return Change{Sentence: "make an endpoint for " + service + " in " + n.ID + " (it bills by the hour in every zone)", Command: v.commandLine(words...)}
}
