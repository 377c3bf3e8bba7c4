package control

import (
	"slices"
	"strconv"
	"strings"

	"rocca/internal/facts"
	"rocca/internal/model"
)

var iso004 = Control{
	ID:       "ISO-04",
	Title:    "a FastCGI port of Matomo lets only the user of the front connect",
	Why:      "A port cannot tell users apart: every program on the machine may connect and run code as the pool. Where it has to be TCP, only the packet filter can ask who opened the connection.",
	Severity: model.High,
	Needs:    []facts.Section{facts.Runtime, facts.Filter, facts.Web, facts.App},
	Eval: func(v *View) Verdict {
		pools := slices.DeleteFunc(fastCGI(v.Server), func(p facts.Pool) bool { return !onPort(p) })
		if len(pools) == 0 {
			return notApplicable("no pool of Matomo listens on TCP")
		}
		var found []model.Evidence
		for _, pool := range pools {
			e := model.Evidence{Subject: pool.File, Line: pool.Line}
			address, port := splitListen(pool.Listen)
			if !loopback(address) {
				e.Have, e.Want = "listens on "+pool.Listen, "127.0.0.1"
				found = append(found, e)
			}
			clients := strings.FieldsFunc(pool.Clients, func(r rune) bool { return r == ',' || r == ' ' })
			if len(clients) == 0 || slices.ContainsFunc(clients, func(c string) bool { return !loopback(c) }) {
				e.Have, e.Want = "listen.allowed_clients = "+pool.Clients, "127.0.0.1"
				found = append(found, e)
			}
			if !guarded(v.Server, address, port) {
				e.Have, e.Want = "every user may connect to "+pool.Listen, "a rule of nft: meta skuid != "+v.Front.User+" tcp dport "+strconv.Itoa(port)+" reject, or a Unix socket (ISO-03)"
				found = append(found, e)
			}
		}
		return conclude(found, nil)
	},
	Fix:    automatic("use a Unix socket (ISO-03). Where that cannot be: nft add rule inet filter output meta skuid != { root, www-data } tcp dport PORT reject", unitSteps...),
	Attack: "A01",
	Maps:   []model.Ref{s2("20"), s2("21")},
	Since:  "0.3",
}

// splitListen reads the address and port of a pool: "9000" is all addresses.
func splitListen(listen string) (address string, port int) {
	text := listen
	if i := strings.LastIndexByte(listen, ':'); i >= 0 {
		address, text = strings.Trim(listen[:i], "[]"), listen[i+1:]
	}
	port, _ = strconv.Atoi(text)
	return address, port
}

// guarded tells whether an output chain refuses connections to a port from all
// users but root and the front.
func guarded(s facts.Server, address string, port int) bool {
	family := "ip"
	if strings.Contains(address, ":") {
		family = "ip6"
	}
	front := func(users []string) bool {
		return len(users) > 0 && !slices.ContainsFunc(users, func(u string) bool { return u != "root" && u != s.Front.User })
	}
	for _, chain := range chainsOf(s.Firewall, family, "output") {
		for _, r := range chain.Rules {
			if ports := portsOf(r); known(r) || len(ports) > 0 && !slices.Contains(ports, port) || r.Protocol != "" && r.Protocol != "tcp" {
				continue
			}
			refuses, others := r.Verdict == "drop" || r.Verdict == "reject", strings.Contains(r.Text, "skuid !=")
			if refuses && (len(r.Users) == 0 || others && front(r.Users)) {
				return true
			}
			if r.Verdict == "accept" && !(front(r.Users) && !others) {
				break // others are let through
			}
		}
	}
	return false
}
