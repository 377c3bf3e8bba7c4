// Package config reads rocca.yaml into one typed, validated Config.
package config

import (
	"fmt"
	"net/netip"
	"slices"

	"rocca/internal/document"
)

// DefaultPath is where rocca looks when no other file is named.
const DefaultPath = "/etc/rocca/rocca.yaml"

// Fronts are the web servers that rocca configures.
const (
	FrontNginx  = "nginx"
	FrontApache = "apache"
)

// Roles are what of Matomo a machine can do.
const (
	RoleTracker = "tracker" // takes hits
	RoleUI      = "ui"      // login, reports, API, opt-out
	RoleWorker  = "worker"  // makes the reports, and runs scheduled tasks
)

// Config is everything its owner may decide about a server. The zero file is
// valid: Load fills in the defaults.
type Config struct {
	Domain        []string          `yaml:"domain"`         // names that the front answers to; the first is the main one. A single string is allowed too
	Proxies       []netip.Prefix    `yaml:"proxies"`        // load balancers: what they say of the visitor (X-Forwarded-For) is believed
	Roles         []string          `yaml:"roles"`          // what of Matomo this machine does, of Roles; all when it is the only one
	Port          int               `yaml:"port"`           // at which visitors reach the front: not 443 behind a router that forwards another one
	Front         string            `yaml:"front"`          // FrontNginx or FrontApache
	TLS           TLS               `yaml:"tls"`            // self-signed when empty
	Release       string            `yaml:"release"`        // path, URL or version; empty: the newest known to rocca
	Base          string            `yaml:"base"`           // directory of the releases and the www link
	State         string            `yaml:"state"`          // directory of what Matomo writes
	PHP           string            `yaml:"php"`            // branch such as "8.2"; empty: what the distribution has
	Database      Database          `yaml:"database"`       //
	Secrets       string            `yaml:"secrets"`        // file, root 0600, that Secrets of package blueprint describes; empty: rocca makes every secret itself
	Site          Site              `yaml:"site"`           // the first site to track
	Superuser     Superuser         `yaml:"superuser"`      //
	Language      string            `yaml:"language"`       // ISO 639 code of the default language
	Trim          bool              `yaml:"trim"`           // drop tests, docs and unused languages from the release
	Apps          []App             `yaml:"apps"`           // further PHP applications of the same machine
	AdminNetworks []netip.Prefix    `yaml:"admin_networks"` // who may reach the UI and API; empty: everybody. The tracker is always public
	SSHNetworks   []netip.Prefix    `yaml:"ssh_networks"`   // who may reach SSH; empty: everybody
	Ports         []string          `yaml:"ports"`          // "tcp/25": open to the outside beside SSH and the front
	Outbound      []string          `yaml:"outbound"`       // hosts that Matomo may connect to
	Hardening     Hardening         `yaml:"hardening"`      // what rocca changes of Debian itself
	Privacy       Privacy           `yaml:"privacy"`        // what was decided about visitors' data
	TrackedPages  []string          `yaml:"tracked_pages"`  // URLs of pages that rocca audit fetches
	Records       []Record          `yaml:"records"`        // what only the owner can vouch for
	Waivers       []document.Waiver `yaml:"waivers"`        // findings that the owner accepts for a time

	source document.Document // where Load found each value
}

// URL is the public address of Matomo, with a final slash.
func (c Config) URL() string {
	if c.Port == 443 {
		return "https://" + c.Domain[0] + "/"
	}
	return fmt.Sprintf("https://%s:%d/", c.Domain[0], c.Port)
}

// Does tells whether this machine has a role.
func (c Config) Does(role string) bool { return slices.Contains(c.Roles, role) }

// TLS names the certificate of the front. Both or none are set.
type TLS struct {
	Certificate string `yaml:"certificate"` // PEM file: leaf first, then the chain
	Key         string `yaml:"key"`         // PEM file, readable by root only
}

// Database says where MariaDB or MySQL is. An empty Host is the local MariaDB
// by its socket, with no password anywhere.
type Database struct {
	Host        string `yaml:"host"`        // name or address of a remote server
	Port        int    `yaml:"port"`        // of a remote server
	Name        string `yaml:"name"`        // schema
	Prefix      string `yaml:"prefix"`      // of table names
	CA          string `yaml:"ca"`          // PEM file that a remote server's certificate must lead to
	Credentials string `yaml:"credentials"` // file, root 0600, with "username" and "password" lines (YAML) of the remote account that may create accounts; empty: the accounts exist, and Secrets has their passwords

	// Network is where Matomo's machines are, such as 10.20.0.0/16: a remote
	// server lets the accounts in from there. Invalid: from this machine only.
	Network netip.Prefix `yaml:"network"`
}

// Remote tells whether the database is on another machine.
func (d Database) Remote() bool { return d.Host != "" }

// Site is the first site that Matomo tracks.
type Site struct {
	Name     string `yaml:"name"`
	URL      string `yaml:"url"`
	Timezone string `yaml:"timezone"` // IANA name
	Currency string `yaml:"currency"` // ISO 4217 code
}

// Superuser is the first login of Matomo.
type Superuser struct {
	Login string `yaml:"login"`
	Email string `yaml:"email"`
}

// App is another PHP application on the machine, isolated as Matomo is.
type App struct {
	Name    string `yaml:"name"`    // also the instance of its unit (rocca-php@NAME) and its Unix user
	Docroot string `yaml:"docroot"` // directory that the front serves
	Domain  string `yaml:"domain"`  // name that the front answers to for it
}
