package host

import (
	"slices"
	"strings"

	"rocca/internal/facts"
)

// parseIptables reads what iptables-save(8) prints of the table filter.
func parseIptables(content, family string, n names) []facts.Chain {
	steps := map[string][]step{}
	policies := map[string]string{}
	for line := range strings.Lines(content) {
		fields := strings.Fields(line)
		switch {
		case len(fields) < 2:
		case strings.HasPrefix(fields[0], ":"):
			policies[strings.TrimPrefix(fields[0], ":")] = strings.ToLower(fields[1])
		case fields[0] == "-A":
			s := iptablesRule(fields[2:], n)
			s.rule.Text = strings.TrimSpace(line)
			steps[fields[1]] = append(steps[fields[1]], s)
		}
	}
	var chains []facts.Chain
	for _, base := range []struct{ name, hook string }{{"INPUT", "input"}, {"FORWARD", "forward"}, {"OUTPUT", "output"}} {
		if policy, there := policies[base.name]; there {
			chains = append(chains, facts.Chain{Family: family, Table: "filter", Name: base.name, Hook: base.hook, Policy: policy,
				Rules: unroll(steps, base.name)})
		}
	}
	return chains
}

// iptablesRule reads the options of a rule. An option that is not known, and
// every "!", makes it hold for less than is told.
func iptablesRule(options []string, n names) step {
	var s step
	for i := 0; i < len(options); i++ {
		value := func() string {
			if i+1 >= len(options) {
				return ""
			}
			i++
			return options[i]
		}
		switch options[i] {
		case "-p", "--protocol":
			s.rule.Protocol = strings.Replace(value(), "ipv6-icmp", "icmpv6", 1)
		case "-s", "--source":
			s.rule.Sources = []string{value()}
		case "-d", "--destination":
			s.rule.Targets = []string{value()}
		case "-i", "--in-interface":
			s.rule.In = value()
		case "-o", "--out-interface":
			s.rule.Out = value()
		case "--dport", "--dports", "--destination-port", "--destination-ports":
			for port := range strings.SplitSeq(value(), ",") {
				s.rule.Ports = append(s.rule.Ports, strings.Replace(port, ":", "-", 1))
			}
		case "--ctstate", "--state":
			s.rule.States = strings.Split(strings.ToLower(value()), ",")
		case "--uid-owner":
			s.rule.Users = []string{nameOf(n.byUID, value())}
		case "-m", "--match":
			known := []string{"tcp", "udp", "icmp", "icmp6", "conntrack", "state", "multiport", "owner", "comment"}
			s.rule.Partial = s.rule.Partial || !slices.Contains(known, value())
		case "--comment":
			for quoted := strings.HasPrefix(value(), `"`); quoted && i+1 < len(options) && !strings.HasSuffix(options[i], `"`); {
				i++
			}
		case "-j", "--jump", "-g", "--goto":
			s.last = options[i] == "-g" || options[i] == "--goto"
			switch target := value(); target {
			case "ACCEPT", "DROP", "REJECT", "RETURN":
				s.rule.Verdict = strings.ToLower(target)
			case "LOG", "NFLOG", "TRACE":
			default:
				s.jump = target
			}
		case "--reject-with", "--log-prefix", "--log-level", "--nflog-group", "--nflog-prefix":
			value()
		default:
			s.rule.Partial = true
		}
	}
	return s
}
