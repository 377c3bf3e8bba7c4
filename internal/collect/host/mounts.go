package host

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"rocca/internal/collect/mountinfo"
	"rocca/internal/facts"
)

// mounts reads what is mounted (proc(5), /proc/PID/mountinfo).
func mounts(root Root) ([]facts.Mount, error) {
	content, err := root.proc("1/mountinfo")
	if err != nil {
		content, err = root.proc("self/mountinfo")
	}
	if err != nil {
		return nil, fmt.Errorf("read what is mounted: %w", err)
	}
	listed, err := mountinfo.Parse(content)
	var found []facts.Mount
	crypt := map[string]bool{}
	for _, m := range listed {
		if _, asked := crypt[m.Device]; !asked {
			crypt[m.Device] = encrypted(root, "dev/block/"+m.Device, 0) ||
				strings.HasPrefix(m.Source, "/dev/") && encrypted(root, "class/block/"+blockName(root, m.Source), 0)
		}
		found = append(found, facts.Mount{Point: m.Point, Type: m.Type, Source: m.Source, Options: m.Options, Crypt: crypt[m.Device]})
	}
	return found, err
}

// encrypted tells whether a block device is, or is made of, a dm-crypt device.
func encrypted(root Root, device string, depth int) bool {
	const stacked = 8 // volumes on volumes
	dir := filepath.Join(string(root), "sys", device)
	uuid, err := os.ReadFile(dir + "/dm/uuid")
	if err == nil && strings.HasPrefix(string(uuid), "CRYPT-") {
		return true
	}
	parts, err := os.ReadDir(dir + "/slaves")
	if err != nil || depth > stacked {
		return false
	}
	return slices.ContainsFunc(parts, func(part os.DirEntry) bool {
		return encrypted(root, "class/block/"+part.Name(), depth+1)
	})
}

// blockName is the kernel's name of a device file: /dev/mapper/root is dm-0.
func blockName(root Root, source string) string {
	if target, err := os.Readlink(filepath.Join(string(root), source)); err == nil {
		source = target
	}
	return filepath.Base(source)
}

// memory returns the bytes of RAM.
func memory(root Root) (uint64, error) {
	content, err := root.proc("meminfo")
	if err != nil {
		return 0, fmt.Errorf("read how much memory there is: %w", err)
	}
	for line := range strings.Lines(content) {
		fields := strings.Fields(line)
		if len(fields) >= 2 && fields[0] == "MemTotal:" {
			kilobytes, err := strconv.ParseUint(fields[1], 10, 54)
			return kilobytes << 10, err
		}
	}
	return 0, fmt.Errorf("read how much memory there is: /proc/meminfo does not tell")
}
