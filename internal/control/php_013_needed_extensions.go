package control

import (
	"fmt"
	"slices"
	"strings"

	"rocca/internal/facts"
	"rocca/internal/model"
)

// phpExtensions are what Matomo and its usual companions use, and what is built
// into Debian's PHP and cannot be left out.
var phpExtensions = []string{
	"apcu", "bcmath", "brotli", "cgi-fcgi", "core", "ctype", "curl", "date", "dom", "fileinfo", "filter", "gd", "gmp", "hash",
	"iconv", "igbinary", "imagick", "intl", "json", "ldap", "libxml", "lzf", "mailparse", "maxminddb", "mbstring", "mysqli", "mysqlnd", "opcache",
	"openssl", "pcntl", "pcre", "pdo", "pdo_mysql", "posix", "random", "redis", "reflection", "session", "simplexml", "sodium",
	"spl", "standard", "tokenizer", "xml", "xmlreader", "xmlwriter", "zend opcache", "zip", "zlib",
}

var php013 = Control{
	ID:       "PHP-13",
	Title:    "PHP loads only the extensions that Matomo uses, FFI is off, and its status pages are not public",
	Why:      "FFI lets a script call any function of the system library, past all that PHP forbids. Every other extension is code that can have a weakness. The status page of PHP-FPM shows the addresses of requests as they run, tokens in them included.",
	Severity: model.Medium,
	Needs:    []facts.Section{facts.Runtime, facts.Requests},
	Eval: func(v *View) Verdict {
		pools := v.MatomoPools()
		if len(pools) == 0 {
			return unknown(noPool)
		}
		var found []model.Evidence
		var unseen []string
		for _, pool := range pools {
			if len(pool.Extensions) == 0 {
				unseen = append(unseen, "it is not known which extensions pool "+pool.Name+" loads")
			}
			extra := slices.DeleteFunc(slices.Clone(pool.Extensions), func(name string) bool { return slices.Contains(phpExtensions, name) })
			if len(extra) > 0 {
				found = append(found, model.Evidence{Subject: pool.File, Line: pool.Line, Have: fmt.Sprintf("pool %s loads %s", pool.Name, strings.Join(extra, ", ")), Want: "what Matomo uses only"})
			}
			if slices.Contains(pool.Extensions, "ffi") && phpOn(pool.Value("ffi.enable", "preload")) {
				found = append(found, directive(pool, "ffi.enable", "preload", "false"))
			}
		}
		statuses, unasked := answers(v, "status-fpm", "ping-fpm")
		for _, answer := range statuses {
			if answer.Verdict == facts.Served || answer.Verdict == facts.Leaked || answer.Verdict == facts.Executed {
				found = append(found, said(answer.Answer, outcome(answer.Answer), "404"))
			}
		}
		return conclude(found, append(unseen, unasked...))
	},
	Fix:    guided("Other applications of this PHP may need the extensions: see which, then phpdismod -s fpm NAME, or give Matomo's pools a PHP_INI_SCAN_DIR of their own, as rocca does. ffi.enable = false; no pm.status_path that the front passes on."),
	Attack: "A07",
	Maps:   []model.Ref{asvs("13.4.5"), asvs("15.2.3")},
	Since:  "0.3",
}
