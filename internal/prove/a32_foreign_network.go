package prove

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"rocca/internal/facts"
	"rocca/internal/model"
)

var a32 = Attack{
	ID:    "A32",
	Title: "somebody connects from a network that must not reach",
	How: `Makes another network beside the server, with a cable to it, and connects from there, by IPv4 and IPv6, to every port that a program of the server listens on, also to those bound to loopback, and to a port that the attack itself opens on all addresses, as a program would that somebody starts tomorrow. Only the front, SSH and declared ports may answer; SSH only to the networks that it is declared for.
That the front can be reached shows that the cable works.`,
	Risk:    "an interface more, so it is made on throw-away servers only",
	Without: []Protection{packetFilter},
	Applies: func(t *Target) string {
		if !t.Throwaway {
			return "only from another network can be seen what answers there; that is tried on throw-away servers, and of a server in AWS by rocca aws verify"
		}
		return ""
	},
	Attempt: connectFromOutside,
}

var packetFilter = Protection{
	ID:       "packet-filter",
	Title:    "the packet filter refuses what is not declared",
	Part:     NetworkPart,
	Remove:   `systemctl disable --quiet --now rocca-firewall.service`,
	Controls: []string{"HST-06"},
}

// door is a port of the server that somebody may try.
type door struct {
	protocol string // "tcp", "udp"
	port     int
	who      string // that listens
}

// connectPatience is how long a packet may take on a cable within a machine. Of
// doors that are shut nothing is heard.
const connectPatience = 700 * time.Millisecond

func connectFromOutside(ctx context.Context, t *Target, r *Record) error {
	const tomorrow = "a program that was started just now"
	tcp, err := net.Listen("tcp", ":0") //nolint:gosec // on all addresses, which is the point
	if err != nil {
		return fmt.Errorf("open a port: %w", err)
	}
	defer tcp.Close()
	udp, err := net.ListenPacket("udp", ":0")
	if err != nil {
		return fmt.Errorf("open a port: %w", err)
	}
	defer func() { _ = udp.Close() }()
	go echo(udp)
	doors := doorsOf(t.Server)
	doors = append(doors,
		door{"tcp", tcp.Addr().(*net.TCPAddr).Port, tomorrow},
		door{"udp", udp.LocalAddr().(*net.UDPAddr).Port, tomorrow})

	o, err := t.openOutside(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = o.Close() }()
	if err := t.reachedFromOutside(o); err != nil {
		return err
	}
	type knock struct {
		door
		here, there net.IP
		answer      string
		opened      bool
		done        chan struct{}
	}
	var knocks []*knock
	for _, d := range doors {
		for i, here := range o.Here {
			if mayReach(t.Server, d, o.There[i]) {
				continue
			}
			k := &knock{door: d, here: here, there: o.There[i], done: make(chan struct{})}
			knocks = append(knocks, k)
			go func() {
				defer close(k.done)
				k.answer, k.opened = o.knock(k.protocol, net.JoinHostPort(k.here.String(), strconv.Itoa(k.port)))
			}()
		}
	}
	for _, k := range knocks {
		<-k.done
		try := model.Try{Who: "another network, " + k.there.String(), What: "connect to " + k.who,
			Where: fmt.Sprintf("%s port %d at %s", k.protocol, k.port, k.here), Answer: k.answer, Fell: k.opened}
		if k.opened {
			try.Reproduce = connectAgain(k.door, k.who == tomorrow)
		}
		r.Try(try)
	}
	return nil
}

// echo answers each datagram with itself.
func echo(on net.PacketConn) {
	buffer := make([]byte, 64)
	for {
		n, from, err := on.ReadFrom(buffer)
		if err != nil {
			return // it was closed
		}
		_, _ = on.WriteTo(buffer[:n], from)
	}
}

// doorsOf are the ports that somebody listens on, each once. What speaks UDP
// answers nobody who does not speak its protocol: of those only a canary tells.
func doorsOf(s facts.Server) []door {
	var doors []door
	for _, l := range s.Listeners {
		d := door{"tcp", l.Port, l.Program}
		if l.Protocol != "udp" && l.Port != 0 && !slices.ContainsFunc(doors, func(known door) bool { return known.port == d.port }) {
			doors = append(doors, d)
		}
	}
	return doors
}

// mayReach tells whether a door is meant for who comes from an address.
func mayReach(s facts.Server, d door, from net.IP) bool {
	if slices.Contains(s.Declared.Ports, fmt.Sprintf("%s/%d", d.protocol, d.port)) {
		return true
	}
	if d.protocol != "tcp" {
		return false
	}
	front := d.port == 80 || d.port == 443
	for _, site := range s.MatomoSites() {
		front = front || slices.ContainsFunc(site.Listens, func(l facts.Listen) bool { return l.Port == d.port })
	}
	return front || d.who == "sshd" && (len(s.Declared.SSHNetworks) == 0 || inAny(s.Declared.SSHNetworks, from))
}

func inAny(networks []string, ip net.IP) bool {
	address, _ := netip.AddrFromSlice(ip)
	return slices.ContainsFunc(networks, func(text string) bool {
		network, err := netip.ParsePrefix(text)
		return err == nil && network.Contains(address.Unmap())
	})
}

// knock tries one door.
func (o *outside) knock(protocol, address string) (answer string, opened bool) {
	conn, err := o.Dial(protocol, address, connectPatience)
	if err != nil {
		return err.Error(), false
	}
	defer conn.Close()
	if protocol == "tcp" {
		return "connected", true
	}
	err = conn.SetDeadline(time.Now().Add(connectPatience))
	if err == nil {
		_, err = conn.Write([]byte("rocca-prove"))
	}
	if err == nil {
		_, err = conn.Read(make([]byte, 64))
	}
	if err != nil {
		return err.Error(), false
	}
	return "answered", true
}

// reachedFromOutside makes sure that packets come through the cable: the front
// answers, or this machine says that nothing listens there.
func (t *Target) reachedFromOutside(o *outside) error {
	_, port, err := net.SplitHostPort(t.FrontAddress(false))
	if err != nil {
		return fmt.Errorf("connect from outside: find the front: %w", err)
	}
	var problems []error
	for _, here := range o.Here {
		conn, err := o.Dial("tcp", net.JoinHostPort(here.String(), port), connectPatience)
		if err == nil {
			return conn.Close()
		}
		if errors.Is(err, unix.ECONNREFUSED) {
			return nil
		}
		problems = append(problems, err)
	}
	return fmt.Errorf("connect from outside: the front cannot be reached either: %w", errors.Join(problems...))
}

// connectAgain opens a port where that is needed, makes a network outside, and
// ends with 0 when the port can be reached from there.
func connectAgain(d door, open bool) string {
	serve, port := "", d.port
	if open {
		port = 40999
		serve = `php -n -r '$s = stream_socket_server("tcp://0.0.0.0:40999"); @stream_socket_accept($s, 5);' & `
	}
	return serve + fmt.Sprintf(`ip netns add rp; ip link add rp0 type veth peer name rp1 netns rp; ip address add %[1]s/30 dev rp0; ip link set rp0 up; ip -n rp address add %[2]s/30 dev rp1; ip -n rp link set rp1 up; sleep 1; ip netns exec rp timeout 2 bash -c 'exec 3<>/dev/tcp/%[1]s/%[3]d && echo connected'; r=$?; ip netns delete rp; ip link delete rp0 2>/dev/null; (exit $r)`,
		hereAtCable[0], thereAtCable[0], port)
}
