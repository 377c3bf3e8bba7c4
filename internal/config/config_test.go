package config

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"rocca/internal/document"
)

var update = flag.Bool("update", false, "rewrite the golden files and docs/config.md")

var machine = Defaults{Hostname: "stats.example.org"}

// sameValues compares what two configurations say, not where they said it.
var sameValues = cmp.Options{
	cmpopts.IgnoreUnexported(Config{}),
	cmp.Comparer(func(a, b netip.Prefix) bool { return a == b }),
}

// golden compares with a file, or rewrites it with -update.
func golden(t *testing.T, file string, got []byte) {
	t.Helper()
	if *update {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s differs (-want +got); go test ./internal/config -update rewrites it:\n%s", file, diff)
	}
}

// TestProblems keeps the exact words of every problem in one file to read.
func TestProblems(t *testing.T) {
	var all bytes.Buffer
	for _, text := range badFiles {
		_, err := parse("rocca.yaml", []byte(text), machine)
		var bad *Error
		if !errors.As(err, &bad) {
			t.Errorf("accepted, or failed without an *Error (%v):\n%s", err, text)
			continue
		}
		for _, p := range bad.Problems {
			if p.File != "rocca.yaml" || p.Line < 1 || p.Column < 1 {
				t.Errorf("problem without a position: %s\nof:\n%s", p, text)
			}
		}
		fmt.Fprintf(&all, "%s\n%s\n\n", indented(text), bad)
	}
	golden(t, "testdata/problems.golden", all.Bytes())
}

func indented(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		shown := strconv.Quote(strings.TrimSuffix(line, "\n"))
		b.WriteString("    " + strings.NewReplacer(`\"`, `"`, `\\`, `\`).Replace(shown[1:len(shown)-1]) + "\n")
	}
	return b.String()
}

var badFiles = []string{
	// the shape of the file
	"frnt: nginx\n",
	"Front: nginx\n",
	"host: db.example.org\n",
	"name: x\n",
	"site:\n  domain: a.example\n",
	"something: 1\n",
	"database:\n  password: hunter2\n  user: hunter2\n",
	"\"a\\u001bb\": 1\n",
	"front: nginx\nfront: apache\n",
	"tls:\n  key: /a\n  key: /b\n  certificate: /c\n",
	"- front\n",
	"nginx\n",
	"1: 2\n",
	"? [a]\n: b\n",
	"front: [nginx\n",
	"front: 'nginx\n",
	"\tfront: nginx\n",
	"front: nginx\n  php: 8.2\n",
	"front: nginx\n---\nfront: apache\n",
	"%YAML 1.1\n---\nfront: nginx\n",
	"front: &f nginx\n",
	"front: *f\n",
	"front: !!str nginx\n",
	"<<: {front: nginx}\n",
	"front: nginx\x00\n",
	"front: \x1b[2J\n",
	"site:\n  name: \xff\n",

	// types
	"front: true\n",
	"front:\n",
	"front: {name: nginx}\n",
	"trim: yes\n",
	"trim: 1\n",
	"trim: \"true\"\n",
	"database: mysql\n",
	"database:\n  port: \"3306\"\n",
	"database:\n  port: 3306.5\n",
	"database:\n  port: 99999999999999999999\n",
	"apps: shop\n",
	"apps: {name: shop}\n",
	"apps: [shop]\n",
	"apps: [~]\n",
	"admin_networks:\n",
	"admin_networks: {a: b}\n",
	"admin_networks: [10]\n",
	"domain: [[a.example]]\n",

	// domain and front
	"domain: []\n",
	"domain: \"\"\n",
	"domain: Stats.Example.org.\n",
	"domain: https://stats.example.org/\n",
	"domain: stats.example.org:8443\n",
	"domain: \"*.example.org\"\n",
	"domain: [a.example, b.example, a.example]\n",
	"domain: bücher.example\n",
	"domain: my_host.example\n",
	"domain: \"a.example; return 200\"\n",
	"domain: 1.2.3\n",
	"domain: 300.1.1.1\n",
	"domain: \"2001:db8::1\"\n",
	"domain: -a.example\n",
	"domain: " + strings.Repeat("a", 64) + ".example\n",
	"domain: a..example\n",
	"front: apache2\n",
	"front: httpd\n",
	"front: caddy\n",

	// files and directories
	"tls:\n  certificate: /etc/ssl/a.pem\n",
	"tls: {key: /etc/ssl/a.key}\n",
	"tls: {certificate: a.pem, key: /tmp/a.key}\n",
	"tls: {certificate: /etc/ssl/a.pem, key: /var/www/matomo/a.key}\n",
	"base: matomo\n",
	"base: /var/www/../matomo\n",
	"base: /var/www/matomo/\n",
	"base: \"/var/www/matomo;include x\"\n",
	"base: \"/var/www/mato\\nmo\"\n",
	"base: /\n",
	"base: /etc/matomo\n",
	"base: /var/www\n",
	"base: /tmp/matomo\n",
	"base: /home/jane/matomo\n",
	"base: \"\"\n",
	"base: /" + strings.Repeat("a", 200) + "\n",
	"state: /var/www/matomo/state\n",
	"state: /var/www/matomo\n",
	"base: /var/lib/matomo/www\n",
	"base: /var/lib/matomo-tracker/www\n",
	"state: /run/matomo\n",

	// release and PHP
	"release: matomo.zip\n",
	"release: 5.3\n",
	"release: ftp://builds.matomo.org/matomo.zip\n",
	"release: https://user:hunter2@builds.example/matomo.zip\n",
	"php: 8\n",
	"php: 8.02\n",
	"php: php8.2\n",
	"php: 5.6\n",

	// database
	"database:\n  host: db.example.org\n",
	"database:\n  host: db.example.org\n  ca: /etc/rocca/ca.pem\n",
	"database: {host: \"mysql://root:hunter2@db.example.org\", ca: /a/b, credentials: /a/c}\n",
	"database: {host: localhost, ca: /a/b, credentials: /a/c}\n",
	"database: {host: db.example.org, ca: ca.pem, credentials: hunter2}\n",
	"database: {host: db.example.org, ca: /etc/ca.pem, credentials: /srv/shop/db.yaml}\napps: [{name: shop, docroot: /srv/shop, domain: shop.example}]\n",
	"database: {ca: /etc/ca.pem, credentials: /etc/c.yaml, port: 3307, network: 10.20.0.0/16}\n",
	"database: {host: db.example.org, ca: /etc/ca.pem}\n",
	"database: {host: db.example.org, ca: /etc/ca.pem, network: 2001:db8::/32}\nsecrets: secrets.yaml\n",
	"database: {host: db.example.org, ca: /etc/ca.pem, network: 0.0.0.0/0}\nsecrets: /tmp/secrets.yaml\n",
	"secrets: /srv/shop/secrets.yaml\napps: [{name: shop, docroot: /srv/shop, domain: shop.example}]\n",
	"roles: []\n",
	"roles: [trackers, ui, ui, everything]\n",
	"roles: [tracker, ui]\n",
	"proxies: [0.0.0.0/0, 10.20.0.0/33]\n",
	"port: 0\n",
	"port: 65536\n",
	"database: {port: 0}\n",
	"database: {port: 65536}\n",
	"database: {name: \"matomo`; DROP\"}\n",
	"database: {name: mysql}\n",
	"database: {name: \"\"}\n",
	"database: {prefix: matomo-}\n",
	"database: {prefix: \"\"}\n",

	// site and superuser
	"site: {name: \"\"}\n",
	"site: {name: \"a\\u202eb\"}\n",
	"site: {url: www.example.org}\n",
	"site: {url: \"javascript:alert(1)\"}\n",
	"site: {url: \"https://jane:hunter2@example.org/\"}\n",
	"site: {url: \"https://exa mple.org/\"}\n",
	"site: {url: \"https:///path\"}\n",
	"site: {url: \"https://example.org:99999/\"}\n",
	"site: {url: \"https://example.org/#top\"}\n",
	"site: {timezone: CET}\n",
	"site: {timezone: Europe/Berln}\n",
	"site: {timezone: ../../etc/passwd}\n",
	"site: {currency: eur}\n",
	"superuser: {login: a}\n",
	"superuser: {login: \"jane doe\"}\n",
	"superuser: {login: Anonymous}\n",
	"superuser: {login: jäne}\n",
	"superuser: {email: jane}\n",
	"superuser: {email: jane@localhost}\n",
	"superuser: {email: \"jane@example.org\\nBcc: x@example.org\"}\n",
	"language: pt_BR\n",
	"language: english\n",

	// apps
	"apps: [{name: shop}]\n",
	"apps: [{name: shop, docrot: /srv/shop, domain: shop.example}]\n",
	"apps: [{name: ui, docroot: /srv/a, domain: a.example}, {name: www-data, docroot: /srv/b, domain: b.example}, {name: matomo-x, docroot: /srv/c, domain: c.example}]\n",
	"apps: [{name: Shop, docroot: /srv/a, domain: a.example}, {name: ../x, docroot: /srv/b, domain: b.example}]\n",
	"apps:\n  - {name: a, docroot: /srv/a, domain: a.example}\n  - {name: a, docroot: /srv/b, domain: a.example}\n",
	"apps: [{name: a, docroot: /srv/a, domain: a.example}, {name: b, docroot: /srv/a/b, domain: b.example}]\n",
	"apps: [{name: a, docroot: srv, domain: a.example}]\n",
	"apps: [{name: a, docroot: /var/www, domain: a.example}]\n",
	"apps: [{name: a, docroot: /etc/a, domain: a.example}]\n",
	"apps: [{name: a, docroot: /var/www/matomo/www/a, domain: a.example}]\n",
	"apps: [{name: a, docroot: /var/lib/matomo-tracker, domain: a.example}]\n",
	"apps: [{name: a, docroot: /srv/a, domain: stats.example.org}]\n",
	"apps: [{name: a, docroot: /srv/a, domain: \"a b\"}]\n",

	// admin_networks
	"admin_networks: [office]\n",
	"admin_networks: [10.0.0.0/33, 10.0.0.256, 10.0.0.1-10.0.0.9]\n",
	"admin_networks: [\"fe80::1%eth0\", \"::ffff:10.0.0.1\", \"::ffff:10.0.0.0/104\"]\n",

	// many at once, in the order of the file
	"php: eight\nfrnt: x\nsite: {timezone: Mars/Base}\ndomain: [a, a]\ndatabase:\n  port: many\n  host: \"!\"\n",
}

func TestProblemsNeverShowWhatMayBeASecret(t *testing.T) {
	for _, text := range badFiles {
		if !strings.Contains(text, "hunter2") {
			continue
		}
		_, err := parse("rocca.yaml", []byte(text), machine)
		if err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s leads to: %v", text, err)
		}
	}
}

func TestDefaults(t *testing.T) {
	want := Config{
		Domain:    []string{"stats.example.org"},
		Port:      443,
		Roles:     []string{"tracker", "ui", "worker"},
		Front:     "nginx",
		Base:      "/var/www/matomo",
		State:     "/var/lib/matomo",
		Database:  Database{Port: 3306, Name: "matomo", Prefix: "matomo_"},
		Site:      Site{Name: "Website", URL: "https://stats.example.org/", Timezone: "UTC", Currency: "EUR"},
		Superuser: Superuser{Login: "owner", Email: "owner@stats.example.org"},
		Language:  "en",
		Trim:      true,
		Hardening: Hardening{Firewall: true, Kernel: true, Mounts: true, SSH: true, Upgrades: true, AuditTimer: true},
		Privacy:   Privacy{RawDays: 180},
	}
	for name, text := range map[string]string{
		"empty":          "",
		"comments":       "# nothing\n\n# here\n",
		"empty document": "---\n",
		"empty sections": "tls:\ndatabase:\nsite:\nsuperuser: {}\napps: []\nadmin_networks: []\n",
		"template":       string(Template(machine)),
		"uncommented":    uncommented(Template(machine)),
	} {
		got, err := parse("rocca.yaml", []byte(text), machine)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if diff := cmp.Diff(want, got, sameValues); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	if diff := cmp.Diff(want, machine.Config(), sameValues); diff != "" {
		t.Errorf("Defaults.Config (-want +got):\n%s", diff)
	}
}

// uncommented removes the # of every key's line of a template. Lines of prose
// begin with one or three spaces.
func uncommented(template []byte) string {
	return regexp.MustCompile(`(?m)^#((?:  )?[a-z])`).ReplaceAllString(string(template), "$1")
}

// Every machine's defaults must be valid, and valid for Matomo.
func TestDefaultsOfMachines(t *testing.T) {
	for hostname, want := range map[string][3]string{
		"stats.example.org":  {"stats.example.org", "https://stats.example.org/", "owner@stats.example.org"},
		"Stats.Example.ORG.": {"stats.example.org", "https://stats.example.org/", "owner@stats.example.org"},
		"debian":             {"debian", "https://debian/", "owner@debian.invalid"},
		"192.0.2.7":          {"192.0.2.7", "https://192.0.2.7/", "owner@192-0-2-7.invalid"},
	} {
		c, err := parse("", nil, Defaults{Hostname: hostname})
		if err != nil {
			t.Errorf("%s: %v", hostname, err)
			continue
		}
		if got := [3]string{c.Domain[0], c.Site.URL, c.Superuser.Email}; got != want {
			t.Errorf("%s: got %v, want %v", hostname, got, want)
		}
	}
	_, err := parse("", nil, Defaults{Hostname: "my_host"})
	if err == nil || err.Error() != "domain[0]: \"my_host\" is no domain name\n  hint: for example domain: [stats.example.org, www.stats.example.org]" {
		t.Errorf("a host name that is no domain: %v", err)
	}
}

func TestGoodFile(t *testing.T) {
	c, err := parse("rocca.yaml", []byte(`
domain: [a.example, 192.0.2.7]
proxies: 10.20.0.0/16
roles: [tracker, worker]
port: 8443
front: apache
tls: {certificate: /etc/ssl/a.pem, key: /etc/ssl/a.key}
release: https://builds.example:8443/matomo-5.3.0.zip
base: /srv/matomo
state: /srv/matomo-state
php: 8.10
database:
  host: "2001:db8::1"
  port: 3307
  name: Stats_2
  prefix: s_
  ca: /etc/rocca/ca.pem
  credentials: /etc/rocca/database.yaml
  network: 10.20.0.7/16
secrets: /etc/rocca/secrets.yaml
site:
  name: "Jane's: shop & café"
  url: http://[2001:db8::2]:8080/shop?a=b
  timezone: America/Argentina/Buenos_Aires
  currency: USD
superuser: {login: jane@example.org, email: jane+matomo@mail.example.org}
language: pt-br
trim: false
apps:
  - name: shop
    docroot: /srv/shop/public
    domain: shop.example
  - {domain: blog.example, name: blog-2, docroot: /usr/share/blog}
admin_networks:
  - 10.1.2.3
  - 192.0.2.9/24
  - 2001:db8::/32
ssh_networks: [203.0.113.7]
ports: [tcp/25]
outbound: smtp.example.org
hardening:
  kernel: false
  ssh_keys: true
privacy: {raw_days: 90, report_months: 24, consent: cookieless}
tracked_pages: [https://www.example.org/]
records:
  - {subject: incident-plan, date: 2026-10-01, document: /root/plan.md}
waivers:
  - id: FRT-09
    reason: the load balancer does
    owner: jane
    until: 2027-03-31
`), machine)
	if err != nil {
		t.Fatal(err)
	}
	want := Config{
		Domain:  []string{"a.example", "192.0.2.7"},
		Proxies: []netip.Prefix{netip.MustParsePrefix("10.20.0.0/16")},
		Roles:   []string{RoleTracker, RoleWorker},
		Port:    8443,
		Front:   FrontApache,
		TLS:     TLS{"/etc/ssl/a.pem", "/etc/ssl/a.key"},
		Release: "https://builds.example:8443/matomo-5.3.0.zip",
		Base:    "/srv/matomo",
		State:   "/srv/matomo-state",
		PHP:     "8.10",
		Database: Database{
			Host: "2001:db8::1", Port: 3307, Name: "Stats_2", Prefix: "s_",
			CA: "/etc/rocca/ca.pem", Credentials: "/etc/rocca/database.yaml", Network: netip.MustParsePrefix("10.20.0.0/16"),
		},
		Secrets:   "/etc/rocca/secrets.yaml",
		Site:      Site{"Jane's: shop & café", "http://[2001:db8::2]:8080/shop?a=b", "America/Argentina/Buenos_Aires", "USD"},
		Superuser: Superuser{"jane@example.org", "jane+matomo@mail.example.org"},
		Language:  "pt-br",
		Apps:      []App{{"shop", "/srv/shop/public", "shop.example"}, {"blog-2", "/usr/share/blog", "blog.example"}},
		AdminNetworks: []netip.Prefix{
			netip.MustParsePrefix("10.1.2.3/32"), netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("2001:db8::/32"),
		},
		SSHNetworks:  []netip.Prefix{netip.MustParsePrefix("203.0.113.7/32")},
		Ports:        []string{"tcp/25"},
		Outbound:     []string{"smtp.example.org"},
		Hardening:    Hardening{Firewall: true, Mounts: true, SSH: true, SSHKeys: true, Upgrades: true, AuditTimer: true},
		Privacy:      Privacy{RawDays: 90, ReportMonths: 24, Consent: "cookieless"},
		TrackedPages: []string{"https://www.example.org/"},
		Records:      []Record{{Subject: "incident-plan", Date: "2026-10-01", Document: "/root/plan.md"}},
		Waivers:      []document.Waiver{{ID: "FRT-09", Reason: "the load balancer does", Owner: "jane", Until: "2027-03-31"}},
	}
	if diff := cmp.Diff(want, c, sameValues); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	var warnings []string
	for _, w := range c.Warnings() {
		warnings = append(warnings, w.String())
	}
	wantWarnings := []string{
		"rocca.yaml:36:5: admin_networks[1]: 192.0.2.9/24 has bits set beyond its prefix length and is read as the whole network 192.0.2.0/24\n  hint: write 192.0.2.0/24, or 192.0.2.9 for the single address",
		"rocca.yaml:19:12: database.network: 10.20.0.7/16 has bits set beyond its prefix length and is read as the whole network 10.20.0.0/16\n  hint: write 10.20.0.0/16, or 10.20.0.7 for the single address",
	}
	if diff := cmp.Diff(wantWarnings, warnings); diff != "" {
		t.Errorf("warnings (-want +got):\n%s", diff)
	}
	golden(t, "testdata/show.golden", c.YAML())

	again, err := parse("shown.yaml", c.YAML(), Defaults{Hostname: "other.example"})
	if err != nil {
		t.Fatalf("what show prints does not load: %v", err)
	}
	if diff := cmp.Diff(want, again, sameValues); diff != "" {
		t.Errorf("what show prints loads to (-want +got):\n%s", diff)
	}
}

func TestGoodValues(t *testing.T) {
	for _, text := range []string{
		"domain: a.example\n",
		"domain: localhost\n",
		"domain: xn--bcher-kva.example\n",
		"release: 5.2.1\n",
		"release: 5.4.0-rc2\n",
		"release: /root/matomo-5.3.0.tar.gz\n",
		"php: \"8.4\"\n",
		"php: 8.4\n",
		"site: {timezone: UTC}\n",
		"site: {timezone: Asia/Ho_Chi_Minh}\n",
		"site: {name: 2024}\n",
		"superuser: {login: ab}\n",
		"superuser: {email: \"o'neil@a-b.example\"}\n",
		"language: tzm\n",
		"language: no\n",
		"apps: [{name: a, docroot: /var/www/html, domain: a.example}]\n",
		"admin_networks: 192.0.2.1\n",
		"admin_networks: [0.0.0.0/0, \"::/0\"]\n",
		"{\"front\": \"apache\"}\n",
		"front: nginx\r\nphp: 8.2\r\n",
		"\"front\": |-\n  nginx\n",
	} {
		if _, err := parse("rocca.yaml", []byte(text), machine); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestValidateAfterAChange(t *testing.T) {
	c := machine.Config()
	if err := c.Validate(); err != nil {
		t.Fatalf("the defaults: %v", err)
	}
	c.Front = "ngnx"
	want := "front: must be nginx or apache, not \"ngnx\"\n  hint: did you mean nginx?"
	if err := c.Validate(); err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestSetListsWhatTheFileSays(t *testing.T) {
	c, err := parse("rocca.yaml", []byte("tls:\nsite: {name: x}\napps: [{name: a, docroot: /srv/a, domain: b.example}]\ndomain: [a.example]\nfront: nginx\n"), machine)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"apps", "domain", "front", "site.name"}, c.Set()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// The descriptions and the type cannot drift apart.
func TestEveryKeyIsDescribed(t *testing.T) {
	paths := document.Paths(reflect.TypeFor[Config]())
	var described []string
	for _, k := range keys {
		described = append(described, k.Path)
		if !strings.HasSuffix(k.About, ".") {
			t.Errorf("%s: the description is no sentence: %q", k.Path, k.About)
		}
	}
	if diff := cmp.Diff(paths, described); diff != "" {
		t.Errorf("keys of Config and descriptions (-Config +keys):\n%s", diff)
	}

	template := string(Template(machine))
	for _, path := range paths {
		name := path[strings.LastIndex(path, ".")+1:]
		if !regexp.MustCompile(`(?m)^#[ ]*` + name + `: ?`).MatchString(template) {
			t.Errorf("the template lacks %s", path)
		}
		if !strings.Contains(string(Markdown()), "| `"+name+"` |") {
			t.Errorf("docs/config.md lacks %s", path)
		}
	}
}

// Every example in the documentation must be accepted, and differ from the
// default.
func TestExamplesAreValid(t *testing.T) {
	for _, k := range keys {
		section, name, nested := strings.Cut(k.Path, ".")
		if k.Example == "" || nested && slices.Contains([]string{"apps", "records", "waivers"}, section) {
			continue
		}
		text := k.Path + ": " + k.Example + "\n"
		if nested {
			text = section + ": {" + name + ": " + k.Example + "}\n"
		}
		_, err := parse("rocca.yaml", []byte(text), machine)
		var bad *Error
		if errors.As(err, &bad) {
			// One key of a remote database, a certificate or one of several machines needs others.
			bad.Problems = slices.DeleteFunc(bad.Problems, func(p Problem) bool {
				return p.Key == "tls" || p.Key == "roles" || p.Key == "database" || strings.HasSuffix(p.Text, "is for a remote database only")
			})
			if len(bad.Problems) > 0 {
				t.Errorf("%s%v", text, bad)
			}
		}
	}
}

// What an audit is told must be whole: a waiver without an end, or a record
// without a date, would hide a finding for ever.
func TestWaiversAndRecordsAreWhole(t *testing.T) {
	for text, want := range map[string]string{
		"waivers: [{id: FRT-09, owner: jane, until: 2027-03-31}]":                        "waivers[0]: has no reason",
		"waivers: [{id: FRT-09, reason: x, until: 2027-03-31}]":                          "waivers[0]: has no owner",
		"waivers: [{id: FRT-09, reason: x, owner: jane}]":                                "waivers[0].until: \"\" is no date",
		"waivers: [{id: FRT-09, reason: x, owner: jane, until: 2027-02-30}]":             "waivers[0].until: \"2027-02-30\" is no date",
		"waivers: [{id: everything, reason: x, owner: jane, until: 2027-02-28}]":         "waivers[0].id: \"everything\" is no id",
		"waivers: [{id: FRT-09, scope: a*b, reason: x, owner: jane, until: 2027-02-28}]": "waivers[0].scope: has a *",
		"records: [{subject: incident-plan}]":                                            "records[0].date: \"\" is no date",
		"records: [{subject: plan, date: 2026-01-01}]":                                   "records[0].subject: \"plan\" is no subject",
		"ports: [tcp/70000]":                  "ports[0]: \"tcp/70000\" is no protocol",
		"ports: [https]":                      "ports[0]: \"https\" is no protocol",
		"outbound: [https://example.org/]":    "outbound[0]: \"https://example.org/\" is no host",
		"privacy: {raw_days: 0}":              "privacy.raw_days: must be from 1",
		"privacy: {consent: maybe}":           "privacy.consent: must be one of",
		"tracked_pages: [ftp://example.org/]": "tracked_pages[0]: must begin with http",
	} {
		_, err := parse("rocca.yaml", []byte(text), machine)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", text, err, want)
		}
	}
	if _, err := parse("rocca.yaml", []byte("waivers: [{id: FRT-09, scope: /srv/*, reason: x, owner: jane, until: 2027-03-31}]"), machine); err != nil {
		t.Error(err)
	}
}

func TestTemplate(t *testing.T) {
	golden(t, "testdata/template.golden", Template(machine))
	for line := range strings.Lines(string(Template(machine))) {
		if !strings.HasPrefix(line, "#") || len(line) > 82 {
			t.Errorf("line is no comment or too long: %q", line)
		}
	}
}

func TestDocumentation(t *testing.T) {
	golden(t, "../../docs/config.md", Markdown())
}
