package control

import (
	"slices"
	"strings"

	"rocca/internal/facts"
	"rocca/internal/model"
)

// openDirs are the directories that everybody may write to.
var openDirs = []string{"/tmp", "/var/tmp", "/dev/shm"}

var hst010 = Control{
	ID:       "HST-10",
	Title:    "nothing in /tmp, /var/tmp and /dev/shm can be executed, is a device, or gives rights",
	Why:      "Everybody may write there, PHP of any site too. Without noexec that is where a downloaded tool is started from; without nosuid a copied shell keeps the rights of its owner.",
	Severity: model.Medium,
	Needs:    []facts.Section{facts.KernelOf},
	Eval: func(v *View) Verdict {
		var found []model.Evidence
		for _, dir := range openDirs {
			if missing := lacking(v.Mounts, dir); len(missing) > 0 {
				found = append(found, model.Evidence{Subject: dir, Have: "mounted without " + strings.Join(missing, ", "), Want: "nodev,nosuid,noexec"})
			}
		}
		return unless(found)
	},
	Fix: Fix{Kind: model.FixAutomatic, Text: "mount /tmp as tmpfs, /var/tmp as a bind mount of itself, and both and /dev/shm with nodev,nosuid,noexec, by units or /etc/fstab", Steps: []string{"directory /var/lib/rocca/apt", "file /etc/apt/apt.conf.d/52rocca-mounts", "file /etc/systemd/system/rocca-mounts.service", "unit rocca-mounts.service"},
		Changes: func(v *View) []Change {
			var changes []Change
			for _, dir := range openDirs {
				if len(lacking(v.Mounts, dir)) > 0 && slices.ContainsFunc(v.Mounts, func(m facts.Mount) bool { return m.Point == dir }) {
					changes = append(changes, Change{Sentence: "take set-user-ID, devices and execution from " + dir + " (until the next boot: add the options to /etc/fstab or its mount unit)", Command: "mount -o remount,nodev,nosuid,noexec " + dir})
				}
			}
			return changes
		}},
	Attack: "A16",
	Maps:   []model.Ref{debian("1.1.2.1.2"), debian("1.1.2.1.3"), debian("1.1.2.1.4")},
	Since:  "0.3",
}

// lacking are the options that a directory's mount does not have. One that is
// no mount of its own has what is above it, which must run programs.
func lacking(mounts []facts.Mount, dir string) []string {
	var missing []string
	for _, option := range []string{"nodev", "nosuid", "noexec"} {
		has := false
		for _, mount := range mounts {
			if mount.Point == dir { // a later mount hides an earlier one
				has = slices.Contains(mount.Options, option)
			}
		}
		if !has {
			missing = append(missing, option)
		}
	}
	return missing
}
