package control

import (
	"slices"
	"strings"

	"rocca/internal/facts"
	"rocca/internal/model"
)

// dangerous are the capabilities that lead out of a container, or to what others
// on the network say.
var dangerous = []string{"CAP_SYS_ADMIN", "CAP_SYS_MODULE", "CAP_SYS_PTRACE", "CAP_SYS_RAWIO", "CAP_SYS_BOOT", "CAP_SYS_TIME",
	"CAP_NET_ADMIN", "CAP_NET_RAW", "CAP_DAC_READ_SEARCH", "CAP_MKNOD", "CAP_BPF", "CAP_PERFMON", "CAP_SYSLOG"}

// webPrograms are the programs that run Matomo in a container.
var webPrograms = []string{"php", "apache2", "httpd", "nginx"}

var iso012 = Control{
	ID:       "ISO-12",
	Title:    "containers run as a user that is not root, read-only, without capabilities and without the socket of their runtime",
	Why:      "A container shares the kernel with the machine. As root with capabilities it is one bug away from being root outside; with docker.sock it needs none: it starts a container that mounts the disk.",
	Severity: model.High,
	Needs:    []facts.Section{facts.Running, facts.Accounts, facts.Files},
	Eval: func(v *View) Verdict {
		if len(v.Containers) == 0 {
			return notApplicable("nothing runs in a container")
		}
		var found []model.Evidence
		for _, c := range v.Containers {
			against := func(have, want string) {
				found = append(found, model.Evidence{Subject: c.Runtime + " " + abbreviated(c.ID), Have: have, Want: want})
			}
			for _, socket := range c.Sockets {
				against("sees "+socket, "no socket of a runtime: it is root of this machine")
			}
			if held := slices.DeleteFunc(slices.Clone(c.Capabilities), func(name string) bool { return !slices.Contains(dangerous, name) }); len(held) > 0 {
				against("has "+strings.Join(held, " "), "--cap-drop ALL")
			}
			web := slices.ContainsFunc(c.Programs, func(name string) bool {
				return slices.ContainsFunc(webPrograms, func(w string) bool { return strings.HasPrefix(name, w) })
			})
			if web && c.User == "root" {
				against(strings.Join(c.Programs, ", ")+" started as root", "--user")
			}
			if web && !c.ReadOnly {
				against("its root file system can be written to", "--read-only, with tmpfs for tmp")
			}
		}
		for _, name := range []string{"/run/docker.sock", "/run/podman/podman.sock"} {
			p := inode(v.Server, name)
			if !p.Exists() {
				continue
			}
			if p.Mode&0o006 != 0 {
				found = append(found, model.Evidence{Subject: name, Have: "open to every user, who is root by it", Want: "0660"})
			}
			for _, member := range inGroup(v.Server, p.Group) {
				if p.Group != "root" && v.Users[member].Service {
					found = append(found, model.Evidence{Subject: name, Have: member + " is in group " + p.Group + ", and so root", Want: "no account of a service"})
				}
			}
		}
		return conclude(found, nil)
	},
	Fix:    guided("docker run --user UID --read-only --tmpfs /tmp --cap-drop ALL --security-opt no-new-privileges, and no -v /var/run/docker.sock"),
	Attack: "A17",
	Maps:   []model.Ref{s2("20")},
	Since:  "0.3",
}
