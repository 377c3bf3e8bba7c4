package control

import (
	"fmt"
	"time"

	"rocca/internal/facts"
	"rocca/internal/model"
)

var hst008 = Control{
	ID:       "HST-08",
	Title:    "the clock is kept by a time service, to within a second",
	Why:      "Logs of several machines can only be put together, and one-time codes of two-factor logins only be right, when the clocks agree. After a break-in a wrong clock makes evidence worthless.",
	Severity: model.Low,
	Needs:    []facts.Section{facts.KernelOf},
	Eval: func(v *View) Verdict {
		clock := v.Kernel.Clock
		if clock.Host {
			return notApplicable("a container: its host keeps the time")
		}
		var found []model.Evidence
		if clock.Service == "" {
			found = append(found, model.Evidence{Subject: "time service", Have: "none", Want: "systemd-timesyncd.service or chrony.service"})
		}
		if !clock.Synchronised {
			found = append(found, model.Evidence{Subject: "clock", Have: "not synchronised", Want: "synchronised"})
		}
		if offset := max(clock.OffsetMicros, -clock.OffsetMicros); offset >= time.Second.Microseconds() {
			found = append(found, model.Evidence{Subject: "clock", Have: fmt.Sprintf("off by %.1f s", float64(offset)/1e6), Want: "less than 1 s"})
		}
		return unless(found)
	},
	Fix: Fix{Kind: model.FixAutomatic, Text: "apt-get install systemd-timesyncd && timedatectl set-ntp true",
		Changes: func(*View) []Change {
			return []Change{{Sentence: "keep the clock by systemd-timesyncd", Command: "apt-get install systemd-timesyncd && timedatectl set-ntp true"}}
		}},
	Maps:  []model.Ref{debian("2.3.1.1"), asvs("16.2.2")},
	Since: "0.3",
}
