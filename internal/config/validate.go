package config

import (
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // a bare server may have no time zone files
	"unicode/utf8"

	"rocca/internal/document"
)

// Validate checks a Config that was changed after Load, by a flag for example.
// The error is an *Error whose problems have no position.
func (c Config) Validate() error {
	if problems := c.problems(); len(problems) > 0 {
		return &Error{Problems: problems}
	}
	return nil
}

// problems checks every value and how the values go together.
func (c Config) problems() []Problem {
	r := rules{document.Rules{Schema: schema()}}
	r.domains(c.Domain)
	if c.Port < 1 || c.Port > 65535 {
		r.report("port", "", "must be from 1 to 65535, not %d", c.Port)
	}
	r.front(c.Front)
	r.tls(c.TLS)
	r.release(c.Release)
	r.directory("base", c.Base)
	r.directory("state", c.State)
	if c.PHP != "" && !phpBranch.MatchString(c.PHP) {
		r.report("php", "", "must be a branch such as 8.2, not %s", quote(c.PHP))
	}
	r.roles(c)
	r.database(c)
	r.site(c.Site)
	r.superuser(c.Superuser)
	if !languageCode.MatchString(c.Language) {
		r.report("language", languageHint(c.Language), "must be a language code such as en or pt-br, not %s", quote(c.Language))
	}
	r.apps(c)
	for i, network := range c.AdminNetworks {
		if !network.IsValid() {
			r.report(fmt.Sprintf("admin_networks[%d]", i), "", "is no network")
		}
	}
	for i, network := range c.Proxies {
		switch at := fmt.Sprintf("proxies[%d]", i); {
		case !network.IsValid():
			r.report(at, "", "is no network")
		case network.Bits() < widestProxies:
			r.report(at, "name the networks of your load balancers only", "believes what %s says: anybody there could pass for any visitor", network)
		}
	}
	if c.Secrets != "" {
		r.file("secrets", c.Secrets)
	}
	r.audited(c)
	r.apart(c)
	return r.Found
}

var (
	phpBranch    = regexp.MustCompile(`^[7-9]\.(0|[1-9][0-9]?)$`)
	version      = regexp.MustCompile(`^[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}(-(alpha|b|beta|rc)[0-9]{1,3})?$`)
	languageCode = regexp.MustCompile(`^[a-z]{2,3}(-[a-z]{2})?$`)
	currencyCode = regexp.MustCompile(`^[A-Z]{3}$`)
	// The areas of PHP's own list, which Matomo checks against. It has neither
	// Etc/UTC nor old names such as US/Eastern.
	timezone   = regexp.MustCompile(`^(UTC|(Africa|America|Antarctica|Arctic|Asia|Atlantic|Australia|Europe|Indian|Pacific)(/[A-Za-z][A-Za-z_+-]*){1,2})$`)
	schemaName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_]{0,63}$`)
	// The longest table of Matomo has about 30 characters, MySQL allows 64.
	tablePrefix = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_]{0,29}$`)
	// Matomo also takes umlauts, which a browser and a database may encode
	// differently.
	login   = regexp.MustCompile(`^[A-Za-z0-9_.@+-]{2,100}$`)
	appName = regexp.MustCompile(`^[a-z][a-z0-9-]{0,29}$`)
	// Paths go into the configuration of the web server, of PHP and of units,
	// each with its own special characters.
	safePath = regexp.MustCompile(`^/[A-Za-z0-9/._@+-]*$`)
)

func (r *rules) domains(domains []string) {
	if len(domains) == 0 {
		r.report("domain", "", "must have at least one name")
	}
	for i, name := range domains {
		at := fmt.Sprintf("domain[%d]", i)
		r.domain(at, name)
		if slices.Contains(domains[:i], name) {
			r.report(at, "keep one of the two", "%s is named twice", quote(name))
		}
	}
}

// domain checks a name that the front answers to.
func (r *rules) domain(at, name string) {
	if document.IsHost(name) {
		return
	}
	hint := ""
	_, err := netip.ParseAddr(name)
	switch {
	case err == nil:
		hint = "give the server a name, or use its IPv4 address"
	case strings.Contains(name, "://"), strings.ContainsAny(name, "/:"):
		hint = "only the name, without https://, port and path"
	case strings.HasPrefix(name, "*."):
		hint = "name each domain: an unknown name must not reach Matomo"
	case document.IsHost(strings.TrimSuffix(strings.ToLower(name), ".")):
		hint = "write it as " + strings.TrimSuffix(strings.ToLower(name), ".")
	case strings.ContainsFunc(name, func(r rune) bool { return r >= utf8.RuneSelf }):
		hint = "write an international name in its ASCII form (xn--...)"
	}
	r.report(at, hint, "%s is no domain name", quote(name))
}

func (r *rules) front(front string) {
	fronts := []string{FrontNginx, FrontApache}
	if slices.Contains(fronts, front) {
		return
	}
	hint := ""
	if meant := document.Nearest(front, fronts); meant != "" {
		hint = "did you mean " + meant + "?"
	} else if front == "httpd" {
		hint = "did you mean apache?"
	}
	r.report("front", hint, "must be nginx or apache, not %s", quote(front))
}

func (r *rules) tls(t TLS) {
	switch {
	case t.Certificate != "" && t.Key == "":
		r.report("tls", "name both files, or neither for a self-signed certificate", "has a certificate but no key")
	case t.Certificate == "" && t.Key != "":
		r.report("tls", "name both files, or neither for a self-signed certificate", "has a key but no certificate")
	}
	if t.Certificate != "" {
		r.file("tls.certificate", t.Certificate)
	}
	if t.Key != "" {
		r.file("tls.key", t.Key)
	}
}

func (r *rules) release(release string) {
	const hint = "a version such as 5.3.0, a URL, or an absolute path such as /root/matomo-5.3.0.tar.gz"
	switch {
	case release == "", version.MatchString(release):
	case strings.HasPrefix(release, "/"):
		r.path("release", release)
	case strings.Contains(release, "://"):
		r.url("release", release)
	default:
		r.report("release", hint, "%s is no version, URL or absolute path", quote(release))
	}
}

// widestProxies is the shortest prefix of a network that is believed.
const widestProxies = 8

func (r *rules) roles(c Config) {
	all := []string{RoleTracker, RoleUI, RoleWorker}
	if len(c.Roles) == 0 {
		r.report("roles", "leave it out for all of them", "must have at least one of %s", strings.Join(all, ", "))
	}
	for i, role := range c.Roles {
		at := fmt.Sprintf("roles[%d]", i)
		switch {
		case !slices.Contains(all, role):
			hint := "one of " + strings.Join(all, ", ")
			if meant := document.Nearest(role, all); meant != "" {
				hint = "did you mean " + meant + "?"
			}
			r.report(at, hint, "%s is no role", quote(role))
		case slices.Contains(c.Roles[:i], role):
			r.report(at, "keep one of the two", "%s is named twice", quote(role))
		}
	}
	if len(c.Roles) < len(all) && !c.Database.Remote() && !r.reported("roles") {
		r.report("roles", "name the database server that the machines share (database.host), or leave roles out", "leaves work to other machines, which cannot reach the database of this one")
	}
}

func (r *rules) database(c Config) {
	d := c.Database
	if d.Port < 1 || d.Port > 65535 {
		r.report("database.port", "", "must be from 1 to 65535, not %d", d.Port)
	}
	if !schemaName.MatchString(d.Name) {
		r.report("database.name", "", "must be a letter, then up to 63 letters, digits and _, not %s", quote(d.Name))
	} else if slices.Contains([]string{"mysql", "sys", "information_schema", "performance_schema"}, strings.ToLower(d.Name)) {
		r.report("database.name", "", "%s belongs to the database server itself", quote(d.Name))
	}
	if !tablePrefix.MatchString(d.Prefix) {
		r.report("database.prefix", "", "must be a letter, then up to 29 letters, digits and _, not %s", quote(d.Prefix))
	}
	if d.CA != "" {
		r.file("database.ca", d.CA)
	}
	if d.Credentials != "" {
		r.file("database.credentials", d.Credentials)
	}
	if !d.Remote() {
		for _, only := range []struct {
			path string
			set  bool
		}{{"database.ca", d.CA != ""}, {"database.credentials", d.Credentials != ""}, {"database.network", d.Network.IsValid()}, {"database.port", d.Port != 3306}} {
			if only.set {
				r.report(only.path, "set database.host, or remove this", "is for a remote database only")
			}
		}
		return
	}
	// The value is not shown: a URL with a password is a likely mistake.
	if _, err := netip.ParseAddr(d.Host); err != nil && !document.IsHost(d.Host) {
		r.report("database.host", "only the name or address; the port is database.port", "is no host name or IP address")
	} else if d.Host == "localhost" {
		r.report("database.host", "remove host: the local MariaDB is reached by its socket, without a password", "names this machine")
	}
	if d.CA == "" {
		r.report("database", "set database.ca to the file of its certificate authority", "is on another machine and has no ca to verify it with")
	}
	if d.Credentials == "" && c.Secrets == "" {
		r.report("database", "set database.credentials to a file of root with mode 0600 that has username and password; or secrets, when the accounts exist", "is on another machine and has no credentials")
	}
	if d.Network.IsValid() && (!d.Network.Addr().Is4() || d.Network.Bits() < widestProxies) {
		r.report("database.network", "", "must be an IPv4 network of /%d or smaller, not %s: database servers know no others", widestProxies, d.Network)
	}
}

func (r *rules) site(s Site) {
	if s.Name == "" || utf8.RuneCountInString(s.Name) > 90 || strings.TrimSpace(s.Name) != s.Name || strings.ContainsFunc(s.Name, notPrintable) {
		r.report("site.name", "", "must be 1 to 90 printable characters, without spaces around, not %s", quote(s.Name))
	}
	r.url("site.url", s.URL)
	if !timezone.MatchString(s.Timezone) {
		r.report("site.timezone", "", "must be UTC or an area and city, not %s", quote(s.Timezone))
	} else if _, err := time.LoadLocation(s.Timezone); err != nil {
		r.report("site.timezone", "", "%s is no known time zone", quote(s.Timezone))
	}
	if !currencyCode.MatchString(s.Currency) {
		r.report("site.currency", "", "must be three capital letters, not %s", quote(s.Currency))
	}
}

func notPrintable(r rune) bool { return !strconv.IsPrint(r) }

// url checks an http or https address. Its text is not shown, as it may have a
// password in it.
func (r *rules) url(at, text string) {
	u, err := url.Parse(text)
	switch {
	case err != nil || strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r >= 0x7f || strings.ContainsRune("\"'<>\\`{|}", r) }):
		r.report(at, "", "is no URL")
	case u.Scheme != "http" && u.Scheme != "https":
		r.report(at, "", "must begin with http:// or https://")
	case u.User != nil:
		r.report(at, "remove what stands before the @", "has a user name or password in it")
	case u.Fragment != "":
		r.report(at, "remove what stands after the #", "has a fragment")
	case !document.IsHost(strings.ToLower(u.Hostname())) && !validIPv6(u.Hostname()):
		r.report(at, "", "has no valid host name")
	case u.Port() == "" && strings.HasSuffix(u.Host, ":"), u.Port() != "" && !validPort(u.Port()):
		r.report(at, "", "has no valid port")
	}
}

func validIPv6(host string) bool {
	address, err := netip.ParseAddr(host)
	return err == nil && address.Is6() && address.Zone() == ""
}

func validPort(text string) bool {
	port, err := strconv.ParseUint(text, 10, 16)
	return err == nil && port > 0
}

func (r *rules) superuser(s Superuser) {
	if !login.MatchString(s.Login) {
		r.report("superuser.login", "", "must be 2 to 100 letters, digits and _ . @ + -, not %s", quote(s.Login))
	} else if strings.EqualFold(s.Login, "anonymous") {
		r.report("superuser.login", "", "anonymous is Matomo's name for visitors that are not logged in")
	} else if slices.Contains([]string{"admin", "administrator", "root"}, strings.ToLower(s.Login)) {
		r.report("superuser.login", "", "%s is what attackers try first", quote(s.Login))
	}
	if !document.IsEmail(s.Email) {
		r.report("superuser.email", "", "%s is no email address that Matomo accepts", quote(s.Email))
	}
}

func languageHint(code string) string {
	if plain := strings.ReplaceAll(strings.ToLower(code), "_", "-"); languageCode.MatchString(plain) {
		return "write it as " + plain
	}
	return ""
}

// reservedApps are users, pools and units that exist already: rocca's own and
// those of Debian.
var reservedApps = []string{
	"ui", "tracker", "archive", "tasks", "cron", "admin", "rocca", "root", "daemon", "bin", "sys", "sync", "games", "man",
	"lp", "mail", "news", "uucp", "proxy", "www-data", "backup", "list", "irc", "gnats", "nobody", "messagebus", "sshd",
	"mysql", "mariadb", "postgres", "redis", "nginx", "apache", "apache2", "postfix", "sudo", "adm", "staff", "users",
	"shadow", "disk", "kmem", "tty", "dialout", "tape", "audio", "video", "input", "kvm", "render", "polkitd", "tcpdump",
}

func (r *rules) apps(c Config) {
	var names, domains []string
	for i, app := range c.Apps {
		at := fmt.Sprintf("apps[%d]", i)
		for _, needed := range []struct{ name, value string }{{"name", app.Name}, {"docroot", app.Docroot}, {"domain", app.Domain}} {
			if needed.value == "" {
				r.report(at, "every app has a name, a docroot and a domain", "has no %s", needed.name)
			}
		}
		switch {
		case app.Name == "":
		case !appName.MatchString(app.Name):
			r.report(at+".name", "", "must be a lower-case letter, then up to 29 lower-case letters, digits and -, not %s", quote(app.Name))
		case slices.Contains(reservedApps, app.Name), strings.HasPrefix(app.Name, "matomo"), strings.HasPrefix(app.Name, "systemd-"):
			r.report(at+".name", "", "%s is the name of another user or pool", quote(app.Name))
		case slices.Contains(names, app.Name):
			r.report(at+".name", "", "%s is the name of two apps", quote(app.Name))
		}
		if app.Docroot != "" {
			r.docroot(at+".docroot", app.Docroot)
		}
		switch {
		case app.Domain == "":
		case slices.Contains(c.Domain, app.Domain):
			r.report(at+".domain", "", "%s is a domain of Matomo", quote(app.Domain))
		case slices.Contains(domains, app.Domain):
			r.report(at+".domain", "", "%s is the domain of two apps", quote(app.Domain))
		default:
			r.domain(at+".domain", app.Domain)
		}
		names, domains = append(names, app.Name), append(domains, app.Domain)
	}
}
