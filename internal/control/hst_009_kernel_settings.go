package control

import (
	"fmt"
	"strconv"
	"strings"

	"rocca/internal/facts"
	"rocca/internal/model"
)

// kernelSetting is a sysctl with the values that are safe.
type kernelSetting struct {
	Name  string
	Least int // smallest safe value, and what rocca sets
	Most  int
}

// kernelSettings keep one process from another, and strangers from the way that
// packets take.
var kernelSettings = []kernelSetting{
	{"kernel.randomize_va_space", 2, 2},
	{"kernel.yama.ptrace_scope", 1, 3},
	{"fs.protected_hardlinks", 1, 1},
	{"fs.protected_symlinks", 1, 1},
	{"fs.protected_fifos", 1, 2},
	{"fs.protected_regular", 1, 2},
	{"fs.suid_dumpable", 0, 0},
	{"net.ipv4.conf.all.accept_redirects", 0, 0},
	{"net.ipv4.conf.all.accept_source_route", 0, 0},
	{"net.ipv4.conf.all.send_redirects", 0, 0},
	{"net.ipv4.tcp_syncookies", 1, 2},
}

var hst009 = Control{
	ID:       "HST-09",
	Title:    "the kernel separates processes and files as far as it can, also after a restart",
	Why:      "These settings stop a process from reading the memory of others of its user, links in /tmp that lead a root job to another file, and secrets in the core dump of a set-user-ID program: the usual second step after a bug in PHP.",
	Severity: model.Medium,
	Needs:    []facts.Section{facts.KernelOf},
	Eval: func(v *View) Verdict {
		var found []model.Evidence
		var absent []string
		for _, s := range kernelSettings {
			if v.Kernel.Clock.Host && !strings.HasPrefix(s.Name, "net.") {
				continue // the host's, which a container cannot change
			}
			now, seen := v.Kernel.Settings[s.Name]
			switch {
			case !seen:
				absent = append(absent, s.Name)
			case !s.safe(now.Value):
				found = append(found, model.Evidence{Subject: s.Name, Have: now.Value, Want: strconv.Itoa(s.Least)})
			case !s.safe(v.Kernel.Persisted[s.Name]):
				found = append(found, model.Evidence{Subject: s.Name, Have: "nothing keeps it at " + now.Value + " at boot", Want: fmt.Sprintf("%s = %d in /etc/sysctl.d", s.Name, s.Least)})
			}
		}
		switch {
		case len(found) > 0:
			return fail(capped(found)...)
		case len(absent) > 0:
			return unknown("this kernel does not show " + strings.Join(absent, ", "))
		case v.Kernel.Clock.Host:
			return notApplicable("a container: its host sets the kernel; what is its own (net) is right")
		}
		return pass()
	},
	Fix: Fix{Kind: model.FixAutomatic, Text: "write the settings to a file in /etc/sysctl.d && sysctl --system", Steps: []string{"file /etc/sysctl.d/90-rocca.conf", "file /etc/systemd/system/rocca-kernel.service", "unit rocca-kernel.service"},
		Changes: func(v *View) []Change {
			var changes []Change
			for _, s := range kernelSettings {
				now, seen := v.Kernel.Settings[s.Name]
				if !seen || v.Kernel.Clock.Host && !strings.HasPrefix(s.Name, "net.") || s.safe(now.Value) && s.safe(v.Kernel.Persisted[s.Name]) {
					continue
				}
				line := fmt.Sprintf("%s = %d", s.Name, s.Least)
				changes = append(changes, Change{Sentence: "set " + line + ", now and at boot", Command: fmt.Sprintf("echo '%s' >>/etc/sysctl.d/90-hardening.conf && sysctl -w %s=%d", line, s.Name, s.Least)})
			}
			return changes
		}},
	Attack: "A17",
	Maps:   []model.Ref{debian("1.5.1"), debian("1.5.2"), debian("1.5.3"), debian("3.3.x"), devsec("sysctl-34"), devsec("sysctl-35")},
	Since:  "0.3",
}

// safe tells whether a value is; several values, as of a range, are not.
func (s kernelSetting) safe(value string) bool {
	number, err := strconv.Atoi(strings.TrimSpace(value))
	return err == nil && number >= s.Least && number <= s.Most
}
