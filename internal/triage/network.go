package triage

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Socket is a TCP or UDP socket in any state.
type Socket struct {
	Protocol string `json:"protocol"` // "tcp", "udp"
	Here     string `json:"local"`    // address with port
	Remote   string `json:"remote"`
	State    string `json:"state"` // "established", "listen" ...
	User     string `json:"user"`
	PID      int    `json:"pid,omitempty"` // first that has it; 0: none that could be found
	Process  string `json:"process,omitempty"`
	NetNS    string `json:"net_ns,omitempty"` // when not that of PID 1
}

// Local tells whether both ends are on this machine.
func (s Socket) Local() bool {
	remote, err := netip.ParseAddrPort(s.Remote)
	return err != nil || remote.Addr().Unmap().IsLoopback() || remote.Addr().IsUnspecified()
}

// states of a TCP socket (include/net/tcp_states.h).
var states = map[string]string{"01": "established", "02": "syn sent", "03": "syn received", "04": "fin wait 1", "05": "fin wait 2",
	"06": "time wait", "07": "closed", "08": "close wait", "09": "last ack", "0A": "listen", "0B": "closing"}

// socketLimit bounds the list.
const socketLimit = 20000

// sockets reads those of every network namespace that a process is in.
func (c *collector) sockets(context.Context) error {
	holders := map[string]Process{}
	spaces := map[string]int{} // namespace to one PID in it
	for _, p := range c.doc.Processes {
		if _, seen := spaces[p.NetNS]; !seen && !p.Kernel {
			spaces[p.NetNS] = p.PID
		}
		for _, name := range p.Files {
			if inode, is := strings.CutPrefix(name, "socket:["); is {
				inode = strings.TrimSuffix(inode, "]")
				if _, held := holders[inode]; !held {
					holders[inode] = p
				}
			}
		}
	}
	var problems []error
	for space, pid := range spaces {
		for _, protocol := range []string{"tcp", "tcp6", "udp", "udp6"} {
			text, err := readSome(fmt.Sprintf("%s/proc/%d/net/%s", c.root, pid, protocol), 32<<20)
			if err != nil {
				if !errors.Is(err, os.ErrNotExist) {
					problems = append(problems, err)
				}
				continue
			}
			for _, s := range parseSockets(string(text), strings.TrimSuffix(protocol, "6")) {
				if len(c.doc.Sockets) == socketLimit {
					return fmt.Errorf("list sockets: more than %d", socketLimit)
				}
				s.NetNS, s.User = space, c.user(s.User)
				if holder, held := holders[s.inode]; held {
					s.PID, s.Process = holder.PID, holder.Name
				}
				c.doc.Sockets = append(c.doc.Sockets, s.Socket)
			}
		}
	}
	slices.SortStableFunc(c.doc.Sockets, func(a, b Socket) int {
		return strings.Compare(a.NetNS+a.Protocol+a.Here+a.Remote, b.NetNS+b.Protocol+b.Here+b.Remote)
	})
	return errors.Join(problems...)
}

type kernelSocket struct {
	Socket
	inode string
}

// parseSockets reads /proc/net/tcp and its like.
func parseSockets(text, protocol string) []kernelSocket {
	var all []kernelSocket
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) < 10 || !strings.HasSuffix(fields[0], ":") {
			continue
		}
		here, ok := kernelAddress(fields[1])
		remote, ok2 := kernelAddress(fields[2])
		if !ok || !ok2 {
			continue
		}
		state := states[fields[3]]
		if protocol == "udp" && fields[3] == "07" {
			state = "open"
		}
		all = append(all, kernelSocket{Socket{Protocol: protocol, Here: here.String(), Remote: remote.String(), State: state, User: fields[7]}, fields[9]})
	}
	return all
}

// kernelAddress reads "0100007F:0050": words of 32 bits in the order of the
// machine, which is little-endian on every Debian that rocca supports.
func kernelAddress(text string) (netip.AddrPort, bool) {
	address, port, found := strings.Cut(text, ":")
	raw, err := hex.DecodeString(address)
	number, err2 := strconv.ParseUint(port, 16, 16)
	if !found || err != nil || err2 != nil || len(raw) != 4 && len(raw) != 16 {
		return netip.AddrPort{}, false
	}
	for word := range slices.Chunk(raw, 4) {
		slices.Reverse(word)
	}
	parsed, _ := netip.AddrFromSlice(raw)
	return netip.AddrPortFrom(parsed.Unmap(), uint16(number)), true
}

// Login is a session, or an attempt at one.
type Login struct {
	Kind string    `json:"kind"` // "session", "ended", "failed", "boot"
	User string    `json:"user,omitempty"`
	Line string    `json:"line,omitempty"` // terminal
	From string    `json:"from,omitempty"`
	PID  int       `json:"pid,omitempty"`
	At   time.Time `json:"at"`
}

// loginLimit is how many of the last records of each file are taken.
const loginLimit = 500

// logins reads utmp(5): who is logged in, who was, and who tried.
func (c *collector) logins(context.Context) error {
	var problems []error
	for _, file := range []struct{ name, failed string }{{"/run/utmp", ""}, {"/var/log/wtmp", ""}, {"/var/log/btmp", "failed"}} {
		size := int64(loginLimit * recordSize())
		text, err := tail(string(c.root)+file.name, size, int64(recordSize()))
		if errors.Is(err, os.ErrNotExist) {
			continue // Debian 13 may have none
		}
		problems = append(problems, err)
		for _, l := range parseLogins(text, recordSize()) {
			if file.failed != "" {
				l.Kind = file.failed
			}
			c.doc.Logins = append(c.doc.Logins, l)
		}
	}
	return errors.Join(problems...)
}

// recordSize is that of utmp(5): on some machines its times have 64 bits.
func recordSize() int {
	if runtime.GOARCH == "arm64" {
		return 400
	}
	return 384
}

// parseLogins reads records of utmp(5).
func parseLogins(text []byte, size int) []Login {
	const boot, attempt, session, dead = 2, 6, 7, 8
	var all []Login
	for record := range slices.Chunk(text, size) {
		if len(record) < size {
			break
		}
		kind := map[uint16]string{session: "session", dead: "ended", boot: "boot", attempt: "failed"}[binary.LittleEndian.Uint16(record)]
		if kind == "" {
			continue
		}
		l := Login{Kind: kind, PID: int(int32(binary.LittleEndian.Uint32(record[4:]))), Line: cString(record[8:40]), User: cString(record[44:76]), From: cString(record[76:332])}
		seconds := int64(binary.LittleEndian.Uint32(record[340:]))
		if size == 400 {
			seconds = int64(binary.LittleEndian.Uint64(record[344:]))
		}
		l.At = time.Unix(seconds, 0).UTC()
		all = append(all, l)
	}
	return all
}

func cString(raw []byte) string {
	text, _, _ := bytes.Cut(raw, []byte{0})
	return printable(string(text))
}

// tail reads the last bytes of a file of records.
func tail(name string, limit, record int64) ([]byte, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if over := info.Size() - limit; over > 0 {
		if _, err := file.Seek(over-over%record, 0); err != nil {
			return nil, err
		}
	}
	text := make([]byte, min(limit, info.Size()))
	n, err := file.Read(text)
	if n == 0 && info.Size() == 0 {
		return nil, nil
	}
	return text[:n], err
}

// Connected lists who this machine has TCP connections with, by the tables of
// the kernel: addresses outside of it, sorted, each as often as it is connected.
func Connected() ([]netip.Addr, error) {
	var all []netip.Addr
	for _, name := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		text, err := readSome(name, 32<<20)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("list connections: %w", err)
		}
		for _, s := range parseSockets(string(text), "tcp") {
			if remote, err := netip.ParseAddrPort(s.Remote); err == nil && s.State == "established" && !s.Local() {
				all = append(all, remote.Addr())
			}
		}
	}
	slices.SortFunc(all, netip.Addr.Compare)
	return all, nil
}
