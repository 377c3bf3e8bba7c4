package release

import (
	"path"
	"slices"
	"strings"
)

// Trim leaves out of a release what a server never needs: tests, the sources
// of compiled scripts, documentation, helper programs, and languages. Of a
// real 5.3.0 that is 40 % of the files; all pages, reports and the tracker
// were seen to work without them. Matomo's own integrity check then lists them
// as missing.
type Trim struct {
	Languages []string // ISO codes that are kept as Matomo spells them ("de", "pt-br"); English always is
}

// trimmedDirectories are of no use on a server. misc/user must stay: logos
// that an owner uploads are served from there.
var trimmedDirectories = []string{
	"tests/", "misc/cron/", "misc/log-analytics/", "misc/others/", "misc/proxy-hide-piwik-url/",
}

// Drops tells whether a file is left out. Not every file that looks useless
// is: the CSS is compiled from vue/src/**/*.less on the server, and vendor has
// directories named Test with code that is called.
func (t *Trim) Drops(file string) bool {
	if t == nil {
		return false
	}
	inDirectory := func(dir string) bool { return strings.HasPrefix(file, dir) }
	if path.Ext(file) == ".md" || slices.ContainsFunc(trimmedDirectories, inDirectory) {
		return true
	}
	parts := strings.Split(file, "/")
	if parts[0] == "plugins" && len(parts) > 2 {
		parts = parts[2:] // below the directory of the plugin
		if len(parts) > 2 && parts[0] == "vue" && parts[1] == "src" {
			return path.Ext(file) == ".ts" || path.Ext(file) == ".vue"
		}
	}
	if len(parts) == 2 && parts[0] == "lang" {
		language, isLanguage := strings.CutSuffix(parts[1], ".json")
		return isLanguage && language != "en" && !slices.Contains(t.Languages, language)
	}
	return false
}
