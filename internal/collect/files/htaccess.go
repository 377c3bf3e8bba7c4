package files

import (
	"regexp"
	"slices"
	"strings"
)

// harmless are the lines that Matomo's generator writes into .htaccess files
// (plugins/Installation/ServerFilesGenerator.php), with single blanks. Those
// that let a visitor have files are not among them: it depends on the place.
var harmless = []string{
	`<Files "*">`, `</Files>`, `<Files "manifest.json">`,
	`<IfModule mod_version.c>`, `<IfModule !mod_version.c>`, `<IfModule mod_authz_core.c>`, `<IfModule !mod_authz_core.c>`, `<IfModule mod_access_compat.c>`,
	`<IfModule !mod_access_compat.c>`, `<IfModule mod_mime.c>`, `<IfModule mod_headers.c>`, `</IfModule>`, `<IfVersion < 2.4>`, `<IfVersion >= 2.4>`, `</IfVersion>`,
	`Order Deny,Allow`, `Order Allow,Deny`, `Deny from All`, `Require all denied`,
	`AddHandler text/html .html`, `AddHandler text/html .htm`,
	`Header set Cache-Control "Cache-Control: private, no-cache, no-store"`,
}

var (
	filesPattern = regexp.MustCompile(`^<Files ~ "\\\.\(([a-z0-9|]+)\)\$">$`)
	previews     = `<Files ~ "^container_.*_preview\.js$">`
	grants       = []string{`Allow from All`, `Require all granted`}
	static       = []string{"gif", "ico", "jpg", "png", "svg", "js", "css", "htm", "html", "mp3", "mp4", "wav", "ogg", "avi", "ttf", "eot", "woff", "woff2"}
	// servesStatic and servesAll are the directories in which the generator
	// lets visitors have static files, and all files.
	servesStatic = []string{"libs", "vendor", "plugins", "misc/user", "node_modules"}
	servesAll    = []string{"js"}
)

// judgeHtaccess tells whether an .htaccess file in a directory of Matomo's root
// is what Matomo's generator writes there.
func judgeHtaccess(dir, content string) (expected bool, why string) {
	section := "" // the innermost Files section
	denies := false
	for line := range strings.Lines(content) {
		line = strings.Join(strings.Fields(line), " ")
		switch {
		case line == "" || line[0] == '#' && !strings.HasSuffix(line, `\`):
		case line == previews || filesPattern.MatchString(line):
			section = line
		case slices.Contains(grants, line):
			if !mayGrant(dir, section) {
				return false, "not as Matomo writes it: lets visitors have what is in " + dir
			}
		case slices.Contains(harmless, line):
			denies = denies || line == `Require all denied`
			switch {
			case strings.HasPrefix(line, "<Files"):
				section = line
			case line == "</Files>":
				section = ""
			}
		default:
			return false, "not as Matomo writes it: " + htaccessDoes(content)
		}
	}
	if !denies && !slices.Contains(servesAll, dir) {
		return false, "not as Matomo writes it: keeps nobody out"
	}
	return true, "as Matomo writes it"
}

// mayGrant tells whether the generator lets visitors have the files of a
// section in a directory.
func mayGrant(dir, section string) bool {
	if slices.Contains(servesAll, dir) {
		return true
	}
	if !slices.Contains(servesStatic, dir) {
		return false
	}
	if section == `<Files "manifest.json">` {
		return dir == "plugins"
	}
	match := filesPattern.FindStringSubmatch(section)
	if match == nil {
		return false
	}
	for extension := range strings.SplitSeq(match[1], "|") {
		if !slices.Contains(static, extension) {
			return false
		}
	}
	return true
}

// runsCode are the directives of Apache by which an .htaccess file runs code or
// changes PHP, the worst first.
var runsCode = []string{"php_value", "php_flag", "php_admin_value", "addhandler", "sethandler", "addtype", "forcetype", "action", "options", "rewriterule", "errordocument",
	"setenv", "redirect", "satisfy", "require", "allow"}

// htaccessDoes says the worst that an .htaccess file does.
func htaccessDoes(content string) string {
	worst, says := len(runsCode), "has lines that it never writes"
	for line := range strings.Lines(content) {
		fields := strings.Fields(line)
		if len(fields) < 2 {
			continue
		}
		line = strings.Join(fields, " ")
		at := slices.Index(runsCode, strings.ToLower(fields[0]))
		if at < 0 || at >= worst || slices.Contains(harmless, line) || slices.Contains(grants, line) {
			continue
		}
		worst, says = at, fields[0]+" "+fields[1]
	}
	return says
}
