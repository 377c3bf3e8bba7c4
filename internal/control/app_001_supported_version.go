package control

import (
	"fmt"
	"strings"
	"time"

	"rocca/internal/facts"
	"rocca/internal/model"
)

// grace is how long the newest release may wait when nothing is known to be
// wrong with the installed one.
const grace = 14 * 24 * time.Hour

var app001 = Control{
	ID:       "APP-01",
	Title:    "Matomo is the newest stable release, or was until two weeks ago",
	Why:      "Most of Matomo's security fixes are published without a CVE: whoever compares two releases sees the hole in the older one, and looks for servers that still run it. An unsupported major version gets no fix at all.",
	Severity: model.High,
	Needs:    []facts.Section{facts.App},
	Eval: func(v *View) Verdict {
		m := v.Matomo
		switch {
		case m.Version == "":
			return unknown("the version of Matomo could not be read")
		case strings.Contains(m.Version, "-"):
			return fail(model.Evidence{Subject: m.Root, Have: "Matomo " + m.Version + ", a pre-release", Want: "a stable release"})
		case m.Newest == "":
			return unknown("it is not known which release is the newest")
		case !older(m.Version, m.Newest):
			return pass(model.Evidence{Subject: m.Root, Have: "Matomo " + m.Version})
		}
		flaws := openFlaws(v.Advisory.Matomo)
		if len(flaws) == 0 && !m.NewestOf.IsZero() && v.Observed.Sub(m.NewestOf) < grace {
			return pass(model.Evidence{Subject: m.Root, Have: fmt.Sprintf("Matomo %s; %s came out on %s", m.Version, m.Newest, m.NewestOf.Format(time.DateOnly))})
		}
		have := "Matomo " + m.Version
		if !m.Released.IsZero() {
			have += " of " + m.Released.Format(time.DateOnly)
		}
		var known []model.Evidence
		for _, flaw := range flaws {
			known = append(known, model.Evidence{Subject: m.Root, Have: fmt.Sprintf("%s (%s)", flaw.ID, flaw.Severity), Want: "Matomo " + flaw.Fixed + " or newer"})
		}
		return fail(append([]model.Evidence{{Subject: m.Root, Have: have, Want: "Matomo " + m.Newest}}, capped(known)...)...)
	},
	Fix:    automatic("Back up database, code and configuration, then upgrade: new code beside the old, one rehearsed core:update, and only then the switch. Never by the button in the user interface: it needs code that the web server can write.", "code *", "code /*/*/*/*", "code /*/*/*"),
	Attack: "A34",
	Maps:   []model.Ref{asvs("15.2.1"), s2("30"), s1("44")},
	Since:  "0.3",
}

// openFlaws are those that no reason speaks against.
func openFlaws(flaws []facts.Flaw) []facts.Flaw {
	var open []facts.Flaw
	for _, flaw := range flaws {
		if flaw.Reason == "" {
			open = append(open, flaw)
		}
	}
	return open
}
