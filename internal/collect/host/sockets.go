package host

import (
	"fmt"
	"maps"
	"net"
	"path"
	"slices"
	"strconv"
	"strings"

	"rocca/internal/facts"
)

const systemd = 1 // its PID

// accepting is the flag of a socket that waits for connections (linux/net.h).
const accepting = 1 << 16

// unixSockets returns the sockets with a path that wait for connections, of
// every network namespace: a path is reached across them. "/var/run" is the
// link to "/run" that it is on every Debian.
func unixSockets(root Root, holders map[string]holder, running []facts.Process) ([]facts.Socket, error) {
	content, err := root.proc("net/unix")
	if err != nil {
		return nil, fmt.Errorf("list Unix sockets: %w", err)
	}
	byInode := parseUnixSockets(content)
	spaces := map[string]bool{}
	for _, p := range running {
		if p.NetNS == "" || spaces[p.NetNS] {
			continue
		}
		spaces[p.NetNS] = true
		content, err := root.proc(strconv.Itoa(p.PID) + "/net/unix")
		if err == nil {
			maps.Copy(byInode, parseUnixSockets(content))
		}
	}
	var found []facts.Socket
	for inode, name := range byInode {
		h := holders[inode]
		found = append(found, facts.Socket{Path: canonicalStream(name), Program: h.program, PID: h.pid})
	}
	slices.SortFunc(found, func(a, b facts.Socket) int {
		if order := strings.Compare(a.Path, b.Path); order != 0 {
			return order
		}
		return a.PID - b.PID
	})
	return found, nil
}

// parseUnixSockets reads /proc/net/unix: paths by inode. Names that are no path
// ("@name") are left out.
func parseUnixSockets(content string) map[string]string {
	found := map[string]string{}
	for line := range strings.Lines(content) {
		fields := strings.Fields(line)
		if len(fields) < 8 {
			continue
		}
		flags, err := strconv.ParseUint(fields[3], 16, 32)
		at := strings.IndexByte(line, '/')
		if err != nil || flags&accepting == 0 || at < 0 || fields[7][0] != '/' {
			continue
		}
		found[fields[6]] = strings.TrimSuffix(line[at:], "\n")
	}
	return found
}

// owners finds the unit of a listener or socket: of the process that holds it,
// or the socket unit that systemd has opened it for.
type owners struct {
	byPID   map[int]string
	streams map[string]string // unit by what it listens on
}

func newOwners(running []facts.Process, units map[string]facts.Unit) owners {
	o := owners{map[int]string{}, map[string]string{}}
	for _, p := range running {
		o.byPID[p.PID] = p.Unit
	}
	for _, name := range slices.Sorted(maps.Keys(units)) {
		for _, stream := range units[name].Streams {
			o.streams[canonicalStream(stream)] = name
		}
	}
	return o
}

// canonicalStream makes one text of what systemd and the kernel call a place:
// "/var/run/x" is "/run/x", "[::]:80" and "80" are port 80.
func canonicalStream(stream string) string {
	if strings.HasPrefix(stream, "/") {
		name := path.Clean(stream)
		if rest, old := strings.CutPrefix(name, "/var/run/"); old {
			return "/run/" + rest
		}
		return name
	}
	host, port, err := net.SplitHostPort(stream)
	if err != nil {
		return "port " + stream
	}
	if address := net.ParseIP(host); address == nil || address.IsUnspecified() {
		return "port " + port
	}
	return net.JoinHostPort(host, port)
}

func (o owners) ofListener(l facts.Listener) string {
	if l.PID == systemd {
		port := strconv.Itoa(l.Port)
		for _, stream := range []string{net.JoinHostPort(l.Address, port), "port " + port} {
			if unit := o.streams[stream]; unit != "" {
				return unit
			}
		}
	}
	return o.byPID[l.PID]
}

func (o owners) ofSocket(s facts.Socket) string {
	if unit := o.streams[s.Path]; s.PID == systemd && unit != "" {
		return unit
	}
	return o.byPID[s.PID]
}
