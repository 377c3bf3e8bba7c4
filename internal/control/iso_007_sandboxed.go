package control

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"rocca/internal/facts"
	"rocca/internal/model"
)

// mostExposure is the largest exposure by systemd-analyze security; Debian's own
// php-fpm.service has 9.6.
const mostExposure = 3.0

var iso007 = Control{
	ID:       "ISO-07",
	Title:    "systemd keeps Matomo's PHP in a sandbox",
	Why:      "A hole in PHP gives its user: every file that others may read, every program, every system call of the kernel. A sandbox takes all of that away, and with it the second step of most attacks.",
	Severity: model.High,
	Needs:    []facts.Section{facts.Services, facts.Runtime, facts.Scheduled, facts.App},
	Eval: func(v *View) Verdict {
		services := matomoServices(v.Server)
		if len(services) == 0 {
			return unknown(noPool)
		}
		var found []model.Evidence
		var unseen []string
		for _, s := range services {
			switch exposure := v.Units[s.Unit].Exposure; {
			case exposure == 0:
				unseen = append(unseen, "the exposure of "+s.Unit+" is not known")
			case exposure > mostExposure:
				found = append(found, model.Evidence{Subject: s.Unit, Have: fmt.Sprintf("exposure %.1f", exposure), Want: fmt.Sprintf("%.1f at most", mostExposure)})
			default:
				found = append(found, wallsMissing(s.Unit, v.Units[s.Unit].Sandbox)...)
			}
		}
		users := matomoUsers(v.Server)
		for _, job := range v.Jobs {
			runs := slices.Contains(users, job.User) && slices.ContainsFunc(job.Programs, func(p string) bool { return ownCode(v.Server, p) })
			if runs {
				found = append(found, model.Evidence{Subject: job.File, Line: job.Line, Have: "cron starts it without a sandbox", Want: "a timer with a sandboxed service"})
			}
		}
		return conclude(found, unseen)
	},
	Fix:    automatic("systemctl edit php8.2-fpm with ProtectSystem=strict, ReadWritePaths=, NoNewPrivileges=yes, PrivateTmp=yes, ProtectHome=yes, PrivateDevices=yes, CapabilityBoundingSet=, SystemCallFilter=@system-service ...; systemd-analyze security UNIT tells what is left. Timers instead of cron", unitSteps...),
	Attack: "A16 A17",
	Maps:   []model.Ref{asvs("15.2.5"), s2("27")},
	Since:  "0.3",
}

// wallsMissing is what an otherwise good sandbox leaves open. The exposure is a
// sum: it hardly tells when one wall is gone, and does not count some at all.
func wallsMissing(unit string, sandbox map[string]string) []model.Evidence {
	var found []model.Evidence
	missing := func(name, want string) {
		found = append(found, model.Evidence{Subject: unit, Have: name + "=" + sandbox[name], Want: name + "=" + want})
	}
	for _, name := range []string{"PrivateTmp", "RestrictNamespaces", "RestrictSUIDSGID"} {
		if !on(sandbox[name]) {
			missing(name, "yes")
		}
	}
	if value := sandbox["ProtectProc"]; value != "invisible" && value != "noaccess" {
		missing("ProtectProc", "invisible")
	}
	noExec, hidden := pathsOf(sandbox["NoExecPaths"]), pathsOf(sandbox["InaccessiblePaths"])
	if !slices.Contains(noExec, "/") {
		missing("NoExecPaths", "/")
	}
	for _, dir := range pathsOf(sandbox["ReadWritePaths"]) {
		if !slices.ContainsFunc(noExec, func(name string) bool { return name != "/" && within(dir, name) }) {
			missing("NoExecPaths", dir+" too, as what is writable is a mount of its own")
		}
	}
	if !slices.ContainsFunc(hidden, func(name string) bool { return within("/run/dbus", name) }) {
		missing("InaccessiblePaths", "/run/dbus, and what else holds secrets")
	}
	return found
}

// pathsOf reads a list of paths of a unit, without the signs before them.
func pathsOf(value string) []string {
	names := strings.Fields(value)
	for i, name := range names {
		names[i] = path.Clean(strings.TrimLeft(name, "-+"))
	}
	return names
}
