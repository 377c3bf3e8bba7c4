package front

import (
	"errors"
	"net"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"

	"rocca/internal/facts"
)

// Target is a Matomo as the outside reaches it, and where on this machine it
// is asked. Only addresses of this machine are asked.
type Target struct {
	Name  string // public name, of the Host header and the TLS handshake
	Base  string // URL path of Matomo, "/" or "/matomo"
	HTTPS string // address and port, "127.0.0.1:443"; empty: no TLS
	HTTP  string // of plain HTTP, "127.0.0.1:80"; empty: nothing listens

	Status []string // paths of status pages of the pools, beside the usual ones
	Ping   []string
	Local  []string // paths that the configuration lets this machine alone ask for
}

// TargetOf finds what to ask from the sites that serve Matomo, with the name
// that the owner declared or Matomo trusts before one that the site has.
func TargetOf(s facts.Server) (Target, error) {
	sites := s.MatomoSites()
	if len(sites) == 0 {
		return Target{}, errors.New("no site of the front serves Matomo")
	}
	var t Target
	site, secure := sites[0], false
	for _, candidate := range sites {
		for _, l := range candidate.Listens {
			if l.TLS && !secure {
				site, secure = candidate, true
				t.HTTPS = ownAddress(l)
			}
		}
	}
	t.HTTP = plainAddress(s.Front.Sites, site)
	t.Base, _ = below(site, s.Matomo.Real)
	if base, serves := below(site, s.Matomo.Root); t.Base == "" && serves {
		t.Base = base
	}
	if t.Base == "" {
		t.Base = "/"
	}
	t.Name = publicName(s, site)
	for _, pool := range s.MatomoPools() {
		if pool.Status != "" {
			t.Status = append(t.Status, pool.Status)
		}
		if pool.Ping != "" {
			t.Ping = append(t.Ping, pool.Ping)
		}
	}
	for _, location := range site.Locations {
		if onlyLocal(location) {
			_, match := nginxMatch(location.Match)
			t.Local = append(t.Local, match)
		}
	}
	return t, nil
}

// publicName is the name by which others ask for Matomo.
func publicName(s facts.Server, site facts.Site) string {
	var names []string
	for _, name := range s.Declared.Names {
		names = append(names, bareHost(name))
	}
	for _, name := range s.Matomo.Main().Settings["General.trusted_hosts"] {
		names = append(names, bareHost(name))
	}
	literal := slices.DeleteFunc(slices.Clone(site.Names), func(name string) bool {
		return name == "_" || name == "" || strings.ContainsAny(name, "*~^$?")
	})
	// What the site itself answers to comes first, and of that a real name.
	for _, name := range names {
		if slices.Contains(literal, name) && net.ParseIP(name) == nil {
			return name
		}
	}
	ranked := append(literal, names...)
	slices.SortStableFunc(ranked, func(a, b string) int { return rank(a) - rank(b) })
	if len(ranked) == 0 {
		return "localhost"
	}
	return ranked[0]
}

func rank(name string) int {
	switch {
	case net.ParseIP(name) != nil:
		return 2
	case name == "localhost" || !strings.Contains(name, "."):
		return 1
	}
	return 0
}

// bareHost takes scheme and port off a name.
func bareHost(name string) string {
	if parsed, err := url.Parse(name); err == nil && parsed.Host != "" {
		return parsed.Hostname()
	}
	host, _ := endpoint(name)
	return host
}

func ownAddress(l facts.Listen) string {
	host := l.Address
	switch host {
	case "":
		host = "127.0.0.1"
	case "::":
		host = "::1"
	}
	return net.JoinHostPort(host, strconv.Itoa(l.Port))
}

// plainAddress is where plain HTTP is spoken: where the site itself does, or
// any site on port 80.
func plainAddress(all []facts.Site, site facts.Site) string {
	for _, l := range site.Listens {
		if !l.TLS && l.Port != 0 {
			return ownAddress(l)
		}
	}
	for _, other := range all {
		for _, l := range other.Listens {
			if !l.TLS && l.Port == 80 {
				return ownAddress(l)
			}
		}
	}
	return ""
}

// onlyLocal tells a section that answers this machine alone. What it says to
// rocca, which asks from here, is not what it says to others.
func onlyLocal(l facts.Location) bool {
	allowed, limited := []string{}, false
	for _, setting := range l.Directives["require"] {
		limited = true
		words := strings.Fields(strings.ToLower(setting.Value))
		switch {
		case len(words) == 1 && words[0] == "local":
			allowed = append(allowed, "127.0.0.1")
		case len(words) > 1 && words[0] == "ip":
			allowed = append(allowed, words[1:]...)
		default:
			allowed = append(allowed, setting.Value)
		}
	}
	for _, setting := range l.Directives["allow"] {
		allowed = append(allowed, setting.Value)
	}
	for _, setting := range l.Directives["deny"] {
		limited = limited || setting.Value == "all"
	}
	return limited && len(allowed) > 0 && !slices.ContainsFunc(allowed, func(address string) bool {
		host, _, _ := strings.Cut(address, "/")
		ip := net.ParseIP(host)
		return ip == nil || !ip.IsLoopback()
	})
}

// path joins a path below Matomo, as it is written.
func (t Target) path(below string) string {
	return strings.TrimSuffix(t.Base, "/") + below
}

// guarded tells whether a path is for this machine alone.
func (t Target) guarded(name string) bool {
	return slices.ContainsFunc(t.Local, func(local string) bool { return path.Clean(name) == path.Clean(local) })
}
