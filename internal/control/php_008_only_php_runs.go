package control

import (
	"strings"

	"rocca/internal/facts"
	"rocca/internal/model"
)

var php008Demands = []phpDemand{
	{"security.limit_extensions", ".php .phar", ".php", func(value string) bool { return strings.Trim(strings.TrimSpace(value), `"'`) == ".php" }},
	{"cgi.fix_pathinfo", "1", "0", phpOff},
}

var php008 = Control{
	ID:       "PHP-08",
	Title:    "only files named .php run, and only by their own name",
	Why:      "With cgi.fix_pathinfo a request for /logo.png/x.php makes PHP run logo.png, which somebody uploaded. The same goes for further endings such as .phar.",
	Severity: model.High,
	Needs:    []facts.Section{facts.Runtime, facts.Web},
	Eval: func(v *View) Verdict {
		pools := v.MatomoPools()
		if len(pools) == 0 {
			return unknown(noPool)
		}
		var found []model.Evidence
		var unseen []string
		for _, pool := range pools {
			if pool.SAPI == "fpm" {
				found = append(found, demanded(pool, php008Demands)...)
				continue
			}
			// Apache's own PHP has no list: the sections that hand files to it are the list.
			sections := apacheHandlers(v)
			if len(sections) == 0 {
				unseen = append(unseen, "no section of Apache was found that hands files to its own PHP, so it is not known which it runs")
			}
			for _, s := range sections {
				if strings.Contains(s.Match, "ph") && !onlyPHP(s.Match) {
					found = append(found, model.Evidence{Subject: s.File, Line: s.Line, Have: s.Kind + " " + s.Match + " is run as PHP", Want: `only files that end in .php: \.php\z`})
				}
			}
		}
		return conclude(found, unseen)
	},
	Fix: Fix{
		Kind: model.FixAutomatic, Steps: phpSteps, Changes: poolChanges(php008Demands),
		Text: "security.limit_extensions = .php in the pool, cgi.fix_pathinfo = 0 in PHP's settings. Apache's own PHP has neither: use PHP-FPM.",
	},
	Attack: "A08",
	Maps:   []model.Ref{asvs("5.3.1")},
	Since:  "0.3",
}

// apacheHandlers are the sections of Apache that hand files to its own PHP.
func apacheHandlers(v *View) []facts.Location {
	var found []facts.Location
	for _, site := range v.MatomoSites() {
		for _, location := range site.Locations {
			for _, name := range []string{"sethandler", "addhandler", "addtype"} {
				for _, s := range location.Directives[name] {
					if strings.Contains(s.Value, "x-httpd-php") && !strings.Contains(s.Value, "x-httpd-php-source") {
						found = append(found, location)
					}
				}
			}
		}
	}
	return found
}

// onlyPHP tells whether a pattern matches no other ending than .php.
func onlyPHP(pattern string) bool {
	pattern = strings.Trim(pattern, `~"' `)
	return strings.HasSuffix(pattern, `\.php\z`) || strings.HasSuffix(pattern, `\.php$`) || strings.HasSuffix(pattern, `*.php`)
}
