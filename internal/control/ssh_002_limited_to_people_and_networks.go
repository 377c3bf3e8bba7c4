package control

import (
	"slices"
	"strconv"
	"strings"

	"rocca/internal/facts"
	"rocca/internal/model"
)

var ssh002 = Control{
	ID:       "SSH-02",
	Title:    "SSH is for named people, from named networks",
	Why:      "A key that was copied off a laptop works from anywhere, and a hole in sshd itself needs no key. Neither helps who cannot reach the port; an account that SSH does not know by name cannot be used by mistake.",
	Severity: model.High,
	Needs:    []facts.Section{facts.Remote, facts.Filter, facts.Network, facts.Own},
	Eval: ofSSH(func(v *View) Verdict {
		var found []model.Evidence
		if sshValue(v.SSH, "allowusers") == "" && sshValue(v.SSH, "allowgroups") == "" {
			found = append(found, model.Evidence{Subject: "sshd allowgroups, allowusers", Have: "everybody with a shell", Want: "the people who administer this server"})
		}
		for _, port := range sshPorts(v.SSH) {
			if !onlyLocal(v.Listeners, port) && !fromNamedHosts(v.SSH) {
				found = append(found, sshSources(v.Server, port)...)
			}
		}
		return conclude(found, nil)
	}),
	Fix:    guided("AllowGroups in /etc/ssh/sshd_config.d; in rocca.yaml ssh_networks: [NETWORK], which rocca up puts into the packet filter. Where only a cloud's security group limits it, waive this with that reason: it cannot be seen from here"),
	Attack: "A32",
	Maps:   []model.Ref{debian("5.1.4"), s1("32")},
	Since:  "0.3",
}

// sshPorts are the ports of sshd: 22 unless its configuration has others.
func sshPorts(s facts.SSH) []int {
	var ports []int
	for _, text := range s.Settings["port"] {
		if port, err := strconv.Atoi(text); err == nil {
			ports = append(ports, port)
		}
	}
	if len(ports) == 0 {
		return []int{22}
	}
	return ports
}

// onlyLocal tells whether a port is reached from this machine alone.
func onlyLocal(listeners []facts.Listener, port int) bool {
	seen := false
	for _, l := range listeners {
		if l.Port == port && l.Protocol != "udp" {
			seen = true
			if !local(l) {
				return false
			}
		}
	}
	return seen
}

// fromNamedHosts tells whether sshd itself asks where each user comes from:
// AllowUsers name@host.
func fromNamedHosts(s facts.SSH) bool {
	users := s.Settings["allowusers"]
	return len(users) > 0 && !slices.ContainsFunc(users, func(user string) bool {
		_, host, found := strings.Cut(user, "@")
		return !found || host == "*" || everybody(host)
	})
}

// sshSources are the ways through the packet filter to SSH from networks that
// are not declared, or from everywhere.
func sshSources(s facts.Server, port int) []model.Evidence {
	subject := "tcp/" + strconv.Itoa(port)
	declared := s.Declared.SSHNetworks
	want := "from ssh_networks of rocca.yaml only"
	if len(declared) > 0 {
		want = "from " + strings.Join(declared, ", ") + " only"
	}
	var found []model.Evidence
	for family, version := range map[string]string{"ip": "IPv4", "ip6": "IPv6"} {
		wide := []string{version + ": the filter does not ask from where"}
		for _, chain := range chainsOf(s.Firewall, family, "input") {
			if !dropsRest(chain) {
				continue
			}
			if wide = tooWide(chain, port, declared); len(wide) == 0 {
				break
			}
		}
		for _, have := range wide {
			found = append(found, model.Evidence{Subject: subject, Have: have, Want: want})
		}
	}
	return found
}

// tooWide are the rules of a chain that let a port be reached from everywhere,
// or from networks beyond those declared.
func tooWide(c facts.Chain, port int, declared []string) []string {
	var wide []string
	for _, r := range c.Rules {
		ports := portsOf(r)
		if r.Verdict != "accept" || known(r) || inward(r, r.Sources) || len(ports) > 0 && !slices.Contains(ports, port) || r.Protocol != "" && r.Protocol != "tcp" {
			continue
		}
		if len(r.Sources) == 0 || slices.ContainsFunc(r.Sources, func(source string) bool {
			return everybody(source) || len(declared) > 0 && !inside(source, declared)
		}) {
			wide = append(wide, r.Text)
		}
	}
	return wide
}
