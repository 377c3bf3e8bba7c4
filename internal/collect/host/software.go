package host

import (
	"errors"
	"fmt"
	"strings"

	"rocca/internal/facts"
)

// software is what the system is made of.
func software(root Root, have func() (installed, error)) (facts.OS, map[string]facts.Package, facts.Apt, error) {
	var apt facts.Apt
	system, problem := osRelease(root)
	state, err := have()
	problem = errors.Join(problem, err)
	apt.Sources, err = aptSources(root)
	problem = errors.Join(problem, err)
	apt.Pins, err = aptPins(root)
	problem = errors.Join(problem, err)
	apt.Settings, apt.Origins, err = aptSettings(root)
	problem = errors.Join(problem, err)
	apt.Pending, apt.ListsUpdated, err = securityUpdates(root, apt.Sources, state)
	// A list that was found to be current is not written again: the daily timer
	// notes that it succeeded.
	if success := stamp(root, "/var/lib/apt/periodic/update-success-stamp", "/var/lib/apt/periodic/update-stamp"); success.After(apt.ListsUpdated) {
		apt.ListsUpdated = success
	}
	apt.Unattended = stamp(root, "/var/lib/apt/periodic/unattended-upgrades-stamp", "/var/lib/apt/periodic/upgrade-stamp")
	return system, state.packages, apt, errors.Join(problem, err)
}

func osRelease(root Root) (facts.OS, error) {
	content, err := root.read("/etc/os-release")
	if err != nil {
		return facts.OS{}, fmt.Errorf("read which distribution this is: %w", err)
	}
	found := parseOSRelease(content)
	found.Hostname = hostname(root)
	return found, nil
}

func parseOSRelease(content string) facts.OS {
	var found facts.OS
	for line := range strings.Lines(content) {
		key, value, _ := strings.Cut(strings.TrimRight(line, "\r\n"), "=")
		value = strings.Trim(value, `"'`)
		switch key {
		case "ID":
			found.ID = value
		case "VERSION_ID":
			found.Version = value
		case "VERSION_CODENAME":
			found.Codename = value
		}
	}
	return found
}

func hostname(root Root) string {
	name, err := root.proc("sys/kernel/hostname")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(name)
}
