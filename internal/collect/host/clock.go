package host

import (
	"fmt"

	"golang.org/x/sys/unix"

	"rocca/internal/facts"
)

// timekeepers are the units that keep the time.
var timekeepers = []string{"chrony.service", "ntpsec.service", "ntp.service", "openntpd.service", "systemd-timesyncd.service"}

// States of the kernel's clock (linux/timex.h).
const (
	clockUnsynchronised = 0x0040 // STA_UNSYNC
	clockNanoseconds    = 0x2000 // STA_NANO
	clockError          = 5      // TIME_ERROR
)

// clock asks the kernel how it keeps the time. In a container that is not
// allowed, nor its business.
func clock(root Root, units map[string]facts.Unit) (facts.Clock, error) {
	c := facts.Clock{Host: container(root)}
	for _, name := range timekeepers {
		if units[name].Active {
			c.Service = name
		}
	}
	var t unix.Timex
	state, err := unix.Adjtimex(&t)
	if err != nil {
		if c.Host {
			return c, nil
		}
		return c, fmt.Errorf("ask the kernel about its clock: %w", err)
	}
	c.Synchronised = state != clockError && t.Status&clockUnsynchronised == 0
	c.OffsetMicros = int64(t.Offset)
	if t.Status&clockNanoseconds != 0 {
		c.OffsetMicros /= 1000
	}
	return c, nil
}

// container tells whether this system shares the kernel of a host.
func container(root Root) bool {
	return root.exists("/run/systemd/container") || root.exists("/.dockerenv") || root.exists("/run/.containerenv")
}
