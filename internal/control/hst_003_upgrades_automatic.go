package control

import (
	"slices"
	"strings"
	"time"

	"rocca/internal/facts"
	"rocca/internal/model"
)

// upgradeSteps switch on Debian's own upgrades.
var upgradeSteps = []string{"packages *", "file /etc/apt/apt.conf.d/52rocca-upgrades", "unit apt-daily*.timer"}

var hst003 = Control{
	ID:       "HST-03",
	Title:    "security updates install themselves, and did so within 48 hours",
	Why:      "Between a published hole and the next visit of an administrator lie days. Whoever attacks uses those.",
	Severity: model.Medium,
	Needs:    []facts.Section{facts.Software, facts.Services},
	Eval: func(v *View) Verdict {
		var found []model.Evidence
		if !v.Packages["unattended-upgrades"].Installed {
			found = append(found, model.Evidence{Subject: "package unattended-upgrades", Have: "not installed", Want: "installed"})
		}
		for _, name := range []string{"APT::Periodic::Update-Package-Lists", "APT::Periodic::Unattended-Upgrade"} {
			if value := v.Apt.Settings[name]; value == "" || value == "0" {
				found = append(found, model.Evidence{Subject: name, Have: value, Want: "1"})
			}
		}
		if !slices.ContainsFunc(v.Apt.Origins, func(origin string) bool { return strings.Contains(strings.ToLower(origin), "security") }) {
			found = append(found, model.Evidence{Subject: "Unattended-Upgrade::Origins-Pattern", Have: strings.Join(v.Apt.Origins, "; "), Want: "label=Debian-Security"})
		}
		for _, name := range []string{"apt-daily.timer", "apt-daily-upgrade.timer"} {
			if unit := v.Units[name]; !unit.Enabled || !unit.Active {
				found = append(found, model.Evidence{Subject: name, Have: "does not run", Want: "enabled and active"})
			}
		}
		// A timer that was switched on a day ago has had no time to run.
		due := v.Observed.Sub(v.Units["apt-daily-upgrade.timer"].Since) > fresh
		if last := v.Apt.Unattended; due && v.Observed.Sub(last) > fresh {
			have := "never"
			if !last.IsZero() {
				have = last.UTC().Format(time.DateTime)
			}
			found = append(found, model.Evidence{Subject: "last run of unattended-upgrades", Have: have, Want: "less than 48 h ago"})
		}
		return conclude(found, nil)
	},
	Fix: Fix{Kind: model.FixAutomatic, Text: "install unattended-upgrades and switch it on for Debian-Security in /etc/apt/apt.conf.d", Steps: upgradeSteps,
		Changes: func(*View) []Change {
			return []Change{{
				Sentence: "let security updates install themselves",
				Command:  `apt-get install unattended-upgrades && printf 'APT::Periodic::Update-Package-Lists "1";\nAPT::Periodic::Unattended-Upgrade "1";\n' >/etc/apt/apt.conf.d/20auto-upgrades && systemctl enable --now apt-daily.timer apt-daily-upgrade.timer`,
			}}
		}},
	Maps:  []model.Ref{debian("1.2.2.1"), s2("30")},
	Since: "0.3",
}
