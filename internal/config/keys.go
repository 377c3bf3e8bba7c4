package config

import (
	"reflect"
	"strings"
)

// key describes one key of rocca.yaml. The template that init writes,
// docs/config.md and the hints of problems are all made from these
// descriptions; the types and the order are those of Config.
type key struct {
	path    string // such as "database.host"; "apps.name" is the name of every entry of apps
	about   string // sentences for the owner of the server
	example string // a value in YAML that is not the default; empty for a section
}

// keys has every key of Config, in the order of its fields.
var keys = []key{
	{"domain", "Names (or IPv4 addresses) that the web server answers to; the first is the main one. Requests for any other name are refused.", "[stats.example.org, www.stats.example.org]"},
	{"port", "Port at which visitors reach the web server. It listens on 443; this is another one only where a router or tunnel forwards that.", "8443"},
	{"front", "Web server that rocca configures: nginx or apache.", "apache"},
	{"tls", "Certificate of the web server. With neither file named, rocca makes a self-signed one for a start.", ""},
	{"tls.certificate", "PEM file: the server's own certificate first, then the chain.", "/etc/letsencrypt/live/stats.example.org/fullchain.pem"},
	{"tls.key", "PEM file with the private key; only root may read it.", "/etc/letsencrypt/live/stats.example.org/privkey.pem"},
	{"release", "Matomo to install: a version, a URL, or the absolute path of an archive or directory. When empty, the newest that rocca knows.", "5.3.0"},
	{"base", "Directory of the releases and of the link www that points to the one in use. Owned by root; PHP cannot write there.", "/srv/matomo"},
	{"state", "Directory of what Matomo writes: its configuration, temporary files and uploads. It lies outside base, so that nothing in it can be requested.", "/srv/matomo-state"},
	{"php", "Branch of PHP. When empty, the one that the distribution has.", "8.2"},
	{"database", "MariaDB or MySQL. Without a host it is the local MariaDB by its socket, and there is no password anywhere.", ""},
	{"database.host", "Name or address of a remote server. It then needs ca and credentials, because the connection is always verified TLS.", "db.example.org"},
	{"database.port", "TCP port of the remote server.", "3307"},
	{"database.name", "Database (schema) of Matomo.", "stats"},
	{"database.prefix", "What the names of Matomo's tables begin with.", "stats_"},
	{"database.ca", "PEM file with the certificate authority that the remote server's certificate must lead to.", "/etc/rocca/database-ca.pem"},
	{"database.credentials", "File with the lines \"username\" and \"password\" (YAML) of the remote account that may create accounts. Owned by root, mode 0600.", "/etc/rocca/database.yaml"},
	{"site", "The first site that Matomo tracks.", ""},
	{"site.name", "Name in the reports, at most 90 characters.", "Shop"},
	{"site.url", "Address of the tracked site, http or https. When not set, the server's own main name.", "https://www.example.org/"},
	{"site.timezone", "Time zone of the site's days in the reports: UTC or an IANA name.", "Europe/Berlin"},
	{"site.currency", "ISO 4217 code of the site's revenue.", "USD"},
	{"superuser", "The first login of Matomo. Its password is made by rocca and shown once.", ""},
	{"superuser.login", "2 to 100 letters, digits and _ . @ + -. Not a name that attackers try first, such as admin.", "jane"},
	{"superuser.email", "Address for messages of Matomo, such as password resets. When not set, owner at the main name.", "jane@example.org"},
	{"language", "Default language of Matomo: an ISO 639 code, with a region where Matomo has one.", "pt-br"},
	{"trim", "Leave tests, documentation and unused languages out of the installed release.", "false"},
	{"apps", "Further PHP applications of this machine. Each gets its own Unix user, PHP master and sandbox (unit rocca-php@NAME).", "[{name: shop, docroot: /srv/shop/public, domain: shop.example.org}]"},
	{"apps.name", "Name of its Unix user and unit: a lower-case letter, then up to 29 lower-case letters, digits and -.", "shop"},
	{"apps.docroot", "Directory that the web server serves.", "/srv/shop/public"},
	{"apps.domain", "Name that the web server answers to for it.", "shop.example.org"},
	{"admin_networks", "Networks or single addresses that may reach the user interface and the API. When empty, everybody. The tracker is always public.", "[192.0.2.0/24, 2001:db8::/32, 203.0.113.7]"},
	{"ssh_networks", "Networks or single addresses that may reach SSH. When empty, everybody, and rocca audit says so.", "[203.0.113.7]"},
	{"ports", "Ports that stay open to the outside beside SSH, http and https.", "[tcp/25, udp/123]"},
	{"outbound", "Hosts that Matomo may connect to, such as a mail server. When empty, none is expected.", "[smtp.example.org]"},
	{"hardening", "What rocca changes of Debian itself. Each can be switched off.", ""},
	{"hardening.firewall", "Packet filter: nothing gets in but SSH, http, https and ports; Matomo's users do not reach the metadata of a cloud.", "false"},
	{"hardening.kernel", "Settings of the kernel (sysctl) that make attacks between users harder.", "false"},
	{"hardening.mounts", "No programs, devices and set-user-ID files in /tmp, /var/tmp and /dev/shm.", "false"},
	{"hardening.ssh", "Modern algorithms and tight limits for the SSH server, where there is one.", "false"},
	{"hardening.ssh_keys", "No passwords and no root by SSH. Make sure first that your own key works.", "true"},
	{"hardening.upgrades", "Debian's security upgrades are installed every day.", "false"},
	{"hardening.audit_timer", "rocca audit runs every day. Its index is in the journal, its report in /var/lib/rocca/audit.", "false"},
	{"privacy", "What was decided about the data of visitors.", ""},
	{"privacy.raw_days", "Days that single visits are kept.", "90"},
	{"privacy.report_months", "Months that reports are kept; 0 is for ever.", "24"},
	{"privacy.consent", "How visitors are tracked: cookieless, consent, or exempt (by the rules of your authority). Empty: not decided.", "cookieless"},
	{"tracked_pages", "Pages of the tracked sites that rocca audit fetches, to see which trackers they load. Empty: none is fetched.", "[https://www.example.org/]"},
	{"records", "What only you can vouch for: plans, exercises, decisions.", "[{subject: incident-plan, date: 2026-10-01}]"},
	{"records.subject", "What it is about: " + strings.Join(Subjects, ", ") + ".", "incident-plan"},
	{"records.date", "When it was last reviewed or exercised.", "2026-10-01"},
	{"records.document", "Where it is.", "/root/incident-plan.md"},
	{"records.note", "A sentence.", "exercised with the whole team"},
	{"waivers", "Findings of rocca audit that you accept for a time. When the time is over they are findings again.", "[{id: FRT-09, reason: CDN limits, owner: jane, until: 2027-03-31}]"},
	{"waivers.id", "Control: see rocca controls.", "FRT-09"},
	{"waivers.scope", "Only evidence about this subject, which may end in *. Empty: all of the control.", "/srv/old/*"},
	{"waivers.reason", "Why it is acceptable.", "the load balancer limits logins"},
	{"waivers.owner", "Who accepts it.", "jane"},
	{"waivers.until", "Last day.", "2027-03-31"},
}

// describe returns the description of a key such as "apps[2].name".
func describe(path string) (key, bool) {
	plain := withoutIndexes(path)
	for _, k := range keys {
		if k.path == plain {
			return k, true
		}
	}
	return key{}, false
}

// withoutIndexes turns "apps[2].name" into "apps.name".
func withoutIndexes(path string) string {
	for {
		before, rest, found := strings.Cut(path, "[")
		if !found {
			return path
		}
		_, after, _ := strings.Cut(rest, "]")
		path = before + after
	}
}

// field is one key of a section: the name in YAML and the index in the struct.
type field struct {
	name  string
	index int
}

// fields lists the keys of a section in the order of its struct.
func fields(section reflect.Type) []field {
	var all []field
	for i := range section.NumField() {
		if name := section.Field(i).Tag.Get("yaml"); name != "" {
			all = append(all, field{name, i})
		}
	}
	return all
}

// join appends a name to the path of a section.
func join(section, name string) string {
	if section == "" {
		return name
	}
	return section + "." + name
}

// parent returns the path of what holds a key or an entry, "" for the top.
func parent(path string) string {
	return path[:max(strings.LastIndexAny(path, ".["), 0)]
}
