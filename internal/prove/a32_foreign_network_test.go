package prove

import (
	"net"
	"testing"

	"rocca/internal/facts"
)

func TestMayReach(t *testing.T) {
	server := facts.Server{
		Front: facts.Front{Sites: []facts.Site{{Matomo: true, Listens: []facts.Listen{{Port: 8443}}}, {Listens: []facts.Listen{{Port: 9999}}}}},
	}
	server.Declared.Ports = []string{"tcp/25"}
	declared := server
	declared.Declared.SSHNetworks = []string{"192.0.2.0/24", "2001:db8:1::/48"}
	outside := net.IPv4(198, 51, 100, 2)
	for _, test := range []struct {
		server facts.Server
		door   door
		from   net.IP
		may    bool
	}{
		{server, door{"tcp", 443, "nginx"}, outside, true},
		{server, door{"tcp", 8443, "nginx"}, outside, true},
		{server, door{"tcp", 9999, "nginx"}, outside, false},
		{server, door{"tcp", 25, "exim4"}, outside, true},
		{server, door{"udp", 25, "exim4"}, outside, false},
		{server, door{"udp", 443, "nginx"}, outside, false},
		{server, door{"tcp", 3306, "mariadbd"}, outside, false},
		{server, door{"tcp", 2222, "sshd"}, outside, true},
		{declared, door{"tcp", 2222, "sshd"}, outside, false},
		{declared, door{"tcp", 2222, "sshd"}, net.IPv4(192, 0, 2, 7), true},
		{declared, door{"tcp", 2222, "sshd"}, net.ParseIP("2001:db8:1::7"), true},
		{declared, door{"tcp", 2222, "sshd"}, net.ParseIP("2001:db8:7000::2"), false},
	} {
		if got := mayReach(test.server, test.door, test.from); got != test.may {
			t.Errorf("%+v from %s: %v", test.door, test.from, got)
		}
	}
}
