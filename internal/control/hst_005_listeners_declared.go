package control

import (
	"fmt"
	"strings"

	"rocca/internal/facts"
	"rocca/internal/model"
)

var hst005 = Control{
	ID:       "HST-05",
	Title:    "only the front, SSH and what is declared listen to the network",
	Why:      "Every program that listens is a door, with its own holes. Most that were found open (databases, caches, FastCGI) had never been meant for the network.",
	Severity: model.High,
	Needs:    []facts.Section{facts.Network, facts.Own},
	Eval: func(v *View) Verdict {
		var found []model.Evidence
		for _, l := range v.Listeners {
			protocol := l.Protocol
			if protocol == "" {
				protocol = "tcp"
			}
			e := model.Evidence{Subject: listensAs(l), Have: fmt.Sprintf("%s on %s port %d", protocol, l.Address, l.Port)}
			switch {
			case strings.HasPrefix(l.Program, "php-fpm"):
				e.Want = "a Unix socket: whoever connects runs code as its pool"
			case offered(v.Server, protocol, l.Port), local(l), protocol == "udp" && (l.Port == 68 || l.Port == 546):
				continue // ports 68 and 546 are the answers to DHCP
			default:
				e.Want = "not there, on loopback, or declared in rocca.yaml (ports)"
			}
			found = append(found, e)
		}
		return conclude(found, nil)
	},
	Fix:    guided("stop what nobody needs: systemctl disable --now UNIT; bind what only this server needs to 127.0.0.1 or a socket; declare the rest in rocca.yaml: ports: [tcp/PORT]"),
	Attack: "A32",
	Maps:   []model.Ref{debian("2.1.22"), s1("2")},
	Since:  "0.3",
}

// listensAs names who listens.
func listensAs(l facts.Listener) string {
	switch {
	case l.Unit != "" && l.Program != "":
		return l.Program + " (" + l.Unit + ")"
	case l.Program != "":
		return l.Program
	default:
		return "an unknown program"
	}
}

// local tells whether nobody from another network can reach a listener.
func local(l facts.Listener) bool {
	address, ok := network(l.Address)
	return ok && (address.Addr().Unmap().IsLoopback() || address.Addr().IsLinkLocalUnicast())
}
