package control

import (
	"slices"
	"strings"

	"rocca/internal/facts"
	"rocca/internal/model"
)

var hst007 = Control{
	ID:       "HST-07",
	Title:    "Matomo's PHP can connect to declared hosts only, and never to the metadata service of a cloud",
	Why:      "Code that got in first fetches its tools and sends home what it finds; a request that Matomo can be talked into (SSRF) asks 169.254.169.254 for the credentials of the machine. Both need a connection outwards that Matomo does not.",
	Severity: model.Medium,
	Needs:    []facts.Section{facts.Filter, facts.Services, facts.Runtime, facts.App},
	Eval: func(v *View) Verdict {
		services := matomoServices(v.Server)
		if len(services) == 0 {
			return unknown(noPool)
		}
		var found []model.Evidence
		for _, s := range services {
			confined, guarded := confinedByUnit(v.Units[s.Unit])
			why := "user " + s.User + " may connect to any address"
			if !confined {
				var rule string
				confined, rule = confinedByFilter(v.Firewall, s.User)
				if rule != "" {
					why = "the filter lets user " + s.User + " out by: " + rule
				}
			}
			if !confined {
				found = append(found, model.Evidence{Subject: s.Unit, Have: why, Want: "hosts of rocca.yaml (outbound) only"})
			}
			if !confined && !guarded {
				found = append(found, model.Evidence{Subject: s.Unit, Have: "may ask " + metadata, Want: "IPAddressDeny=169.254.0.0/16 fd00:ec2::254/128"})
			}
		}
		return conclude(found, nil)
	},
	Fix:    automatic("nft: a chain at hook output that rejects what Matomo's users send, loopback, name service and declared hosts excepted; in the unit IPAddressDeny=, or PrivateNetwork=yes where no network is needed", append(slices.Clone(firewallSteps), unitSteps...)...),
	Attack: "A15",
	Maps:   []model.Ref{asvs("13.2.4"), asvs("13.2.5"), s1("15")},
	Since:  "0.3",
}

// confinedByUnit tells whether the sandbox of a unit lets it connect to named
// networks only, and whether it keeps it from the metadata service.
func confinedByUnit(u facts.Unit) (confined, guarded bool) {
	families := u.Sandbox["RestrictAddressFamilies"]
	if on(u.Sandbox["PrivateNetwork"]) || strings.HasPrefix(families, "AF_") && !strings.Contains(families, "AF_INET") {
		return true, true
	}
	denied, allowed := strings.Fields(u.Sandbox["IPAddressDeny"]), strings.Fields(u.Sandbox["IPAddressAllow"])
	all := func(networks []string) bool {
		return slices.Contains(networks, "any") || slices.ContainsFunc(networks, everybody)
	}
	both := slices.Contains(denied, "any") || slices.Contains(denied, "0.0.0.0/0") && slices.Contains(denied, "::/0")
	let := all(allowed) || inside(metadata, allowed)
	return both && !let, (both || inside(metadata, denied)) && !let
}

// confinedByFilter tells whether the filter refuses what a user sends to hosts
// that no rule names, in both families; else the rule that lets it out.
func confinedByFilter(f facts.Firewall, user string) (confined bool, rule string) {
	for _, family := range []string{"ip", "ip6"} {
		held := false
		for _, chain := range chainsOf(f, family, "output") {
			refuses, by := refusesRest(chain, user)
			held = held || refuses
			if by != "" {
				rule = by
			}
		}
		if !held {
			return false, rule
		}
	}
	return true, ""
}

// refusesRest follows the rules of an output chain for one user to the first
// that decides about any host.
func refusesRest(c facts.Chain, user string) (refuses bool, by string) {
	for _, r := range c.Rules {
		listed := slices.Contains(r.Users, user)
		if strings.Contains(r.Text, "skuid !=") {
			listed = !listed
		}
		if len(r.Users) > 0 && !listed {
			continue
		}
		switch r.Verdict {
		case "drop", "reject":
			if !conditional(r) {
				return true, ""
			}
		case "accept":
			ports := portsOf(r)
			names := len(ports) > 0 && !slices.ContainsFunc(ports, func(p int) bool { return p != 53 })
			listed := len(r.Targets) > 0 && !slices.ContainsFunc(r.Targets, everybody) && !inside(metadata, r.Targets)
			if !known(r) && !inward(r, r.Targets) && !names && !listed && !strings.Contains(r.Protocol, "icmp") {
				return false, r.Text
			}
		}
	}
	return c.Policy == "drop", ""
}
