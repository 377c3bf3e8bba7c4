package control

import (
	"slices"
	"strings"

	"rocca/internal/facts"
	"rocca/internal/model"
)

// firewallSteps write the packet filter and load it.
var firewallSteps = []string{"packages *", "file /etc/rocca/firewall.nft", "file /etc/systemd/system/rocca-firewall.service", "unit rocca-firewall.service"}

var hst006 = Control{
	ID:       "HST-06",
	Title:    "the packet filter refuses what is not declared, for IPv4 and IPv6, and after a restart too",
	Why:      "A service that somebody starts tomorrow is then not on the internet by itself. A filter for IPv4 alone leaves the same doors open on IPv6; one that is not loaded at boot is gone with the next update of the kernel.",
	Severity: model.High,
	Needs:    []facts.Section{facts.Filter, facts.Own},
	Eval: func(v *View) Verdict {
		if v.Firewall.Program == "" {
			return fail(model.Evidence{Subject: "packet filter", Have: "none", Want: "nftables with a default of drop"})
		}
		var found []model.Evidence
		for _, family := range []string{"ip", "ip6"} {
			found = append(found, letIn(v.Server, family)...)
		}
		if !v.Firewall.Persistent {
			found = append(found, model.Evidence{Subject: v.Firewall.Program + " rules", Have: "nothing loads them at boot", Want: "a unit that does, such as nftables.service"})
		}
		return conclude(found, nil)
	},
	Fix:    automatic("nft: a base chain of family inet at hook input with policy drop, that accepts loopback, known connections, ICMP, 80, 443 and SSH from where it is used; loaded by a unit at boot", firewallSteps...),
	Attack: "A32",
	Maps:   []model.Ref{debian("4.3.8"), debian("4.3.10"), s1("7")},
	Since:  "0.3",
}

// letIn is what the filter lets in of a family beyond what is declared: nothing
// when one of its chains refuses it.
func letIn(s facts.Server, family string) []model.Evidence {
	version := map[string]string{"ip": "IPv4", "ip6": "IPv6"}[family]
	best := []model.Evidence{{Subject: version, Have: "what no rule names is accepted", Want: "dropped"}}
	for _, chain := range chainsOf(s.Firewall, family, "input") {
		if !dropsRest(chain) {
			continue
		}
		var open []model.Evidence
		for _, rule := range chain.Rules {
			if opens(s, rule) {
				open = append(open, model.Evidence{Subject: "chain " + chainName(chain), Have: rule.Text, Want: "ports that are declared"})
			}
		}
		if len(open) == 0 {
			return nil
		}
		best = open
	}
	return best
}

// opens tells whether a rule of an input chain accepts more than may come in.
func opens(s facts.Server, r facts.Rule) bool {
	if r.Verdict != "accept" || known(r) || inward(r, r.Sources) || strings.Contains(r.Protocol, "icmp") {
		return false
	}
	protocols := []string{r.Protocol}
	if r.Protocol == "" {
		protocols = []string{"tcp", "udp"}
	}
	ports := portsOf(r)
	return len(ports) == 0 || slices.ContainsFunc(ports, func(port int) bool {
		return slices.ContainsFunc(protocols, func(protocol string) bool {
			answer := protocol == "udp" && (port == 68 || port == 546) // of DHCP
			return !answer && !offered(s, protocol, port)
		})
	})
}
