package stack

import (
	"net/url"
	"slices"
)

// Lookups are the names that instances may look up when network.egress limits
// them: those of the owner, and those without which an instance cannot become
// what it should be. Each * stands for any name below.
func (v view) Lookups() []string {
	names := []string{
		v.Domain,
		"deb.debian.org", "security.debian.org", "cdn-aws.deb.debian.org",
		"builds.matomo.org",
		// Amazon's names of this region only: everybody can have a server below
		// amazonaws.com.
		"*." + v.Region + ".amazonaws.com",
		"*." + v.Region + ".rds.amazonaws.com",
		"*.cache.amazonaws.com",
		"*." + v.Region + ".compute.internal", "*.ec2.internal",
	}
	if v.Single() {
		names = append(names, "acme-v02.api.letsencrypt.org")
	}
	// What deploy uploads is below amazonaws.com.
	if parsed, err := url.Parse(v.Settings.Program.URL); err == nil && parsed.Hostname() != "" {
		names = append(names, parsed.Hostname())
	}
	names = append(names, v.Network.Egress...)
	slices.Sort(names)
	return slices.Compact(names)
}
