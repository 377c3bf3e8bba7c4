package settings

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"rocca/internal/document"
)

// Sizes of the VPC: AWS makes none larger than /16, and in less than /22 the
// subnets are too small for a load balancer.
const (
	widestVPC    = 16
	narrowestVPC = 22
)

// private are the networks that anybody may use inside (RFC 1918).
var private = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("172.16.0.0/12"), netip.MustParsePrefix("192.168.0.0/16")}

func (r *rules) network(s Settings) {
	r.vpc(s.Network.CIDR)
	r.zones(s)
	if r.among("network.nat", s.Network.NAT, NATNone, NATOne, NATPerZone) {
		switch {
		case s.Profile == Single && s.Network.NAT != NATNone:
			r.Report("network.nat", "remove it", "is %s, and nothing would use it: the instance of single has an address of its own", s.Network.NAT)
		case (s.Profile == Standard || s.Profile == Scale) && s.Network.NAT == NATNone:
			r.Report("network.nat", "set it to one or per-zone", "is none, and instances would have no way to Debian's updates")
		}
	}
	for i, name := range s.Network.Egress {
		if !document.IsHost(strings.TrimPrefix(name, "*.")) || strings.Trim(name, "0123456789.") == "" {
			r.Report(fmt.Sprintf("network.egress[%d]", i), "for example smtp.example.org, or *.example.org", "%s is no host name", document.Quote(name))
		} else if slices.Contains(s.Network.Egress[:i], name) {
			r.Report(fmt.Sprintf("network.egress[%d]", i), "keep one of the two", "%s is named twice", name)
		}
	}
}

func (r *rules) vpc(network netip.Prefix) {
	const at = "network.cidr"
	inside := func(outer netip.Prefix) bool { return outer.Bits() <= network.Bits() && outer.Contains(network.Addr()) }
	switch {
	case !network.IsValid():
		r.Report(at, "", "is missing")
	case !network.Addr().Is4():
		r.Report(at, "", "must be an IPv4 network, not %s", network)
	case network.Bits() > narrowestVPC:
		r.Report(at, "", "%s is too small: it must be /%d or larger", network, narrowestVPC)
	case network.Bits() < widestVPC:
		r.Report(at, "", "%s is too large: AWS takes /%d at most", network, widestVPC)
	case network != network.Masked():
		r.Report(at, "write it as "+network.Masked().String(), "%s has bits set beyond its prefix length", network)
	case !slices.ContainsFunc(private, inside):
		r.Report(at, "take one in 10.0.0.0/8, 172.16.0.0/12 or 192.168.0.0/16", "%s is not private: its owner could not be reached any more", network)
	}
}

func (r *rules) zones(s Settings) {
	const at = "network.zones"
	if r.Reported("region") {
		return
	}
	zones := s.Network.Zones
	if len(zones) < 2 || len(zones) > 3 {
		r.Report(at, "", "must be two or three, not %d", len(zones))
	}
	for i, zone := range zones {
		at := fmt.Sprintf("%s[%d]", at, i)
		letter, found := strings.CutPrefix(zone, s.Region)
		switch {
		case !found || len(letter) != 1 || letter[0] < 'a' || letter[0] > 'z':
			r.Report(at, "such as "+s.Region+"a", "%s is no availability zone of %s", document.Quote(zone), s.Region)
		case slices.Contains(zones[:i], zone):
			r.Report(at, "", "%s is named twice: one that fails would take everything with it", zone)
		}
	}
}

func (r *rules) admins(s Settings) {
	for i, network := range s.AdminNetworks {
		if network.Bits() == 0 {
			r.Report(fmt.Sprintf("admin_networks[%d]", i), "leave admin_networks empty for that", "%s is everybody", network)
		}
	}
	r.networks("admin_networks", s.AdminNetworks, s.Network.CIDR)
}

// widestSSH is the largest network that may reach port 22 without a word: the
// size of the private network 10.0.0.0/8.
const widestSSH = 8

// mostSSH is how many networks have room in the packet filter of a subnet,
// which takes 20 rules.
const mostSSH = 10

func (r *rules) ssh(s Settings, acceptWorld bool) {
	const at = "network.ssh"
	if len(s.Network.SSH) > mostSSH {
		r.Report(at, "", "must be at most %d networks, not %d", mostSSH, len(s.Network.SSH))
	}
	for i, network := range s.Network.SSH {
		at := fmt.Sprintf("%s[%d]", at, i)
		switch {
		case network.Bits() < widestSSH && !acceptWorld:
			r.Report(at, "name your own networks, or none: rocca aws ssh needs no open port. --i-accept-world-ssh takes it as it is, and rocca aws audit goes on to report it",
				"%s opens SSH to the world", network)
		case network.Addr().Is6():
			r.Report(at, "name the IPv4 network", "%s is IPv6, and the deployment has IPv4 addresses only", network)
		}
	}
	r.networks(at, s.Network.SSH, s.Network.CIDR)
}

// networks checks those of people, who are outside of the VPC.
func (r *rules) networks(path string, networks []netip.Prefix, vpc netip.Prefix) {
	for i, network := range networks {
		at := fmt.Sprintf("%s[%d]", path, i)
		if r.Reported(at) {
			continue
		}
		switch {
		case network != network.Masked():
			r.Report(at, fmt.Sprintf("write %s, or %s for the single address", network.Masked(), network.Addr()), "%s has bits set beyond its prefix length", network)
		case network.Bits() >= widestSSH && vpc.IsValid() && network.Overlaps(vpc):
			r.Report(at, "give the deployment another network.cidr", "%s overlaps the network of the deployment, %s: answers would not find the way back", network, vpc)
		}
		for _, other := range networks[:i] {
			if network.Overlaps(other) {
				r.Report(at, "keep the larger one", "%s overlaps %s, which is listed before", network, other)
			}
		}
	}
}
