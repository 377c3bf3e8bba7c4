package config

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"rocca/internal/document"
)

// Hardening switches what rocca changes of Debian itself.
type Hardening struct {
	Firewall   bool `yaml:"firewall"`    // nftables: nothing gets in but what is declared
	Kernel     bool `yaml:"kernel"`      // sysctl
	Mounts     bool `yaml:"mounts"`      // nodev, nosuid and noexec for /tmp, /var/tmp, /dev/shm
	SSH        bool `yaml:"ssh"`         // algorithms and limits
	SSHKeys    bool `yaml:"ssh_keys"`    // no passwords and no root by SSH
	Upgrades   bool `yaml:"upgrades"`    // Debian's security upgrades by themselves
	AuditTimer bool `yaml:"audit_timer"` // rocca audit every day
}

// Privacy is what was decided about visitors' data.
type Privacy struct {
	RawDays      int    `yaml:"raw_days"`      // visits are kept no longer
	ReportMonths int    `yaml:"report_months"` // reports are kept no longer; 0: for ever
	Consent      string `yaml:"consent"`       // one of Consents; empty: not decided
}

// Consents are the ways to track that a decision can name.
var Consents = []string{"cookieless", "consent", "exempt"}

// Record is a document or an event that no program can see.
type Record struct {
	Subject  string `yaml:"subject"`  // one of Subjects
	Date     string `yaml:"date"`     // of the last review or exercise, 2026-11-30
	Document string `yaml:"document"` // path or URL
	Note     string `yaml:"note"`
}

// Subjects are what a record may be about.
var Subjects = []string{"incident-plan", "training", "devices", "runbook", "encryption-at-rest", "erasure-drill", "restore-drill", "consent", "third-countries"}

var openPort = regexp.MustCompile(`^(tcp|udp)/([1-9][0-9]{0,4})$`)

// audited checks what the controls are told.
func (r *rules) audited(c Config) {
	for i, network := range c.SSHNetworks {
		if !network.IsValid() {
			r.report(fmt.Sprintf("ssh_networks[%d]", i), "", "is no network")
		}
	}
	for i, port := range c.Ports {
		match := openPort.FindStringSubmatch(port)
		if match == nil || !validPort(match[2]) {
			r.report(fmt.Sprintf("ports[%d]", i), "for example tcp/25 or udp/123", "%s is no protocol with a port", quote(port))
		}
	}
	for i, host := range c.Outbound {
		if _, err := netip.ParseAddr(host); err != nil && !document.IsHost(host) {
			r.report(fmt.Sprintf("outbound[%d]", i), "only the name, without https://, port and path", "%s is no host name or address", quote(host))
		}
	}
	for i, page := range c.TrackedPages {
		r.url(fmt.Sprintf("tracked_pages[%d]", i), page)
	}
	if c.Privacy.RawDays < 1 || c.Privacy.RawDays > 3650 {
		r.report("privacy.raw_days", "", "must be from 1 to 3650, not %d", c.Privacy.RawDays)
	}
	if c.Privacy.ReportMonths < 0 || c.Privacy.ReportMonths > 1200 {
		r.report("privacy.report_months", "", "must be from 0 (for ever) to 1200, not %d", c.Privacy.ReportMonths)
	}
	if c.Privacy.Consent != "" && !slices.Contains(Consents, c.Privacy.Consent) {
		r.report("privacy.consent", "", "must be one of %s, not %s", strings.Join(Consents, ", "), quote(c.Privacy.Consent))
	}
	for i, record := range c.Records {
		at := fmt.Sprintf("records[%d]", i)
		if !slices.Contains(Subjects, record.Subject) {
			r.report(at+".subject", "one of "+strings.Join(Subjects, ", "), "%s is no subject", quote(record.Subject))
		}
		r.Day(at+".date", record.Date)
	}
	r.Waivers(c.Waivers)
}
