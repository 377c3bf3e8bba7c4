package host

import (
	"errors"
	"fmt"
	"io/fs"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"rocca/internal/facts"
)

// titleLimit is the length of a process title that is kept, in characters.
const titleLimit = 200

// pids lists the processes, in order.
func pids(root Root) ([]int, error) {
	names, err := root.list("/proc")
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	var found []int
	for _, name := range names {
		if pid, err := strconv.Atoi(name); err == nil {
			found = append(found, pid)
		}
	}
	slices.Sort(found)
	return found, nil
}

// processes looks at all of them. One that ends meanwhile is left out. What may
// not be seen of others is an error along with the rest.
func processes(root Root, n names, secrets []string) ([]facts.Process, error) {
	all, err := pids(root)
	if err != nil {
		return nil, err
	}
	network, _ := root.procLink("1/ns/net") // not readable: then none is told apart
	seen := make([]*facts.Process, len(all))
	hidden := make([]bool, len(all))
	work := make(chan int)
	var group sync.WaitGroup
	for range runtime.NumCPU() {
		group.Go(func() {
			for i := range work {
				seen[i], hidden[i] = process(root, all[i], n, network, secrets)
			}
		})
	}
	for i := range all {
		work <- i
	}
	close(work)
	group.Wait()
	var found []facts.Process
	unseen := 0
	for i, p := range seen {
		if p != nil {
			found = append(found, *p)
		}
		if hidden[i] {
			unseen++
		}
	}
	if !slices.Contains(all, systemd) { // hidepid of proc(5)
		return found, onlyRoot("look at the processes of others")
	}
	if unseen > 0 {
		return found, fmt.Errorf("look at processes: the programs of %d of %d may not be seen\nhint: run rocca as root", unseen, len(found))
	}
	return found, nil
}

// process looks at one; nil when it is gone. hidden tells that only a part of
// it may be seen.
func process(root Root, pid int, n names, network string, secrets []string) (_ *facts.Process, hidden bool) {
	dir := strconv.Itoa(pid) + "/"
	status, err := root.proc(dir + "status")
	if err != nil {
		return nil, !vanished(err)
	}
	p := parseStatus(status, n)
	p.PID = pid
	program, err := root.procLink(dir + "exe")
	switch {
	case errors.Is(err, fs.ErrPermission):
		return &p, true
	case err != nil: // a kernel thread has none, nor has one that ended
		return &p, false
	}
	p.Program = strings.TrimSuffix(program, " (deleted)")
	if line, err := root.proc(dir + "cmdline"); err == nil {
		p.Title = title(line, secrets)
	}
	if groups, err := root.proc(dir + "cgroup"); err == nil {
		p.Unit = unitOf(groups)
	}
	if maps, err := root.proc(dir + "maps"); err == nil {
		p.Deleted = deletedCode(maps)
	}
	if space, err := root.procLink(dir + "ns/net"); err == nil && network != "" && space != network {
		p.NetNS = space
	}
	environment, err := root.proc(dir + "environ")
	p.Secrets = secretVariables(strings.Split(environment, "\x00"), secrets)
	return &p, errors.Is(err, fs.ErrPermission)
}

// vanished tells that a process ended while it was looked at.
func vanished(err error) bool {
	return gone(err) || errors.Is(err, unix.ESRCH)
}

// parseStatus reads /proc/PID/status.
func parseStatus(status string, n names) facts.Process {
	var p facts.Process
	for line := range strings.Lines(status) {
		key, value, _ := strings.Cut(line, ":")
		fields := strings.Fields(value)
		if len(fields) == 0 {
			continue
		}
		const effective = 1 // of real, effective, saved and file system
		switch key {
		case "Name":
			p.Name = printable(strings.TrimSpace(value))
		case "PPid":
			p.Parent, _ = strconv.Atoi(fields[0])
		case "TracerPid":
			p.Traced = fields[0] != "0"
		case "Uid":
			if len(fields) > effective {
				p.User = nameOf(n.byUID, fields[effective])
			}
		case "Gid":
			if len(fields) > effective {
				p.Group = nameOf(n.byGID, fields[effective])
			}
		case "Groups":
			for _, gid := range fields {
				p.Groups = append(p.Groups, nameOf(n.byGID, gid))
			}
		}
	}
	return p
}

// title is a command line that may be shown.
func title(line string, secrets []string) string {
	argv := strings.Split(strings.TrimRight(line, "\x00"), "\x00")
	text := hide(strings.Join(redactArgs(argv), " "), secrets)
	text = printable(text)
	if short := []rune(text); len(short) > titleLimit {
		return string(short[:titleLimit])
	}
	return text
}

// printable is text that a terminal may be given.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "?"))
}

// unitOf finds the unit in /proc/PID/cgroup: the first service or scope on the
// way. What a user's own systemd starts belongs to the service that is.
func unitOf(groups string) string {
	for line := range strings.Lines(groups) {
		fields := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(fields) < 3 || fields[1] != "" && fields[1] != "name=systemd" {
			continue
		}
		for part := range strings.SplitSeq(fields[2], "/") {
			if strings.HasSuffix(part, ".service") || strings.HasSuffix(part, ".scope") {
				return part
			}
		}
	}
	return ""
}

// deletedCode lists what is mapped to be run and has no file any more
// (/proc/PID/maps). Memory that never was a file of a package is left out.
func deletedCode(maps string) []string {
	var found []string
	for line := range strings.Lines(maps) {
		before, deleted := strings.CutSuffix(strings.TrimSuffix(line, "\n"), " (deleted)")
		if !deleted {
			continue
		}
		at := strings.IndexByte(before, '/')
		fields := strings.Fields(before)
		if at < 0 || len(fields) < 6 || !strings.Contains(fields[1], "x") {
			continue
		}
		path := before[at:]
		memory := slices.ContainsFunc([]string{"/memfd:", "/dev/", "/SYSV", "/[aio]", "/anon_hugepage", "/i915"}, func(prefix string) bool {
			return strings.HasPrefix(path, prefix)
		})
		if !memory && !slices.Contains(found, path) {
			found = append(found, path)
		}
	}
	slices.Sort(found)
	return found
}

// secretVariables names the variables of an environment that hold a secret.
func secretVariables(environment, secrets []string) []string {
	var found []string
	for _, variable := range environment {
		name, value, _ := strings.Cut(variable, "=")
		if holdsSecret(name, value, secrets) {
			found = append(found, name)
		}
	}
	slices.Sort(found)
	return slices.Compact(found)
}
