package host

import (
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"rocca/internal/collect/mountinfo"
	"rocca/internal/facts"
)

const (
	containerLimit = 200 // that are looked at
	programLimit   = 20  // names that are told of each
)

// place is what a container is known by: its runtime and its own name there.
type place struct{ runtime, id string }

// Control groups of containers, as runtimes name them with systemd
// ("docker-ID.scope") and without ("docker/ID"). What only looks after one,
// such as libpod-conmon-ID.scope, is not in it.
var (
	hashGroup       = regexp.MustCompile(`/(docker|libpod|cri-containerd|nerdctl|crio)[-/]([0-9a-f]{64})\b`)
	lxcGroup        = regexp.MustCompile(`/(lxc)(?:\.payload[./]|/)([A-Za-z0-9][A-Za-z0-9_.-]*)`)
	kubernetesGroup = regexp.MustCompile(`/(kubepods)(?:\.slice)?/(?:[^/]+/)*([0-9a-f]{64})\b`)
)

var runtimeNames = map[string]string{"libpod": "podman", "cri-containerd": "containerd", "nerdctl": "containerd", "kubepods": "kubernetes"}

// containersOf finds the containers that a process is in, in /proc/PID/cgroup.
func containersOf(groups string) []place {
	var found []place
	for line := range strings.Lines(groups) {
		fields := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(fields) < 3 {
			continue
		}
		for _, form := range []*regexp.Regexp{hashGroup, lxcGroup, kubernetesGroup} {
			for _, match := range form.FindAllStringSubmatch(fields[2], -1) {
				c := place{runtime: match[1], id: match[2]}
				if name, other := runtimeNames[c.runtime]; other {
					c.runtime = name
				}
				if !slices.ContainsFunc(found, func(f place) bool { return f.id == c.id }) {
					found = append(found, c)
				}
			}
		}
	}
	return found
}

// containers finds the containers that processes of this machine run in, by
// what the kernel tells of these; no runtime is asked. The one that the machine
// itself may be is left out.
func containers(root Root, running []facts.Process) ([]facts.Container, error) {
	var own []place
	if groups, err := root.proc("1/cgroup"); err == nil {
		own = containersOf(groups)
	}
	members := map[place][]facts.Process{}
	var order []place
	for _, p := range running {
		groups, err := root.proc(strconv.Itoa(p.PID) + "/cgroup")
		if err != nil {
			continue // it has ended
		}
		inside := slices.DeleteFunc(containersOf(groups), func(c place) bool { return slices.Contains(own, c) })
		if len(inside) == 0 {
			continue
		}
		c := inside[0]
		if len(members[c]) == 0 {
			order = append(order, c)
		}
		members[c] = append(members[c], p)
	}
	var problem error
	if len(order) > containerLimit {
		problem = fmt.Errorf("look at containers: there are %d, and only %d are looked at", len(order), containerLimit)
		order = order[:containerLimit]
	}
	if len(order) == 0 {
		return nil, nil
	}
	doors := runtimeSockets(root)
	var found []facts.Container
	for _, c := range order {
		seen, err := look(root, c, members[c], doors)
		found = append(found, seen)
		problem = errors.Join(problem, err)
	}
	slices.SortFunc(found, func(a, b facts.Container) int { return strings.Compare(a.Runtime+" "+a.ID, b.Runtime+" "+b.ID) })
	return found, problem
}

// look looks at one container by its first process.
func look(root Root, c place, members []facts.Process, doors []door) (facts.Container, error) {
	first := firstOf(root, members)
	seen := facts.Container{ID: c.id, Runtime: c.runtime, PID: first.PID, User: first.User}
	for _, p := range members {
		seen.Programs = append(seen.Programs, p.Name)
	}
	slices.Sort(seen.Programs)
	seen.Programs = slices.Compact(seen.Programs)
	seen.Programs = seen.Programs[:min(len(seen.Programs), programLimit)]
	dir := strconv.Itoa(first.PID) + "/"
	failed := func(err error) error {
		if vanished(err) {
			return nil // it has ended
		}
		return fmt.Errorf("look at container %s %.12s: %w", c.runtime, c.id, err)
	}
	status, err := root.proc(dir + "status")
	if err != nil {
		return seen, failed(err)
	}
	// In a user namespace of its own, capabilities hold for what is in that only.
	outer, err := root.procLink("1/ns/user")
	inner, problem := root.procLink(dir + "ns/user")
	if err = errors.Join(err, problem); err != nil {
		return seen, failed(err)
	}
	if inner == outer {
		seen.Capabilities = boundingSet(status)
	}
	text, err := root.proc(dir + "mountinfo")
	if err != nil {
		return seen, failed(err)
	}
	mounts, err := mountinfo.Parse(text)
	if err != nil {
		return seen, failed(err)
	}
	for _, m := range mounts {
		if m.Point == "/" {
			seen.ReadOnly = slices.Contains(m.Options, "ro")
		}
	}
	seen.Sockets = openDoors(doors, mounts)
	return seen, nil
}

// firstOf is the process that a container began with: the first in a process
// namespace of its own, or else the one that was started from outside.
func firstOf(root Root, members []facts.Process) facts.Process {
	for _, p := range members {
		status, err := root.proc(strconv.Itoa(p.PID) + "/status")
		if ids := strings.Fields(statusField(status, "NSpid")); err == nil && len(ids) > 1 && ids[len(ids)-1] == "1" {
			return p
		}
	}
	for _, p := range members {
		if !slices.ContainsFunc(members, func(other facts.Process) bool { return other.PID == p.Parent }) {
			return p
		}
	}
	return members[0]
}

// statusField is the value of a line of /proc/PID/status.
func statusField(status, name string) string {
	for line := range strings.Lines(status) {
		if value, is := strings.CutPrefix(line, name+":"); is {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// boundingSet names the capabilities that a process and what it starts can have.
func boundingSet(status string) []string {
	bits, err := strconv.ParseUint(statusField(status, "CapBnd"), 16, 64)
	if err != nil {
		return nil
	}
	return capabilityList(bits)
}

// Sockets by which a container can be started that owns the machine.
var socketNames = []string{
	"/run/docker.sock", "/run/podman/podman.sock", "/run/containerd/containerd.sock", "/run/k3s/containerd/containerd.sock", "/run/crio/crio.sock",
	"/var/lib/lxd/unix.socket", "/var/snap/lxd/common/lxd/unix.socket", "/var/lib/incus/unix.socket",
}

// door is such a socket: where it is on its file system, which is mounted in
// containers too, maybe with another name.
type door struct{ device, path string }

// runtimeSockets finds those of this machine.
func runtimeSockets(root Root) []door {
	text, err := root.proc("1/mountinfo")
	if err != nil {
		return nil
	}
	mounts, err := mountinfo.Parse(text)
	if err != nil {
		return nil
	}
	names := slices.Clone(socketNames)
	users, _ := root.list("/run/user") // of those who run containers without being root
	for _, uid := range users {
		names = append(names, "/run/user/"+uid+"/docker.sock", "/run/user/"+uid+"/podman/podman.sock")
	}
	var found []door
	for _, name := range names {
		if !root.exists(name) {
			continue
		}
		var on *mountinfo.Mount // the last of the deepest
		for i, m := range mounts {
			if within(name, m.Point) && (on == nil || len(m.Point) >= len(on.Point)) {
				on = &mounts[i]
			}
		}
		if on != nil {
			found = append(found, door{on.Device, path.Join(on.Root, strings.TrimPrefix(name, on.Point))})
		}
	}
	return found
}

// openDoors are the paths by which those sockets are seen among mounts.
func openDoors(doors []door, mounts []mountinfo.Mount) []string {
	var found []string
	for _, d := range doors {
		for _, m := range mounts {
			if m.Device == d.device && within(d.path, m.Root) {
				found = append(found, path.Join(m.Point, strings.TrimPrefix(d.path, m.Root)))
			}
		}
	}
	slices.Sort(found)
	return slices.Compact(found)
}

// within tells whether a path is another one or lies below it.
func within(name, dir string) bool {
	return dir == "/" || name == dir || strings.HasPrefix(name, dir+"/")
}
