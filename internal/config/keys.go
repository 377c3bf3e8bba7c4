package config

import (
	"slices"
	"strings"

	"rocca/internal/document"
)

// keys has every key of Config, in the order of its fields.
var keys = slices.Concat([]document.Key{
	{"domain", "Names (or IPv4 addresses) that the web server answers to; the first is the main one. Requests for any other name are refused.", "[stats.example.org, www.stats.example.org]"},
	{"proxies", "Networks or single addresses of load balancers in front of this server. The address of a visitor is taken from their X-Forwarded-For, and whether it was https from X-Forwarded-Proto; from anybody else both are ignored, and X-Forwarded-Host always. They get /rocca-health.", "[10.20.0.0/16]"},
	{"roles", "What of Matomo this machine does, of several that share one database: tracker (takes hits), ui (login, reports, API), worker (makes reports, runs scheduled tasks). A path of a role that it has not is 404.", "[tracker]"},
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
	{"database.host", "Name or address of a remote server. It then needs ca, because the connection is always verified TLS, and credentials or secrets.", "db.example.org"},
	{"database.port", "TCP port of the remote server.", "3307"},
	{"database.name", "Database (schema) of Matomo.", "stats"},
	{"database.prefix", "What the names of Matomo's tables begin with.", "stats_"},
	{"database.ca", "PEM file with the certificate authority that the remote server's certificate must lead to.", "/etc/rocca/database-ca.pem"},
	{"database.credentials", "File with the lines \"username\" and \"password\" (YAML) of the remote account that may create accounts. Owned by root, mode 0600. Not needed when the accounts exist: see secrets.", "/etc/rocca/database.yaml"},
	{"database.network", "IPv4 network of the machines of this Matomo, when there are several: the remote accounts may come from all of it, and not from this machine only.", "10.20.0.0/16"},
	{"secrets", "File of the secrets that several machines share. YAML, owned by root, mode 0600. It may have salt (of Matomo), superuser (password of the first login) and accounts (a password each for matomo, matomo-tracker and matomo-admin on the remote server). With accounts and no database.credentials, these must exist. What is not there, rocca makes.", "/etc/rocca/secrets.yaml"},
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
}, document.WaiverKeys("FRT-09", "/srv/old/*", "the load balancer limits logins"))

// schema describes rocca.yaml. The template that init writes, docs/config.md and
// the hints of problems are all made from it.
func schema() document.Schema {
	return document.Schema{
		Keys:   keys,
		Logins: "no login or password stands in this file: database.credentials names the file with those of a remote database, secrets the file with those that several machines share, and rocca makes every other one",
	}
}
