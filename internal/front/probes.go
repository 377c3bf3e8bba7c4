package front

import (
	"fmt"
	"strings"
)

// Want is how a probe must end.
type Want string

// The ways a probe can end.
const (
	Refused  Want = "refused"  // as if there were nothing
	Executes Want = "executes" // one of the entry points ran
	Static   Want = "static"   // the file, with its media type
)

// Probe is a request for one path, and what must come of it.
type Probe struct {
	Path  string // request target as sent, maybe with a query
	Want  Want
	Plant string // file that must be made below the document root first, with PlantedContent; empty: nothing
}

// Marks of planted files. One leaked when its source mark comes back, and was
// executed when the two halves of the other mark come back as one word.
const (
	sourceMark  = "rocca-planted-source"
	executeMark = "rocca-planted-executed"
)

// PlantedContent is what goes into each planted file: PHP, and to an INI parser
// a comment, because PHP reads a .user.ini in its document root.
const PlantedContent = "; <?php /* " + sourceMark + " */ echo 'rocca-planted-'.'executed'; ?>\n"

// Check tells what is wrong with the response to a probe; nil means nothing.
// Content counts before status: a config.ini.php that answers 200 with ";" was
// executed, and one that answers 404 with "[database]" has leaked.
func (p Probe) Check(status int, mediaType, body string) error {
	marks := []string{sourceMark, "<?php"}
	if p.Want != Executes { // Matomo itself explains its configuration to those whom it refuses
		marks = append(marks, "[database]", "trusted_hosts[]")
	}
	if strings.Contains(body, executeMark) {
		return fmt.Errorf("%s: a planted file was executed, status %d", p.Path, status)
	}
	for _, mark := range marks {
		if strings.Contains(body, mark) {
			return fmt.Errorf("%s: a file leaked, status %d, %q in the body", p.Path, status, mark)
		}
	}
	refused := status == 400 || status == 403 || status == 404 || status == 405
	switch p.Want {
	case Refused:
		if !refused {
			return fmt.Errorf("%s: status %d, want 400, 403, 404 or 405", p.Path, status)
		}
	case Executes:
		// The tracker answers 400 itself when a hit lacks what it needs.
		if refused && !strings.Contains(body, "atomo") && mediaType != "image/gif" || status >= 500 {
			return fmt.Errorf("%s: status %d, want an answer of the script", p.Path, status)
		}
	case Static:
		rule, decoded, _ := Decide(p.Path)
		if status != 200 || mediaType != rule.MediaType(decoded) {
			return fmt.Errorf("%s: status %d, media type %q, want 200 and %q", p.Path, status, mediaType, rule.MediaType(decoded))
		}
	}
	return nil
}

// Probes returns the table of reference paths: what Matomo ships, what
// administrators leave behind, and ways to spell a path so that the rule that
// was meant for it does not see it. What is not planted is in Matomo 5.
func Probes() []Probe {
	probes := []Probe{
		{Path: "/index.php", Want: Executes},
		{Path: "/", Want: Executes},
		{Path: "/index.php?module=Installation", Want: Executes},
		{Path: "/matomo.php", Want: Executes},
		{Path: "/piwik.php", Want: Executes},
		{Path: "/js/index.php", Want: Executes},
		{Path: "/js/", Want: Executes},
		{Path: "/index%2Ephp", Want: Executes},
		{Path: "//index.php", Want: Executes},
		{Path: "/plugins/../matomo.php", Want: Executes},

		{Path: "/matomo.js", Want: Static},
		{Path: "/piwik.js", Want: Static},
		{Path: "/js/piwik.min.js", Want: Static},
		{Path: "/offline-service-worker.js", Want: Static},
		{Path: "/robots.txt", Want: Static},
		{Path: "/favicon.ico", Want: Static},
		{Path: "/plugins/CoreAdminHome/javascripts/optOut.js", Want: Static},
		{Path: "/plugins/CoreHome/javascripts/manifest.json", Want: Static},
		{Path: "/plugins/CoreHome/vue/dist/CoreHome.umd.min.js", Want: Static},
		{Path: "/plugins/Morpheus/images/logo.svg", Want: Static},
		{Path: "/plugins/Morpheus/fonts/matomo.woff2", Want: Static},
		{Path: "/plugins/Morpheus/stylesheets/base/icons.css", Want: Static},
		{Path: "/plugins/Morpheus/icons/dist/brand/China%20Mobile.png", Want: Static},
		{Path: "/node_modules/jquery/dist/jquery.min.js", Want: Static},
	}
	refused := []string{
		// Of the release.
		"/config/global.ini.php", "/config/global.php", "/config/manifest.inc.php", "/core/Version.php", "/core/", "/lang/en.json",
		"/vendor/autoload.php", "/vendor/composer/installed.json", "/plugins/CoreHome/CoreHome.php", "/plugins/CoreHome/plugin.json",
		"/plugins/Marketplace/lang/en.json", "/plugins/CoreHome/templates/_logo.twig", "/plugins/CoreHome/", "/plugins", "/plugins/",
		"/console", "/README.md", "/CHANGELOG.md", "/LEGALNOTICE", "/LICENSE", "/SECURITY.md", "/PRIVACY.md", "/CONTRIBUTING.md",
		"/DIObject.php", "/LegacyAutoloader.php", "/bootstrap.php", "/js/tracker.php", "/js/README.md", "/js/LICENSE.txt", "/tests/README.md",
		"/libs/upgradephp/upgrade.php", "/libs/jqplot/jqplot.core.js", "/node_modules/jquery/LICENSE.txt", "/node_modules", "/js",
		// A script with more behind it, or not quite by its name.
		"/index.php/", "/index.php/foo.php", "/index.php/plugins/CoreHome/images/favicon.png", "/matomo.php/matomo.js", "/index.php%00.js", "/index.php%0a",
		"/index.php.", "/index.php%20", "/INDEX.PHP", "/Index.php", "/index.phps", "/index.php~", "/index.php::$DATA", "/index.php;a.js", "/js/index.php/",
		"/plugins/CoreHome/CoreHome.php/a.js", "/plugins/CoreHome/CoreHome.php%00.png", "/plugins/CoreHome/CoreHome.php%0a.png", "/plugins/CoreHome/CoreHome.php;.png",
	}
	for _, p := range refused {
		probes = append(probes, Probe{Path: p, Want: Refused})
	}
	planted := []string{
		"config/config.ini.php", "config/config.ini.php.bak", "config/config.ini.php~", "config/.config.ini.php.swp", "config/config.ini.php.save",
		"config/common.config.ini.php", "configbackup.txt", "tmp/logs/matomo.log", "tmp/sessions/sess_0123456789", "tmp/cache/tracker/matomocache_general.php",
		"tmp/assets/asset_manager_core_js.js", "plugins/CoreHome/shell.php", "plugins/CoreHome/images/shell.php", "misc/others/api.php", "tests/shell.php",
		"misc/log-analytics/import_logs.py", "misc/DBIP-City.mmdb", "misc/cron/archive.php", ".git/config", ".git/HEAD", ".svn/entries", ".env", ".user.ini", "php.ini",
		"error_log", ".DS_Store", "web.config", ".htaccess", ".htpasswd", "plugins/.htaccess", "plugins/.git/a.js", "plugins/CoreHome/.hidden.js", "dump.sql", "matomo.sql.gz", "backup.zip", "matomo.tar.gz",
		"index.php.bak", "index.bak", "composer.json", "composer.lock", "package.json", "shell.phtml", "shell.php", "shell.phar", "shell.php5", "shell.inc", "shell.pht", "info.php",
		"phpinfo.php", "adminer.php", "index.html", "js/shell.php", "js/evil.js", "js/container_a.js.map", "node_modules/evil.php", "vendor/evil.php", "vendor/evil.js", "plugins/CoreHome/vue/src/a.ts",
		"plugins/CoreHome/page.html", "matomo.php.js", "core/evil.js", "config/evil.js",
	}
	for _, file := range planted {
		probes = append(probes, Probe{Path: "/" + file, Want: Refused, Plant: file})
	}
	for _, spelling := range []string{
		"/config%2fconfig.ini.php", "/config/config%2eini%2ephp", "/%63onfig/config.ini.php", "//config//config.ini.php", "/./config/config.ini.php",
		"/plugins/../config/config.ini.php", "/plugins/..%2fconfig/config.ini.php", "/plugins/%2e%2e/config/config.ini.php", "/plugins/CoreHome/%2e%2e/%2e%2e/config/config.ini.php",
		"/plugins/..;/config/config.ini.php", "/plugins/..%5cconfig/config.ini.php", "/config/config.ini.php/a.js", "/config/config.ini.php%20", "/config/config.ini.php%00.js",
		"/CONFIG/config.ini.php", "/config/CONFIG.INI.PHP", "/config/config.ini.php?a=/plugins/a.js", "/config/config.ini.php%3fa.js", "/config/config.ini.php%23.js",
		"/%252e%252e/config/config.ini.php", "/config%252fconfig.ini.php", "/config/./config.ini.php", "/%2e/config/config.ini.php", "/%2fconfig/config.ini.php",
		"/js/../config/config.ini.php", "/misc/user/../../config/config.ini.php", "/misc/user%2f..%2f..%2fconfig/config.ini.php", "/misc/user../config/config.ini.php",
		"/plugins/%c0%ae%c0%ae/config/config.ini.php", "/misc/user/../../../etc/passwd", "/plugins/../../../../../etc/passwd", "/..%2f..%2f..%2f..%2fetc/passwd",
	} {
		probes = append(probes, Probe{Path: spelling, Want: Refused, Plant: "config/config.ini.php"})
	}
	return append(probes,
		Probe{Path: "/plugins/CoreHome/shell.p%68p", Want: Refused, Plant: "plugins/CoreHome/shell.php"},
		Probe{Path: "/plugins/CoreHome/shell.php/.js", Want: Refused, Plant: "plugins/CoreHome/shell.php"},
		Probe{Path: "/plugins/CoreHome/SHELL.PHP", Want: Refused, Plant: "plugins/CoreHome/shell.php"},
		Probe{Path: "/%2egit/config", Want: Refused, Plant: ".git/config"},
		Probe{Path: "/.GIT/config", Want: Refused, Plant: ".git/config"},
		Probe{Path: "/plugins/../.git/config", Want: Refused, Plant: ".git/config"},
		Probe{Path: "/plugins/../.env", Want: Refused, Plant: ".env"},
	)
}
