package control

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"rocca/internal/facts"
	"rocca/internal/model"
)

// in is a rule for a test: "tcp 22 0.0.0.0/0", "tcp 1000-2000 sg-1", "-1 pl-1".
func in(text string) facts.GroupRule {
	words := strings.Fields(text)
	rule := facts.GroupRule{Protocol: words[0], From: 0, To: lastPort}
	if len(words) == 3 {
		if n, _ := fmt.Sscanf(words[1], "%d-%d", &rule.From, &rule.To); n == 1 {
			rule.To = rule.From
		}
	}
	switch who := words[len(words)-1]; {
	case strings.HasPrefix(who, "pl-"):
		rule.PrefixList = who
	case strings.HasPrefix(who, "sg-"):
		rule.Group = who
	default:
		rule.CIDR = netip.MustParsePrefix(who)
	}
	return rule
}

func ins(texts ...string) []facts.GroupRule {
	var rules []facts.GroupRule
	for _, text := range texts {
		rules = append(rules, in(text))
	}
	return rules
}

func TestOpenings(t *testing.T) {
	known := map[string][]netip.Prefix{
		"pl-all":    prefixes("0.0.0.0/1", "128.0.0.0/1"),
		"pl-half":   prefixes("128.0.0.0/1"),
		"pl-office": prefixes("203.0.113.0/24", "198.51.100.7/32"),
		"pl-empty":  nil,
	}
	var blocks []string // the world in pieces of /8
	for i := range 256 {
		blocks = append(blocks, fmt.Sprintf("tcp 22 %d.0.0.0/8", i))
	}
	for _, c := range []struct {
		name  string
		rules []facts.GroupRule
		want  string
	}{
		{"nothing", nil, ""},
		{"one port", ins("tcp 22 0.0.0.0/0"), "tcp/22"},
		{"by number", ins("6 22 0.0.0.0/0"), "tcp/22"},
		{"IPv6", ins("tcp 22 ::/0"), "tcp/22"},
		{"the IPv6 that is in use", ins("tcp 22 2000::/3"), "tcp/22"},
		{"two halves", ins("tcp 22 0.0.0.0/1", "tcp 22 128.0.0.0/1"), "tcp/22"},
		{"one half", ins("tcp 22 128.0.0.0/1"), "tcp/22"},
		{"a sixteenth", ins("tcp 22 16.0.0.0/4"), "tcp/22"},
		{"less than a sixteenth", ins("tcp 22 16.0.0.0/5", "tcp 22 24.0.0.0/6"), ""},
		{"in pieces", ins(blocks...), "tcp/22"},
		{"the same small piece again and again", ins(slices.Repeat([]string{"tcp 22 203.0.0.0/8"}, 40)...), ""},
		{"pieces that lie in each other", ins("tcp 22 16.0.0.0/5", "tcp 22 16.0.0.0/6", "tcp 22 20.0.0.0/6", "tcp 22 16.0.0.0/7"), ""},
		{"all", ins("-1 0.0.0.0/0"), "all traffic"},
		{"all, in halves of two kinds", ins("-1 0.0.0.0/2", "tcp 443 64.0.0.0/2"), "all traffic"},
		{"all from a piece, one port from the rest", ins("-1 16.0.0.0/5", "tcp 443 24.0.0.0/5"), "tcp/443"},
		{"range", ins("tcp 20-25 0.0.0.0/0"), "tcp/20-25"},
		{"ranges that overlap", ins("tcp 20-30 0.0.0.0/0", "tcp 25-40 0.0.0.0/0", "tcp 41 0.0.0.0/0"), "tcp/20-41"},
		{"halves that overlap at some ports", ins("tcp 1-100 16.0.0.0/5", "tcp 50-200 24.0.0.0/5"), "tcp/50-100"},
		{"all ports", ins("tcp 0-65535 0.0.0.0/0"), "all of tcp"},
		{"protocols apart", ins("udp 53 0.0.0.0/0", "tcp 53 0.0.0.0/0"), "tcp/53 udp/53"},
		{"a protocol without ports", ins("50 0.0.0.0/0"), "protocol 50"},
		{"ping", ins("icmp 0.0.0.0/0", "icmpv6 ::/0"), ""},
		{"own networks", ins("-1 10.0.0.0/8", "-1 172.16.0.0/12", "-1 192.168.0.0/16", "-1 fc00::/7"), ""},
		{"around an own network", ins("-1 0.0.0.0/4"), "all traffic"},
		{"group", ins("-1 sg-1"), ""},
		{"list of all", ins("tcp 22 pl-all"), "tcp/22"},
		{"list and network", ins("tcp 22 pl-half", "tcp 22 0.0.0.0/1"), "tcp/22"},
		{"list of an office", ins("tcp 22 pl-office"), ""},
		{"list that is empty", ins("tcp 22 pl-empty"), ""},
		{"list that was not seen", ins("tcp 22 pl-other"), ""},
		{"bits that are set behind the prefix", ins("tcp 22 1.2.3.4/0"), "tcp/22"},
		{"turned around", ins("tcp 30-20 0.0.0.0/0"), ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got []string
			for _, o := range openings(c.rules, known) {
				got = append(got, o.String())
				if len(o.behind(c.rules, known)) == 0 {
					t.Errorf("%s rests on no rule", o)
				}
			}
			if strings.Join(got, " ") != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
			if unread := unseenLists(c.rules, known); (len(unread) > 0) != strings.Contains(c.name, "not seen") {
				t.Errorf("not seen: %q", unread)
			}
		})
	}
}

func TestAdministrationIsJudgedBySize(t *testing.T) {
	for _, c := range []struct {
		rules []facts.GroupRule
		want  string // beginnings of what is found
	}{
		{ins("tcp 22 0.0.0.0/0"), "critical: tcp/22 open to the world"},
		{ins("tcp 22 ::/0"), "critical: tcp/22"},
		{ins("tcp 22 0.0.0.0/1", "tcp 22 128.0.0.0/1"), "critical: tcp/22"},
		{ins("-1 0.0.0.0/0"), "critical: tcp/22, tcp/3306, tcp/3389, tcp/6379"},
		{ins("tcp 3000-4000 0.0.0.0/0"), "critical: tcp/3306, tcp/3389"},
		{ins("tcp 22 203.0.112.0/23"), "medium: tcp/22 open to 203.0.112.0/23, 512 addresses"},
		{ins("tcp 22 2001:db8::/47"), "medium: tcp/22 open to 2001:db8::/47, 2^81 addresses"},
		{ins("tcp 3306 10.0.0.0/16"), "medium: tcp/3306 open to 10.0.0.0/16, 65536"},
		{ins("tcp 22 pl-wide"), "medium: tcp/22 open to 198.18.0.0/15"},
		{ins("tcp 22 0.0.0.0/0", "tcp 22 203.0.112.0/23", "tcp 3389 203.0.112.0/23"), "critical: tcp/22|medium: tcp/3389"},
		{ins("tcp 22 203.0.113.0/24", "tcp 22 2001:db8::/48", "tcp 22 sg-1"), ""},
		{ins("tcp 22 192.0.2.0/23"), ""}, // the owner named it
		{ins("tcp 443 0.0.0.0/0", "udp 22 0.0.0.0/0"), ""},
	} {
		v := See(facts.Server{Cloud: facts.Cloud{
			Groups:      []facts.SecurityGroup{{ID: "sg-9", Name: "web", Ingress: c.rules}},
			PrefixLists: []facts.PrefixList{{ID: "pl-wide", Networks: prefixes("198.18.0.0/15")}},
			Wanted:      facts.CloudSettings{Known: true, SSH: prefixes("192.0.2.0/23")},
		}})
		found := adminPorts(v)
		var want []string
		if c.want != "" {
			want = strings.Split(c.want, "|")
		}
		if len(found.faults) != len(want) {
			t.Errorf("%v: %v, want %q", c.rules, found.faults, want)
			continue
		}
		for i, f := range found.faults {
			if !strings.HasPrefix(f.Have, want[i]) || f.Subject != "sg-9 web" || !strings.HasPrefix(f.fix.Command, "aws ec2 revoke-security-group-ingress --group-id sg-9 --ip-permissions ") {
				t.Errorf("%v: %q %q %q, want %q", c.rules, f.Subject, f.Have, f.fix.Command, want[i])
			}
		}
	}
}

func TestTheWorldIsNotOverruledByTheOwner(t *testing.T) {
	v := See(facts.Server{Cloud: facts.Cloud{
		Groups: []facts.SecurityGroup{{ID: "sg-9", Ingress: ins("tcp 22 0.0.0.0/0")}},
		Wanted: facts.CloudSettings{Known: true, SSH: prefixes("0.0.0.0/0")},
	}})
	if got := inspected(adminPorts)(v); got.Status != model.Fail {
		t.Errorf("got %s", got.Status)
	}
}

func TestRefusedListsAreNoPass(t *testing.T) {
	v := See(facts.Server{Cloud: facts.Cloud{Groups: []facts.SecurityGroup{{ID: "sg-9", Ingress: ins("tcp 22 pl-1")}}}})
	for name, look := range map[string]func(*View) inspection{"admin ports": adminPorts, "world ports": worldPorts} {
		if got := inspected(look)(v); got.Status != model.Unknown || !strings.Contains(got.Reason, "pl-1") {
			t.Errorf("%s: %s (%s)", name, got.Status, got.Reason)
		}
	}
}

// The commands must be those that the AWS CLI takes, whatever text is in a rule.
func TestCommandsAreQuoted(t *testing.T) {
	v := See(facts.Server{Cloud: facts.Cloud{Region: "eu-central-1"}})
	g := facts.SecurityGroup{ID: "sg-1", Name: "it's; rm -rf /"}
	got := revoke(v, g, "ingress", append(ins("tcp 22 0.0.0.0/0", "-1 ::/0", "udp 1-2 pl-1"), in("tcp 3306 sg-2"))...).Command
	want := "aws ec2 revoke-security-group-ingress --group-id sg-1 --ip-permissions " +
		"'IpProtocol=tcp,FromPort=22,ToPort=22,IpRanges=[{CidrIp=0.0.0.0/0}]' 'IpProtocol=-1,Ipv6Ranges=[{CidrIpv6=::/0}]' " +
		"'IpProtocol=udp,FromPort=1,ToPort=2,PrefixListIds=[{PrefixListId=pl-1}]' 'IpProtocol=tcp,FromPort=3306,ToPort=3306,UserIdGroupPairs=[{GroupId=sg-2}]' --region eu-central-1"
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestFirstRuleOfAFilterDecides(t *testing.T) {
	entry := func(number int, allow bool, protocol string, from, to int, network string) facts.ACLRule {
		return facts.ACLRule{Number: number, Allow: allow, Protocol: protocol, From: from, To: to, CIDR: netip.MustParsePrefix(network)}
	}
	for _, c := range []struct {
		name    string
		entries []facts.ACLRule
		want    bool
	}{
		{"the default", []facts.ACLRule{entry(100, true, "-1", 0, lastPort, "0.0.0.0/0")}, true},
		{"denied before", []facts.ACLRule{entry(100, true, "-1", 0, lastPort, "0.0.0.0/0"), entry(90, false, "6", 22, 22, "0.0.0.0/0")}, false},
		{"denied after", []facts.ACLRule{entry(100, true, "-1", 0, lastPort, "0.0.0.0/0"), entry(110, false, "6", 22, 22, "0.0.0.0/0")}, true},
		{"half denied", []facts.ACLRule{entry(90, false, "6", 22, 22, "0.0.0.0/1"), entry(100, true, "6", 22, 22, "0.0.0.0/0")}, true},
		{"denied in halves", []facts.ACLRule{entry(80, false, "6", 0, 1023, "0.0.0.0/1"), entry(90, false, "-1", 0, lastPort, "128.0.0.0/1"), entry(100, true, "6", 22, 22, "0.0.0.0/0")}, false},
		{"IPv6 forgotten", []facts.ACLRule{entry(90, false, "6", 22, 22, "0.0.0.0/0"), entry(100, true, "-1", 0, lastPort, "0.0.0.0/0"), entry(101, true, "-1", 0, lastPort, "::/0")}, true},
		{"another protocol denied", []facts.ACLRule{entry(90, false, "17", 22, 22, "0.0.0.0/0"), entry(100, true, "6", 22, 22, "0.0.0.0/0")}, true},
		{"own network", []facts.ACLRule{entry(100, true, "6", 0, lastPort, "10.0.0.0/8")}, false},
		{"other ports", []facts.ACLRule{entry(100, true, "6", 1024, lastPort, "0.0.0.0/0"), entry(110, true, "6", 443, 443, "0.0.0.0/0")}, false},
		{"out", []facts.ACLRule{{Number: 1, Egress: true, Allow: true, Protocol: "-1", CIDR: everywhere}}, false},
	} {
		if got := letsWorldIn(facts.NetworkACL{Entries: c.entries}, 22); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}

// A rule that denies has an effect only before the one that allows.
func TestRulesGoBeforeThoseThatAllow(t *testing.T) {
	filter := func(numbers ...int) facts.NetworkACL {
		f := facts.NetworkACL{ID: "acl-1", VPC: "vpc-1"}
		for _, n := range numbers {
			f.Entries = append(f.Entries, facts.ACLRule{Number: n, Allow: n%2 == 0, Protocol: "-1", To: lastPort, CIDR: everywhere})
		}
		return f
	}
	for _, c := range []struct {
		filter facts.NetworkACL
		want   string
	}{
		{filter(100), "1 2 3"}, {filter(2), ""}, {filter(3, 100), "4 5 6"}, {filter(1, 3, 5, 8), ""}, {filter(1, 3, 5, 9, 10), "6 7 8"}, {filter(), "1 2 3"},
	} {
		v := See(facts.Server{Cloud: facts.Cloud{Networks: []facts.CloudNetwork{{ID: "vpc-1", CIDRs: prefixes("10.0.0.0/16")}}}})
		change := denied(v, c.filter, 22)
		var got []string
		for _, line := range strings.Split(change.Command, " && ") {
			if _, after, found := strings.Cut(line, "--rule-number "); found {
				number, _, _ := strings.Cut(after, " ")
				got = append(got, number)
			}
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%v: %q, want %q", c.filter.Entries, got, c.want)
		}
	}
}

// What closes a port must not close the site.
func TestVisitorsKeepTheirWay(t *testing.T) {
	v := See(facts.Server{Cloud: facts.Cloud{
		Groups:    []facts.SecurityGroup{{ID: "sg-1", Ingress: ins("-1 0.0.0.0/0", "tcp 80 0.0.0.0/0")}},
		Instances: []facts.Instance{{ID: "i-1", PublicIP: "203.0.113.7", Groups: []string{"sg-1"}}},
	}})
	for name, look := range map[string]func(*View) inspection{"admin ports": adminPorts, "world ports": worldPorts} {
		faults := look(v).faults
		if len(faults) != 1 {
			t.Fatalf("%s: %v", name, faults)
		}
		opens, closes, both := strings.Cut(faults[0].fix.Command, " && ")
		if !both || !strings.Contains(opens, "FromPort=443") || strings.Contains(opens, "FromPort=80") || !strings.Contains(closes, "revoke") {
			t.Errorf("%s: %s", name, faults[0].fix.Command)
		}
	}
}

func TestDefaultGroupIsEmptiedInOneOrder(t *testing.T) {
	v := See(facts.Server{Cloud: facts.Cloud{
		Networks: []facts.CloudNetwork{{ID: "vpc-1"}},
		Groups:   []facts.SecurityGroup{{ID: "sg-1", Name: "default", VPC: "vpc-1", Ingress: ins("-1 sg-1"), Egress: ins("-1 0.0.0.0/0")}},
	}})
	for range 32 { // as the order of a map would differ
		changes := aws023.Fix.Changes(v)
		if len(changes) != 2 || !strings.Contains(changes[0].Command, "-ingress") || !strings.Contains(changes[1].Command, "-egress") {
			t.Fatalf("changes: %v", changes)
		}
	}
}

// Ports that lie side by side are one opening; what visitors need of it stays.
func TestPortsBesideThoseOfVisitors(t *testing.T) {
	v := See(facts.Server{Cloud: facts.Cloud{
		Groups:    []facts.SecurityGroup{{ID: "sg-1", Ingress: ins("tcp 443 0.0.0.0/0", "tcp 444 0.0.0.0/0")}},
		Instances: []facts.Instance{{ID: "i-1", PublicIP: "203.0.113.7", Groups: []string{"sg-1"}}},
	}})
	faults := worldPorts(v).faults
	if len(faults) != 1 || !strings.HasPrefix(faults[0].Have, "tcp/443-444") {
		t.Fatalf("%v", faults)
	}
	if line := faults[0].fix.Command; strings.Contains(line, "443") || !strings.Contains(line, "FromPort=444") {
		t.Error(line)
	}
}

func TestRoutesThatLeadOut(t *testing.T) {
	for text, want := range map[string]bool{
		"0.0.0.0/0 igw-1": true, "0.0.0.0/0 nat-1": true, "::/0 eigw-1": true, "203.0.113.0/24 igw-1": true, "pl-1 nat-1": true,
		"0.0.0.0/0 pcx-1": true, "0.0.0.0/1 tgw-1": true, "0.0.0.0/0 eni-1": true, "0.0.0.0/0 vpce-1": true, "::/0 vgw-1": true,
		"10.9.0.0/16 pcx-1": false, "pl-1 vpce-1": false, "0.0.0.0/0 local": false, "0.0.0.0/0 ": false,
	} {
		to, via, _ := strings.Cut(text, " ")
		if got := leadsOut(facts.Route{Destination: to, Via: via}); got != want {
			t.Errorf("%s: %v", text, got)
		}
		if leadsOut(facts.Route{Destination: to, Via: via, State: "blackhole"}) {
			t.Errorf("%s leads out though it leads nowhere", text)
		}
	}
}

// Fuzzed rules are judged again, port by port and address by address, as AWS
// would. Networks are of /8 and wider, so that 256 addresses show all.
func FuzzOpenings(f *testing.F) {
	f.Add([]byte{0, 22, 22, 0, 0})
	f.Add([]byte{0, 22, 22, 1, 0, 0, 22, 22, 1, 128})
	f.Add([]byte{2, 0, 0, 5, 16, 0, 10, 30, 5, 24, 1, 53, 53, 0, 0})
	f.Add([]byte{0, 1, 100, 5, 16, 0, 50, 200, 5, 24})
	f.Fuzz(func(t *testing.T, data []byte) {
		rules := fuzzedRules(data)
		got := map[string]map[int]bool{"tcp": {}, "udp": {}}
		for _, o := range openings(rules, nil) {
			for protocol, ports := range got {
				for port := o.from; port <= o.to && port <= 300; port++ {
					if o.protocol == protocol || o.protocol == "-1" {
						if ports[port] {
							t.Errorf("%s/%d is told twice", protocol, port)
						}
						ports[port] = true
					}
				}
			}
		}
		for protocol, ports := range got {
			if !slices.ContainsFunc(rules, func(r facts.GroupRule) bool { return r.Protocol == protocol || r.Protocol == "-1" }) {
				continue
			}
			for _, r := range rules {
				for _, port := range []int{r.From - 1, r.From, r.To, min(r.To+1, 300)} { // where it changes
					if want := openByHand(rules, protocol, port); port >= 0 && port <= 300 && ports[port] != want {
						t.Fatalf("%s/%d: %v, by hand %v: %v", protocol, port, ports[port], want, rules)
					}
				}
			}
		}
	})
}

func fuzzedRules(data []byte) []facts.GroupRule {
	var rules []facts.GroupRule
	for ; len(data) >= 5 && len(rules) < 64; data = data[5:] {
		protocol := []string{"tcp", "udp", "-1"}[data[0]%3]
		rule := facts.GroupRule{Protocol: protocol, From: int(data[1]), To: int(data[2]), CIDR: netip.PrefixFrom(netip.AddrFrom4([4]byte{data[4]}), int(data[3])%9)}
		if protocol == "-1" {
			rule.From, rule.To = 0, lastPort
		}
		rules = append(rules, rule)
	}
	return rules
}

func openByHand(rules []facts.GroupRule, protocol string, port int) bool {
	let := 0
	for first := range 256 {
		address := netip.AddrFrom4([4]byte{byte(first), 1})
		if slices.ContainsFunc(rules, func(r facts.GroupRule) bool {
			own := r.CIDR.Bits() == 8 && (r.CIDR.Addr().As4()[0] == 10 || r.CIDR.Addr().As4()[0] == 127)
			return !own && (r.Protocol == protocol || r.Protocol == "-1") && r.From <= port && port <= r.To && r.CIDR.Masked().Contains(address)
		}) {
			let++
		}
	}
	return let >= 16
}

// A filter is judged again by going through its rules for each address.
func FuzzFilters(f *testing.F) {
	f.Add([]byte{1, 0, 0, 0, 0})
	f.Add([]byte{0, 0, 0, 1, 0, 0, 0, 0, 1, 128, 1, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, data []byte) {
		var filter facts.NetworkACL
		for i, r := range fuzzedRules(data) {
			filter.Entries = append(filter.Entries, facts.ACLRule{Number: i, Allow: i < len(data)/5 && data[i*5]%2 == 1, Protocol: r.Protocol, From: r.From, To: r.To, CIDR: r.CIDR})
		}
		let := 0
		for first := range 256 {
			for _, e := range filter.Entries {
				own := e.CIDR.Bits() == 8 && (e.CIDR.Addr().As4()[0] == 10 || e.CIDR.Addr().As4()[0] == 127)
				if !own && (e.Protocol == "tcp" || e.Protocol == "-1") && e.From <= 22 && 22 <= e.To && e.CIDR.Masked().Contains(netip.AddrFrom4([4]byte{byte(first), 1})) {
					if e.Allow {
						let++
					}
					break
				}
			}
		}
		if got, want := letsWorldIn(filter, 22), let >= 16; got != want {
			t.Errorf("%v, by hand %v (%d of 256): %v", got, want, let, filter.Entries)
		}
	})
}

// A space must forget what is taken out of it.
func FuzzSpace(f *testing.F) {
	f.Add([]byte{8, 1, 2, 3, 4, 24, 1, 2, 3, 4, 0, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, data []byte) {
		var all, half crowd
		var networks []netip.Prefix
		for ; len(data) >= 5 && len(networks) < 64; data = data[5:] {
			address := netip.AddrFrom4([4]byte(data[1:5]))
			if data[0] > 128 {
				wide := address.As16()
				address = netip.AddrFrom16(wide).Unmap()
				if data[0]%2 == 1 {
					wide[0], wide[10], wide[11] = 0x20, 0, 0
					address = netip.AddrFrom16(wide)
				}
			}
			networks = append(networks, netip.PrefixFrom(address, int(data[0])%(address.BitLen()+1)).Masked())
		}
		for i, n := range networks {
			all.put(n, 1)
			if i%2 == 0 {
				half.put(n, 1)
			}
		}
		for i, n := range networks {
			if i%2 == 1 {
				all.put(n, -1)
			}
		}
		if all.v4.share != half.v4.share || all.v6.share != half.v6.share {
			t.Errorf("%v: %g %g after taking out, %g %g without", networks, all.v4.share, all.v6.share, half.v4.share, half.v6.share)
		}
	})
}

// templates reads a deployment as rocca renders it, and makes the facts of the
// account in which it runs. Only what controls of the network look at is there.
func templates(t *testing.T, profile string) facts.Server {
	t.Helper()
	w := world{t: t, made: map[string]map[string]any{}}
	for _, stack := range []string{"base", "data", "app"} {
		text, err := os.ReadFile(filepath.Join("..", "aws", "stack", "testdata", "golden", profile, stack+".json"))
		if err != nil {
			t.Fatal(err)
		}
		var template struct {
			Resources map[string]struct {
				Type       string
				Properties map[string]any
			}
		}
		if err := json.Unmarshal(text, &template); err != nil {
			t.Fatal(err)
		}
		for id, r := range template.Resources {
			if r.Properties == nil {
				r.Properties = map[string]any{}
			}
			r.Properties["Type"], r.Properties["ID"] = r.Type, id
			if r.Type != "AWS::SSM::Parameter" {
				w.made[id] = r.Properties
			}
		}
	}
	return w.facts(profile)
}

// world is an account with a deployment in it.
type world struct {
	t    *testing.T
	made map[string]map[string]any // by logical id, which is the id here
}

// of lists the resources of a type, in the order of their ids.
func (w world) of(kind string) []map[string]any {
	var all []map[string]any
	for _, r := range w.made {
		if r["Type"] == "AWS::"+kind {
			all = append(all, r)
		}
	}
	slices.SortFunc(all, func(a, b map[string]any) int { return strings.Compare(a["ID"].(string), b["ID"].(string)) })
	return all
}

// text is a property as text: an id where it refers to something.
func (w world) text(value any) string {
	switch v := value.(type) {
	case nil:
		return ""
	case string:
		if inner, found := strings.CutPrefix(v, "{{resolve:ssm:"); found {
			parts := strings.Split(strings.TrimSuffix(inner, "}}"), "/")
			name := parts[len(parts)-1]
			if name == "DatabaseEndpoint" || name == "Volume" && w.made[name] == nil {
				w.t.Fatalf("%s is not there", v)
			}
			return name
		}
		return v
	case map[string]any:
		if ref, found := v["Ref"]; found {
			return ref.(string)
		}
		if get, found := v["Fn::GetAtt"]; found {
			return get.([]any)[0].(string)
		}
	}
	return fmt.Sprint(value)
}

func (w world) texts(value any) []string {
	list, _ := value.([]any)
	var all []string
	for _, one := range list {
		all = append(all, w.text(one))
	}
	return all
}

func number(value any) int {
	switch v := value.(type) {
	case float64:
		return int(v)
	case string:
		n := 0
		fmt.Sscan(v, &n)
		return n
	}
	return 0
}

func (w world) tags(r map[string]any) facts.Tags {
	tags := facts.Tags{"rocca:deployment": "stats"}
	list, _ := r["Tags"].([]any)
	for _, one := range list {
		tag := one.(map[string]any)
		tags[w.text(tag["Key"])] = w.text(tag["Value"])
	}
	return tags
}

func (w world) rule(r map[string]any) facts.GroupRule {
	rule := facts.GroupRule{Protocol: w.text(r["IpProtocol"]), From: number(r["FromPort"]), To: number(r["ToPort"])}
	if rule.Protocol == "-1" {
		rule.To = lastPort
	}
	if cidr := w.text(r["CidrIp"]); cidr != "" {
		rule.CIDR = netip.MustParsePrefix(cidr)
	}
	rule.Group = w.text(r["SourceSecurityGroupId"]) + w.text(r["DestinationSecurityGroupId"])
	return rule
}

func (w world) rules(value any) []facts.GroupRule {
	var rules []facts.GroupRule
	list, _ := value.([]any)
	for _, one := range list {
		rules = append(rules, w.rule(one.(map[string]any)))
	}
	return rules
}

func (w world) facts(profile string) facts.Server {
	const image, account, key = "ami-0123456789abcdef0", "123456789012", "arn:aws:kms:eu-central-1:123456789012:key/1"
	s := facts.Server{Observed: noon, Sections: map[facts.Section]string{}}
	for _, section := range allSeen {
		s.Sections[section] = ""
	}
	c := &s.Cloud
	c.Account, c.Region, c.Deployment = account, "eu-central-1", "stats"
	c.Wanted = facts.CloudSettings{Known: true, Profile: profile, Image: image, LogDays: map[string]int{"single": 30}[profile], Endpoints: profile == "scale", RDS: profile != "single", Inspector: profile == "scale"}
	c.DiskDefaults = facts.DiskDefaults{Encrypted: true, SnapshotBlock: "block-all-sharing"} // rocca aws account
	c.Vulnerable.Enabled = c.Wanted.Inspector
	c.Keys = []facts.CloudKey{{ARN: key, State: "Enabled"}}
	c.Images = []facts.Image{{ID: image, Owner: "136693071363", Name: "debian-13-arm64", Created: noon.AddDate(0, 0, -20)}}

	for _, r := range w.of("EC2::VPC") {
		c.Networks = append(c.Networks, facts.CloudNetwork{ID: "Vpc", Tags: w.tags(r)})
		c.Groups = append(c.Groups, facts.SecurityGroup{ID: "sg-default", Name: "default", VPC: "Vpc"}) // rocca aws account has emptied it
		c.Filters = append(c.Filters, facts.NetworkACL{ID: "acl-default", VPC: "Vpc", Default: true, Entries: []facts.ACLRule{{Number: 100, Allow: true, Protocol: "-1", To: lastPort, CIDR: everywhere}}})
		c.RouteTables = append(c.RouteTables, facts.RouteTable{ID: "rtb-main", VPC: "Vpc", Main: true})
	}
	for _, r := range w.of("EC2::Subnet") {
		c.Subnets = append(c.Subnets, facts.Subnet{ID: w.text(r["ID"]), VPC: "Vpc", Zone: w.text(r["AvailabilityZone"]), PublicIP: r["MapPublicIpOnLaunch"] == true, Tags: w.tags(r)})
	}
	for _, r := range w.of("EC2::RouteTable") {
		table := facts.RouteTable{ID: w.text(r["ID"]), VPC: "Vpc", Tags: w.tags(r)}
		for _, a := range w.of("EC2::SubnetRouteTableAssociation") {
			if w.text(a["RouteTableId"]) == table.ID {
				table.Subnets = append(table.Subnets, w.text(a["SubnetId"]))
			}
		}
		for _, route := range w.of("EC2::Route") {
			if w.text(route["RouteTableId"]) == table.ID {
				via := "igw-" + w.text(route["GatewayId"])
				if nat := w.text(route["NatGatewayId"]); nat != "" {
					via = "nat-" + nat
				}
				table.Routes = append(table.Routes, facts.Route{Destination: w.text(route["DestinationCidrBlock"]), Via: via, State: "active"})
			}
		}
		c.RouteTables = append(c.RouteTables, table)
	}
	for _, r := range w.of("EC2::NetworkAcl") {
		filter := facts.NetworkACL{ID: w.text(r["ID"]), VPC: "Vpc", Tags: w.tags(r)}
		for _, a := range w.of("EC2::SubnetNetworkAclAssociation") {
			if w.text(a["NetworkAclId"]) == filter.ID {
				filter.Subnets = append(filter.Subnets, w.text(a["SubnetId"]))
			}
		}
		for _, e := range w.of("EC2::NetworkAclEntry") {
			if w.text(e["NetworkAclId"]) == filter.ID {
				ports, _ := e["PortRange"].(map[string]any)
				filter.Entries = append(filter.Entries, facts.ACLRule{
					Number: number(e["RuleNumber"]), Egress: e["Egress"] == true, Allow: e["RuleAction"] == "allow", Protocol: w.text(e["Protocol"]),
					From: number(ports["From"]), To: number(ports["To"]), CIDR: netip.MustParsePrefix(w.text(e["CidrBlock"])),
				})
			}
		}
		c.Filters = append(c.Filters, filter)
	}
	for _, r := range w.of("EC2::SecurityGroup") {
		group := facts.SecurityGroup{ID: w.text(r["ID"]), Name: "stats-base-" + w.text(r["ID"]), VPC: "Vpc", Tags: w.tags(r), Ingress: w.rules(r["SecurityGroupIngress"]), Egress: w.rules(r["SecurityGroupEgress"])}
		if one, alone := r["SecurityGroupEgress"].(map[string]any); alone {
			group.Egress = append(group.Egress, w.rule(one))
		}
		for _, rule := range w.of("EC2::SecurityGroupIngress") {
			if w.text(rule["GroupId"]) == group.ID {
				group.Ingress = append(group.Ingress, w.rule(rule))
			}
		}
		for _, rule := range w.of("EC2::SecurityGroupEgress") {
			if w.text(rule["GroupId"]) == group.ID {
				group.Egress = append(group.Egress, w.rule(rule))
			}
		}
		c.Groups = append(c.Groups, group)
	}
	for _, r := range w.of("EC2::NatGateway") {
		c.NATs = append(c.NATs, facts.NAT{ID: "nat-" + w.text(r["ID"]), VPC: "Vpc", Subnet: w.text(r["SubnetId"]), State: "available", Tags: w.tags(r)})
	}
	for _, r := range w.of("EC2::VPCEndpoint") {
		policy, err := json.Marshal(r["PolicyDocument"])
		if err != nil {
			w.t.Fatal(err)
		}
		c.Endpoints = append(c.Endpoints, facts.Endpoint{
			ID: w.text(r["ID"]), VPC: "Vpc", Service: w.text(r["ServiceName"]), Kind: w.text(r["VpcEndpointType"]), State: "available",
			Policy: written(string(policy)), Groups: w.texts(r["SecurityGroupIds"]),
		})
	}
	for _, r := range w.of("EC2::InstanceConnectEndpoint") {
		c.Interfaces = append(c.Interfaces, facts.NetworkInterface{ID: "eni-connect", VPC: "Vpc", Subnet: w.text(r["SubnetId"]), Groups: w.texts(r["SecurityGroupIds"])})
	}
	for _, r := range w.of("EC2::FlowLog") {
		c.FlowLogs = append(c.FlowLogs, facts.FlowLog{ID: w.text(r["ID"]), Resource: w.text(r["ResourceId"]), Traffic: w.text(r["TrafficType"]), Status: "ACTIVE", Delivery: "SUCCESS", Destination: w.text(r["LogDestinationType"]), Group: w.text(r["LogGroupName"])})
	}
	for _, r := range w.of("Logs::LogGroup") {
		c.LogGroups = append(c.LogGroups, facts.LogGroup{Name: w.text(r["ID"]), Days: number(r["RetentionInDays"])})
	}
	for _, r := range w.of("RDS::DBInstance") {
		subnets := w.made[w.text(r["DBSubnetGroupName"])]
		c.Databases = append(c.Databases, facts.CloudDatabase{ID: "stats-matomo", VPC: "Vpc", Subnets: w.texts(subnets["SubnetIds"]), Groups: w.texts(r["VPCSecurityGroups"]), Tags: w.tags(r)})
	}
	for _, r := range w.of("ElastiCache::ReplicationGroup") {
		c.Caches = append(c.Caches, facts.CloudCache{ID: "stats", Tags: w.tags(r)})
		c.Interfaces = append(c.Interfaces, facts.NetworkInterface{ID: "eni-cache", VPC: "Vpc", Groups: w.texts(r["SecurityGroupIds"])})
	}
	for _, r := range w.of("EC2::Volume") {
		c.Volumes = append(c.Volumes, facts.Volume{ID: "vol-data", Encrypted: r["Encrypted"] == true, Key: key, Tags: w.tags(r)})
	}
	for _, r := range w.of("ElasticLoadBalancingV2::LoadBalancer") {
		c.Balancers = append(c.Balancers, facts.Balancer{ARN: "alb", Name: "alb", Kind: "application", Scheme: w.text(r["Scheme"]), VPC: "Vpc", Groups: w.texts(r["SecurityGroups"]), Tags: w.tags(r)})
	}
	for _, r := range w.of("ElasticLoadBalancingV2::TargetGroup") {
		c.TargetGroups = append(c.TargetGroups, facts.TargetGroup{ARN: w.text(r["ID"]), Port: number(r["Port"]), Tags: w.tags(r)})
	}
	for _, r := range w.of("EC2::LaunchTemplate") {
		w.instances(c, r)
	}
	for _, r := range w.of("AutoScaling::AutoScalingGroup") {
		template, _ := r["LaunchTemplate"].(map[string]any)
		c.ScalingGroups = append(c.ScalingGroups, facts.ScalingGroup{
			Name: w.text(r["ID"]), Template: w.text(template["LaunchTemplateId"]), Health: w.text(r["HealthCheckType"]), Zones: []string{"a", "b"},
			Subnets: w.texts(r["VPCZoneIdentifier"]), Max: number(r["MaxSize"]), Targets: w.texts(r["TargetGroupARNs"]), Tags: w.tags(r),
		})
	}
	for _, r := range w.of("EC2::EIP") {
		c.Addresses = append(c.Addresses, facts.Address{ID: w.text(r["ID"]), IP: "203.0.113.7", Interface: "eni-1", Tags: w.tags(r)})
	}
	return s
}

// instances starts what a launch template says, once.
func (w world) instances(c *facts.Cloud, r map[string]any) {
	data := r["LaunchTemplateData"].(map[string]any)
	card := data["NetworkInterfaces"].([]any)[0].(map[string]any)
	disk := data["BlockDeviceMappings"].([]any)[0].(map[string]any)["Ebs"].(map[string]any)
	options := data["MetadataOptions"].(map[string]any)
	metadata := facts.Metadata{Endpoint: w.text(options["HttpEndpoint"]), Tokens: w.text(options["HttpTokens"]), Hops: number(options["HttpPutResponseHopLimit"])}
	id, groups := w.text(r["ID"]), w.texts(card["Groups"])
	c.Templates = append(c.Templates, facts.LaunchTemplate{
		ID: id, Name: id, Version: "1", Image: w.text(data["ImageId"]), KeyPair: w.text(data["KeyName"]), Metadata: metadata,
		PublicIP: card["AssociatePublicIpAddress"] == true, Groups: groups, Encrypted: disk["Encrypted"] == true, UserData: facts.UserData{SHA256: strings.Repeat("0", 64), Bytes: 100},
	})
	i := facts.Instance{
		ID: "i-" + id, State: "running", Image: w.text(data["ImageId"]), VPC: "Vpc", Subnet: w.text(card["SubnetId"]), KeyPair: w.text(data["KeyName"]),
		Groups: groups, Interfaces: []string{"eni-" + id}, Metadata: metadata, Tags: facts.Tags{"rocca:deployment": "stats", "rocca:role": "server"},
	}
	if i.Subnet == "" {
		i.Subnet = "AppSubnetA"
	} else {
		i.PublicIP = "203.0.113.7"
	}
	c.Instances = append(c.Instances, i)
	c.Interfaces = append(c.Interfaces, facts.NetworkInterface{ID: "eni-" + id, VPC: "Vpc", Subnet: i.Subnet, Instance: i.ID, Groups: groups})
	c.Volumes = append(c.Volumes, facts.Volume{ID: "vol-" + id, Encrypted: disk["Encrypted"] == true, Key: c.Keys[0].ARN, Instances: []string{i.ID}})
}

// written is a policy with CloudFormation's functions taken for what they give.
func written(policy string) string {
	for _, cut := range []string{`{"Fn::Sub":`, `{"Fn::GetAtt":`} {
		for {
			before, rest, found := strings.Cut(policy, cut)
			if !found {
				break
			}
			inner, after, _ := strings.Cut(rest, "}")
			for strings.Count(inner, "${") > strings.Count(inner, "}") { // of a variable
				more, remaining, _ := strings.Cut(after, "}")
				inner, after = inner+"}"+more, remaining
			}
			if strings.HasPrefix(inner, "[") {
				inner = `"arn:of:` + strings.Trim(strings.Split(inner, ",")[0], `["`) + `"`
			}
			policy = before + strings.NewReplacer("${", "", "}", "").Replace(inner) + after
		}
	}
	return policy
}

// allSeen are the sections that controls of the network ask for.
var allSeen = []facts.Section{
	facts.CloudGroups, facts.CloudInterfaces, facts.CloudNetworks, facts.CloudSubnets, facts.CloudRouteTables, facts.CloudFilters, facts.CloudFlowLogs,
	facts.CloudEndpoints, facts.CloudNATs, facts.CloudAddresses, facts.CloudInstances, facts.CloudUserData, facts.CloudTemplates, facts.CloudVolumes,
	facts.CloudDiskDefaults, facts.CloudSnapshots, facts.CloudImages, facts.CloudManaged, facts.CloudPatches, facts.CloudVulnerable, facts.CloudScaling,
	facts.CloudBalancers, facts.CloudTargets, facts.CloudDatabases, facts.CloudCaches, facts.CloudKeys, facts.CloudRoles, facts.CloudLogGroups,
}

// What rocca deploys passes, in each profile. What it leaves to its owner is
// said to be so.
func TestOurTemplatesPass(t *testing.T) {
	for profile, absent := range map[string][]string{
		"single":   {"AWS-05", "AWS-07", "AWS-32", "AWS-34", "AWS-35"},
		"standard": {"AWS-32", "AWS-34"},
		"scale":    {"AWS-32"},
	} {
		t.Run(profile, func(t *testing.T) {
			for _, f := range See(templates(t, profile)).Audit(cloudNetworkControls()) {
				switch {
				case f.ID == "AWS-33" && f.Status == model.Unknown: // no agent reports
				case f.Status == model.NA && slices.Contains(absent, f.ID):
				case f.Status != model.Pass || slices.Contains(absent, f.ID):
					t.Errorf("%s %s: %s %s %v", f.ID, f.Title, f.Status, f.Reason, f.Evidence)
				case len(f.Evidence) == 0 || len(f.Evidence) > evidenceOnPass+1:
					t.Errorf("%s: passes with %d observations", f.ID, len(f.Evidence))
				}
			}
		})
	}
}

// Each protection of the templates is what a control rests on: without it, the
// control fails.
func TestTemplatesWithoutAProtectionFail(t *testing.T) {
	for id, weaken := range map[string]func(*facts.Cloud){
		"AWS-04": func(c *facts.Cloud) {
			group(c, "WebGroup").Ingress = append(group(c, "WebGroup").Ingress, in("tcp 22 0.0.0.0/0"))
		},
		"AWS-22": func(c *facts.Cloud) {
			group(c, "WebGroup").Ingress = append(group(c, "WebGroup").Ingress, in("tcp 8080 ::/0"))
		},
		"AWS-05": func(c *facts.Cloud) {
			group(c, "WebGroup").Ingress = append(group(c, "WebGroup").Ingress, in("tcp 443 10.20.0.0/16"))
		},
		"AWS-07": func(c *facts.Cloud) {
			group(c, "DatabaseGroup").Ingress = append(group(c, "DatabaseGroup").Ingress, in("tcp 3306 10.20.0.0/24"))
		},
		"AWS-06": func(c *facts.Cloud) {
			group(c, "DatabaseGroup").Egress = append(group(c, "DatabaseGroup").Egress, in("tcp 443 0.0.0.0/0"))
		},
		"AWS-23": func(c *facts.Cloud) { group(c, "sg-default").Egress = ins("-1 0.0.0.0/0") },
		"AWS-24": func(c *facts.Cloud) { group(c, "WebGroup").Ingress[0].GroupGone = true },
		"AWS-25": func(c *facts.Cloud) { c.Subnets[0].PublicIP = true },
		"AWS-08": func(c *facts.Cloud) {
			for i := range c.RouteTables {
				if c.RouteTables[i].ID == "DataRoutes" {
					c.RouteTables[i].Routes = []facts.Route{{Destination: "0.0.0.0/0", Via: "nat-NatA"}}
				}
			}
		},
		"AWS-26": func(c *facts.Cloud) {
			for i := range c.Filters {
				c.Filters[i].Entries = append(c.Filters[i].Entries, facts.ACLRule{Number: 1, Allow: true, Protocol: "6", From: 22, To: 22, CIDR: everywhere})
			}
		},
		"AWS-18": func(c *facts.Cloud) { c.FlowLogs[0].Traffic = "REJECT" },
		"AWS-27": func(c *facts.Cloud) {
			c.Endpoints[0].Policy = `{"Statement":[{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}]}`
		},
		"AWS-28": func(c *facts.Cloud) { c.Addresses[0].Interface = "" },
		"AWS-01": func(c *facts.Cloud) { c.Templates[0].Metadata.Hops = 2 },
		"AWS-09": func(c *facts.Cloud) { c.Volumes[0].Key = "arn:aws:kms:eu-central-1:123456789012:key/aws-managed" },
		"AWS-29": func(c *facts.Cloud) { c.Snapshots = []facts.Snapshot{{ID: "snap-1", Public: true}} },
		"AWS-30": func(c *facts.Cloud) { c.Instances[0].PublicIP = "203.0.113.9" },
		"AWS-03": func(c *facts.Cloud) { c.Templates[0].KeyPair = "old" },
		"AWS-13": func(c *facts.Cloud) { c.Templates[0].UserData.Hits = []facts.Hit{{Line: 3, Kind: "password"}} },
		"AWS-31": func(c *facts.Cloud) { c.Images[0].Owner = "999999999999" },
		"AWS-32": func(c *facts.Cloud) { c.Wanted.Agent = true },
		"AWS-33": func(c *facts.Cloud) {
			c.Managed = []facts.ManagedInstance{{ID: c.Instances[0].ID, Patch: facts.Patches{At: noon, MissingSecurity: 1}}}
		},
		"AWS-34": func(c *facts.Cloud) { c.Wanted.Inspector = true },
		"AWS-14": func(c *facts.Cloud) {
			c.Instances = append(c.Instances, facts.Instance{ID: "i-stranger", VPC: "Vpc", Interfaces: []string{"eni-9"}})
		},
		"AWS-35": func(c *facts.Cloud) { c.ScalingGroups[0].Health = "EC2" },
	} {
		server := templates(t, "standard")
		weaken(&server.Cloud)
		controls, err := Select(cloudNetworkControls(), []string{id})
		if err != nil {
			t.Fatal(err)
		}
		if f := See(server).Audit(controls)[0]; f.Status != model.Fail {
			t.Errorf("%s: %s %s", id, f.Status, f.Reason)
		}
	}
}

// group finds a security group, to change it.
func group(c *facts.Cloud, id string) *facts.SecurityGroup {
	i := slices.IndexFunc(c.Groups, func(g facts.SecurityGroup) bool { return g.ID == id })
	return &c.Groups[i]
}

// What AWS refuses to tell is never passed over: with any one section refused,
// no control passes that looked at it.
func TestRefusedSectionsAreNoPass(t *testing.T) {
	v := See(templates(t, "standard"))
	needs := map[string][]facts.Section{ // what each looks at
		"AWS-04": {facts.CloudGroups, facts.CloudInterfaces},
		"AWS-22": {facts.CloudGroups, facts.CloudInterfaces, facts.CloudBalancers},
		"AWS-05": {facts.CloudGroups, facts.CloudBalancers, facts.CloudInstances},
		"AWS-07": {facts.CloudGroups, facts.CloudDatabases},
		"AWS-06": {facts.CloudGroups, facts.CloudInterfaces},
		"AWS-23": {facts.CloudGroups, facts.CloudNetworks},
		"AWS-24": {facts.CloudGroups, facts.CloudInterfaces},
		"AWS-25": {facts.CloudSubnets},
		"AWS-08": {facts.CloudSubnets, facts.CloudRouteTables, facts.CloudDatabases},
		"AWS-26": {facts.CloudFilters, facts.CloudSubnets},
		"AWS-18": {facts.CloudNetworks, facts.CloudFlowLogs, facts.CloudLogGroups},
		"AWS-27": {facts.CloudEndpoints, facts.CloudNetworks},
		"AWS-28": {facts.CloudNATs, facts.CloudAddresses, facts.CloudRouteTables, facts.CloudSubnets, facts.CloudInstances, facts.CloudScaling},
		"AWS-01": {facts.CloudInstances, facts.CloudTemplates},
		"AWS-09": {facts.CloudVolumes, facts.CloudDiskDefaults, facts.CloudTemplates},
		"AWS-29": {facts.CloudSnapshots, facts.CloudDiskDefaults},
		"AWS-30": {facts.CloudInstances, facts.CloudInterfaces},
		"AWS-03": {facts.CloudInstances, facts.CloudTemplates, facts.CloudRoles},
		"AWS-13": {facts.CloudUserData, facts.CloudInstances, facts.CloudTemplates},
		"AWS-31": {facts.CloudImages, facts.CloudInstances, facts.CloudTemplates},
		"AWS-14": {facts.CloudInstances, facts.CloudNetworks},
		"AWS-35": {facts.CloudScaling},
	}
	for id, sections := range needs {
		controls, err := Select(cloudNetworkControls(), []string{id})
		if err != nil {
			t.Fatal(err)
		}
		for _, section := range sections {
			v.Sections[section] = "not allowed to look"
			if f := v.Audit(controls)[0]; f.Status != model.Unknown || !strings.Contains(f.Reason, "not allowed to look") {
				t.Errorf("%s without %s: %s (%s)", id, section, f.Status, f.Reason)
			}
			v.Sections[section] = ""
		}
	}
}

// The project that the AWS guide comes with, as its own defaults deploy it
// (aws-cdk of 2026): what these controls must find, by name.
func TestOldProjectFails(t *testing.T) {
	server := read(t, filepath.Join("testdata", "old-project-network.json"))
	findings := map[string]model.Finding{}
	for _, f := range See(server).Audit(cloudNetworkControls()) {
		findings[f.ID] = f
	}
	for _, c := range []struct{ defect, id, subject, have string }{
		{"SSH open to the world", "AWS-04", "sg-0web", "critical: tcp/22 open to the world, by tcp/22 0.0.0.0/0"},
		{"SSH open to the world", "AWS-22", "sg-0web", "tcp/22"},
		{"80 and 443 straight to the instance", "AWS-05", "sg-0web", "tcp/80 0.0.0.0/0"},
		{"80 and 443 straight to the instance", "AWS-05", "sg-0web", "tcp/443 0.0.0.0/0"},
		{"everything may leave", "AWS-06", "sg-0web", "all traffic"},
		{"database subnets with a route to NAT", "AWS-08", "subnet-0private1", "0.0.0.0/0 by nat-0"},
		{"a NAT gateway that nothing uses", "AWS-28", "nat-0", "no subnet with instances"},
		{"no packet filters", "AWS-26", "acl-0", "lets the world to tcp/22"},
		{"no packet filters", "AWS-26", "acl-0", "was not made for them"},
		{"no flow logs", "AWS-18", "vpc-0", "no flow log"},
		{"public addresses that change", "AWS-25", "subnet-0public1", "gives every instance a public address"},
		{"public addresses that change", "AWS-30", "i-0", "public address 198.51.100.20"},
		{"777 on tmp and config", "AWS-13", "i-0", "chmod 777"},
		{"downloads without version or hash", "AWS-13", "i-0", "unverified download"},
		{"metadata by version 1", "AWS-13", "i-0", "metadata version 1"},
		{"metadata options not declared", "AWS-01", "i-0", "2 hops"},
		{"disk not encrypted", "AWS-09", "vol-0", "not encrypted"},
		{"no patching", "AWS-33", "i-0", "nobody has looked"},
		{"no agent's rights", "AWS-32", "i-0", "does not know it"},
		{"every private key readable", "AWS-03", "role matomo-analytics-compute", "/ec2/keypair/*"},
		{"every private key readable", "AWS-03", "i-0", "key pair matomo-analytics"},
		{"no endpoints", "AWS-27", "vpc-0", "no gateway endpoint for S3"},
	} {
		f := findings[c.id]
		if f.Status != model.Fail || !slices.ContainsFunc(f.Evidence, func(e model.Evidence) bool {
			return strings.HasPrefix(strings.TrimPrefix(strings.TrimPrefix(strings.TrimPrefix(e.Subject, "subnet "), "filter "), "NAT gateway "), c.subject) && strings.Contains(e.Have, c.have)
		}) {
			t.Errorf("%s: %s says %s %s %v", c.defect, c.id, f.Status, f.Reason, f.Evidence)
		}
	}
	for _, id := range []string{"AWS-07", "AWS-23", "AWS-24", "AWS-29"} { // what it does right
		if f := findings[id]; f.Status != model.Pass {
			t.Errorf("%s: %s %s %v", id, f.Status, f.Reason, f.Evidence)
		}
	}
	for _, f := range findings {
		if f.Status != model.Fail {
			continue
		}
		for _, command := range f.Commands {
			if strings.Contains(command.Line, "authorize") && strings.Contains(command.Line, "ingress") && strings.Contains(command.Line, "0.0.0.0/0") {
				t.Errorf("%s would open: %s", f.ID, command.Line)
			}
		}
	}
}

// manyRules are facts with so many rules of security groups, spread over groups
// or all in one.
func manyRules(groups, rules int) facts.Server {
	s := facts.Server{Observed: noon, Sections: map[facts.Section]string{}}
	for _, section := range allSeen {
		s.Sections[section] = ""
	}
	s.Cloud.Networks = []facts.CloudNetwork{{ID: "vpc-1"}}
	for i := range groups {
		g := facts.SecurityGroup{ID: fmt.Sprintf("sg-%d", i), Name: "g", VPC: "vpc-1"}
		for j := range rules / groups {
			r := facts.GroupRule{Protocol: "tcp", From: j % 60000, To: j%60000 + 3, CIDR: netip.PrefixFrom(netip.AddrFrom4([4]byte{byte(j), byte(j >> 8), byte(i), 0}), 1+j%32)}
			if j%3 == 0 {
				r.CIDR = netip.PrefixFrom(netip.AddrFrom16([16]byte{0x20, byte(j), byte(j >> 8), byte(i)}), 3+j%120)
			}
			if j%2 == 0 {
				g.Ingress = append(g.Ingress, r)
			} else {
				g.Egress = append(g.Egress, r)
			}
		}
		s.Cloud.Groups = append(s.Cloud.Groups, g)
		s.Cloud.Interfaces = append(s.Cloud.Interfaces, facts.NetworkInterface{ID: fmt.Sprintf("eni-%d", i), VPC: "vpc-1", Groups: []string{g.ID}})
	}
	return s
}

// 10,000 rules are told in less than 200 ms, with all that finds fault with
// them and with its commands.
func BenchmarkTenThousandRules(b *testing.B) {
	onePort := manyRules(1, 10_000)
	for i := range onePort.Cloud.Groups[0].Ingress {
		onePort.Cloud.Groups[0].Ingress[i].From, onePort.Cloud.Groups[0].Ingress[i].To = 22, 22
	}
	for name, server := range map[string]facts.Server{"1 group": manyRules(1, 10_000), "200 groups": manyRules(200, 10_000), "5000 groups": manyRules(5000, 10_000), "1 port": onePort} {
		v := See(server)
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				v.Audit(cloudNetworkControls())
			}
		})
	}
}
