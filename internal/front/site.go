package front

import (
	"errors"
	"fmt"
	"net/netip"
	"path"
	"regexp"
	"strings"
)

// Site is what a server adds to the rules.
type Site struct {
	ServerNames      []string       // host names and IP addresses that the front answers to, the main one first
	Docroot          string         // of Matomo; may be the link that is switched to the next release
	UISocket         string         // Unix socket of the UI pool; empty: its paths do not exist here
	TrackerSocket    string         // Unix socket of the tracker pool; empty: its paths do not exist here
	Certificate      string         // PEM file: leaf first, then the chain
	Key              string         // PEM file, root 0600
	AdminNetworks    []netip.Prefix // that reach rules for Admins; empty: everybody
	Proxies          []netip.Prefix // load balancers: their X-Forwarded-For and X-Forwarded-Proto are believed, and they get HealthPath
	UserDir          string         // what is served at /misc/user/
	PrecompressedDir string         // holds matomo.js and piwik.js, each also as .gz and .br
	Apps             []App          // further PHP applications of the machine
}

// App is another PHP application, by a name of its own.
type App struct {
	Name    string // of its logs
	Domain  string // host name
	Docroot string
	Socket  string // Unix socket of its pool
}

// HealthPath is what a load balancer asks to see that a front is up. It answers
// proxies only, whatever the name that they ask for, and is not logged.
const HealthPath = "/rocca-health"

// Platform is the system that the configuration is for.
type Platform struct {
	Debian int // 12 or 13
}

// File is a configuration file, to be owned by root with mode 0644.
type File struct {
	Path    string
	Content []byte
}

var (
	// Everything that ends up in a configuration file is one of these. None can
	// hold a space, quote, semicolon, brace, dollar, hash, newline or wildcard.
	hostName = regexp.MustCompile(`^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*$`)
	fileName = regexp.MustCompile(`^/[A-Za-z0-9._/+@-]+$`)
	appName  = regexp.MustCompile(`^[a-z][a-z0-9-]{0,31}$`)
)

// Validate tells every value that cannot be put into a configuration file.
func (s Site) Validate() error {
	var problems []error
	refuse := func(field, value, why string) {
		problems = append(problems, fmt.Errorf("front: %s %q %s", field, value, why))
	}
	file := func(field, value string) {
		if !fileName.MatchString(value) || path.Clean(value) != value {
			refuse(field, value, "is not an absolute, clean path of letters, digits and . _ / + @ -")
		}
	}
	seen := map[string]bool{}
	name := func(field, value string) {
		if seen[value] {
			refuse(field, value, "is there twice")
		}
		seen[value] = true
		if _, err := netip.ParseAddr(value); err == nil && !strings.Contains(value, "%") {
			return
		}
		if !hostName.MatchString(value) || len(value) > 253 {
			refuse(field, value, "is neither a host name in small letters nor an IP address")
		}
	}

	if len(s.ServerNames) == 0 {
		refuse("ServerNames", "", "is empty")
	}
	for _, n := range s.ServerNames {
		name("ServerNames", n)
	}
	file("Docroot", s.Docroot)
	if s.UISocket != "" {
		file("UISocket", s.UISocket)
	}
	if s.TrackerSocket != "" {
		file("TrackerSocket", s.TrackerSocket)
	}
	file("Certificate", s.Certificate)
	file("Key", s.Key)
	file("UserDir", s.UserDir)
	file("PrecompressedDir", s.PrecompressedDir)
	networks := func(field string, networks []netip.Prefix) {
		for _, network := range networks {
			if !network.IsValid() || network != network.Masked() || network.Addr().Zone() != "" {
				refuse(field, network.String(), "is not a network address with its prefix length")
			}
		}
	}
	networks("AdminNetworks", s.AdminNetworks)
	networks("Proxies", s.Proxies)
	apps := map[string]bool{"matomo": true} // whose logs they would share
	for _, app := range s.Apps {
		if !appName.MatchString(app.Name) || apps[app.Name] {
			refuse("App.Name", app.Name, "is taken or is not a word of small letters, digits and -")
		}
		apps[app.Name] = true
		name("App.Domain", app.Domain)
		file("App.Docroot", app.Docroot)
		file("App.Socket", app.Socket)
	}
	return errors.Join(problems...)
}

func (p Platform) validate() error {
	if p.Debian != 12 && p.Debian != 13 {
		return fmt.Errorf("front: Platform.Debian %d is neither 12 nor 13", p.Debian)
	}
	return nil
}

// hosts returns ServerNames as they stand in a Host header: IPv6 in brackets.
func (s Site) hosts() []string {
	hosts := make([]string, len(s.ServerNames))
	for i, name := range s.ServerNames {
		hosts[i] = name
		if strings.Contains(name, ":") {
			hosts[i] = "[" + name + "]"
		}
	}
	return hosts
}

// answersWithoutName tells whether clients that send no name in the TLS
// handshake (SNI) must be let in: those that ask for an IP address, and load
// balancers.
func (s Site) answersWithoutName() bool {
	if len(s.Proxies) > 0 {
		return true
	}
	for _, name := range s.ServerNames {
		if _, err := netip.ParseAddr(name); err == nil {
			return true
		}
	}
	return false
}

// ciphers are Mozilla's intermediate ones (ssl-config.mozilla.org 5.7) for TLS
// 1.2, without DHE: that needs parameters of its own and no browser needs it.
const ciphers = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:" +
	"ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:" +
	"ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"

// socket returns where a pool listens.
func (s Site) socket(pool Pool) string {
	switch pool {
	case PoolUI:
		return s.UISocket
	case PoolTracker:
		return s.TrackerSocket
	}
	return ""
}

// appRefused is what no further application serves. Its files are not known
// here, so this is a deny-list, unlike Matomo's rules: hidden files (but for
// .well-known), sources, backups, dumps, archives, keys and logs.
const appRefused = `(?i)(?:/\.(?!well-known/)|/(?:vendor|node_modules|composer\.(?:json|lock)|package(?:-lock)?\.json)(?:/|\z)|` +
	`~\z|\.(?:ph(?:p[0-9]|tml|ps|ar|t)|inc|ini|conf|ya?ml|env|sql|sqlite3?|db|bak|old|orig|save|sw[a-p]|dist|log|sh|py|pl|md|lock|pem|key|zip|rar|7z|t?gz|bz2|xz|zst|tar)\z)`
