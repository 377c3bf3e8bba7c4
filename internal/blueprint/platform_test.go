package blueprint

import (
	"errors"
	"strings"
	"testing"

	"rocca/internal/config"
	"rocca/internal/facts"
)

// What others reach must not be closed behind their back; what was declared, or
// is SSH or the front, is not in question.
func TestPreflightTellsWhatTheFirewallWouldClose(t *testing.T) {
	listen := func(protocol, address string, port int, program string) facts.Listener {
		return facts.Listener{Protocol: protocol, Address: address, Port: port, Program: program}
	}
	for _, c := range []struct {
		name string
		edit func(*Input)
		seen []facts.Listener
		want string // empty: nothing
	}{
		{"a mail server on two addresses", nil, []facts.Listener{listen("", "0.0.0.0", 25, "master"), listen("", "::", 25, "master")}, "others reach tcp/25 (master) on this server"},
		{"two programs", nil, []facts.Listener{listen("tcp", "192.0.2.1", 25, "master"), listen("", "::", 5432, "postgres")}, "ports: [tcp/25, tcp/5432] in the configuration"},
		{"declared", func(in *Input) { in.Config.Ports = []string{"tcp/25"} }, []facts.Listener{listen("", "0.0.0.0", 25, "master")}, ""},
		{"loopback", nil, []facts.Listener{listen("", "127.0.0.1", 25, "master"), listen("", "::1", 25, "master")}, ""},
		{"udp", nil, []facts.Listener{listen("udp", "0.0.0.0", 68, "dhclient")}, ""},
		{"SSH and the front", func(in *Input) { in.SSH.Ports = []int{2222} }, []facts.Listener{listen("", "0.0.0.0", 2222, "sshd"), listen("", "::", 443, "nginx")}, ""},
		{"no packet filter", func(in *Input) { in.Config.Hardening.Firewall = false }, []facts.Listener{listen("", "0.0.0.0", 25, "master")}, ""},
	} {
		in := Input{Config: config.Defaults{Hostname: "stats.example.org"}.Config(), Debian: 12, PHP: "8.2"}
		if c.edit != nil {
			c.edit(&in)
		}
		got := errors.Join(Preflight(in, facts.Server{Listeners: c.seen, FreeBytes: 1 << 40})...)
		switch {
		case c.want == "" && got != nil:
			t.Errorf("%s: %v", c.name, got)
		case c.want != "" && (got == nil || !strings.Contains(got.Error(), c.want)):
			t.Errorf("%s: %v, want %q", c.name, got, c.want)
		}
	}
}
