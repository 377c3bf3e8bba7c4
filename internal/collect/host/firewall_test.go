package host

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"rocca/internal/facts"
)

// TestNft reads what nft 1.0.6 of Debian 12 lists.
func TestNft(t *testing.T) {
	ruleset, err := os.ReadFile("testdata/nft.json")
	if err != nil {
		t.Fatal(err)
	}
	listing, err := os.ReadFile("testdata/nft.txt")
	if err != nil {
		t.Fatal(err)
	}
	got, err := parseNft(ruleset, string(listing), names{byUID: map[string]string{"33": "www-data"}})
	if err != nil {
		t.Fatal(err)
	}
	const states = "ct state vmap { invalid : drop, established : accept, related : accept }"
	want := []facts.Chain{
		{Family: "inet", Table: "filter", Name: "input", Hook: "input", Policy: "drop", Rules: []facts.Rule{
			{Text: states, Verdict: "drop", States: []string{"invalid"}},
			{Text: states, Verdict: "accept", States: []string{"established"}},
			{Text: states, Verdict: "accept", States: []string{"related"}},
			{Text: `iif "lo" accept`, Verdict: "accept", In: "lo"},
			{Text: "ip protocol icmp limit rate 4/second accept", Verdict: "accept", Protocol: "icmp", Partial: true},
			{Text: "ip saddr @admins accept", Verdict: "accept", Protocol: "tcp", Ports: []string{"22"}, Sources: []string{"10.0.0.0/8", "192.0.2.7"}},
			{Text: "counter packets 0 bytes 0 drop", Verdict: "drop", Protocol: "tcp", Ports: []string{"22"}},
			{Text: `tcp dport { 80, 443, 8000-8080 } accept comment "web"`, Verdict: "accept", Protocol: "tcp", Ports: []string{"80", "443", "8000-8080"}},
			{Text: "udp dport 443 accept", Verdict: "accept", Protocol: "udp", Ports: []string{"443"}},
		}},
		{Family: "inet", Table: "filter", Name: "output", Hook: "output", Policy: "accept", Rules: []facts.Rule{
			{Text: "meta skuid 33 ip daddr 169.254.169.254 reject with icmp port-unreachable", Verdict: "reject", Targets: []string{"169.254.169.254"}, Users: []string{"www-data"}},
			{Text: "meta skuid { 1000, 1001 } ip daddr != 127.0.0.0/8 drop", Verdict: "drop", Users: []string{"1000", "1001"}, Partial: true},
		}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

const iptablesText = `*filter
:INPUT DROP [0:0]
:FORWARD ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:f2b-sshd - [0:0]
-A INPUT -p tcp -m multiport --dports 22,2200:2222 -j f2b-sshd
-A INPUT -i lo -j ACCEPT
-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A INPUT -s 10.0.0.0/8 -p tcp -m tcp --dport 22 -m comment --comment "the admins" -j ACCEPT
-A INPUT -p tcp -m recent --update --name x -j ACCEPT
-A INPUT ! -i eth0 -j ACCEPT
-A OUTPUT -d 169.254.169.254/32 -m owner --uid-owner 33 -j REJECT --reject-with icmp-port-unreachable
-A f2b-sshd -s 192.0.2.1/32 -j REJECT
-A f2b-sshd -j RETURN
COMMIT
`

func TestIptables(t *testing.T) {
	got := parseIptables(iptablesText, "ip", names{byUID: map[string]string{"33": "www-data"}})
	ssh := []string{"22", "2200-2222"}
	want := []facts.Chain{
		{Family: "ip", Table: "filter", Name: "INPUT", Hook: "input", Policy: "drop", Rules: []facts.Rule{
			{Verdict: "reject", Protocol: "tcp", Ports: ssh, Sources: []string{"192.0.2.1/32"}},
			{Verdict: "accept", In: "lo"},
			{Verdict: "accept", States: []string{"related", "established"}},
			{Verdict: "accept", Protocol: "tcp", Ports: []string{"22"}, Sources: []string{"10.0.0.0/8"}},
			{Verdict: "accept", Protocol: "tcp", Partial: true},
			{Verdict: "accept", In: "eth0", Partial: true},
		}},
		{Family: "ip", Table: "filter", Name: "FORWARD", Hook: "forward", Policy: "accept"},
		{Family: "ip", Table: "filter", Name: "OUTPUT", Hook: "output", Policy: "accept", Rules: []facts.Rule{
			{Verdict: "reject", Targets: []string{"169.254.169.254/32"}, Users: []string{"www-data"}},
		}},
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(facts.Rule{}, "Text")); diff != "" {
		t.Error(diff)
	}
	if text := got[0].Rules[1].Text; text != "-A INPUT -i lo -j ACCEPT" {
		t.Errorf("text %q", text)
	}
}

// TestUnroll: what leaves a chain early makes the rest hold for less.
func TestUnroll(t *testing.T) {
	accept := func(port string) step { return step{rule: facts.Rule{Verdict: "accept", Ports: []string{port}}} }
	for name, c := range map[string]struct {
		chains map[string][]step
		want   []facts.Rule
	}{
		"goto without a condition ends the chain": {
			map[string][]step{"a": {{jump: "b", last: true}, accept("1")}, "b": {accept("2")}},
			[]facts.Rule{{Verdict: "accept", Ports: []string{"2"}}},
		},
		"return with a condition": {
			map[string][]step{"a": {{rule: facts.Rule{Verdict: "return", In: "lo"}}, {rule: facts.Rule{Verdict: "drop"}}}},
			[]facts.Rule{{Verdict: "drop", Partial: true}},
		},
		"two conditions of one kind": {
			map[string][]step{"a": {{rule: facts.Rule{Sources: []string{"10.0.0.0/8"}}, jump: "b"}}, "b": {{rule: facts.Rule{Verdict: "accept", Sources: []string{"10.1.0.0/16"}}}}},
			[]facts.Rule{{Verdict: "accept", Sources: []string{"10.1.0.0/16"}, Partial: true}},
		},
		"a chain of itself": {map[string][]step{"a": {{jump: "a"}, {jump: "a"}}}, nil},
	} {
		if diff := cmp.Diff(c.want, unroll(c.chains, "a")); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestLoadsRules(t *testing.T) {
	start := func(argv ...string) facts.Runs {
		return facts.Runs{Exec: []facts.Exec{{When: "ExecStart", Path: argv[0], Args: argv[1:]}}}
	}
	for name, c := range map[string]struct {
		unit facts.Unit
		want string
	}{
		"nft":      {facts.Unit{Enabled: true, Runs: start("/usr/sbin/nft", "-f", "/etc/nftables.conf")}, "x.service"},
		"disabled": {facts.Unit{Runs: start("/usr/sbin/nft")}, ""},
		"failed":   {facts.Unit{Enabled: true, Failed: true, Runs: start("/usr/sbin/nft")}, ""},
		"script":   {facts.Unit{Enabled: true, Runs: start("/bin/sh", "/usr/sbin/netfilter-persistent", "start")}, "x.service"},
		"other":    {facts.Unit{Enabled: true, Runs: start("/usr/sbin/nginx")}, ""},
	} {
		if got := loadsRules(map[string]facts.Unit{"x.service": c.unit}); got != c.want {
			t.Errorf("%s: got %q", name, got)
		}
	}
}

func TestLegacyTables(t *testing.T) {
	if err := legacyTables(plant(t, map[string]string{"proc/net/ip_tables_names": "nat\nfilter\n"})); err == nil || !strings.Contains(err.Error(), "filter, nat") {
		t.Errorf("got %v", err)
	}
	if err := legacyTables(plant(t, map[string]string{"proc/net/ip_tables_names": "\n"})); err != nil {
		t.Error(err)
	}
}

func FuzzNft(f *testing.F) {
	ruleset, err := os.ReadFile("testdata/nft.json")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(ruleset)
	f.Add([]byte(`{"nftables":[{"chain":{"family":"ip","table":"t","name":"c","type":"filter","hook":"input"}},{"rule":{"family":"ip","table":"t","chain":"c","expr":[{"jump":{"target":"c"}},{"match":{"op":"==","left":{"payload":{"field":"dport"}},"right":{"set":["@x",{"range":[1,2]}]}}}]}},{"set":{"family":"ip","table":"t","name":"x","elem":["@x"]}},{"rule":null}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		chains, err := parseNft(text, string(text), names{})
		for _, c := range chains {
			if err != nil || c.Hook == "" || c.Policy == "" {
				t.Errorf("%+v %v", c, err)
			}
		}
	})
}

func FuzzIptables(f *testing.F) {
	f.Add(iptablesText)
	f.Add(":INPUT - \n-A INPUT -j INPUT\n-A INPUT -j INPUT\n-A INPUT --comment \"\n")
	f.Fuzz(func(t *testing.T, text string) {
		for _, c := range parseIptables(text, "ip6", names{}) {
			if !slices.Contains([]string{"input", "forward", "output"}, c.Hook) || len(c.Rules) > stepsMax {
				t.Error(fmt.Sprint(c.Hook, len(c.Rules)))
			}
		}
	})
}
