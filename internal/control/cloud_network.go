package control

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"rocca/internal/control/iampolicy"
	"rocca/internal/facts"
	"rocca/internal/model"
)

// ---- what a control of the cloud found ----

// fault is what is wrong with one resource, and the command that puts it right.
type fault struct {
	model.Evidence
	fix Change // without a command: there is none that is right for everybody
}

// inspection is what a look at the cloud found.
type inspection struct {
	absent string // why the control has nothing to look at; empty: it has
	faults []fault
	unread []string // what could not be seen, without which it does not pass
	seen   []model.Evidence
}

// evidenceOnPass is how many observations a control shows that passes.
const evidenceOnPass = 3

// inspected judges by what a look found.
func inspected(inspect func(*View) inspection) func(*View) Verdict {
	return func(v *View) Verdict {
		found := inspect(v)
		var against []model.Evidence
		for _, f := range found.faults {
			against = append(against, f.Evidence)
		}
		verdict := conclude(against, found.unread)
		switch {
		case verdict.Status == model.Pass && found.absent != "":
			return notApplicable(found.absent)
		case verdict.Status == model.Pass:
			verdict.Evidence = found.seen
			if rest := len(found.seen) - evidenceOnPass; rest > 0 {
				verdict.Evidence = append(slices.Clone(found.seen[:evidenceOnPass]), model.Evidence{Subject: fmt.Sprintf("and %d more", rest)})
			}
		}
		return verdict
	}
}

// remedied is a fix with a command for each resource that a look found.
func remedied(text string, inspect func(*View) inspection) Fix {
	return guidedBy(text, func(v *View) []Change {
		var changes []Change
		listed := map[string]bool{}
		for _, f := range inspect(v).faults {
			if f.fix.Command != "" && !listed[f.fix.Command] {
				listed[f.fix.Command] = true
				changes = append(changes, f.fix)
			}
		}
		return changes
	})
}

// groupSubject is a security group as people find it.
func groupSubject(g facts.SecurityGroup) string { return g.ID + " " + cmp.Or(g.Tags["Name"], g.Name) }

// ---- what belongs to the deployment ----

// groupsOf are the security groups that the audit is about.
func groupsOf(v *View) []facts.SecurityGroup {
	var groups []facts.SecurityGroup
	for _, g := range v.Cloud.Groups {
		if v.concerns(g.Tags, g.VPC) {
			groups = append(groups, g)
		}
	}
	return groups
}

// instancesOf are the instances that the audit is about.
func instancesOf(v *View) []facts.Instance {
	var instances []facts.Instance
	for _, i := range v.Cloud.Instances {
		if v.concerns(i.Tags, i.VPC) {
			instances = append(instances, i)
		}
	}
	return instances
}

// templatesOf are the launch templates that the audit is about. They lie in no
// network.
func templatesOf(v *View) []facts.LaunchTemplate {
	var templates []facts.LaunchTemplate
	for _, t := range v.Cloud.Templates {
		if v.Cloud.Deployment == "" || t.Tags.Deployment() == "" || t.Tags.Deployment() == v.Cloud.Deployment {
			templates = append(templates, t)
		}
	}
	return templates
}

// networksOf are the VPCs that the audit is about, but default ones that nobody
// uses: every account has one in every region.
func networksOf(v *View) []facts.CloudNetwork {
	used := map[string]bool{}
	for _, i := range v.Cloud.Interfaces {
		used[i.VPC] = true
	}
	for _, i := range v.Cloud.Instances {
		used[i.VPC] = true
	}
	unsure := v.Unseen(facts.CloudInterfaces) != ""
	var networks []facts.CloudNetwork
	for _, n := range v.Cloud.Networks {
		if v.concerns(n.Tags, n.ID) && (!n.IsDefault || used[n.ID] || unsure) {
			networks = append(networks, n)
		}
	}
	return networks
}

// subnetsOf are the subnets of the networks that the audit is about.
func subnetsOf(v *View) []facts.Subnet {
	idle := map[string]bool{}
	for _, n := range v.Cloud.Networks {
		idle[n.ID] = true
	}
	for _, n := range networksOf(v) {
		idle[n.ID] = false
	}
	var subnets []facts.Subnet
	for _, s := range v.Cloud.Subnets {
		if v.concerns(s.Tags, s.VPC) && !idle[s.VPC] {
			subnets = append(subnets, s)
		}
	}
	return subnets
}

// mark puts ids into a set.
func mark(set map[string]bool, ids []string) {
	for _, id := range ids {
		set[id] = true
	}
}

// attached are the ids of the security groups that something has, or will have
// when it is started.
func attached(v *View) map[string]bool {
	used := map[string]bool{}
	for _, i := range v.Cloud.Interfaces {
		mark(used, i.Groups)
	}
	for _, i := range v.Cloud.Instances {
		mark(used, i.Groups)
	}
	for _, t := range v.Cloud.Templates {
		mark(used, t.Groups)
	}
	for _, b := range v.Cloud.Balancers {
		mark(used, b.Groups)
	}
	for _, d := range v.Cloud.Databases {
		mark(used, d.Groups)
	}
	for _, e := range v.Cloud.Endpoints {
		mark(used, e.Groups)
	}
	return used
}

// prepared tells whether a group lies ready for an incident, and is on nothing:
// the one on the way to isolation lets everything through for seconds.
func prepared(g facts.SecurityGroup, used map[string]bool) bool {
	return g.Tags.Role() == "incident" && !used[g.ID]
}

// webGroups are the ids of the groups of instances, those that are started
// later too.
func webGroups(v *View) map[string]bool {
	web := map[string]bool{}
	for _, i := range instancesOf(v) {
		mark(web, i.Groups)
	}
	for _, t := range templatesOf(v) {
		mark(web, t.Groups)
	}
	for _, g := range groupsOf(v) {
		switch g.Tags.Role() {
		case "app":
			web[g.ID] = true
		case "incident":
			delete(web, g.ID)
		}
	}
	return web
}

// balancerGroups are the ids of the groups of load balancers that the audit is
// about, and how many of those are there.
func balancerGroups(v *View) (groups map[string]bool, balancers int) {
	groups = map[string]bool{}
	for _, b := range v.Cloud.Balancers {
		if !v.concerns(b.Tags, b.VPC) {
			continue
		}
		balancers++
		mark(groups, b.Groups)
	}
	return groups, balancers
}

// keepsData tells whether a role of rocca's is that of data.
func keepsData(role string) bool { return role == "data" || role == "database" || role == "cache" }

// dataGroups are the ids of the groups of databases and caches.
func dataGroups(v *View) map[string]bool {
	data := map[string]bool{}
	for _, d := range databases(v) {
		mark(data, d.Groups)
	}
	for _, g := range groupsOf(v) {
		if keepsData(g.Tags.Role()) {
			data[g.ID] = true
		}
	}
	return data
}

// dataSubnets are the ids of the subnets of databases and caches.
func dataSubnets(v *View) map[string]bool {
	data := map[string]bool{}
	for _, d := range databases(v) {
		mark(data, d.Subnets)
	}
	for _, s := range subnetsOf(v) {
		if keepsData(s.Tags.Role()) {
			data[s.ID] = true
		}
	}
	return data
}

// profileSingle is the profile of rocca-aws.yaml without a load balancer.
const profileSingle = "single"

// single tells whether the owner decided for one instance without a load
// balancer.
func single(v *View) bool { return v.Cloud.Wanted.Profile == profileSingle }

const noInstance = "there is no instance"

// ---- the world ----

// space is a set of addresses of one version of IP, as a tree over their bits.
// Networks may overlap, and may be taken out again; each takes as many steps as
// its prefix has bits.
type space struct {
	whole  int // networks that are this very part
	halves [2]*space
	share  float64 // of this part that is in the set: 0 to 1
}

// put adds a network once more, or with -1 takes it out once.
func (s *space) put(network netip.Prefix, times int) {
	s.descend(network.Addr().AsSlice(), 0, network.Bits(), times)
}

func (s *space) descend(address []byte, depth, bits, times int) {
	if depth == bits {
		s.whole += times
	} else {
		half := address[depth/8] >> (7 - depth%8) & 1
		if s.halves[half] == nil {
			s.halves[half] = &space{}
		}
		s.halves[half].descend(address, depth+1, bits, times)
	}
	s.share = 1
	if s.whole <= 0 {
		s.share = (s.halves[0].covered() + s.halves[1].covered()) / 2
	}
}

func (s *space) covered() float64 {
	if s == nil {
		return 0
	}
	return s.share
}

// The world is a sixteenth of the addresses of the internet: who opens a port to
// so many of them knows none. Of IPv6, 2000::/3 is in use.
const (
	world4 = 1.0 / 16
	world6 = 1.0 / 16 / 8
)

// crowd is a set of addresses that a rule lets through.
type crowd struct{ v4, v6 space }

func (c *crowd) put(network netip.Prefix, times int) {
	if network.Addr().Is4() {
		c.v4.put(network, times)
	} else {
		c.v6.put(network, times)
	}
}

// world tells whether it is more than somebody can know.
func (c *crowd) world() bool { return c.v4.share >= world4 || c.v6.share >= world6 }

// everywhere is every address of IPv4.
var everywhere = netip.MustParsePrefix("0.0.0.0/0")

// nowhere are addresses that no packet of a network can come from, or reach.
var nowhere = prefixes("127.0.0.0/8", "255.255.255.255/32", "::1/128")

// ownNetworks are addresses that nobody has on the internet.
var ownNetworks = append(prefixes("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16", "fc00::/7", "fe80::/10"), nowhere...)

func prefixes(texts ...string) []netip.Prefix {
	list := make([]netip.Prefix, len(texts))
	for i, text := range texts {
		list[i] = netip.MustParsePrefix(text)
	}
	return list
}

// contains tells whether one network lies in another of a list.
func contains(list []netip.Prefix, network netip.Prefix) bool {
	return slices.ContainsFunc(list, func(wider netip.Prefix) bool {
		return wider.Bits() <= network.Bits() && wider.Masked().Contains(network.Addr())
	})
}

// nobody tells whether no packet of a network can come from such an address, or
// reach it: what rules name that must not let anything through.
func nobody(network netip.Prefix) bool {
	return contains(nowhere, network)
}

// broad tells whether a network is wider than people at one place have: /24, of
// IPv6 /48.
func broad(network netip.Prefix) bool {
	if network.Addr().Is4() {
		return network.Bits() < 24
	}
	return network.Bits() < 48
}

// ---- rules of security groups ----

const lastPort = 65535

// protocolOf is the name of a protocol; "-1" is all.
func protocolOf(text string) string {
	switch text {
	case "6":
		return "tcp"
	case "17":
		return "udp"
	case "1":
		return "icmp"
	case "58":
		return "icmpv6"
	case "", "all":
		return "-1"
	}
	return strings.ToLower(text)
}

// span are the ports that a rule lets through of a protocol, if any. A protocol
// without ports is open as a whole.
func span(r facts.GroupRule, protocol string) (from, to int, open bool) {
	switch of := protocolOf(r.Protocol); {
	case of == "-1":
		return 0, lastPort, true
	case of != protocol:
		return 0, 0, false
	case of == "tcp" || of == "udp":
		if r.From < 0 { // -1 is how some tools write all
			return 0, lastPort, true
		}
		return r.From, r.To, r.From <= r.To
	}
	return 0, lastPort, true
}

// carries tells whether a rule lets a TCP port through.
func carries(r facts.GroupRule, port int) bool {
	from, to, open := span(r, "tcp")
	return open && from <= port && port <= to
}

// traffic is what a rule lets through: "tcp/22", "tcp/1000-2000", "all traffic".
func traffic(protocol string, from, to int) string {
	switch protocol = protocolOf(protocol); {
	case protocol == "-1":
		return "all traffic"
	case protocol == "icmp", protocol == "icmpv6":
		return protocol
	case protocol != "tcp" && protocol != "udp":
		return "protocol " + protocol
	case from <= 0 && to >= lastPort || from < 0:
		return "all of " + protocol
	case from == to:
		return protocol + "/" + strconv.Itoa(from)
	}
	return fmt.Sprintf("%s/%d-%d", protocol, from, to)
}

// peer is whom a rule is about.
func peer(r facts.GroupRule) string {
	switch {
	case r.CIDR.IsValid():
		return r.CIDR.String()
	case r.PrefixList != "":
		return r.PrefixList
	}
	return r.Group
}

// told is a rule in words.
func told(r facts.GroupRule) string {
	return traffic(r.Protocol, r.From, r.To) + " " + peer(r)
}

// lists are the networks that prefix lists name, by id.
func lists(v *View) map[string][]netip.Prefix {
	all := map[string][]netip.Prefix{}
	for _, l := range v.Cloud.PrefixLists {
		all[l.ID] = l.Networks
	}
	return all
}

// networksIn are the networks that a rule is about; none when that is a group.
// Nobody knows what is in a prefix list that was not seen, or whom a rule is
// about that names nobody.
func networksIn(r facts.GroupRule, known map[string][]netip.Prefix) (networks []netip.Prefix, seen bool) {
	switch {
	case r.CIDR.IsValid():
		return []netip.Prefix{r.CIDR.Masked()}, true
	case r.PrefixList != "":
		networks, seen = known[r.PrefixList]
		if slices.ContainsFunc(networks, func(n netip.Prefix) bool { return !n.IsValid() }) {
			return nil, false
		}
		return networks, seen
	}
	return nil, r.Group != ""
}

// foreign are the networks of a rule that lie on the internet.
func foreign(r facts.GroupRule, known map[string][]netip.Prefix) []netip.Prefix {
	networks, _ := networksIn(r, known)
	if len(networks) == 1 && !contains(ownNetworks, networks[0]) {
		return networks
	}
	return slices.DeleteFunc(slices.Clone(networks), func(n netip.Prefix) bool { return contains(ownNetworks, n) })
}

// unseenLists tells of rules, such as those with a prefix list, that are about
// networks which were not seen.
func unseenLists(rules []facts.GroupRule, known map[string][]netip.Prefix) []string {
	var unread []string
	for _, r := range rules {
		if _, seen := networksIn(r, known); !seen {
			unread = append(unread, "could not see whom a rule is about: "+told(r))
		}
	}
	slices.Sort(unread)
	return slices.Compact(unread)
}

// mayBeWorld tells whether rules together could let the world through, by their
// sizes alone: whether they do needs a look at how they overlap.
func mayBeWorld(rules []facts.GroupRule, known map[string][]netip.Prefix) bool {
	sum4, sum6 := 0.0, 0.0
	for _, r := range rules {
		for _, n := range foreign(r, known) {
			if n.Addr().Is4() {
				sum4 += 1 / float64(uint64(1)<<n.Bits())
			} else if n.Bits() < 64 {
				sum6 += 1 / float64(uint64(1)<<n.Bits())
			}
		}
	}
	return sum4 >= world4 || sum6 >= world6
}

// opening is a range of ports that the world may use.
type opening struct {
	protocol string // "-1": all
	from, to int
}

// openings are what rules let the world use, put together from all of them:
// 0.0.0.0/1 and 128.0.0.0/1 are the world, and so is a list of many networks.
// ICMP is left out: nothing answers it that could be taken over, and without it
// large packets are lost.
func openings(rules []facts.GroupRule, known map[string][]netip.Prefix) []opening {
	if !mayBeWorld(rules, known) {
		return nil
	}
	protocols := map[string]bool{}
	for _, r := range rules {
		protocols[protocolOf(r.Protocol)] = true
	}
	if protocols["-1"] {
		var all crowd
		for _, r := range rules {
			if protocolOf(r.Protocol) == "-1" {
				for _, n := range foreign(r, known) {
					all.put(n, 1)
				}
			}
		}
		if all.world() {
			return []opening{{"-1", 0, lastPort}}
		}
	}
	var found []opening
	for _, protocol := range sortedKeys(protocols) {
		if protocol != "-1" && protocol != "icmp" && protocol != "icmpv6" {
			found = append(found, openingsOf(protocol, rules, known)...)
		}
	}
	return found
}

// openingsOf goes through the ports of one protocol from the first to the last,
// and keeps who may use the one it is at.
func openingsOf(protocol string, rules []facts.GroupRule, known map[string][]netip.Prefix) []opening {
	type turn struct {
		port, times int
		networks    []netip.Prefix
	}
	var turns []turn
	for _, r := range rules {
		from, to, open := span(r, protocol)
		if networks := foreign(r, known); open && len(networks) > 0 {
			turns = append(turns, turn{from, 1, networks}, turn{to + 1, -1, networks})
		}
	}
	slices.SortFunc(turns, func(a, b turn) int { return cmp.Compare(a.port, b.port) })
	var found []opening
	var now crowd
	open := -1
	for i, t := range turns {
		for _, n := range t.networks {
			now.put(n, t.times)
		}
		if i+1 < len(turns) && turns[i+1].port == t.port {
			continue
		}
		switch world := now.world(); {
		case world && open < 0:
			open = t.port
		case !world && open >= 0:
			found = append(found, opening{protocol, open, t.port - 1})
			open = -1
		}
	}
	return found
}

func sortedKeys(set map[string]bool) []string {
	keys := make([]string, 0, len(set))
	for key, in := range set {
		if in {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys
}

// behind are the rules that an opening rests on, but single sites.
func (o opening) behind(rules []facts.GroupRule, known map[string][]netip.Prefix) []facts.GroupRule {
	var found []facts.GroupRule
	for _, r := range rules {
		from, to, open := span(r, o.protocol)
		if open && from <= o.to && o.from <= to && slices.ContainsFunc(foreign(r, known), broad) {
			found = append(found, r)
		}
	}
	return found
}

func (o opening) String() string { return traffic(o.protocol, o.from, o.to) }

// revoke takes rules out of a group, the first of them where there are very
// many. Such a command can only close.
func revoke(v *View, g facts.SecurityGroup, direction string, rules ...facts.GroupRule) Change {
	words := []string{"ec2", "revoke-security-group-" + direction, "--group-id", g.ID, "--ip-permissions"}
	for _, r := range rules[:min(len(rules), most)] {
		words = append(words, permission(r))
	}
	way := map[string]string{"ingress": "in", "egress": "out"}[direction]
	return Change{Sentence: fmt.Sprintf("of %s, no longer let %s: %s", groupSubject(g), way, ruleWords(rules)), Command: v.commandLine(words...)}
}

// closed takes rules out of a group that let too much in. Visitors of the edge
// keep their way, and a group for incidents stays as it is.
func closed(v *View, g facts.SecurityGroup, edge bool, rules ...facts.GroupRule) Change {
	if g.Tags.Role() == "incident" {
		return Change{Sentence: "see which incident has left an instance in " + groupSubject(g) + ", and end it", Command: "rocca aws respond status"}
	}
	if edge {
		rules = slices.DeleteFunc(slices.Clone(rules), func(r facts.GroupRule) bool {
			return forVisitorsOnly(opening{protocolOf(r.Protocol), r.From, r.To})
		})
	}
	change := revoke(v, g, "ingress", rules...)
	for _, port := range []int{80, 443} {
		visitors := facts.GroupRule{Protocol: "tcp", From: port, To: port, CIDR: everywhere}
		if edge && len(carrying(rules, port)) > 0 && !slices.ContainsFunc(g.Ingress, func(r facts.GroupRule) bool { return permission(r) == permission(visitors) }) {
			change.Sentence += fmt.Sprintf(" (visitors keep tcp/%d)", port)
			change.Command = v.commandLine("ec2", "authorize-security-group-ingress", "--group-id", g.ID, "--ip-permissions", permission(visitors)) + " && " + change.Command
		}
	}
	return change
}

// permission is a rule as the AWS CLI writes it.
func permission(r facts.GroupRule) string {
	text := "IpProtocol=" + r.Protocol
	if protocolOf(r.Protocol) != "-1" {
		text += fmt.Sprintf(",FromPort=%d,ToPort=%d", r.From, r.To)
	}
	switch {
	case r.CIDR.IsValid() && r.CIDR.Addr().Is4():
		return text + ",IpRanges=[{CidrIp=" + r.CIDR.String() + "}]"
	case r.CIDR.IsValid():
		return text + ",Ipv6Ranges=[{CidrIpv6=" + r.CIDR.String() + "}]"
	case r.PrefixList != "":
		return text + ",PrefixListIds=[{PrefixListId=" + r.PrefixList + "}]"
	}
	return text + ",UserIdGroupPairs=[{GroupId=" + r.Group + "}]"
}

// ---- routes ----

// tables finds the route table of a subnet: its own, or the main one.
func tables(v *View) func(s facts.Subnet) (facts.RouteTable, bool) {
	own, main := map[string]int{}, map[string]int{}
	for i, t := range v.Cloud.RouteTables {
		for _, subnet := range t.Subnets {
			own[subnet] = i
		}
		if t.Main {
			main[t.VPC] = i
		}
	}
	return func(s facts.Subnet) (facts.RouteTable, bool) {
		i, found := own[s.ID]
		if !found {
			i, found = main[s.VPC]
		}
		if !found {
			return facts.RouteTable{}, false
		}
		return v.Cloud.RouteTables[i], true
	}
}

// leadsOut tells whether a route leads to the internet, or out of the network
// as a default route: to a peer, a transit gateway, a box that filters.
func leadsOut(r facts.Route) bool {
	if r.State == "blackhole" {
		return false
	}
	switch kind, _, _ := strings.Cut(r.Via, "-"); kind {
	case "igw", "nat", "eigw", "cagw":
		return true
	case "", "local":
		return false
	}
	to, err := netip.ParsePrefix(r.Destination)
	return err == nil && to.Bits() <= 4
}

// reached tells whether a table lets the internet call addresses of its subnets.
func reached(t facts.RouteTable) bool {
	return slices.ContainsFunc(t.Routes, func(r facts.Route) bool { return strings.HasPrefix(r.Via, "igw-") && r.State != "blackhole" })
}

// ---- policies of endpoints ----

// allowsAll tells whether a policy lets everything of a service through to
// everything: a wall that is none.
func allowsAll(endpoint, document string) (bool, error) {
	policy, err := iampolicy.Parse("of "+endpoint, document)
	if err != nil {
		return false, err
	}
	return slices.ContainsFunc(iampolicy.Grants(iampolicy.Known{}, policy), func(g iampolicy.Grant) bool {
		return len(g.Conditions) == 0 && g.Resource == "*" && (g.Action == "*" || strings.HasSuffix(g.Action, ":*"))
	}), nil
}
