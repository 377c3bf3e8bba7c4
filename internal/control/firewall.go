package control

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"rocca/internal/facts"
)

// metadata is where clouds hand credentials to whoever asks.
const metadata = "169.254.169.254"

// offered tells whether a port may be reached from outside: the front's, that
// of SSH, and what is declared.
func offered(s facts.Server, protocol string, port int) bool {
	front := protocol == "tcp" && (port == 80 || port == 443)
	return front || protocol == "tcp" && slices.Contains(sshPorts(s.SSH), port) ||
		slices.Contains(s.Declared.Ports, fmt.Sprintf("%s/%d", protocol, port))
}

// chainsOf are the base chains of a hook that see packets of a family, "ip" or
// "ip6". A packet that one of them drops is gone, whatever the others say.
func chainsOf(f facts.Firewall, family, hook string) []facts.Chain {
	var chains []facts.Chain
	for _, chain := range f.Chains {
		if chain.Hook == hook && (chain.Family == family || chain.Family == "inet") {
			chains = append(chains, chain)
		}
	}
	return chains
}

func chainName(c facts.Chain) string { return c.Family + " " + c.Table + " " + c.Name }

// dropsRest tells whether what no rule accepts is dropped.
func dropsRest(c facts.Chain) bool {
	return c.Policy == "drop" || len(c.Rules) > 0 && catchesAll(c.Rules[len(c.Rules)-1])
}

// catchesAll tells whether a rule refuses every packet. One that says "limit"
// or more than is known here does not.
func catchesAll(r facts.Rule) bool {
	if r.Verdict != "drop" && r.Verdict != "reject" || len(r.Users) > 0 {
		return false
	}
	return !conditional(r)
}

// conditional tells whether a rule holds for some packets only, users aside.
func conditional(r facts.Rule) bool {
	if r.Protocol != "" || r.In != "" || r.Out != "" || len(r.Ports)+len(r.Sources)+len(r.Targets)+len(r.States) > 0 {
		return true
	}
	return slices.ContainsFunc(strings.Fields(r.Text), func(word string) bool {
		return slices.Contains([]string{"limit", "meter", "mark", "ct", "fib", "-m"}, word)
	})
}

// known tells whether a rule is about connections that exist already.
func known(r facts.Rule) bool {
	return len(r.States) > 0 && !slices.Contains(r.States, "new")
}

// inward tells whether a rule is about packets that do not leave the machine.
func inward(r facts.Rule, addresses []string) bool {
	return r.In == "lo" || r.Out == "lo" || len(addresses) > 0 && !slices.ContainsFunc(addresses, func(a string) bool { return !loopback(a) })
}

// portsOf are the destination ports of a rule one by one; nil when it has none,
// or one that is no number.
func portsOf(r facts.Rule) []int {
	var ports []int
	for _, text := range r.Ports {
		first, last, isRange := strings.Cut(text, "-")
		if !isRange {
			last = first
		}
		from, err1 := strconv.Atoi(strings.TrimSpace(first))
		to, err2 := strconv.Atoi(strings.TrimSpace(last))
		if err1 != nil || err2 != nil || from < 0 || to > 65535 {
			return nil
		}
		for port := from; port <= to; port++ {
			ports = append(ports, port)
		}
	}
	return ports
}

// network reads an address or a network.
func network(text string) (netip.Prefix, bool) {
	if prefix, err := netip.ParsePrefix(text); err == nil {
		return prefix.Masked(), true
	}
	address, err := netip.ParseAddr(text)
	if err != nil {
		return netip.Prefix{}, false
	}
	address = address.WithZone("")
	return netip.PrefixFrom(address, address.BitLen()), true
}

func loopback(text string) bool {
	prefix, ok := network(text)
	return text == "localhost" || ok && prefix.Addr().Unmap().IsLoopback()
}

// everybody tells whether a source leaves nobody out.
func everybody(text string) bool {
	prefix, ok := network(text)
	return ok && prefix.Bits() == 0
}

// inside tells whether a network is part of one of others.
func inside(text string, others []string) bool {
	part, ok := network(text)
	return ok && slices.ContainsFunc(others, func(other string) bool {
		whole, ok := network(other)
		return ok && whole.Bits() <= part.Bits() && whole.Contains(part.Addr())
	})
}
