package prove

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"rocca/internal/facts"
	"rocca/internal/model"
	"rocca/internal/run"
)

var a15 = Attack{
	ID:    "A15",
	Title: "PHP connects to the outside",
	How: "Each pool of Matomo sends to addresses that are nobody's (RFC 5737, RFC 3849), by TCP and UDP, with each way that PHP has, and asks for a name where none is needed; the users of the pools do so outside of their units, too, as their timers run. " +
		"Behind the packet filter it is seen what leaves the machine. Root sends first: what it sends must leave. On a throw-away server without a way out, one is made that ends in an empty network. " +
		"A pool that is the tracker's alone also tries a socket without a name in the file system, which belongs to the network.",
	Risk:    "none: some packets to addresses that nobody has, where they are let out",
	Without: []Protection{outboundFilter, privateNetwork},
	Attempt: attemptOutbound,
}

var outboundFilter = Protection{
	ID:    "outbound-filter",
	Title: "the packet filter refuses what Matomo's users send to other machines",
	Part:  NetworkPart,
	Remove: `sed -i '/meta skuid/d' /etc/rocca/firewall.nft
systemctl reload rocca-firewall.service`,
	Controls: []string{"HST-07"},
}

var privateNetwork = Protection{
	ID:       "unit-private-network",
	Title:    "the tracker's unit has a network of its own, with nothing in it",
	Part:     TrackerUnit,
	Remove:   withoutOption("tracker", "PrivateNetwork=no"),
	Controls: []string{"ISO-11"},
}

var (
	nobodysNetwork  = netip.MustParsePrefix("192.0.2.0/24")
	nobodysNetwork6 = netip.MustParsePrefix("2001:db8:15::/64")
)

// nobodys is an address that nobody has; each try has one of its own, so that
// what leaves tells which try sent it.
func nobodys(network netip.Prefix, n int) netip.Addr {
	a := network.Addr().AsSlice()
	a[len(a)-1] = byte(n)
	address, _ := netip.AddrFromSlice(a)
	return address
}

// sending is a way to send with PHP. $to is the address, and what is returned
// shows that it was sent to (a filter refuses at once; what is let out has no
// answer).
type sending struct {
	what, php string
	port      int
	six       bool
}

// letOut tells in PHP whether a connection was refused: one that was let out
// hangs, as nobody answers.
const letOut = `return $s ? 'connected' : (preg_match('/timed? ?out/i', $e) ? $e : '');`

var sendings = []sending{
	{what: "connect by stream_socket_client", port: 443, php: `$s = stream_socket_client("tcp://$to:443", $n, $e, 0.3); error_clear_last(); trigger_error($e, E_USER_NOTICE); ` + letOut},
	{what: "connect by fsockopen", port: 443, php: `$s = fsockopen($to, 443, $n, $e, 0.3); error_clear_last(); trigger_error($e, E_USER_NOTICE); ` + letOut},
	{what: "connect by curl", port: 443, php: `$c = curl_init("http://$to:443/"); curl_setopt($c, CURLOPT_CONNECTTIMEOUT_MS, 300); curl_setopt($c, CURLOPT_RETURNTRANSFER, true); $s = curl_exec($c); $e = curl_error($c); trigger_error($e, E_USER_NOTICE); ` + letOut},
	{what: "connect by socket_create", port: 443, php: `$s = socket_create(AF_INET, SOCK_STREAM, SOL_TCP); socket_set_option($s, SOL_SOCKET, SO_SNDTIMEO, ["sec" => 0, "usec" => 300000]); $s = socket_connect($s, $to, 443); return $s ? 'connected' : (in_array(socket_last_error(), [11, 110, 115]) ? 'timed out' : '');`},
	{what: "connect by the database client", port: 3306, php: `try { new PDO("mysql:host=$to", 'x', '', [PDO::ATTR_TIMEOUT => 1]); return 'connected'; } catch (PDOException $p) { trigger_error($p->getMessage(), E_USER_NOTICE); return strpos($p->getMessage(), 'timed out') ? $p->getMessage() : ''; }`},
	{what: "send a query of DNS", port: 53, php: `$s = stream_socket_client("udp://$to:53", $n, $e, 0.3); if (!$s) { return ''; } fwrite($s, "\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x07example\0\0\x01\0\x01"); usleep(20000); return fwrite($s, "\0") ? 'sent' : '';`},
	{what: "send by UDP", port: 443, php: `$s = stream_socket_client("udp://$to:443", $n, $e, 0.3); if (!$s) { return ''; } fwrite($s, 'rocca-prove'); usleep(20000); return fwrite($s, "\0") ? 'sent' : '';`},
	{what: "connect by IPv6", port: 443, six: true, php: `$s = stream_socket_client("tcp://[$to]:443", $n, $e, 0.3); error_clear_last(); trigger_error($e, E_USER_NOTICE); ` + letOut},
}

func attemptOutbound(ctx context.Context, t *Target, r *Record) (err error) {
	w, err := openWire()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	if err := w.wayOut(ctx, t, nobodysNetwork); err != nil {
		return err
	}
	six := w.wayOut(ctx, t, nobodysNetwork6) == nil // many servers have none
	n := 1
	for _, pool := range t.MatomoPools() {
		if n, err = t.sendByPHP(ctx, r, w, pool, n, six); err != nil {
			return err
		}
		if pool.Role == "tracker" && pool.Listen != "" {
			if err := t.connectNameless(ctx, r, pool); err != nil {
				return err
			}
		}
	}
	for _, name := range t.poolUsers() {
		n++
		if err := t.sendAs(r, w, name, netip.AddrPortFrom(nobodys(nobodysNetwork, n), 443)); err != nil {
			return err
		}
	}
	return nil
}

// sendByPHP has a pool send in each way, from the n-th address on.
func (t *Target) sendByPHP(ctx context.Context, r *Record, w *wire, pool facts.Pool, n int, six bool) (int, error) {
	var deeds []deed
	var to []netip.Addr
	for _, s := range sendings {
		if s.six && !six {
			continue
		}
		n++
		network, again := nobodysNetwork, nobodys(nobodysNetwork, 250)
		if s.six {
			network, again = nobodysNetwork6, nobodys(nobodysNetwork6, 250)
		}
		address := nobodys(network, n)
		to = append(to, address)
		deeds = append(deeds, deed{
			What: s.what, Where: netip.AddrPortFrom(address, uint16(s.port)).String(),
			PHP: "$to = '" + address.String() + "'; " + s.php, Again: "$to = '" + again.String() + "'; " + s.php,
			Setup: wayOutAgain(again), Cleanup: wayOutEnds,
		})
	}
	name := Canary() + ".example"
	asks := len(t.Declared.Outbound) == 0 && resolves()
	if asks {
		deeds = append(deeds, deed{
			What: "ask for a name", Where: "resolver of this machine", PHP: "return gethostbyname('" + name + "');",
			Again: "return checkdnsrr('example.com.', 'NS') ? 'an answer from outside' : '';",
			Note:  "no host is declared (outbound: in rocca.yaml), so there is no name to ask for; a query carries data out",
		})
	}
	all, packets, err := t.inPoolWatched(ctx, w, pool, deeds)
	if err != nil {
		return n, err
	}
	for i, d := range deeds {
		told := all[i]
		at := slices.IndexFunc(packets, func(p packet) bool {
			if i < len(to) {
				return p.To == to[i]
			}
			return bytes.Contains(p.Content, []byte(name[:len(name)-len(".example")]))
		})
		told.Got = ""
		if at >= 0 {
			told.Got = fmt.Sprintf("a packet to %s left, % x", packets[at].To, packets[at].head())
		} else if told.Why == "" {
			told.Why = "nothing left this machine"
		}
		r.Try(t.tried(pool, d, told))
	}
	return n, nil
}

// inPoolWatched has a pool try deeds, and gives the packets that left meanwhile.
func (t *Target) inPoolWatched(ctx context.Context, w *wire, pool facts.Pool, deeds []deed) ([]done, []packet, error) {
	if _, err := w.left(); err != nil {
		return nil, nil, err
	}
	all, err := t.inPool(ctx, pool, deeds)
	if err != nil {
		return nil, nil, err
	}
	packets, err := w.left()
	return all, packets, err
}

// resolves tells whether this machine asks anybody for names.
func resolves() bool {
	text, err := os.ReadFile("/etc/resolv.conf")
	return err == nil && strings.Contains("\n"+string(text), "\nnameserver ")
}

// sendAs connects as a user outside of its unit, as its timers do.
func (t *Target) sendAs(r *Record, w *wire, name string, to netip.AddrPort) error {
	refused := As(name, func() error {
		conn, err := net.DialTimeout("tcp", to.String(), 300*time.Millisecond)
		if err != nil {
			return err
		}
		return conn.Close()
	})
	packets, err := w.left()
	if err != nil {
		return err
	}
	try := model.Try{Who: "user " + name, What: "connect, as its timers could", Where: to.String(), Sent: "SYN"}
	if refused != nil {
		try.Answer = refused.Error()
	}
	if at := slices.IndexFunc(packets, func(p packet) bool { return p.To == to.Addr() }); at >= 0 {
		try.Fell, try.Answer = true, fmt.Sprintf("a packet to %s left, % x", to.Addr(), packets[at].head())
		code := `$s=stream_socket_client("tcp://` + to.String() + `",$n,$e,0.3);echo $e;exit($s||strpos($e,"timed out")!==false?0:1);`
		connect := run.Quote(AsCommand(name, run.Command{Argv: []string{"php", "-n", "-r", code}}).Argv)
		try.Reproduce = tidily([]string{wayOutAgain(to.Addr())}, connect, wayOutEnds)
	}
	r.Try(try)
	return nil
}

// wayOutAgain makes, where there is no way to an address, an interface that
// takes what is sent there.
func wayOutAgain(to netip.Addr) string {
	own := nobodys(netip.PrefixFrom(to, to.BitLen()), 253)
	length, nodad := "/24", ""
	if to.Is6() {
		length, nodad = "/64", " nodad"
	}
	return "ip route get " + to.String() + " >/dev/null 2>&1 || { ip link add rpagain type veth peer name rpother; ip link set rpother up; ip link set rpagain arp off up; ip address add " + own.String() + length + " dev rpagain" + nodad + "; }"
}

const wayOutEnds = "ip link delete rpagain 2>/dev/null"

// connectNameless has the tracker's pool connect to a socket in the abstract
// namespace, which is a part of the network (unix(7)).
func (t *Target) connectNameless(ctx context.Context, r *Record, pool facts.Pool) error {
	name := Canary()
	listener, err := net.Listen("unix", "@"+name)
	if err != nil {
		return fmt.Errorf("listen on a socket without a name in the file system: %w", err)
	}
	defer listener.Close()
	connect := func(name string) string {
		return `return stream_socket_client("unix://\0` + name + `", $n, $e, 1) ? 'connected' : '';`
	}
	listen := `$s=stream_socket_server("unix://\0` + canaryAgain + `");sleep(9);`
	return t.tryInPool(ctx, r, pool, []deed{{
		What: "connect to a socket of the network of this machine", Where: "abstract socket @" + name, PHP: connect(name),
		Again: connect(canaryAgain), Setup: "php -n -r " + shellWord(listen) + " & sleep 0.5", Cleanup: "kill $!",
	}})
}
