package document

import (
	"net/netip"
	"regexp"
	"strings"
)

var (
	label   = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)
	mailbox = regexp.MustCompile(`^[A-Za-z0-9!#$%&'*+/=?^_{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_{|}~-]+)*$`)
)

// IsHost tells whether a text is a host name in lower-case letters, digits and
// hyphens, or an IPv4 address.
func IsHost(name string) bool {
	if len(name) > 253 {
		return false
	}
	labels := strings.Split(name, ".")
	for _, l := range labels {
		if !label.MatchString(l) {
			return false
		}
	}
	// A top-level domain begins with a letter. Browsers read a last label of
	// digits only as an address.
	last := labels[len(labels)-1]
	if last[0] >= 'a' || len(labels) == 1 && strings.Trim(last, "0123456789") != "" {
		return true
	}
	_, err := netip.ParseAddr(name)
	return err == nil
}

// IsEmail is somewhat stricter than PHP's FILTER_VALIDATE_EMAIL, which Matomo
// uses: no quoted parts and no addresses in brackets.
func IsEmail(email string) bool {
	i := strings.LastIndexByte(email, '@')
	if i < 1 || i > 64 || len(email) > 254 || !mailbox.MatchString(email[:i]) {
		return false
	}
	domain := strings.ToLower(email[i+1:])
	last := domain[strings.LastIndexByte(domain, '.')+1:]
	return IsHost(domain) && strings.Contains(domain, ".") && last[0] >= 'a'
}
