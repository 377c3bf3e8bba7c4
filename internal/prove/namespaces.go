package prove

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"rocca/internal/run"
)

// withOwnMounts is a program of sh that has mounts of its own: what it mounts is
// seen by nobody else, and is gone when it ends, however it does.
func withOwnMounts(script string, args ...string) run.Command {
	return run.Command{Argv: append([]string{"unshare", "--mount", "--propagation", "private", "--", "sh", "-euc", script, "sh"}, args...)}
}

// outside is another network, with one cable to this machine.
type outside struct {
	// Here are this machine's addresses at the cable, and There are the others
	// that it is asked from: one of IPv4 and one of IPv6 each.
	Here, There []net.IP

	namespace *os.File
}

// Networks that are nobody's (RFC 5737, RFC 3849).
var (
	hereAtCable  = []net.IP{net.IPv4(198, 51, 100, 1), net.ParseIP("2001:db8:7000::1")}
	thereAtCable = []net.IP{net.IPv4(198, 51, 100, 2), net.ParseIP("2001:db8:7000::2")}
)

// openOutside makes a network that is connected to this machine alone. It is
// gone when the attack ends; on the way this machine has one more interface.
func (t *Target) openOutside(ctx context.Context) (*outside, error) {
	o := &outside{Here: hereAtCable, There: thereAtCable}
	made, end := make(chan error), make(chan struct{})
	defer close(end)
	var thread int
	go func() {
		runtime.LockOSThread() // for good: the thread is thrown away with the network
		err := unix.Unshare(unix.CLONE_NEWNET)
		if err == nil {
			o.namespace, err = os.Open("/proc/thread-self/ns/net")
		}
		thread = unix.Gettid()
		made <- err
		<-end // the name of the network for ip(8), while the cable is made
	}()
	if err := <-made; err != nil {
		return nil, fmt.Errorf("make a network outside: %w", err)
	}
	cable := "rp" + Canary()[len("rocca-prove-"):]
	if err := t.AfterwardsRun("sh", "-c", "ip link delete "+cable+" 2>/dev/null || [ ! -e /sys/class/net/"+cable+" ]"); err != nil {
		return nil, errors.Join(err, o.Close())
	}
	commands := [][]string{{"ip", "link", "add", cable, "type", "veth", "peer", "name", "outside", "netns", strconv.Itoa(thread)}}
	for i, length := range []string{"/30", "/64"} {
		// Without "nodad" an address of IPv6 is of no use for two seconds.
		commands = append(commands,
			nodad("ip", "address", "add", o.Here[i].String()+length, "dev", cable),
			o.inside(nodad("ip", "address", "add", o.There[i].String()+length, "dev", "outside")...))
	}
	commands = append(commands, []string{"ip", "link", "set", cable, "up"}, o.inside("ip", "link", "set", "outside", "up"))
	for _, argv := range commands {
		if _, err := run.Do(ctx, run.Command{Argv: argv}); err != nil {
			return nil, errors.Join(fmt.Errorf("make a network outside: %w", err), o.Close())
		}
	}
	return o, nil
}

func nodad(argv ...string) []string {
	if strings.Contains(strings.Join(argv, " "), ":") {
		return append(argv, "nodad")
	}
	return argv
}

// inside is a command that runs in the other network.
func (o *outside) inside(argv ...string) []string {
	return append([]string{"nsenter", fmt.Sprintf("--net=/proc/%d/fd/%d", os.Getpid(), o.namespace.Fd()), "--"}, argv...)
}

// Dial connects from outside: as net.DialTimeout, to a literal address.
func (o *outside) Dial(network, address string, patience time.Duration) (net.Conn, error) {
	type dialed struct {
		conn net.Conn
		err  error
	}
	done := make(chan dialed)
	go func() {
		runtime.LockOSThread() // never unlocked, as the thread is in the other network now
		err := unix.Setns(int(o.namespace.Fd()), unix.CLONE_NEWNET)
		if err != nil {
			done <- dialed{nil, fmt.Errorf("enter the network outside: %w", err)}
			return
		}
		conn, err := net.DialTimeout(network, address, patience)
		done <- dialed{conn, err}
	}()
	got := <-done
	return got.conn, got.err
}

// Close gives the network up. The cable goes with the traces of the attack.
func (o *outside) Close() error { return o.namespace.Close() }
