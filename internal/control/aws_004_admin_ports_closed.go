package control

import (
	"fmt"
	"math/big"
	"net/netip"
	"slices"
	"strings"

	"rocca/internal/facts"
	"rocca/internal/model"
)

var aws004 = Control{
	ID:       "AWS-04",
	Title:    "no security group opens SSH, remote desktop, a database or a cache to the world, or to more than a known network",
	Why:      "Every address of AWS is tried all day, by programs that know each default password and every hole in SSH and MySQL. A port that only named people reach cannot be tried by them, whatever it runs.",
	Severity: model.Critical,
	Needs:    []facts.Section{facts.CloudGroups},
	Eval:     inspected(adminPorts),
	Fix:      remedied("close the ports: rocca aws ssh needs none of them. Where SSH has to be open, name the networks under network.ssh of rocca-aws.yaml, and rocca aws deploy", adminPorts),
	Maps:     []model.Ref{s1("12"), s1("32"), s1("44"), fsbp("EC2.13"), fsbp("EC2.14"), fsbp("EC2.19"), cisAWS("6.3"), cisAWS("6.4"), row("1")},
	Since:    "0.6",
}

// administration are the ports of people and programs that administer: SSH,
// MySQL, remote desktop, Valkey and Redis.
var administration = []int{22, 3306, 3389, 6379}

func adminPorts(v *View) inspection {
	groups, known, used := groupsOf(v), lists(v), attached(v)
	edge, _ := edges(v)
	found := inspection{}
	if len(groups) == 0 {
		found.absent = "there is no security group"
	}
	for _, g := range groups {
		if prepared(g, used) {
			found.unread = append(found.unread, blind(v, facts.CloudInterfaces)...)
			continue
		}
		faults := openAdministration(v, g, edge[g.ID], known)
		found.faults = append(found.faults, faults...)
		if len(faults) == 0 {
			found.unread = append(found.unread, unseenLists(carrying(g.Ingress, administration...), known)...)
		}
	}
	found.unread = distinct(found.unread)
	if len(groups) > 0 {
		found.seen = administrationSeen(groups, known)
	}
	return found
}

// carrying are the rules that let one of some TCP ports through.
func carrying(rules []facts.GroupRule, ports ...int) []facts.GroupRule {
	var found []facts.GroupRule
	for _, r := range rules {
		if slices.ContainsFunc(ports, func(port int) bool { return carries(r, port) }) {
			found = append(found, r)
		}
	}
	return found
}

// openAdministration is what a group opens too widely.
func openAdministration(v *View, g facts.SecurityGroup, edge bool, known map[string][]netip.Prefix) []fault {
	var faults []fault
	subject := groupSubject(g)

	// Rules together may be the world, and are told together.
	reported := map[facts.GroupRule]bool{}
	var ports []int
	var behind []facts.GroupRule
	for _, port := range administration {
		rules := carrying(g.Ingress, port)
		if !worldOf(rules, known) {
			continue
		}
		ports = append(ports, port)
		for _, r := range rules {
			if !reported[r] && slices.ContainsFunc(foreign(r, known), broad) {
				reported[r] = true
				behind = append(behind, r)
			}
		}
	}
	if len(ports) > 0 {
		faults = append(faults, fault{
			model.Evidence{Subject: subject, Have: "critical: " + portWords(ports) + " open to the world, by " + ruleWords(behind), Want: "nobody, or known networks"},
			closed(v, g, edge, behind...),
		})
	}

	for _, r := range carrying(g.Ingress, administration...) {
		if reported[r] {
			continue
		}
		networks, _ := networksIn(r, known)
		for _, n := range networks {
			if broad(n) && !decided(v, r, n) {
				faults = append(faults, fault{
					model.Evidence{Subject: subject, Have: fmt.Sprintf("medium: %s open to %s, %s addresses; not the world, and more than one site has", traffic(r.Protocol, r.From, r.To), n, howMany(n)), Want: "networks of /24 at most (IPv6: /48)"},
					closed(v, g, edge, r),
				})
				break
			}
		}
	}
	return faults
}

// decided tells whether the owner named a network for SSH, and the rule is
// about that alone.
func decided(v *View, r facts.GroupRule, n netip.Prefix) bool {
	return r.From == 22 && r.To == 22 && contains(v.Cloud.Wanted.SSH, n)
}

// worldOf tells whether rules together let the world in.
func worldOf(rules []facts.GroupRule, known map[string][]netip.Prefix) bool {
	if !mayBeWorld(rules, known) {
		return false
	}
	var all crowd
	for _, r := range rules {
		for _, n := range foreign(r, known) {
			all.put(n, 1)
		}
	}
	return all.world()
}

// administrationSeen tells who reaches ports of administration, where that is
// not too wide.
func administrationSeen(groups []facts.SecurityGroup, known map[string][]netip.Prefix) []model.Evidence {
	var seen []model.Evidence
	for _, g := range groups {
		for _, r := range carrying(g.Ingress, 22, 3389) {
			if networks, _ := networksIn(r, known); len(networks) > 0 && g.Tags.Role() != "incident" {
				seen = append(seen, model.Evidence{Subject: groupSubject(g), Have: told(r)})
			}
		}
	}
	if len(seen) == 0 {
		seen = append(seen, model.Evidence{Subject: fmt.Sprintf("%d security groups", len(groups)), Have: "none opens SSH or remote desktop to any network"})
	}
	return seen
}

// howMany are the addresses of a network; those of IPv6 as a power of two.
func howMany(n netip.Prefix) string {
	bits := n.Addr().BitLen() - n.Bits()
	if bits > 32 {
		return fmt.Sprintf("2^%d", bits)
	}
	return new(big.Int).Lsh(big.NewInt(1), uint(bits)).String()
}

func portWords(ports []int) string {
	words := make([]string, len(ports))
	for i, port := range ports {
		words[i] = fmt.Sprintf("tcp/%d", port)
	}
	return strings.Join(words, ", ")
}

// ruleWords are rules in words, the first few of them.
func ruleWords(rules []facts.GroupRule) string {
	var words []string
	for _, r := range rules[:min(len(rules), 4)] {
		words = append(words, told(r))
	}
	if rest := len(rules) - len(words); rest > 0 {
		words = append(words, fmt.Sprintf("%d more rules", rest))
	}
	return strings.Join(words, " and ")
}

func distinct(list []string) []string {
	slices.Sort(list)
	return slices.Compact(list)
}
