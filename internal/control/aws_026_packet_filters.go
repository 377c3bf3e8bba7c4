package control

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"rocca/internal/facts"
	"rocca/internal/model"
)

var aws026 = Control{
	ID:       "AWS-26",
	Title:    "packet filters keep the world from SSH and remote desktop, and data has one of its own",
	Why:      "A packet filter holds for a whole subnet, whatever group is on a machine in it: the one mistake in a group that opens SSH stays without effect. The default filter lets everything through.",
	Severity: model.Medium,
	Needs:    []facts.Section{facts.CloudFilters},
	Eval:     inspected(packetFilters),
	Fix:      remedied("a packet filter (network ACL) that lets in 80, 443 and replies, and one for databases that lets in their port from the own network; rocca aws deploy makes both on a deployment of rocca's", packetFilters),
	Maps:     []model.Ref{s1("11"), fsbp("EC2.21"), cisAWS("6.2")},
	Since:    "0.6",
}

func packetFilters(v *View) inspection {
	found := inspection{unread: blind(v, facts.CloudSubnets)}
	data := dataSubnets(v)
	kept := map[string]bool{} // subnets that the audit is about
	for _, s := range subnetsOf(v) {
		kept[s.ID] = true
	}
	filtered := false
	for _, f := range v.Cloud.Filters {
		if !v.concerns(f.Tags, f.VPC) || !anyOf(f.Subnets, kept) && v.Unseen(facts.CloudSubnets) == "" || len(f.Subnets) == 0 {
			continue // the default filter of a network stays, though nothing uses it
		}
		filtered = true
		subject := "filter " + labelled(f.ID, f.Tags)
		if f.Default {
			subject += " (default)"
		}
		faults := len(found.faults)
		for _, port := range []int{22, 3389} {
			if letsWorldIn(f, port) {
				found.faults = append(found.faults, fault{
					model.Evidence{Subject: subject, Have: "lets the world to tcp/" + strconv.Itoa(port), Want: "80, 443 and replies"},
					denied(v, f, port),
				})
			}
		}
		holds, others := 0, 0
		for _, id := range f.Subnets {
			if data[id] {
				holds++
			} else {
				others++
			}
		}
		if holds > 0 && (f.Default || others > 0) {
			found.faults = append(found.faults, fault{Evidence: model.Evidence{Subject: subject, Have: "filters subnets of databases, and was not made for them", Want: "a filter of their own"}})
		}
		if len(found.faults) == faults {
			found.seen = append(found.seen, model.Evidence{Subject: subject, Have: "keeps the world from SSH and remote desktop in " + strconv.Itoa(len(f.Subnets)) + " subnets"})
		}
	}
	if !filtered {
		found.absent = "there is no subnet that anything is in"
	}
	return found
}

// letsWorldIn tells whether a filter lets the world to a TCP port. The first
// rule that matches a packet decides, so a rule counts for the addresses that
// none before it was about.
func letsWorldIn(f facts.NetworkACL, port int) bool {
	entries := slices.Clone(f.Entries)
	slices.SortStableFunc(entries, func(a, b facts.ACLRule) int { return cmp.Compare(a.Number, b.Number) })
	var settled crowd
	in4, in6 := 0.0, 0.0
	for _, e := range entries {
		rule := facts.GroupRule{Protocol: e.Protocol, From: e.From, To: e.To}
		if e.Egress || !e.CIDR.IsValid() || !carries(rule, port) || contains(ownNetworks, e.CIDR.Masked()) {
			continue
		}
		before4, before6 := settled.v4.share, settled.v6.share
		settled.put(e.CIDR.Masked(), 1)
		if e.Allow {
			in4 += settled.v4.share - before4
			in6 += settled.v6.share - before6
		}
	}
	return in4 >= world4 || in6 >= world6
}

// denied puts rules before the first that lets the world to a port: own machines
// may go on, everybody else may not. A filter of rocca's is rendered anew.
func denied(v *View, f facts.NetworkACL, port int) Change {
	if f.Tags.Deployment() != "" {
		return Change{Sentence: "render the packet filters anew", Command: "rocca aws deploy"}
	}
	type step struct{ network, action string }
	var steps []step
	for _, n := range v.Cloud.Networks {
		if n.ID == f.VPC {
			for _, own := range n.CIDRs {
				steps = append(steps, step{own.String(), "allow"})
			}
		}
	}
	steps = append(steps, step{"0.0.0.0/0", "deny"}, step{"::/0", "deny"})
	number, room := before(f, port, len(steps))
	if !room {
		return Change{}
	}
	var lines []string
	for i, s := range steps {
		family := "--cidr-block"
		if strings.Contains(s.network, ":") {
			family = "--ipv6-cidr-block"
		}
		lines = append(lines, v.commandLine("ec2", "create-network-acl-entry", "--network-acl-id", f.ID, "--ingress", "--rule-number", strconv.Itoa(number+i), "--protocol", "tcp",
			"--port-range", fmt.Sprintf("From=%d,To=%d", port, port), family, s.network, "--rule-action", s.action))
	}
	return Change{Sentence: fmt.Sprintf("keep everybody but the own network from tcp/%d of the subnets of %s", port, f.ID), Command: strings.Join(lines, " && ")}
}

// before finds free numbers in a row, before the first rule that lets anybody to
// a port. Each port has a row of its own.
func before(f facts.NetworkACL, port, length int) (first int, room bool) {
	taken, end := map[int]bool{}, lastRule
	for _, e := range f.Entries {
		if !e.Egress {
			taken[e.Number] = true
			if e.Allow && carries(facts.GroupRule{Protocol: e.Protocol, From: e.From, To: e.To}, port) {
				end = min(end, e.Number)
			}
		}
	}
	first = 1
	if port != 22 {
		first += length
	}
	for free := 0; first+free < end; {
		if taken[first+free] {
			first, free = first+free+1, 0
			continue
		}
		if free++; free == length {
			return first, true
		}
	}
	return 0, false
}

// lastRule is the number of the rule that denies the rest.
const lastRule = 32767
