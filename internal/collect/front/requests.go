package front

import (
	"strings"
)

// request is one request of the audit.
type request struct {
	name   string            // key of the answer
	method string            // GET when empty
	path   string            // as sent, not decoded, with its query
	host   string            // when not the public name
	header map[string]string // beside what every request has
	plain  bool              // by plain HTTP, whatever the site speaks
	second bool              // by HTTP/2
	behind bool              // host stands in the header only: the request line names Matomo (RFC 9112, 3.2.2)
	judge  judgement
	also   map[string]judgement // further answers that the same reply gives, by their keys
}

// unknownHost and the rest are names and addresses that nobody has (RFC 2606,
// RFC 5737).
const (
	unknownHost  = "unknown.invalid"
	strangeHost  = "evil.invalid"
	strangeIP    = "192.0.2.77"
	requestLimit = 90
)

// requests is all that is asked of a front. Nothing of it is recorded, and
// nothing changes anything.
func (t Target) requests() []request {
	index := t.path("/index.php")
	all := []request{
		{name: "ui", path: index, judge: page},
		{name: "tracker", path: t.path("/matomo.php"), judge: tracker},
		{name: "script", path: t.path("/matomo.js"), header: map[string]string{"Accept-Encoding": "identity"}, judge: script},
		{name: "script-piwik", path: t.path("/piwik.js"), header: map[string]string{"Accept-Encoding": "identity"}, judge: script},
		{name: "js-index", path: t.path("/js/index.php"), judge: tracker},
		{name: "optout", path: index + "?module=CoreAdminHome&action=optOut&language=en", judge: page},
		// Not its first step: that one empties Matomo's caches for whoever asks.
		{name: "installer", path: index + "?module=Installation&action=databaseSetup", judge: installer},
		{name: "installer-unknown-host", path: index + "?module=Installation&action=databaseSetup", host: unknownHost, judge: installer},
		{name: "unknown-host", path: t.path("/"), host: unknownHost, judge: page},
		// Matomo looks at how a name ends.
		{name: "host-behind", path: index, host: "x" + t.Name, behind: true, judge: returns("x" + t.Name)},
		{name: "plain-http", path: t.path("/"), plain: true, judge: leads},
		{name: "plain-http-tracker", path: t.path("/matomo.php"), plain: true, judge: leads},
		{name: "trace", method: "TRACE", path: "/", judge: byStatus},
		{name: "delete", method: "DELETE", path: index, judge: byStatus},
		{name: "listing", path: t.path("/plugins/"), judge: listing},
		{name: "listing", path: t.path("/js/"), judge: listing},
		{name: "api-version", path: index + "?module=API&method=API.getMatomoVersion&format=json", judge: api},
		{name: "api-settings", path: index + "?module=API&method=API.getSettings&format=json", judge: api},
		// What strangers may claim in headers: one page for all, as each costs.
		{name: "cors", path: index, header: map[string]string{"Origin": "https://" + strangeHost, "X-Forwarded-For": strangeIP, "X-Forwarded-Host": strangeHost}, judge: page,
			also: map[string]judgement{"forwarded-for": returns(strangeIP), "forwarded-host": returns(strangeHost)}},
		{name: "security-txt", path: "/.well-known/security.txt", judge: contact},
		{name: "status-server", path: "/server-status", judge: status},
		{name: "logo", path: t.path("/misc/user/logo.png"), judge: byStatus},
	}
	for _, page := range append([]string{"/status", "/fpm-status"}, t.Status...) {
		all = append(all, request{name: "status-fpm", path: page, judge: status})
	}
	for _, page := range append([]string{"/ping"}, t.Ping...) {
		all = append(all, request{name: "ping-fpm", path: page, judge: status})
	}
	for _, private := range privatePaths {
		all = append(all, request{name: "path:" + private, path: t.path(private), judge: hidden})
	}
	if t.HTTPS != "" {
		for _, private := range privatePaths[:5] {
			all = append(all, request{name: "path:" + private + " (HTTP/2)", path: t.path(private), second: true, judge: hidden})
		}
	}
	return all[:min(len(all), requestLimit)]
}

// privatePaths must not be there for anybody: what Matomo ships and no browser
// needs, what its users leave behind, and other spellings of both.
var privatePaths = []string{
	"/config/config.ini.php", "/config%2fconfig.ini.php", "//config//config.ini.php", "/CONFIG/config.ini.php", "/plugins/../config/config.ini.php",
	"/config/config.ini.php.bak", "/config/config.ini.php~", "/config/config.ini.php.save", "/config/common.config.ini.php", "/config/global.ini.php", "/config/manifest.inc.php",
	"/tmp/logs/matomo.log", "/tmp/cache/tracker/matomocache_general.php", "/core/Version.php", "/lang/en.json",
	"/vendor/autoload.php", "/vendor/composer/installed.json", "/plugins/CoreHome/CoreHome.php", "/plugins/CoreHome/plugin.json", "/plugins/CoreHome/CoreHome.php%00.png",
	"/misc/others/api_internal_call.php", "/misc/cron/archive.php", "/misc/log-analytics/import_logs.py", "/misc/DBIP-City.mmdb", "/tests/README.md",
	"/.git/config", "/.git/HEAD", "/.env", "/.user.ini", "/php.ini", "/error_log", "/.DS_Store", "/web.config", "/.htaccess",
	"/matomo.sql", "/backup.zip", "/matomo.tar.gz", "/index.php.bak", "/composer.json", "/composer.lock", "/package.json",
	"/console", "/README.md", "/CHANGELOG.md", "/LEGALNOTICE", "/LICENSE", "/SECURITY.md", "/PRIVACY.md", "/CONTRIBUTING.md",
	"/DIObject.php", "/LegacyAutoloader.php", "/bootstrap.php", "/js/tracker.php", "/index.php/foo.php", "/phpinfo.php",
}

// isScript tells whether a path names a PHP file, maybe with more behind it.
func isScript(name string) bool {
	name, _, _ = strings.Cut(strings.ToLower(name), "?")
	return strings.HasSuffix(name, ".php") || strings.Contains(name, ".php/") || strings.Contains(name, ".php%")
}
