package host

import (
	"encoding/hex"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"

	"rocca/internal/facts"
)

// listeners reads the listening TCP sockets and the process that holds each.
func listeners() ([]facts.Listener, error) {
	found, err := internetSockets("/", "tcp", "tcp6")
	if err != nil {
		return nil, err
	}
	holders, err := socketHolders("/")
	if err != nil {
		return nil, err
	}
	return held(found, holders), nil
}

// listener is a Listener with the inode of its socket.
type listener struct {
	facts.Listener
	inode string
}

// internetSockets reads tables of sockets that anybody may connect or send to
// (proc(5), net/tcp and net/udp).
func internetSockets(root Root, tables ...string) ([]listener, error) {
	var found []listener
	for _, table := range tables {
		content, err := root.proc("net/" + table)
		if gone(err) {
			continue // no IPv6
		}
		if err != nil {
			return nil, fmt.Errorf("list listeners: %w", err)
		}
		protocol := ""
		if strings.HasPrefix(table, "udp") {
			protocol = "udp"
		}
		listed, err := parseSockets(content, protocol)
		if err != nil {
			return nil, fmt.Errorf("list listeners: %w", err)
		}
		found = append(found, listed...)
	}
	return found, nil
}

// parseSockets reads a table of the kernel. A TCP socket listens in state
// TCP_LISTEN; a UDP socket that has no peer is in TCP_CLOSE (net/tcp_states.h).
func parseSockets(content, protocol string) ([]listener, error) {
	waiting := "0A"
	if protocol == "udp" {
		waiting = "07"
	}
	var found []listener
	for line := range strings.Lines(content) {
		fields := strings.Fields(line)
		if len(fields) < 10 || fields[3] != waiting {
			continue
		}
		address, port, err := parseEndpoint(fields[1])
		if err != nil {
			return nil, err
		}
		if port != 0 {
			found = append(found, listener{facts.Listener{Protocol: protocol, Address: address, Port: port}, fields[9]})
		}
	}
	return found, nil
}

// held completes listeners by who holds them, sorted by port.
func held(found []listener, holders map[string]holder) []facts.Listener {
	var all []facts.Listener
	for _, l := range found {
		if h, known := holders[l.inode]; known {
			l.PID, l.Program = h.pid, h.program
		}
		all = append(all, l.Listener)
	}
	slices.SortFunc(all, func(a, b facts.Listener) int {
		if a.Port != b.Port {
			return a.Port - b.Port
		}
		if order := strings.Compare(a.Protocol, b.Protocol); order != 0 {
			return order
		}
		return strings.Compare(a.Address, b.Address)
	})
	return slices.Compact(all) // several sockets of one server may share a port
}

// parseEndpoint reads "0100007F:0050": the address in words of four bytes in
// the machine's order (little endian on all that Debian calls amd64 and arm64).
func parseEndpoint(text string) (address string, port int, err error) {
	hexAddress, hexPort, _ := strings.Cut(text, ":")
	raw, err := hex.DecodeString(hexAddress)
	if err != nil || len(raw) != net.IPv4len && len(raw) != net.IPv6len {
		return "", 0, fmt.Errorf("read endpoint %q", text)
	}
	for word := range slices.Chunk(raw, 4) {
		slices.Reverse(word)
	}
	number, err := strconv.ParseUint(hexPort, 16, 16)
	return net.IP(raw).String(), int(number), err
}

// holder is the process that holds a socket open.
type holder struct {
	pid     int
	program string
}

// socketHolders finds the first process that holds each socket, by inode: of a
// server with workers that is the master, of a socket that systemd has opened
// it is systemd. A process that ends meanwhile is passed over.
func socketHolders(root Root) (map[string]holder, error) {
	all, err := pids(root)
	if err != nil {
		return nil, fmt.Errorf("find who listens: %w", err)
	}
	found := map[string]holder{}
	for _, pid := range all {
		dir := strconv.Itoa(pid)
		files, err := root.list("/proc/" + dir + "/fd")
		if err != nil {
			continue
		}
		var program string
		for _, file := range files {
			target, err := root.procLink(dir + "/fd/" + file)
			inode, isSocket := strings.CutPrefix(target, "socket:[")
			inode = strings.TrimSuffix(inode, "]")
			if _, known := found[inode]; err != nil || !isSocket || known {
				continue
			}
			if program == "" {
				comm, _ := root.proc(dir + "/comm")
				program = printable(strings.TrimSpace(comm))
			}
			found[inode] = holder{pid, program}
		}
	}
	return found, nil
}
