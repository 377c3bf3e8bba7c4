package control

import (
	"path"
	"slices"
	"strings"

	"rocca/internal/facts"
	"rocca/internal/model"
)

var iso008 = Control{
	ID:       "ISO-08",
	Title:    "the units of Matomo's PHP can write to its tmp and logos only, and gain no rights",
	Why:      "Whatever the modes of files say, now or after somebody's chmod -R 777: a process for which the file system is read-only changes no code and leaves nothing behind.",
	Severity: model.High,
	Needs:    []facts.Section{facts.Services, facts.Runtime, facts.Files, facts.App},
	Eval: func(v *View) Verdict {
		services := matomoServices(v.Server)
		if len(services) == 0 {
			return unknown(noPool)
		}
		allowed := writable(v.Server)
		var found []model.Evidence
		var unseen []string
		for _, s := range services {
			unit := v.Units[s.Unit]
			if len(unit.Sandbox) == 0 {
				unseen = append(unseen, "the sandbox of "+s.Unit+" was not seen")
				continue
			}
			if value := unit.Sandbox["ProtectSystem"]; value != "strict" {
				found = append(found, model.Evidence{Subject: s.Unit, Have: "ProtectSystem=" + value, Want: "ProtectSystem=strict"})
			}
			if value := unit.Sandbox["NoNewPrivileges"]; !on(value) {
				found = append(found, model.Evidence{Subject: s.Unit, Have: "NoNewPrivileges=" + value, Want: "NoNewPrivileges=yes"})
			}
			for _, name := range strings.Fields(unit.Sandbox["ReadWritePaths"]) {
				if name = path.Clean(strings.TrimLeft(name, "-+")); !slices.ContainsFunc(allowed, func(dir string) bool { return within(name, dir) }) {
					found = append(found, model.Evidence{Subject: s.Unit, Have: "ReadWritePaths=" + name, Want: "only " + strings.Join(allowed, ", ")})
				}
			}
			for _, pair := range strings.Fields(unit.Sandbox["BindPaths"]) {
				source, _, _ := strings.Cut(strings.TrimLeft(pair, "-"), ":")
				own := inode(v.Server, source) // such as the tmp of the timers
				private := own.Type == facts.Dir && own.Owner == s.User && own.Mode&0o077 == 0 && !ownCode(v.Server, source)
				if !private && !slices.ContainsFunc(allowed, func(dir string) bool { return within(source, dir) }) {
					found = append(found, model.Evidence{Subject: s.Unit, Have: "BindPaths=" + pair, Want: "only " + strings.Join(allowed, ", ")})
				}
			}
		}
		return conclude(found, unseen)
	},
	Fix:    automatic("ProtectSystem=strict, ReadWritePaths=TMP and NoNewPrivileges=yes in the unit (systemctl edit UNIT)", unitSteps...),
	Attack: "A17",
	Maps:   []model.Ref{s2("27")},
	Since:  "0.3",
}

// writable are the directories that Matomo has to write to: the tmp of each
// context, that of the timers among them, and the uploaded logos.
func writable(s facts.Server) []string {
	var dirs []string
	for _, context := range s.Matomo.Contexts {
		dirs = append(dirs, context.Tmp)
		if context.Data != "" {
			dirs = append(dirs, path.Join(context.Data, "tmp"), path.Join(context.Data, "user"))
		}
	}
	if s.Matomo.Real != "" {
		dirs = append(dirs, path.Join(s.Matomo.Real, "misc/user"))
	}
	slices.Sort(dirs)
	return slices.DeleteFunc(slices.Compact(dirs), func(dir string) bool { return dir == "" })
}
