package host

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"rocca/internal/facts"
)

// listeners reads the listening TCP sockets (proc(5), net/tcp) and finds the
// process that holds each.
func listeners() ([]facts.Listener, error) {
	byInode := map[string]facts.Listener{}
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		content, err := os.ReadFile(table)
		if errors.Is(err, fs.ErrNotExist) {
			continue // no IPv6
		}
		if err != nil {
			return nil, fmt.Errorf("list listeners: %w", err)
		}
		for _, line := range strings.Split(string(content), "\n") {
			fields := strings.Fields(line)
			const listening = "0A"
			if len(fields) < 10 || fields[3] != listening {
				continue
			}
			address, port, err := parseEndpoint(fields[1])
			if err != nil {
				return nil, fmt.Errorf("list listeners: %w", err)
			}
			byInode[fields[9]] = facts.Listener{Address: address, Port: port}
		}
	}
	if err := findHolders(byInode); err != nil {
		return nil, err
	}
	var found []facts.Listener
	for _, l := range byInode {
		found = append(found, l)
	}
	slices.SortFunc(found, func(a, b facts.Listener) int {
		if a.Port != b.Port {
			return a.Port - b.Port
		}
		return strings.Compare(a.Address, b.Address)
	})
	return found, nil
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

// findHolders goes through the open files of all processes. A process that
// ends meanwhile is passed over.
func findHolders(byInode map[string]facts.Listener) error {
	links, err := filepath.Glob("/proc/[0-9]*/fd/*")
	if err != nil {
		return fmt.Errorf("find who listens: %w", err)
	}
	for _, link := range links {
		target, err := os.Readlink(link)
		if err != nil {
			continue
		}
		inode, isSocket := strings.CutPrefix(target, "socket:[")
		l, listens := byInode[strings.TrimSuffix(inode, "]")]
		if !isSocket || !listens || l.PID != 0 {
			continue
		}
		process := strings.Split(link, "/")[2]
		name, err := os.ReadFile("/proc/" + process + "/comm")
		if err != nil {
			continue
		}
		l.PID, _ = strconv.Atoi(process)
		l.Program = strings.TrimSpace(string(name))
		byInode[strings.TrimSuffix(inode, "]")] = l
	}
	return nil
}
