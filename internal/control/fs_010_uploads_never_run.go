package control

import (
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"

	"rocca/internal/facts"
	"rocca/internal/model"
)

// servedPlaces are the directories below the document root that Matomo writes to
// and the front serves: uploaded logos, and containers of the tag manager.
var servedPlaces = []string{"misc/user", "js"}

var fs010 = Control{
	ID:       "FS-10",
	Title:    "PHP that lies where Matomo writes and the front serves is never run",
	Why:      "An upload that ends as a file named x.php is the oldest way to take over a web server. Where the front hands each .php to PHP, whoever gets one file into the logos runs code.",
	Severity: model.High,
	Needs:    principals,
	Eval: func(v *View) Verdict {
		sites := v.MatomoSites()
		if v.Matomo.Real == "" || len(sites) == 0 {
			return unknown("no site that serves Matomo was found")
		}
		var found []model.Evidence
		for _, place := range servedPlaces {
			dir := path.Join(v.Matomo.Real, place)
			if link := inode(v.Server, dir); link.Type == facts.Symlink {
				dir = path.Join(path.Dir(dir), link.Target)
				if path.IsAbs(link.Target) {
					dir = link.Target
				}
			}
			if len(v.Reach.WritersBelow(dir)) == 0 {
				continue
			}
			for _, answer := range v.Answers {
				u, err := url.Parse(answer.URL)
				if err == nil && answer.Verdict == facts.Executed && within(path.Clean(u.Path), "/"+place) && !shipped(v.Server, u.Path) {
					found = append(found, model.Evidence{Subject: answer.URL, Have: "executed", Want: "403, or the text of the file"})
				}
			}
			for _, site := range sites {
				if by, runs := runsPHP(v.Server, site, "/"+place+"/x.php"); runs {
					by.Have, by.Want = "/"+place+"/x.php would run: "+by.Have, "403, or the text of the file"
					found = append(found, by)
				}
			}
		}
		return conclude(found, nil)
	},
	Fix:    automatic("nginx: location ^~ /misc/user/ { } before the rule for .php, without fastcgi_pass. Apache: <Directory \".../misc/user\"> SetHandler None, php_admin_flag engine off, AllowOverride None. Best: run index.php, matomo.php, piwik.php and js/index.php by name, and nothing else", frontSteps...),
	Attack: "A04",
	Maps:   []model.Ref{asvs("5.3.1"), s2("16")},
	Since:  "0.3",
}

// shipped tells whether a path is a file of the release, such as js/index.php.
func shipped(s facts.Server, uri string) bool {
	return inode(s, path.Join(s.Matomo.Real, path.Clean("/"+uri))).Exists()
}

// runsPHP tells whether a site hands a path to PHP by what its configuration
// says, and which part of it.
func runsPHP(s facts.Server, site facts.Site, uri string) (by model.Evidence, runs bool) {
	if s.Front.Program == "nginx" {
		location, _ := nginxLocation(site, uri) // one that is not certain may be what runs PHP
		return model.Evidence{Subject: location.File, Line: location.Line, Have: "location " + location.Match}, location.Backend != ""
	}
	// Where no part of the site names PHP, all of the server has it.
	by = model.Evidence{Subject: site.File, Line: site.Line, Have: "PHP of the whole server"}
	named := slices.ContainsFunc(site.Locations, func(l facts.Location) bool { return handler(l) == "php" })
	inside := slices.ContainsFunc(s.MatomoPools(), func(p facts.Pool) bool { return p.SAPI == "apache2" })
	runs = inside || !named
	denied := false
	for _, kind := range []string{"directory", "files", "location"} { // in Apache's order
		for _, l := range site.Locations {
			if !strings.HasPrefix(strings.ToLower(l.Kind), kind) || !apacheCovers(l, kind, site, uri) {
				continue
			}
			if h := handler(l); h != "" {
				runs = h == "php"
				by = model.Evidence{Subject: l.File, Line: l.Line, Have: l.Kind + " " + l.Match}
			}
			for _, require := range l.Directives["require"] {
				denied = strings.EqualFold(require.Value, "all denied")
			}
		}
	}
	return by, runs && !denied
}

// handler is what a section of Apache makes of files: "php", "none", or nothing.
func handler(l facts.Location) string {
	kind := ""
	if l.Backend != "" {
		kind = "php"
	}
	for _, set := range l.Directives["sethandler"] {
		value := strings.ToLower(set.Value)
		if kind = "none"; strings.Contains(value, "fcgi") || strings.Contains(value, "php") {
			kind = "php"
		}
	}
	for _, name := range []string{"php_admin_flag", "php_flag"} {
		for _, set := range l.Directives[name] {
			if fields := strings.Fields(strings.ToLower(set.Value)); len(fields) == 2 && fields[0] == "engine" && !on(fields[1]) {
				kind = "none"
			}
		}
	}
	return kind
}

func apacheCovers(l facts.Location, kind string, site facts.Site, uri string) bool {
	subject := uri
	switch kind {
	case "directory":
		subject = path.Join(site.Docroot, uri)
	case "files":
		subject = path.Base(uri)
	}
	match := strings.Trim(l.Match, `"`)
	expression, regular := strings.CutPrefix(match, "~ ")
	if regular || strings.HasSuffix(strings.ToLower(l.Kind), "match") {
		return matches(strings.Trim(expression, `"`), subject)
	}
	if kind == "files" {
		ok, err := path.Match(match, subject)
		return err == nil && ok
	}
	return within(subject, match) || match == "/" || kind == "directory" && within(path.Join(site.Real, uri), match)
}

// matches tells whether an expression of PCRE matches. One that Go cannot read
// is taken to match: it may be the one that runs PHP.
func matches(expression, subject string) bool {
	compiled, err := regexp.Compile(expression)
	return err != nil || compiled.MatchString(subject)
}
