package control

import (
	"net/url"
	"strings"

	"rocca/internal/facts"
	"rocca/internal/model"
)

var hst001 = Control{
	ID:       "HST-01",
	Title:    "the Debian release is supported, and packages come from Debian and its security suite",
	Why:      "A release without security fixes keeps every hole that is published from then on, with a recipe for it. A further source of packages that is not held back can replace any program of the server, with the rights of root.",
	Severity: model.High,
	Needs:    []facts.Section{facts.Software},
	Eval: func(v *View) Verdict {
		var found []model.Evidence
		if v.OS.ID != "debian" || v.OS.Version != "12" && v.OS.Version != "13" {
			found = append(found, model.Evidence{Subject: "/etc/os-release", Have: strings.TrimSpace(v.OS.ID + " " + v.OS.Version), Want: "debian 12 or 13"})
		}
		security := false
		for _, source := range v.Apt.Sources {
			at := model.Evidence{Subject: source.File, Line: source.Line}
			ours := source.Debian && (strings.HasPrefix(source.Suite, v.OS.Codename) || strings.HasPrefix(source.Suite, "stable") || strings.HasPrefix(source.Suite, "oldstable"))
			security = security || ours && strings.HasSuffix(strings.TrimSuffix(source.Suite, "/updates"), "-security")
			if source.Trust {
				at.Have, at.Want = "trusted=yes", "signatures are checked"
				found = append(found, at)
			}
			if !ours && !heldBack(v.Apt.Pins, source) {
				at.Have, at.Want = "packages of "+source.URI+" "+source.Suite+" replace those of "+v.OS.Codename, "a pin below 500 for all of its packages"
				found = append(found, at)
			}
		}
		if !security {
			found = append(found, model.Evidence{Subject: "/etc/apt/sources.list", Have: "no security suite", Want: v.OS.Codename + "-security"})
		}
		return conclude(found, nil)
	},
	Fix:  guided("move to Debian 12 or 13 (release notes: debian.org/releases); name the security suite in /etc/apt/sources.list; hold each other source back in /etc/apt/preferences.d: \"Package: *\", \"Pin: origin HOST\", \"Pin-Priority: 100\""),
	Maps: []model.Ref{debian("1.2.1.2"), s2("30")},

	Since: "0.3",
}

// heldBack tells whether packages of a source are taken only when somebody asks
// for them by name (apt_preferences(5)).
func heldBack(pins []facts.AptPin, source facts.AptSource) bool {
	host := source.URI
	if u, err := url.Parse(source.URI); err == nil && u.Hostname() != "" {
		host = u.Hostname()
	}
	for _, pin := range pins {
		if pin.Package == "*" && pin.Priority < 500 && (strings.Contains(pin.Pin, host) || strings.Contains(pin.Pin, "="+source.Suite)) {
			return true
		}
	}
	return false
}
