package config

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"

	"rocca/internal/document"
)

// Defaults is what the defaults depend on besides the file. The caller asks
// the system for it; this package does not.
type Defaults struct {
	Hostname string // the machine's name, fully qualified where it has such a name
}

// Config returns the configuration of an empty file.
func (d Defaults) Config() Config {
	c := d.start()
	c.follow(true, true)
	return c
}

// start returns the defaults that do not follow from another key.
func (d Defaults) start() Config {
	return Config{
		Domain:    []string{strings.ToLower(strings.TrimSuffix(d.Hostname, "."))},
		Roles:     []string{RoleTracker, RoleUI, RoleWorker},
		Port:      443,
		Front:     FrontNginx,
		Base:      "/var/www/matomo",
		State:     "/var/lib/matomo",
		Database:  Database{Port: 3306, Name: "matomo", Prefix: "matomo_"},
		Site:      Site{Name: "Website", Timezone: "UTC", Currency: "EUR"},
		Superuser: Superuser{Login: "owner"},
		Language:  "en",
		Trim:      true,
		Hardening: Hardening{Firewall: true, Kernel: true, Mounts: true, SSH: true, Upgrades: true, AuditTimer: true},
		Privacy:   Privacy{RawDays: 180},
	}
}

// follow sets the defaults that follow from the main domain.
func (c *Config) follow(url, email bool) {
	main := "localhost"
	if len(c.Domain) > 0 {
		main = c.Domain[0]
	}
	if url {
		c.Site.URL = "https://" + main + "/"
	}
	if !email {
		return
	}
	c.Superuser.Email = "owner@" + main
	if !document.IsEmail(c.Superuser.Email) {
		// Matomo takes neither an address nor a name without a dot; .invalid
		// is reserved for names that never exist.
		c.Superuser.Email = "owner@" + strings.ReplaceAll(main, ".", "-") + ".invalid"
	}
}

// File is the file that Load read, "" when there was none.
func (c Config) File() string { return c.source.File() }

// Warnings lists what Load accepted but its owner should know.
func (c Config) Warnings() []Problem { return c.source.Warnings() }

// Set lists the keys that the file sets, such as "database.host", sorted.
func (c Config) Set() []string {
	var set []string
	for _, k := range keys {
		if k.Example != "" && c.source.Sets(k.Path) {
			set = append(set, k.Path)
		}
	}
	slices.Sort(set)
	return set
}

// Load reads the file and fills in the defaults. At DefaultPath a missing file
// is an empty one. The error is an *Error with every problem of the file.
func Load(path string, defaults Defaults) (Config, error) {
	return load(path, defaults, path == DefaultPath)
}

func load(path string, defaults Defaults, optional bool) (Config, error) {
	text, err := document.ReadTrusted(path)
	if errors.Is(err, os.ErrNotExist) {
		if optional {
			return parse("", nil, defaults)
		}
		return Config{}, document.Failed(Problem{File: path, Text: "no such file", Hint: "rocca config init " + path + " writes one to start from"})
	}
	if err != nil {
		return Config{}, err
	}
	return parse(path, text, defaults)
}

// Check judges the text of a file as Load does, of a server elsewhere.
func Check(file string, text []byte, defaults Defaults) error {
	_, err := parse(file, text, defaults)
	return err
}

// parse turns the text of a file into a Config.
func parse(file string, text []byte, defaults Defaults) (Config, error) {
	c := defaults.start()
	d := document.Parse(file, text)
	d.Decode("", schema(), &c)
	urlSet, emailSet := d.Sets("site.url"), d.Sets("superuser.email")
	c.follow(!urlSet, !emailSet)

	found := slices.DeleteFunc(c.problems(), func(p Problem) bool {
		// The defaults of these two follow from the domain, which is reported.
		return p.Key == "site.url" && !urlSet || p.Key == "superuser.email" && !emailSet
	})
	if err := d.Judge(found); err != nil {
		return Config{}, err
	}
	wholeNetworks(d, "admin_networks", c.AdminNetworks)
	wholeNetworks(d, "ssh_networks", c.SSHNetworks)
	wholeNetworks(d, "proxies", c.Proxies)
	wholeNetwork(d, "database.network", &c.Database.Network)
	c.source = *d
	return c, nil
}

// wholeNetworks clears the bits beyond the prefix length, and warns of them.
func wholeNetworks(d *document.Document, key string, networks []netip.Prefix) {
	for i := range networks {
		wholeNetwork(d, fmt.Sprintf("%s[%d]", key, i), &networks[i])
	}
}

func wholeNetwork(d *document.Document, key string, network *netip.Prefix) {
	written := *network
	if *network = written.Masked(); *network == written {
		return
	}
	d.Warn(Problem{
		Key:  key,
		Text: fmt.Sprintf("%s has bits set beyond its prefix length and is read as the whole network %s", written, *network),
		Hint: fmt.Sprintf("write %s, or %s for the single address", *network, written.Addr()),
	})
}
